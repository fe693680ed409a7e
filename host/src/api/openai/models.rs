//! `GET /v1/models`: the active models, as OpenAI lists them.

use super::Failures;
use crate::auth::{Authorized, ListModels, Scope};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::json::Json;
use crate::http::policy::{RoutePolicy, Routes};
use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    // Clients list the models before they run one, and ask for no other key to do so.
    let policy = RoutePolicy::either_scope(Scope::ModelsRead, Scope::Infer);
    Routes::default()
        .add(policy, routes!(list))
        .add(policy, routes!(show))
}

/// One model.
#[derive(Serialize, ToSchema)]
#[schema(as = ActiveModel)]
struct Model {
    id: String,
    /// `model`.
    object: &'static str,
    /// In seconds since 1970.
    created: i64,
    owned_by: &'static str,
}

impl Model {
    fn new(id: String, created: Timestamp) -> Self {
        Self {
            id,
            object: "model",
            created: created.as_second(),
            owned_by: "belljar",
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = ActiveModelList)]
struct ModelList {
    /// `list`.
    object: &'static str,
    data: Vec<Model>,
}

/// The models that can be asked for by name, and their aliases.
#[utoipa::path(get, path = "/v1/models", tag = "OpenAI", responses((status = 200, body = ModelList), Failures))]
async fn list(
    Authorized { caller, .. }: Authorized<ListModels>,
    State(state): State<HttpState>,
) -> Json<ModelList> {
    let registry = state.registry();
    let models = registry.list(&caller);
    let active = models.iter().filter_map(|model| {
        model
            .active_version()
            .map(|version| Model::new(model.name.to_string(), version.created))
    });
    let aliases = registry.aliases(&caller);
    let aliases = aliases
        .into_iter()
        .map(|(alias, live)| Model::new(alias, live.created));
    Json(ModelList {
        object: "list",
        data: active.chain(aliases).collect(),
    })
}

/// One model, by alias, `name`, `name@version` or `name@sha256:…`.
#[utoipa::path(
    get,
    path = "/v1/models/{id}",
    tag = "OpenAI",
    params(("id" = String, Path)),
    responses((status = 200, body = Model), Failures)
)]
async fn show(
    Authorized { caller, .. }: Authorized<ListModels>,
    State(state): State<HttpState>,
    Path(id): Path<String>,
) -> Result<Json<Model>, ApiError> {
    let live = state.registry().ready(&id, &caller)?;
    Ok(Json(Model::new(id, live.created)))
}
