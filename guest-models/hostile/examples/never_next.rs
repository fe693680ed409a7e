//! Never comes back from `next`.
#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

use alloc::vec::Vec;

use belljar_guest::text::{Chunk, Generate, Request};
use belljar_guest::{Error, Text};
use hostile::FromFn;

struct Guest;

impl Text for Guest {
    fn start(_request: Request) -> Result<impl Generate + 'static, Error> {
        Ok(FromFn(|_| -> Vec<Chunk> { hostile::spin() }))
    }
}

belljar_guest::without_std!();
belljar_guest::export!(Guest: text);
