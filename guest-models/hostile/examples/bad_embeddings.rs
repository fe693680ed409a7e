//! Answers with vectors that the contract forbids, in the way that the first input's text says:
//! `nan`, `infinity`, `uneven` (of two lengths), `few` (fewer than inputs), `empty`, `length`
//! (another than was asked for).
#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

use alloc::vec;
use alloc::vec::Vec;

use belljar_guest::embeddings::{Input, Response};
use belljar_guest::{Embeddings, Error};

struct Guest;

impl Embeddings for Guest {
    fn embed(inputs: Vec<Input>, dimensions: Option<u32>) -> Result<Response, Error> {
        let length = dimensions.unwrap_or(4) as usize;
        let mut vectors = vec![vec![0.5f32; length]; inputs.len()];
        let how = match inputs.first() {
            Some(Input::Text(text)) => text.as_str(),
            _ => "",
        };
        match (how, vectors.first_mut()) {
            ("nan", Some(first)) => first.fill(f32::NAN),
            ("infinity", Some(first)) => first.fill(f32::INFINITY),
            ("uneven", Some(first)) => first.push(0.5),
            ("few", Some(_)) => drop(vectors.pop()),
            ("empty", Some(_)) => vectors.iter_mut().for_each(Vec::clear),
            ("length", Some(_)) => vectors.iter_mut().for_each(|vector| vector.push(0.5)),
            _ => {}
        }
        Ok(Response {
            vectors,
            prompt_tokens: 1,
        })
    }
}

belljar_guest::without_std!();
belljar_guest::export!(Guest: embeddings);
