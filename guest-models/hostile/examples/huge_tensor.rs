//! Answers with a tensor of as many bytes as the parameter `bytes` says, or 128 MiB.
#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

use alloc::vec::Vec;

use belljar_guest::tensors::{Datatype, Request, Response, Tensor};
use belljar_guest::{Error, Tensors};

struct Guest;

impl Tensors for Guest {
    fn infer(request: Request) -> Result<Response, Error> {
        let count = hostile::number_of(request.parameter("bytes"), 128 << 20);
        let data = hostile::letters(count).into_bytes();
        let shape = Vec::from([count]);
        Ok(Response::from([Tensor {
            name: "x".into(),
            datatype: Datatype::Uint8,
            shape,
            data,
        }]))
    }
}

belljar_guest::without_std!();
belljar_guest::export!(Guest: tensors);
