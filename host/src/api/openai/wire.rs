//! The wire types of OpenAI's API, and the way from them to the contract with guests and back.
//!
//! Known fields are checked one by one, and the error's `param` names the field. Unknown ones at
//! the top of a request are refused as OpenAI refuses them, unless the settings say otherwise;
//! inside messages they are ignored, because clients send back what they once received. Options
//! that clients of other servers send at the top go to the model, as do those in the object
//! `parameters`.

mod answer;
mod audio;
mod chat;
mod completion_answer;
mod completions;
mod content;
mod effort;
mod embeddings;
mod format;
mod members;
mod moderations;
mod ranking;
mod sampling;
mod service;
mod stored_options;
mod stream;
mod tokenizing;
mod tools;
mod turns;
mod usage;

pub(crate) use answer::{Completion, Head, Logprobs};
pub(crate) use chat::{ChatRequest, ChatStyle, TokenLimits, marks};
pub(crate) use completion_answer::{CompletionEvents, TextCompletion};
pub(crate) use completions::{CompletionRequest, CompletionStyle};
pub(crate) use effort::Thinking;
pub(crate) use embeddings::{EmbeddingList, EmbeddingsRequest, write_embeddings};
pub(crate) use format::check_speaks_of_json;
pub(crate) use members::{ModelElsewhere, Others, Sifted, place_in};
pub(crate) use moderations::{Moderation, ModerationRequest};
pub(crate) use ranking::{RerankRequest, Reranking, ScoreList, ScoreRequest};
pub(crate) use service::check_metadata;
pub(crate) use stream::ChatEvents;
pub(crate) use tokenizing::{Detokenization, DetokenizeRequest, Tokenization, TokenizeRequest};
pub(crate) use tools::{check_name, input_schema, object};
