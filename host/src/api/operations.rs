//! What operators and their machines ask: what this server is, whether it is well, its metrics.

mod health;
mod metrics;
mod root;

pub(crate) use metrics::operators_route as metrics_route;

use super::Failures;
use crate::http::HttpState;
use utoipa_axum::router::OpenApiRouter;

pub(super) fn router() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new()
        .merge(root::router())
        .merge(health::router())
        .merge(metrics::router())
}
