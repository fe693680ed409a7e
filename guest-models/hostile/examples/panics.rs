//! Panics as Rust guests do, with a message on stderr.

use belljar_guest::tensors::{Request, Response};
use belljar_guest::{Error, Tensors};

struct Guest;

impl Tensors for Guest {
    fn infer(request: Request) -> Result<Response, Error> {
        let empty: [u8; 0] = [];
        let index = request.inputs.len();
        panic!("the guest panicked at input {index} of {empty:?}");
    }
}

belljar_guest::export!(Guest: tensors);
