//! `GET /admin/config`: the effective configuration, without secrets.

use super::Failures;
use crate::http::HttpState;
use crate::http::extract::{Administer, May};
use crate::http::json::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(show))
}

/// Each setting with its value and where it came from. Secrets are redacted.
#[utoipa::path(
    get,
    path = "/admin/config",
    tag = "Administration",
    responses((status = 200, body = Object), Failures)
)]
async fn show(_: May<Administer>, State(state): State<HttpState>) -> Json<serde_json::Value> {
    Json(state.effective_config().clone())
}
