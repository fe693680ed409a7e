//! Panics in `load` with a message on stderr, after lines on stdout and by the log, with characters
//! that would forge lines and drive a terminal.

use belljar_guest::tensors::{Request, Response};
use belljar_guest::{Error, Lifecycle, Tensors};

struct Guest;

impl Lifecycle for Guest {
    fn load() -> Result<(), Error> {
        println!("reading the weights \u{1b}[2J\u{202e}");
        belljar_guest::info!("by log\n2026-11-28T00:00:00.000000Z  WARN belljar::auth: FORGED");
        panic!("weights.bin is of another model");
    }
}

impl Tensors for Guest {
    fn infer(request: Request) -> Result<Response, Error> {
        Ok(Response::from(request.inputs))
    }
}

belljar_guest::export!(Guest: lifecycle, tensors);
