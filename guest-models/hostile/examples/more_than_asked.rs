//! Gives a thousand chunks however few are asked for, and goes on after the finish.
#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

use alloc::vec::Vec;

use belljar_guest::text::{Chunk, FinishReason, Generate, Request};
use belljar_guest::{Error, Text};
use hostile::FromFn;

struct Guest;

impl Text for Guest {
    fn start(_request: Request) -> Result<impl Generate + 'static, Error> {
        Ok(FromFn(|_| {
            let mut chunks: Vec<Chunk> = (0..999).map(|_| Chunk::text(" more")).collect();
            chunks.push(Chunk::finish(FinishReason::Stop));
            chunks.push(Chunk::text(" after the end"));
            chunks
        }))
    }
}

belljar_guest::without_std!();
belljar_guest::export!(Guest: text);
