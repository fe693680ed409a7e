//! Anthropic's API: messages, and how many tokens they have.
//!
//! Its errors, too, are in Anthropic's shape: see `http/surface.rs`.

mod answer;
mod cache_marks;
mod content;
mod messages;
mod models;
mod request;
mod stream;
mod thinking;

use super::Failures;
use crate::http::policy::Routes;
pub(super) use models::{AnthropicModel, ModelPage, PageOptions, is_asked_by};

pub(super) fn routes() -> Routes {
    messages::routes()
}
