//! Gives one chunk of as many bytes as the parameter `bytes` says, or 128 MiB.
#![cfg_attr(target_family = "wasm", no_std)]

use belljar_guest::text::{Generate, Request, stream};
use belljar_guest::{Error, Text};

struct Guest;

impl Text for Guest {
    fn start(request: Request) -> Result<impl Generate + 'static, Error> {
        let count = hostile::number_of(request.parameter("bytes"), 128 << 20);
        Ok(stream([hostile::letters(count)]))
    }
}

belljar_guest::without_std!();
belljar_guest::export!(Guest: text);
