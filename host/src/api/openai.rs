//! OpenAI's API: its routes, and its wire types in `wire`.

mod azure;
mod chat;
mod completions;
mod conversations;
mod embeddings;
mod models;
mod moderations;
mod objects;
mod ranking;
mod responses;
mod sound;
mod stored_chats;
mod tokenizing;
pub(crate) mod wire;

use super::Failures;
use crate::http::policy::Routes;

pub(super) fn routes() -> Routes {
    Routes::default()
        .merge(models::routes())
        .merge(chat::routes())
        .merge(stored_chats::routes())
        .merge(completions::routes())
        .merge(embeddings::routes())
        .merge(azure::routes())
        .merge(moderations::routes())
        .merge(ranking::routes())
        .merge(tokenizing::routes())
        .merge(responses::routes())
        .merge(conversations::routes())
}
