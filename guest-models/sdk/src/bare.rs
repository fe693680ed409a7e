//! What the standard library brings to a model, for those that do without it.

use core::alloc::{GlobalAlloc, Layout};

pub use dlmalloc::GlobalDlmalloc;

/// The host's way to memory for the strings and lists that it passes.
///
/// # Safety
///
/// As for the canonical ABI's `realloc`: `old` is null with `old_bytes` 0, or from here.
pub unsafe fn cabi_realloc(
    old: *mut u8,
    old_bytes: usize,
    align: usize,
    new_bytes: usize,
) -> *mut u8 {
    if old_bytes == 0 && new_bytes == 0 {
        return core::ptr::without_provenance_mut(align);
    }
    // SAFETY: the host gives the power of two that it gave before, and sizes that fit 32 bits.
    let memory = unsafe {
        if old_bytes == 0 {
            GlobalDlmalloc.alloc(Layout::from_size_align_unchecked(new_bytes, align))
        } else {
            let layout = Layout::from_size_align_unchecked(old_bytes, align);
            GlobalDlmalloc.realloc(old, layout, new_bytes)
        }
    };
    if memory.is_null() {
        // Writing to a null pointer is allowed in WebAssembly, so it must not get that far.
        core::arch::wasm32::unreachable()
    }
    memory
}
