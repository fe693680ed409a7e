//! Writes to stdout without end.

use belljar_guest::tensors::{Request, Response};
use belljar_guest::{Error, Tensors};

struct Guest;

impl Tensors for Guest {
    fn infer(_request: Request) -> Result<Response, Error> {
        loop {
            println!("and on and on and on");
        }
    }
}

belljar_guest::export!(Guest: tensors);
