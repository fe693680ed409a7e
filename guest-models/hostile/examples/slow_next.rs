//! Writes a word, and burns the fuel that the parameter `turns` asks for before each.
#![cfg_attr(target_family = "wasm", no_std)]

use belljar_guest::text::{Generate, Request, stream};
use belljar_guest::{Error, Text};

struct Guest;

impl Text for Guest {
    fn start(request: Request) -> Result<impl Generate + 'static, Error> {
        let turns = hostile::number_of(request.parameter("turns"), 1_000_000);
        Ok(stream((0..1000).map(move |_| {
            for turn in 0..turns {
                core::hint::black_box(turn);
            }
            " slow"
        })))
    }
}

belljar_guest::without_std!();
belljar_guest::export!(Guest: text);
