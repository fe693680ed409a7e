//! `GET /admin/config`: the effective configuration, without secrets.

use super::Failures;
use crate::auth::{Administer, Authorized, Scope};
use crate::http::HttpState;
use crate::http::json::Json;
use crate::http::policy::{RoutePolicy, Routes};
use crate::limits::Counts;
use axum::extract::State;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::scope(Scope::Admin).counting(Counts::Nothing);
    Routes::default().add(policy, routes!(show))
}

/// Each setting with its value and where it came from. Secrets are redacted.
#[utoipa::path(
    get,
    path = "/admin/config",
    tag = "Administration",
    responses((status = 200, body = Vec<Object>), Failures)
)]
async fn show(
    _: Authorized<Administer>,
    State(state): State<HttpState>,
) -> Json<serde_json::Value> {
    Json(serde_json::Value::clone(&state.effective_config()))
}
