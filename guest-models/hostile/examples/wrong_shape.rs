//! Answers with a tensor whose bytes and shape disagree in the way the parameter `how` says:
//! `short`, `long`, `overflow` (the element count wraps around), `deep` (17 dimensions), `twice`
//! (two outputs of one name), `byte-strings` (a length that runs past the end).
#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

use alloc::vec::Vec;

use belljar_guest::tensors::{Datatype, Request, Response, Tensor};
use belljar_guest::{Error, Tensors};

struct Guest;

impl Tensors for Guest {
    fn infer(request: Request) -> Result<Response, Error> {
        let mut tensor = Tensor::from_slice("x", [2, 2], &[1.0f32, 2.0, 3.0, 4.0]);
        match hostile::text_of(&request, "how") {
            "long" => tensor.data.push(0),
            "overflow" => tensor.shape = Vec::from([1 << 32, 1 << 32, 1]),
            "deep" => tensor.shape = Vec::from([1; 17]),
            "twice" => return Ok(Response::from([tensor.clone(), tensor])),
            "byte-strings" => {
                tensor.datatype = Datatype::Bytes;
                tensor.shape = Vec::from([1]);
                tensor.data = Vec::from(*b"\xff\xff\xff\xffx");
            }
            _ => tensor.data.truncate(15),
        }
        Ok(Response::from([tensor]))
    }
}

belljar_guest::without_std!();
belljar_guest::export!(Guest: tensors);
