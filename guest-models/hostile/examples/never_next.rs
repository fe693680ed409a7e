//! Never comes back from `next`, or only as often as the parameter `words` says.
#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

use alloc::vec;
use alloc::vec::Vec;

use belljar_guest::text::{Chunk, Generate, Request};
use belljar_guest::{Error, Text};
use hostile::FromFn;

struct Guest;

impl Text for Guest {
    fn start(request: Request) -> Result<impl Generate + 'static, Error> {
        let mut words = hostile::number_of(request.parameter("words"), 0);
        Ok(FromFn(move |_| -> Vec<Chunk> {
            if words == 0 {
                hostile::spin();
            }
            words -= 1;
            vec![Chunk::text(" on")]
        }))
    }
}

belljar_guest::without_std!();
belljar_guest::export!(Guest: text);
