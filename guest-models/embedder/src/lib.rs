//! Serves sentence embeddings and rerankers of the BERT family, by the files that they are saved
//! in.
//!
//! A bundle with this component has the files as its assets: `model.safetensors`, `config.json` and
//! `tokenizer.json`, and what else a sentence encoder has beside them. All that is made of them is
//! made in `load`; weights are read piece by piece into the place where they stay, so that the
//! snapshot from which each request starts holds them once.
//!
//! - `safetensors`, `json`: what the files hold, however they lie
//! - `shape`, `sentence`, `weights`, `table`: which model that makes
//! - `tokenizer`: from texts to tokens and back
//! - `forward`: from tokens to what stands for them; the multiplications are the SDK's
//! - `runtime`: from a request to an answer

pub mod error;
pub mod forward;
mod json;
pub mod runtime;
pub mod safetensors;
pub mod sentence;
pub mod shape;
mod table;
pub mod tokenizer;
pub mod weights;

use std::sync::OnceLock;

use belljar_guest::{Embeddings, Error, Lifecycle, Ranking, Tokenizer, embeddings, ranking};

use runtime::Runtime;

/// The component.
#[derive(Debug)]
pub struct Embedder;

/// What `load` makes.
static RUNTIME: OnceLock<Runtime> = OnceLock::new();

fn runtime() -> Result<&'static Runtime, Error> {
    let loaded = RUNTIME.get();
    loaded.ok_or_else(|| Error::failed("the model was not loaded"))
}

impl Lifecycle for Embedder {
    fn load() -> Result<(), Error> {
        let runtime = Runtime::read().map_err(|problem| Error::failed(problem.to_string()))?;
        RUNTIME
            .set(runtime)
            .map_err(|_| Error::failed("the model is loaded twice"))
    }
}

impl Embeddings for Embedder {
    fn embed(
        inputs: Vec<embeddings::Input>,
        dimensions: Option<u32>,
    ) -> Result<embeddings::Response, Error> {
        runtime()?.embed(&inputs, dimensions)
    }
}

impl Ranking for Embedder {
    fn rank(query: String, documents: Vec<String>) -> Result<ranking::Response, Error> {
        runtime()?.rank(&query, &documents)
    }
}

impl Tokenizer for Embedder {
    fn encode(text: String) -> Result<Vec<u32>, Error> {
        Ok(runtime()?.encode(&text))
    }

    fn decode(tokens: Vec<u32>) -> Result<Vec<Vec<u8>>, Error> {
        runtime()?
            .tokenizer
            .decode(&tokens)
            .map_err(|token| Error::invalid_input(format!("{token} is no token")))
    }
}

belljar_guest::export!(Embedder: lifecycle, embeddings, ranking, tokenizer);
