//! Spins as often as the INT64 input `n` says, then gives its inputs back.
#![cfg_attr(target_family = "wasm", no_std)]

use belljar_guest::tensors::{Request, Response, TensorView};
use belljar_guest::{Error, Tensors};

struct Guest;

impl Tensors for Guest {
    fn infer(request: Request) -> Result<Response, Error> {
        let turns = TensorView::<i64>::try_from(request.input("n")?)?
            .iter()
            .sum();
        for turn in 0..turns {
            core::hint::black_box(turn);
        }
        Ok(Response::from(request.inputs))
    }
}

belljar_guest::without_std!();
belljar_guest::export!(Guest: tensors);
