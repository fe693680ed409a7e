//! Answers `load` with an error.
#![cfg_attr(target_family = "wasm", no_std)]

use belljar_guest::tensors::{Request, Response};
use belljar_guest::{Error, Lifecycle, Tensors};

struct Guest;

impl Lifecycle for Guest {
    fn load() -> Result<(), Error> {
        Err(Error::failed("the weights are of another model"))
    }
}

impl Tensors for Guest {
    fn infer(request: Request) -> Result<Response, Error> {
        Ok(Response::from(request.inputs))
    }
}

belljar_guest::without_std!();
belljar_guest::export!(Guest: lifecycle, tensors);
