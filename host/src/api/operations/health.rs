//! `GET /health*`: whether the process lives and whether requests are served. Open to all, so
//! they say nothing else.

use super::Failures;
use crate::http::HttpState;
use crate::http::json::Json;
use crate::http::policy::{RoutePolicy, Routes};
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    Routes::default()
        .add(RoutePolicy::open(), routes!(live))
        .add(RoutePolicy::open(), routes!(ready))
        .add(RoutePolicy::open(), routes!(health))
}

/// How the server is.
#[derive(Serialize, ToSchema)]
struct Health {
    /// `ok`, `live`, `ready` or `starting`.
    status: &'static str,
}

/// The process answers.
#[utoipa::path(get, path = "/health/live", tag = "Health", security(()), responses((status = 200, body = Health)))]
async fn live() -> Json<Health> {
    Json(Health { status: "live" })
}

/// Requests are served: every model that was active has been loaded.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "Health",
    security(()),
    responses(
        (status = 200, body = Health),
        (status = 503, description = "Models are still being loaded.", body = Health),
        Failures,
    )
)]
async fn ready(State(state): State<HttpState>) -> (StatusCode, Json<Health>) {
    readiness(&state, "ready")
}

/// The same as `/health/ready`.
#[utoipa::path(
    get,
    path = "/health",
    tag = "Health",
    security(()),
    responses(
        (status = 200, body = Health),
        (status = 503, description = "Models are still being loaded.", body = Health),
        Failures,
    )
)]
async fn health(State(state): State<HttpState>) -> (StatusCode, Json<Health>) {
    readiness(&state, "ok")
}

fn readiness(state: &HttpState, good: &'static str) -> (StatusCode, Json<Health>) {
    if state.registry().is_ready() {
        (StatusCode::OK, Json(Health { status: good }))
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(Health { status: "starting" }),
        )
    }
}
