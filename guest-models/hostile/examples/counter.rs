//! Counts its calls in a `static`: in a fresh instance the count is always 1.
#![cfg_attr(target_family = "wasm", no_std)]

use core::sync::atomic::{AtomicU64, Ordering};

use belljar_guest::tensors::{Request, Response};
use belljar_guest::{Error, Tensors};

struct Guest;

static COUNT: AtomicU64 = AtomicU64::new(0);

impl Tensors for Guest {
    fn infer(_request: Request) -> Result<Response, Error> {
        Ok(hostile::scalar(
            "count",
            COUNT.fetch_add(1, Ordering::Relaxed) + 1,
        ))
    }
}

belljar_guest::without_std!();
belljar_guest::export!(Guest: tensors);
