//! Fills its linear memory with a secret: all that it has, and more up to the bytes in the
//! parameter `bytes`. Then ends as the parameter `then` says: `trap`, `loop`, or by returning.
#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

use alloc::vec::Vec;

use belljar_guest::tensors::{Request, Response};
use belljar_guest::{Error, Tensors};

struct Guest;

enum Ending {
    Return,
    Trap,
    Loop,
}

impl Tensors for Guest {
    fn infer(request: Request) -> Result<Response, Error> {
        let bytes = hostile::number_of(request.parameter("bytes"), 1 << 20) as usize;
        let ending = match hostile::text_of(&request, "then") {
            "trap" => Ending::Trap,
            "loop" => Ending::Loop,
            _ => Ending::Return,
        };
        // Freeing it later would follow pointers that are secrets by then.
        core::mem::forget(request);
        hostile::grow((bytes >> 16).saturating_sub(hostile::pages()));
        let end = hostile::pages() << 16;
        for (from, to) in hostile::idle_memory(end) {
            for address in (from..to).step_by(8) {
                // SAFETY: not sound as Rust, and meant so: it overwrites what the program does
                // not need any more to come to its end. The address lies within the memory.
                unsafe {
                    core::ptr::with_exposed_provenance_mut::<u64>(address)
                        .write_volatile(hostile::secret());
                }
            }
        }
        // What the ending needs is gone, so it is decided by what was read before.
        match ending {
            Ending::Trap => hostile::trap(),
            Ending::Loop => hostile::spin(),
            Ending::Return => {}
        }
        Ok(Response {
            outputs: Vec::new(),
            parameters: Vec::new(),
        })
    }
}

belljar_guest::without_std!();
belljar_guest::export!(Guest: tensors);
