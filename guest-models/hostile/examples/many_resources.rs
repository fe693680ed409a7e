//! Makes the host keep one more resource handle for it, without end: a pollable for each turn of
//! a loop. The parameter `count` stops it at a number.
#![cfg_attr(target_family = "wasm", no_std)]

mod bindings {
    #![allow(missing_docs, unreachable_pub, reason = "generated code")]

    wit_bindgen::generate!({
        inline: "
        package belljar:hostile;
        package wasi:io@0.2.0 {
            interface poll { resource pollable; }
        }
        package wasi:clocks@0.2.0 {
            interface monotonic-clock {
                use wasi:io/poll@0.2.0.{pollable};
                type duration = u64;
                subscribe-duration: func(when: duration) -> pollable;
            }
        }
        world pollables { import wasi:clocks/monotonic-clock@0.2.0; }
    ",
        world: "belljar:hostile/pollables",
        generate_all,
    });
}

use belljar_guest::tensors::{Request, Response};
use belljar_guest::{Error, Tensors};

struct Guest;

impl Tensors for Guest {
    fn infer(request: Request) -> Result<Response, Error> {
        let count = hostile::number_of(request.parameter("count"), u64::MAX);
        for _ in 0..count {
            core::mem::forget(bindings::wasi::clocks::monotonic_clock::subscribe_duration(
                u64::MAX,
            ));
        }
        Ok(hostile::scalar("made", count))
    }
}

belljar_guest::without_std!();
belljar_guest::export!(Guest: tensors);
