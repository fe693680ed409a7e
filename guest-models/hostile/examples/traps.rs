//! Executes `unreachable` in `infer`.
#![cfg_attr(target_family = "wasm", no_std)]

use belljar_guest::tensors::{Request, Response};
use belljar_guest::{Error, Tensors};

struct Guest;

impl Tensors for Guest {
    fn infer(_request: Request) -> Result<Response, Error> {
        hostile::trap()
    }
}

belljar_guest::without_std!();
belljar_guest::export!(Guest: tensors);
