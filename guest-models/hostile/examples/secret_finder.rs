//! Looks for the secret in each byte of its linear memory, as large as the parameter `bytes` says,
//! and counts the eights of bytes that hold it, at any alignment. With the parameter `plant` it
//! first writes that many secrets itself, to show that it finds what is there.
#![cfg_attr(target_family = "wasm", no_std)]

use belljar_guest::tensors::{Request, Response};
use belljar_guest::{Error, Tensors};

struct Guest;

impl Tensors for Guest {
    fn infer(request: Request) -> Result<Response, Error> {
        let bytes = hostile::number_of(request.parameter("bytes"), 1 << 20) as usize;
        hostile::grow((bytes >> 16).saturating_sub(hostile::pages()));
        let last = (hostile::pages() << 16) - 8;
        let secret = hostile::secret();
        for index in 0..hostile::number_of(request.parameter("plant"), 0) as usize {
            // SAFETY: not sound as Rust, and meant so: the end of the memory was just grown, and
            // nothing lies there.
            unsafe {
                core::ptr::with_exposed_provenance_mut::<u64>(last - 64 * index)
                    .write_volatile(secret)
            };
        }
        let mut found = 0u64;
        for (from, to) in hostile::idle_memory(last + 1) {
            for address in from..to {
                // SAFETY: the eight bytes lie within the linear memory, and WebAssembly reads at
                // any alignment.
                let here =
                    unsafe { core::ptr::with_exposed_provenance::<u64>(address).read_unaligned() };
                found += u64::from(here == secret);
            }
        }
        Ok(hostile::scalar("found", found))
    }
}

belljar_guest::without_std!();
belljar_guest::export!(Guest: tensors);
