//! `GET /health*`: whether the process lives and whether requests are served. Open to all, so
//! they say nothing else.

use super::Failures;
use crate::http::HttpState;
use crate::http::json::Json;
use crate::http::policy::{RoutePolicy, Routes};
use crate::models::Readiness;
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
    /// `ok`, `live` or `ready`; `starting` while models are loaded, `failed` while an active model
    /// could not be, `draining` before the server stops.
    status: &'static str,
}

/// The process answers.
#[utoipa::path(get, path = "/health/live", tag = "Health", security(()), responses((status = 200, body = Health)))]
async fn live() -> Json<Health> {
    Json(Health { status: "live" })
}

/// Requests are served: every active model runs, and the server is not about to stop.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "Health",
    security(()),
    responses(
        (status = 200, body = Health),
        (status = 503, description = "Models are being loaded, an active one could not be, or the server is about to stop.", body = Health),
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
        (status = 503, description = "Models are being loaded, an active one could not be, or the server is about to stop.", body = Health),
        Failures,
    )
)]
async fn health(State(state): State<HttpState>) -> (StatusCode, Json<Health>) {
    readiness(&state, "ok")
}

fn readiness(state: &HttpState, good: &'static str) -> (StatusCode, Json<Health>) {
    let bad = match state.readiness() {
        Some(Readiness::Ready) => return (StatusCode::OK, Json(Health { status: good })),
        Some(Readiness::Starting) => "starting",
        Some(Readiness::Failed) => "failed",
        None => "draining",
    };
    let status = StatusCode::SERVICE_UNAVAILABLE;
    (status, Json(Health { status: bad }))
}
