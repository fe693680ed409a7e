//! Answers with the kind of error that the parameter `kind` names.
#![cfg_attr(target_family = "wasm", no_std)]

use belljar_guest::tensors::{Request, Response};
use belljar_guest::{Error, Tensors};

struct Guest;

impl Tensors for Guest {
    fn infer(request: Request) -> Result<Response, Error> {
        match hostile::text_of(&request, "kind") {
            "invalid-input" => Err(Error::invalid_input("the guest says: bad input")),
            "unsupported" => Err(Error::unsupported("the guest says: unsupported")),
            _ => Err(Error::failed(
                "the guest says: something secret for the log",
            )),
        }
    }
}

belljar_guest::without_std!();
belljar_guest::export!(Guest: tensors);
