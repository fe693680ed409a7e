//! What several of the hostile guests need. The guests themselves are in `examples/` and `wat/`.
#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

use alloc::string::String;
use alloc::vec::Vec;

use belljar_guest::Value;
use belljar_guest::tensors::{Request, Response, Tensor};
use belljar_guest::text::{Chunk, Generate, Usage};

/// The text of a parameter, or an empty one.
pub fn text_of<'a>(request: &'a Request, name: &str) -> &'a str {
    match request.parameter(name) {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}

/// The number in a parameter, or `otherwise`.
pub fn number_of(parameter: Option<&Value>, otherwise: u64) -> u64 {
    match parameter {
        Some(&Value::Integer(number)) => number.try_into().unwrap_or(otherwise),
        _ => otherwise,
    }
}

/// A response with one scalar.
pub fn scalar(name: &str, value: u64) -> Response {
    Response::from([Tensor::from_slice(name, [], &[value])])
}

/// Spins without end, in a way that no optimiser takes away.
pub fn spin() -> ! {
    let mut turns = 0u64;
    loop {
        turns = core::hint::black_box(turns.wrapping_add(1));
    }
}

/// Ends as the parameter `then` says: `trap`, `loop`, or else by returning.
pub fn end_as_told(request: &Request) {
    match text_of(request, "then") {
        "trap" => trap(),
        "loop" => spin(),
        _ => {}
    }
}

/// Executes `unreachable`.
pub fn trap() -> ! {
    #[cfg(target_family = "wasm")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_family = "wasm"))]
    std::process::abort()
}

/// Grows the linear memory by that many pages of 64 KiB. Whether it was allowed.
pub fn grow(pages: usize) -> bool {
    #[cfg(target_family = "wasm")]
    return core::arch::wasm32::memory_grow::<0>(pages) != usize::MAX;
    #[cfg(not(target_family = "wasm"))]
    return pages == 0;
}

/// The size of the linear memory, in pages of 64 KiB.
pub fn pages() -> usize {
    #[cfg(target_family = "wasm")]
    return core::arch::wasm32::memory_size::<0>();
    #[cfg(not(target_family = "wasm"))]
    return 0;
}

/// An answer that a function makes, chunk list by chunk list.
pub struct FromFn<F>(pub F);

impl<F: FnMut(u32) -> Vec<Chunk>> Generate for FromFn<F> {
    fn next(&mut self, max_chunks: u32) -> Result<Vec<Chunk>, belljar_guest::Error> {
        Ok(self.0(max_chunks))
    }

    fn usage(&self) -> Usage {
        Usage {
            prompt_tokens: 1,
            completion_tokens: 1,
            reasoning_tokens: 0,
            cached_tokens: 0,
        }
    }
}

/// What the secret writer leaves everywhere, and the finder looks for. Made at run time, so that
/// it is in no data segment.
pub fn secret() -> u64 {
    core::hint::black_box(0x5ec2_e7b1_0000_0001u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The memory up to `end` that a function without a future does not need: all but the part of the
/// stack that is in use, which lies at the end of the stack's own 1 MiB at the beginning.
pub fn idle_memory(end: usize) -> [(usize, usize); 2] {
    const STACK_BYTES: usize = 1 << 20;
    /// More than the caller and what it calls keep on the stack.
    const USED_BYTES: usize = 16 << 10;
    // The first KiB is left alone: Rust holds null for invalid, and this walks in words.
    [(1024, STACK_BYTES - USED_BYTES), (STACK_BYTES, end)]
}

/// A string of that many letters.
pub fn letters(count: u64) -> String {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    if bytes.try_reserve_exact(count).is_err() {
        trap();
    }
    bytes.resize(count, b'x');
    String::from_utf8(bytes).unwrap_or_default()
}
