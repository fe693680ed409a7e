//! Serves language models of the Llama family from GGUF files, by their weights alone.
//!
//! A bundle with this component has one asset, the file, and may have `runtime.json` (`settings`)
//! beside it. All that is made of it is made in `load`,
//! and the file itself is the weights: nothing is unpacked, so that the snapshot from which each
//! request starts holds them once.
//!
//! - `settings`: how a bundle wants its file run
//! - `gguf`: what a file holds, however it lies
//! - `shape`, `weights`: which model that makes
//! - `forward`, `cache`: from tokens to logits; the multiplications are the SDK's
//! - `kept`: what of that is there from earlier requests
//! - `vocabulary`, `tokenizer`: from texts to tokens and back
//! - `template`, `prompt`: from a conversation to a text
//! - `sampler`, `constraint`: from logits to a token
//! - `options`, `tools`, `held`, `answer`: from a request to chunks

pub mod answer;
pub mod cache;
pub mod constraint;
pub mod forward;
pub mod gguf;
mod held;
mod kept;
mod options;
mod prompt;
pub mod runtime;
pub mod sampler;
pub mod settings;
pub mod shape;
pub mod template;
pub mod tokenizer;
mod tools;
pub mod vocabulary;
pub mod weights;

use std::sync::OnceLock;

use belljar_guest::text::{Generate, Request};
use belljar_guest::{Error, Lifecycle, Text, Tokenizer, assets};

use answer::Answer;
use runtime::Runtime;
use settings::Settings;
use tokenizer::Marks;

/// The component.
#[derive(Debug)]
pub struct Llama;

/// What `load` makes.
static RUNTIME: OnceLock<Runtime> = OnceLock::new();

fn runtime() -> Result<&'static Runtime, Error> {
    let loaded = RUNTIME.get();
    loaded.ok_or_else(|| Error::failed("the model was not loaded"))
}

impl Lifecycle for Llama {
    fn load() -> Result<(), Error> {
        let names = assets::list();
        let mut files = names.iter().filter(|name| name.ends_with(".gguf"));
        let (Some(name), None) = (files.next(), files.next()) else {
            return Err(Error::failed(format!(
                "a bundle of this model has one asset that ends in `.gguf`, and this one has: {}",
                names.join(", ")
            )));
        };
        // It is read into the place where it stays.
        let bytes: &'static [u8] = assets::read_all(name)?.leak();
        let mut runtime = Runtime::read(bytes)
            .map_err(|problem| Error::failed(format!("asset `{name}`: {problem}")))?;
        if names.iter().any(|name| name == settings::ASSET) {
            let text = assets::read_all(settings::ASSET)?;
            let settings = Settings::read(&text).map_err(Error::failed)?;
            let context = &mut runtime.model.shape.context;
            *context = settings.context.unwrap_or(*context).min(*context);
        }
        RUNTIME
            .set(runtime)
            .map_err(|_| Error::failed("the model is loaded twice"))
    }
}

impl Text for Llama {
    fn start(request: Request) -> Result<impl Generate + 'static, Error> {
        Answer::new(runtime()?, &request)
    }
}

impl Tokenizer for Llama {
    fn encode(text: String) -> Result<Vec<u32>, Error> {
        runtime()?
            .tokenizer
            .encode(&text, Marks::Text)
            .map_err(|error| Error::invalid_input(error.to_string()))
    }

    fn decode(tokens: Vec<u32>) -> Result<Vec<Vec<u8>>, Error> {
        let vocabulary = &runtime()?.tokenizer.vocabulary;
        tokens
            .into_iter()
            .map(|token| {
                let bytes = vocabulary.bytes(token).map(<[u8]>::to_vec);
                bytes.ok_or_else(|| Error::invalid_input(format!("{token} is no token")))
            })
            .collect()
    }
}

belljar_guest::export!(Llama: lifecycle, text, tokenizer);
