//! What the standard library brings to a model, for those that do without it.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::{memory_grow, memory_size, unreachable};
use core::cell::UnsafeCell;
use core::ptr::{self, NonNull};

use crate::heap::{Heap, Memory};

const PAGE: usize = 1 << 16;

/// The allocator of models without the standard library.
pub struct Allocator(UnsafeCell<Heap<Linear>>);

// SAFETY: the host enables no threads, so an instance has one.
unsafe impl Sync for Allocator {}

impl Allocator {
    /// The one of the component's linear memory: a program can have only one of these.
    #[expect(
        clippy::new_without_default,
        reason = "it must be made once, in a static"
    )]
    pub const fn new() -> Self {
        Self(UnsafeCell::new(Heap::new(Linear)))
    }

    /// # Safety
    ///
    /// The heap is not entered while it is being used.
    #[expect(
        clippy::mut_from_ref,
        reason = "it is an UnsafeCell, used by one thread"
    )]
    unsafe fn heap(&self) -> &mut Heap<Linear> {
        // SAFETY: as the caller says.
        unsafe { &mut *self.0.get() }
    }
}

// SAFETY: the heap gives out blocks that do not overlap, with the size and alignment asked for;
// it calls nothing that allocates, so it is never entered twice.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: see above.
        unsafe { self.heap() }.allocate(layout)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(block) = NonNull::new(block) {
            // SAFETY: the block is from here, as the caller promises.
            unsafe { self.heap().free(block, layout) }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        match NonNull::new(block) {
            // SAFETY: the block is from here, as the caller promises.
            Some(block) => unsafe { self.heap().resize(block, layout, size) },
            None => ptr::null_mut(),
        }
    }
}

/// The component's linear memory, from the end of the program's own data on.
struct Linear;

impl Memory for Linear {
    fn start(&self) -> usize {
        unsafe extern "C" {
            // The linker's name for the end of what it laid out.
            static __heap_base: u8;
        }
        (&raw const __heap_base).expose_provenance()
    }

    fn end(&self) -> usize {
        memory_size::<0>() * PAGE
    }

    fn grow(&mut self, bytes: usize) -> bool {
        // More than was asked for, in proportion: each call is dear to the host.
        let least = bytes.div_ceil(PAGE);
        let more = least.max(memory_size::<0>() / 4);
        memory_grow::<0>(more) != usize::MAX || memory_grow::<0>(least) != usize::MAX
    }
}

/// The host's way to memory for the strings and lists that it passes.
///
/// # Safety
///
/// As for the canonical ABI's `realloc`: `old` is from here with that size and alignment, or
/// `old_bytes` is 0.
pub unsafe fn cabi_realloc(
    allocator: &Allocator,
    old: *mut u8,
    old_bytes: usize,
    align: usize,
    new_bytes: usize,
) -> *mut u8 {
    if new_bytes == 0 {
        return ptr::without_provenance_mut(align);
    }
    // SAFETY: the host gives the power of two that it gave before, and sizes that fit 32 bits.
    let memory = unsafe {
        if old_bytes == 0 {
            allocator.alloc(Layout::from_size_align_unchecked(new_bytes, align))
        } else {
            let layout = Layout::from_size_align_unchecked(old_bytes, align);
            allocator.realloc(old, layout, new_bytes)
        }
    };
    if memory.is_null() {
        // Writing to address 0 is allowed in WebAssembly, so it must not get that far.
        unreachable()
    }
    memory
}
