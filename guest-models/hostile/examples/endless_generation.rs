//! Writes without end, whatever `max-tokens` says.
#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

use alloc::vec::Vec;

use belljar_guest::text::{Chunk, Generate, Request};
use belljar_guest::{Error, Text};
use hostile::FromFn;

struct Guest;

impl Text for Guest {
    fn start(_request: Request) -> Result<impl Generate + 'static, Error> {
        Ok(FromFn(|max_chunks: u32| {
            (0..max_chunks.clamp(1, 1024))
                .map(|_| Chunk::text(" on"))
                .collect::<Vec<_>>()
        }))
    }
}

belljar_guest::without_std!();
belljar_guest::export!(Guest: text);
