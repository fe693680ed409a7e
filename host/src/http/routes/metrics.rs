//! `GET /metrics`: all numbers in the Prometheus text format.

use super::Failures;
use crate::auth::Scope;
use crate::http::error::ApiError;
use crate::http::layers::Authenticated;
use crate::http::state::HttpState;
use crate::telemetry::metrics as names;
use axum::extract::State;
use axum::response::IntoResponse;
use http::{HeaderValue, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(show))
}

/// All metrics, in the Prometheus text format. Needs the scope `metrics` where keys are required.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "Server",
    responses((status = 200, body = String, content_type = "text/plain; version=0.0.4"), Failures)
)]
async fn show(
    Authenticated(caller): Authenticated,
    State(state): State<HttpState>,
) -> Result<impl IntoResponse, ApiError> {
    // On a loopback address without keys, a scraper needs none either.
    if state.keys().key_required() || caller.key_id().is_some() {
        caller.require(Scope::Metrics)?;
    }
    Ok((
        [(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
        )],
        render(&state),
    ))
}

/// The text of all metrics, for this route and for a listener of its own.
pub(crate) fn render(state: &HttpState) -> String {
    let stats = state.registry().sandbox().stats();
    metrics::gauge!(names::SANDBOX_RUNNING).set(f64::from(stats.running));
    metrics::gauge!(names::SANDBOX_WAITING).set(f64::from(stats.waiting));
    metrics::gauge!(names::SANDBOX_SLOTS).set(f64::from(stats.slots));
    let (in_force, remembered) = state.bans().sizes();
    let gauge = |name, value| {
        metrics::gauge!(name).set(f64::from(u32::try_from(value).unwrap_or(u32::MAX)));
    };
    gauge(names::BANS_IN_FORCE, in_force);
    gauge(names::ABUSE_TABLE, remembered);
    state.metrics().render()
}
