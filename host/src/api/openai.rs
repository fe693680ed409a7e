//! OpenAI's API: its routes, and its wire types in `wire`.

mod chat;
mod embeddings;
mod models;
mod wire;

use super::Failures;
use crate::http::HttpState;
use utoipa_axum::router::OpenApiRouter;

pub(super) fn router() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new()
        .merge(models::router())
        .merge(chat::router())
        .merge(embeddings::router())
}
