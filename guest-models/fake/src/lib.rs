//! A deterministic stand-in for a language model: chat with tools and structured answers,
//! embeddings, moderations and rankings. The same request gives the same answer, and a client that
//! works with it should work with the real thing: every option that changes the shape of an answer
//! is respected.
//!
//! It has to be fast, because it is what load tests run against, and it runs in a fresh instance
//! each time: no tables are built at the start, little memory is touched, and no schema is read
//! that was not sent.
//!
//! What is asked:
//! - `words`, `lexicon`, `language`: letters, words that say how to answer, languages
//! - `reading`: what a prompt is in, about and for
//! - `places`, `entities`: what it names
//! - `media`: what pictures, sounds and files are
//!
//! What is answered:
//! - `answer`: all of it in the order in which a model would write it
//! - `body`: which of these it is: prose, a document, a fact, JSON or calls
//! - `voices`, `choice`, `prose`: sentences in each language, and which of them are said
//! - `documents`: lists, tables, code and the like; `facts`: the little that is known
//! - `meaning`, `fill`, `values`: what a property is about, what the prompt says for it, and what
//!   is plausible where it says nothing
//! - `told`, `fields`: a schema that the prompt writes out, and one for who asks for JSON without
//! - `json`, `schema`, `pattern`: values that follow a JSON Schema; `lark`: texts that follow a
//!   grammar
//! - `tools`: which tools are called, how often, and with what; `results`: what they answered
//! - `tokens`, `usage`: text into pieces, one rule for prompts, answers and usage
//! - `random`: from a request to a seed, and from a seed to numbers
//! - `logprobs`: how likely a piece would have been, and what else could have stood there
//! - `stops`: where a stop string ends the text
//! - `embed`: vectors
//! - `moderate`: whether content is harmful
//! - `rank`: which documents answer a query
#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

mod answer;
mod body;
mod choice;
mod documents;
mod embed;
mod entities;
mod facts;
mod fields;
mod fill;
mod json;
mod kinds;
mod language;
mod lark;
mod lexicon;
mod logprobs;
mod meaning;
mod media;
mod moderate;
mod pattern;
mod phrases;
mod places;
mod prefill;
mod prose;
mod random;
mod rank;
mod reading;
mod results;
mod schema;
mod stops;
mod tokens;
mod told;
mod tools;
mod usage;
mod values;
mod voices;
mod words;

use alloc::string::String;
use alloc::vec::Vec;

use belljar_guest::embeddings::{Input, Response};
use belljar_guest::text::{Generate, Request};
use belljar_guest::{Embeddings, Error, Moderation, Ranking, Text, moderation, ranking};

struct Fake;

impl Text for Fake {
    fn start(request: Request) -> Result<impl Generate + 'static, Error> {
        answer::Answer::new(&request)
    }
}

impl Embeddings for Fake {
    fn embed(inputs: Vec<Input>, dimensions: Option<u32>) -> Result<Response, Error> {
        embed::embed(&inputs, dimensions)
    }
}

impl Moderation for Fake {
    fn classify(inputs: Vec<moderation::Input>) -> Result<Vec<moderation::Verdict>, Error> {
        Ok(moderate::classify(&inputs))
    }
}

impl Ranking for Fake {
    fn rank(query: String, documents: Vec<String>) -> Result<ranking::Response, Error> {
        Ok(rank::rank(&query, &documents))
    }
}

belljar_guest::without_std!();
belljar_guest::export!(Fake: text, embeddings, moderation, ranking);
