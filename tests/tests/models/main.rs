//! Real runtimes over HTTP: tiny models with random weights, made here, and known ones where the
//! cache of models has them.
//!
//! What a model with random weights says is noise, which is what makes it a good test: an answer
//! that has its form all the same has it because nothing else could be said.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    missing_docs,
    reason = "tests"
)]

#[path = "../../../guest-models/made/cached.rs"]
mod cached;
mod embedder;
mod forms;
mod index;
mod kept;
mod kit;
mod llama;
#[path = "../../../guest-models/llama/tests/made/mod.rs"]
mod made;
#[path = "../../../guest-models/embedder/tests/made/mod.rs"]
mod made_encoder;
#[path = "../../../guest-models/onnx/tests/made/mod.rs"]
mod made_onnx;
mod onnx;
mod weights;
