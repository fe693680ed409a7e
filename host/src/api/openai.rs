//! OpenAI's API: its routes, and its wire types in `wire`.

mod chat;
mod embeddings;
mod models;
pub(crate) mod wire;

use super::Failures;
use crate::http::policy::Routes;

/// The members of a request that were passed over because nobody knows them.
const X_BELLJAR_IGNORED: http::HeaderName = http::HeaderName::from_static("x-belljar-ignored");

pub(super) fn routes() -> Routes {
    Routes::default()
        .merge(models::routes())
        .merge(chat::routes())
        .merge(embeddings::routes())
}
