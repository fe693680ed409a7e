//! Gives a string that is not UTF-8.
#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

use alloc::string::String;
use alloc::vec::Vec;

use belljar_guest::text::{Generate, Request, stream};
use belljar_guest::{Error, Text};

struct Guest;

impl Text for Guest {
    fn start(_request: Request) -> Result<impl Generate + 'static, Error> {
        // SAFETY: not sound, and meant so: the bytes go to the host as they are.
        let text = unsafe { String::from_utf8_unchecked(Vec::from(*b"ok \xff\xfe ok")) };
        Ok(stream([text]))
    }
}

belljar_guest::without_std!();
belljar_guest::export!(Guest: text);
