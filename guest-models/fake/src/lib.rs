//! A deterministic stand-in for a language model: the same request gives the same answer.
#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use belljar_guest::embeddings::{Input, Response};
use belljar_guest::text::{Chunk, Generate, Request, Token, stream};
use belljar_guest::{Embeddings, Error, Text};

struct Fake;

impl Text for Fake {
    fn start(request: Request) -> Result<impl Generate + 'static, Error> {
        const WORDS: [&str; 8] = [
            "The", "quick", "brown", "fox", "jumps", "over", "lazy", "dogs",
        ];
        let prompt = request.last_user_text();
        let mut state = prompt.bytes().fold(
            request.sampling.seed.unwrap_or(0) ^ u64::from(request.choice),
            |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3),
        ) | 1;
        let words = (0..40).map(move |index| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let word = WORDS[(state >> 60) as usize % 8];
            let text = if index == 0 {
                word.into()
            } else {
                format!(" {word}")
            };
            let bytes = text.clone().into_bytes();
            Chunk::tokens_of_text(
                text,
                vec![Token {
                    id: (state >> 60) as u32 % 8,
                    bytes,
                    logprob: request.sampling.logprobs.map(|_| -0.5),
                    alternatives: vec![],
                }],
            )
        });
        Ok(stream(words)
            .prompt_tokens(prompt.len().div_ceil(4) as u32)
            .max_tokens(request.max_tokens))
    }
}

impl Embeddings for Fake {
    fn embed(inputs: Vec<Input>, dimensions: Option<u32>) -> Result<Response, Error> {
        let length = dimensions.unwrap_or(1536) as usize;
        if !(1..=3072).contains(&length) {
            return Err(Error::invalid_input("`dimensions` must be 1 to 3072"));
        }
        let vectors = inputs
            .iter()
            .map(|_| {
                let mut vector = vec![0.0; length];
                vector[0] = 1.0;
                vector
            })
            .collect();
        Ok(Response {
            vectors,
            prompt_tokens: inputs.len() as u32,
        })
    }
}

belljar_guest::without_std!();
belljar_guest::export!(Fake: text, embeddings);
