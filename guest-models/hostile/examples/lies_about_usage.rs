//! Writes two words and says that they were four billion.
#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

use alloc::vec::Vec;

use belljar_guest::text::{Chunk, FinishReason, Generate, Request, Usage};
use belljar_guest::{Error, Text};

struct Guest;

struct Liar;

impl Generate for Liar {
    fn next(&mut self, _max_chunks: u32) -> Result<Vec<Chunk>, Error> {
        let words = [Chunk::text("two"), Chunk::text(" words")];
        let mut chunks = Vec::from(words);
        chunks.push(Chunk::finish(FinishReason::Stop));
        Ok(chunks)
    }

    fn usage(&self) -> Usage {
        let billions = 4_000_000_000;
        Usage {
            prompt_tokens: billions,
            completion_tokens: billions,
            reasoning_tokens: billions,
            cached_tokens: billions,
        }
    }
}

impl Text for Guest {
    fn start(_request: Request) -> Result<impl Generate + 'static, Error> {
        Ok(Liar)
    }
}

belljar_guest::without_std!();
belljar_guest::export!(Guest: text);
