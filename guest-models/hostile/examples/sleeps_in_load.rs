//! Sleeps in `load` for an hour, again and again.

use belljar_guest::tensors::{Request, Response};
use belljar_guest::{Error, Lifecycle, Tensors};

struct Guest;

impl Lifecycle for Guest {
    fn load() -> Result<(), Error> {
        loop {
            std::thread::sleep(std::time::Duration::from_secs(3600));
        }
    }
}

impl Tensors for Guest {
    fn infer(request: Request) -> Result<Response, Error> {
        Ok(Response::from(request.inputs))
    }
}

belljar_guest::export!(Guest: lifecycle, tensors);
