//! Grows its memory by 1 MiB at a time until that is refused; then traps, or where the parameter
//! `then` is `carry-on`, answers with the bytes it got, and where it is `fail`, says that it failed.
#![cfg_attr(target_family = "wasm", no_std)]

use belljar_guest::tensors::{Request, Response};
use belljar_guest::{Error, Tensors};

struct Guest;

impl Tensors for Guest {
    fn infer(request: Request) -> Result<Response, Error> {
        while hostile::grow(16) {}
        match hostile::text_of(&request, "then") {
            "carry-on" => Ok(hostile::scalar("bytes", (hostile::pages() as u64) << 16)),
            "fail" => Err(Error::failed("there is no room for the answer")),
            _ => hostile::trap(),
        }
    }
}

belljar_guest::without_std!();
belljar_guest::export!(Guest: tensors);
