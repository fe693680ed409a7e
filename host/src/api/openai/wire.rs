//! The wire types of OpenAI's API, and the way from them to the contract with guests and back.
//!
//! Known fields are checked one by one, and the error's `param` names the field. Unknown ones at
//! the top of a request are refused as OpenAI refuses them; inside messages they are ignored,
//! because clients send back what they once received. Options for the model that OpenAI does not
//! know go into the object `parameters`; `top_k` and `min_p` are understood as they are.

mod answer;
mod chat;
mod check;
mod content;
mod embeddings;
mod stream;
mod tools;
mod usage;

pub(crate) use answer::{Completion, Head};
pub(crate) use chat::{ChatRequest, TokenLimits};
pub(crate) use embeddings::{EmbeddingsRequest, write_embeddings};
pub(crate) use stream::ChatStream;
