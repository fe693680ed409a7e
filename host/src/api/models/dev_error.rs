//! `/models/{name}/dev-error`: what the answers of a model tell of its next version, which is not
//! there. `belljar dev` notes it when a build fails.

use super::{Failures, model_name};
use crate::auth::{Authorized, Scope, WriteModels};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::json::Json;
use crate::http::policy::{RoutePolicy, Routes};
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::scope(Scope::ModelsWrite);
    Routes::default().add(policy, routes!(note, forget))
}

/// Why the next version of a model is not there.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DevErrorRequest {
    /// What went wrong. One line of 300 bytes of it is kept.
    message: String,
}

/// What the answers of a model tell.
#[derive(Serialize, ToSchema)]
struct DevErrorView {
    /// `model.dev_error`.
    object: &'static str,
    /// The version whose answers tell it.
    model: String,
    /// The line, as it stands in the header `x-belljar-dev-error`.
    message: String,
}

/// Has the answers of the active version tell, in the header `x-belljar-dev-error`, why the next one
/// is not there. It is in memory alone, and gone when another version becomes active.
#[utoipa::path(
    put,
    path = "/models/{name}/dev-error",
    tag = "Models",
    params(("name" = String, Path)),
    request_body = DevErrorRequest,
    responses((status = 200, body = DevErrorView), Failures)
)]
async fn note(
    Authorized { caller, .. }: Authorized<WriteModels>,
    State(state): State<HttpState>,
    Path(name): Path<String>,
    Json(request): Json<DevErrorRequest>,
) -> Result<Json<DevErrorView>, ApiError> {
    let registry = state.registry();
    let (id, line) = registry.note_dev_error(&model_name(&name)?, &request.message, &caller)?;
    Ok(Json(DevErrorView {
        object: "model.dev_error",
        model: id.to_string(),
        message: line.to_string(),
    }))
}

/// Has them tell it no more.
#[utoipa::path(
    delete,
    path = "/models/{name}/dev-error",
    tag = "Models",
    params(("name" = String, Path)),
    responses((status = 204), Failures)
)]
async fn forget(
    Authorized { caller, .. }: Authorized<WriteModels>,
    State(state): State<HttpState>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let registry = state.registry();
    registry.forget_dev_error(&model_name(&name)?, &caller)?;
    Ok(StatusCode::NO_CONTENT)
}
