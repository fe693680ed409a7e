//! gRPC's own health checks: of the server as a whole, and of each service it has.

use super::Small;
use super::wire::health::health_check_response::ServingStatus;
use super::wire::health::{HealthCheckRequest, HealthCheckResponse};
use crate::api::oip;
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::grpc::{Reply, frame, streamed};
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use std::time::Duration;
use tokio::sync::Semaphore;

/// The services whose health is known; the empty name is that of the whole server.
const SERVICES: [&str; 3] = [
    "",
    "inference.GRPCInferenceService",
    "grpc.health.v1.Health",
];

/// How often a watched server is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Watches at once: whoever may call needs no key for one.
const WATCHES_MAX: usize = 256;

static WATCHES: Semaphore = Semaphore::const_new(WATCHES_MAX);

fn status(state: &HttpState) -> ServingStatus {
    if oip::is_ready(state) {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    }
}

pub(super) async fn check(
    State(state): State<HttpState>,
    Small(HealthCheckRequest { service }): Small<HealthCheckRequest>,
) -> Result<Reply<HealthCheckResponse>, ApiError> {
    if !SERVICES.contains(&service.as_str()) {
        let message = "This server has no service of that name.";
        return Err(ApiError::not_found("service_not_found", message));
    }
    let status = status(&state).into();
    Ok(Reply(HealthCheckResponse { status }))
}

/// The answer lasts until the caller leaves or the server stops.
pub(super) async fn watch(
    State(state): State<HttpState>,
    Small(HealthCheckRequest { service }): Small<HealthCheckRequest>,
) -> Result<Response, ApiError> {
    const RETRY_AFTER_S: u64 = 5;
    let permit = WATCHES.try_acquire().map_err(|_| {
        let message = format!("The server's health is watched by {WATCHES_MAX} callers already.");
        ApiError::overloaded(message, RETRY_AFTER_S)
    })?;
    let is_known = SERVICES.contains(&service.as_str());
    let look = move |state: &HttpState| {
        if is_known {
            status(state)
        } else {
            ServingStatus::ServiceUnknown
        }
    };
    let told = None::<ServingStatus>;
    let statuses = stream::unfold(
        (state, told, permit),
        move |(state, told, permit)| async move {
            let mut found = look(&state);
            while told == Some(found) {
                let stopping = state.stopping().cancelled();
                if tokio::time::timeout(LOOK_INTERVAL, stopping).await.is_ok() {
                    return None;
                }
                found = look(&state);
            }
            let mut message = Vec::new();
            let status = found.into();
            frame(&HealthCheckResponse { status }, &mut message);
            Some((
                Ok::<_, ApiError>(Bytes::from(message)),
                (state, Some(found), permit),
            ))
        },
    );
    Ok(streamed(statuses))
}
