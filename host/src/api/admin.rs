//! What administrators ask: keys, bans, and the configuration that is in force.

mod bans;
mod config;
mod keys;

use super::Failures;
use crate::http::HttpState;
use utoipa_axum::router::OpenApiRouter;

pub(super) fn router() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new()
        .merge(keys::router())
        .merge(bans::router())
        .merge(config::router())
}
