//! `GET /v1/models`: the active models, as OpenAI lists them.

use super::Failures;
use super::objects::Deleted;
use crate::api::anthropic::{AnthropicModel, ModelPage, PageOptions, is_asked_by};
use crate::audit::EventKind;
use crate::auth::{Authorized, ListModels, Scope, WriteModels};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::extract::{Path, Query};
use crate::http::json::Json;
use crate::http::policy::{RoutePolicy, Routes};
use crate::inference::RequestContext;
use axum::extract::State;
use http::HeaderMap;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    // Clients list the models before they run one, and ask for no other key to do so.
    let policy = RoutePolicy::either_scope(Scope::ModelsRead, Scope::Infer);
    Routes::default()
        .add(policy, routes!(list))
        .add(policy, routes!(show))
        .add(RoutePolicy::scope(Scope::ModelsWrite), routes!(delete))
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

/// A list as its reader knows it.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum AnyModelList {
    OpenAi(ModelList),
    Anthropic(ModelPage),
}

/// A model as its reader knows it.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum AnyModel {
    OpenAi(Model),
    Anthropic(AnthropicModel),
}

/// The models that can be asked for by name, and their aliases.
///
/// Clients that send `anthropic-version` get Anthropic's list, page by page.
#[utoipa::path(
    get,
    path = "/v1/models",
    tag = "OpenAI",
    params(
        ("limit" = Option<usize>, Query, description = "Models of a page, for clients of Anthropic's."),
        ("after_id" = Option<String>, Query, description = "The model before the page."),
        ("before_id" = Option<String>, Query, description = "The model after the page."),
    ),
    responses((status = 200, body = AnyModelList), Failures)
)]
async fn list(
    Authorized { caller, .. }: Authorized<ListModels>,
    State(state): State<HttpState>,
    Query(options): Query<PageOptions>,
    headers: HeaderMap,
) -> Result<Json<AnyModelList>, ApiError> {
    let registry = state.registry();
    let models = registry.list(&caller);
    let active = models.iter().filter_map(|model| {
        let version = model.active_version()?;
        Some((model.name.to_string(), version.created))
    });
    let aliases = registry.aliases(&caller).into_iter();
    let all = active.chain(aliases.map(|(alias, live)| (alias, live.created)));
    if is_asked_by(&headers) {
        let models = all.map(|(id, created)| {
            let rules = registry.token_rules(&id);
            AnthropicModel::new(id, created, rules)
        });
        let page = ModelPage::new(models.collect(), &options)?;
        return Ok(Json(AnyModelList::Anthropic(page)));
    }
    let data = all.map(|(id, created)| Model::new(id, created)).collect();
    let object = "list";
    Ok(Json(AnyModelList::OpenAi(ModelList { object, data })))
}

/// One model, by alias, `name`, `name@version` or `name@sha256:…`.
#[utoipa::path(
    get,
    path = "/v1/models/{id}",
    tag = "OpenAI",
    params(("id" = String, Path)),
    responses((status = 200, body = AnyModel), Failures)
)]
async fn show(
    Authorized { caller, .. }: Authorized<ListModels>,
    State(state): State<HttpState>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<AnyModel>, ApiError> {
    let live = state.registry().ready(&id, &caller)?;
    Ok(Json(if is_asked_by(&headers) {
        let rules = state.registry().token_rules(&id);
        AnyModel::Anthropic(AnthropicModel::new(id, live.created, rules))
    } else {
        AnyModel::OpenAi(Model::new(id, live.created))
    }))
}

/// Removes an uploaded model with all its versions. Requests in flight finish.
#[utoipa::path(
    delete,
    path = "/v1/models/{id}",
    tag = "OpenAI",
    params(("id" = String, Path)),
    responses((status = 200, body = Deleted), Failures)
)]
async fn delete(
    Authorized { caller, .. }: Authorized<WriteModels>,
    context: RequestContext,
    State(state): State<HttpState>,
    Path(id): Path<String>,
) -> Result<Json<Deleted>, ApiError> {
    let name = crate::api::models::model_name(&id)?;
    state.registry().remove_model(&name, &caller).await?;
    context
        .act(EventKind::ModelRemoved, &[("model", json!(id))])
        .await;
    Ok(Json(Deleted {
        id,
        object: "model",
        deleted: true,
    }))
}
