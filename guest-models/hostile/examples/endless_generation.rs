//! Writes without end, whatever `max-tokens` says; with the option `delay_us` as slowly as that.
#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

use alloc::vec::Vec;

use belljar_guest::text::{Chunk, Generate, Request};
use belljar_guest::{Error, Text, Value};
use hostile::FromFn;

struct Guest;

impl Text for Guest {
    fn start(request: Request) -> Result<impl Generate + 'static, Error> {
        let delay_us = match request.parameter("delay_us") {
            Some(Value::Integer(delay_us)) => delay_us.unsigned_abs(),
            _ => 0,
        };
        Ok(FromFn(move |max_chunks: u32| {
            (0..max_chunks.clamp(1, 1024))
                .map(|_| Chunk::text(" on").after_us(delay_us))
                .collect::<Vec<_>>()
        }))
    }
}

belljar_guest::without_std!();
belljar_guest::export!(Guest: text);
