//! An allocator for models that live for one request: small, quick to start, and content with
//! the memory that the instance has from the beginning.
//!
//! The usual one asks for a new page before its first allocation. Growing a memory costs the
//! host two system calls and a flush of address translations, more than all else that a small
//! request does. This one first uses what lies between the program's data and the end of
//! its first pages.
//!
//! Sizes are rounded up: small ones to sixteen bytes, larger ones to powers of two, and the
//! largest to whole pages. What is freed waits in a list for the next of its size, which suits
//! programs that do the same thing over and over, as generating tokens is. Only the largest are
//! cut for smaller ones and merged again with their neighbours.

use core::alloc::Layout;
use core::ptr::{self, NonNull};

/// The alignment of all blocks, and the size of the smallest.
const STEP: usize = 16;
/// Blocks of up to this many bytes have a list for each multiple of [`STEP`].
const SMALL_MAX: usize = 1024;
/// Blocks of up to this many bytes have a list for each power of two.
const MEDIUM_MAX: usize = 1 << 16;
/// What larger blocks are a multiple of: a page of WebAssembly.
const PAGE: usize = 1 << 16;
const SMALL_LISTS: usize = SMALL_MAX / STEP;
const LISTS: usize = SMALL_LISTS + (MEDIUM_MAX / SMALL_MAX).trailing_zeros() as usize;
/// Stands in the place of a list for blocks that are in none.
const LARGE: usize = LISTS;

/// Where more memory comes from.
pub(crate) trait Memory {
    /// The address of the first byte that the heap may use.
    fn start(&self) -> usize;

    /// The address past the last one.
    fn end(&self) -> usize;

    /// Moves the end at least that many bytes further; whether it could.
    fn grow(&mut self, bytes: usize) -> bool;
}

/// The heap over a memory. All zeros to begin with, so that it lies in no data segment.
#[derive(Debug)]
pub(crate) struct Heap<M> {
    memory: M,
    /// The first address that was never given out; 0 before the first allocation.
    next: usize,
    /// An address that the memory is known to reach to, and none before `next`. To ask the memory
    /// each time would cost more than the rest of a small allocation.
    reach: usize,
    /// For each size up to [`MEDIUM_MAX`], the last block that was freed; its first word is the
    /// address of the one before, or 0.
    freed: [usize; LISTS],
    /// The same for larger blocks; their second word is their size.
    freed_large: usize,
}

impl<M: Memory> Heap<M> {
    pub(crate) const fn new(memory: M) -> Self {
        Self {
            memory,
            next: 0,
            reach: 0,
            freed: [0; LISTS],
            freed_large: 0,
        }
    }

    /// Null where there is no memory left.
    pub(crate) fn allocate(&mut self, layout: Layout) -> *mut u8 {
        // By far the most blocks are small, and take a few instructions.
        if layout.size() <= SMALL_MAX && layout.align() <= STEP {
            let (bytes, list) = small(layout.size());
            let found = self.take_freed(list);
            if found != 0 {
                return ptr::with_exposed_provenance_mut(found);
            }
            if bytes <= self.reach - self.next {
                let block = self.next;
                self.next += bytes;
                return ptr::with_exposed_provenance_mut(block);
            }
            return self.take_new(bytes, STEP);
        }
        let Some((bytes, list)) = rounded(layout.size()) else {
            return ptr::null_mut();
        };
        if layout.align() > STEP {
            return self.take_new(bytes, layout.align());
        }
        let found = match list {
            LARGE => self.take_large(bytes),
            list => self.take_freed(list),
        };
        if found == 0 {
            self.take_new(bytes, STEP)
        } else {
            ptr::with_exposed_provenance_mut(found)
        }
    }

    /// # Safety
    ///
    /// The block is from this heap, with this layout, and is not used any more.
    pub(crate) unsafe fn free(&mut self, block: NonNull<u8>, layout: Layout) {
        let Some((bytes, list)) = rounded(layout.size()) else {
            return;
        };
        let address = block.as_ptr().expose_provenance();
        if address + bytes == self.next {
            self.next = address;
            return;
        }
        match self.freed.get_mut(list) {
            Some(freed) => {
                // SAFETY: the block is free, and the smallest has room for a word.
                unsafe { word(address).write(*freed) };
                *freed = address;
            }
            // SAFETY: the block is free, and has that many bytes.
            None => unsafe { self.give_large(address, bytes) },
        }
    }

    /// # Safety
    ///
    /// The block is from this heap, with this layout; if the result is not null, it is used in
    /// the block's place.
    pub(crate) unsafe fn resize(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        size: usize,
    ) -> *mut u8 {
        let (Some((have, _)), Some((want, _))) = (rounded(layout.size()), rounded(size)) else {
            return ptr::null_mut();
        };
        if have == want {
            return block.as_ptr();
        }
        // The last block grows and shrinks in its place, as a vector that is being filled does.
        if block.addr().get() + have == self.next && self.reserve(block.addr().get(), want) {
            self.next = block.addr().get() + want;
            return block.as_ptr();
        }
        // SAFETY: it could be rounded, so it is far from the end of the address space, and
        // the alignment is one already.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        let moved = self.allocate(wanted);
        if !moved.is_null() {
            // SAFETY: both blocks have at least as many bytes, and they are two blocks.
            unsafe {
                ptr::copy_nonoverlapping(block.as_ptr(), moved, layout.size().min(size));
                self.free(block, layout);
            }
        }
        moved
    }

    /// The block of a list that was freed last; 0 where there is none.
    fn take_freed(&mut self, list: usize) -> usize {
        let Some(freed) = self.freed.get_mut(list) else {
            return 0;
        };
        let block = *freed;
        if block != 0 {
            // SAFETY: the list holds blocks of this heap that nobody uses, each with the next
            // one's address in its first word.
            *freed = unsafe { word(block).read() };
        }
        block
    }

    /// The first large block that was freed and is large enough, cut to size; 0 where there is
    /// none.
    fn take_large(&mut self, bytes: usize) -> usize {
        let mut before = 0;
        let mut block = self.freed_large;
        while block != 0 {
            // SAFETY: large blocks that are free hold the next one's address, and their size.
            let (after, have) = unsafe { (word(block).read(), word(block).add(1).read()) };
            if have >= bytes {
                if before == 0 {
                    self.freed_large = after;
                } else {
                    // SAFETY: as above.
                    unsafe { word(before).write(after) };
                }
                if have > bytes {
                    // SAFETY: the rest of the block is free, and whole pages.
                    unsafe { self.give_large(block + bytes, have - bytes) };
                }
                return block;
            }
            (before, block) = (block, after);
        }
        0
    }

    /// Puts a large block into its list, which is in the order of addresses, and merges it with
    /// the blocks beside it.
    ///
    /// # Safety
    ///
    /// That many bytes from the address on are of this heap, and nobody uses them.
    unsafe fn give_large(&mut self, address: usize, bytes: usize) {
        let (mut before, mut after) = (0, self.freed_large);
        while after != 0 && after < address {
            // SAFETY: large blocks that are free hold the next one's address.
            (before, after) = (after, unsafe { word(after).read() });
        }
        // SAFETY: as the caller says, and as above; all these blocks are many words long.
        unsafe {
            if after != 0 && address + bytes == after {
                word(address).write(word(after).read());
                word(address)
                    .add(1)
                    .write(bytes + word(after).add(1).read());
            } else {
                word(address).write(after);
                word(address).add(1).write(bytes);
            }
            if before == 0 {
                self.freed_large = address;
            } else if before + word(before).add(1).read() == address {
                word(before).write(word(address).read());
                word(before)
                    .add(1)
                    .write(word(before).add(1).read() + word(address).add(1).read());
            } else {
                word(before).write(address);
            }
        }
    }

    /// A block past all others.
    fn take_new(&mut self, bytes: usize, align: usize) -> *mut u8 {
        let first = match self.next {
            0 => self.memory.start(),
            next => next,
        };
        let Some(start) = first.checked_next_multiple_of(align.max(STEP)) else {
            return ptr::null_mut();
        };
        if !self.reserve(start, bytes) {
            return ptr::null_mut();
        }
        self.next = start + bytes;
        ptr::with_exposed_provenance_mut(start)
    }

    /// Whether the memory reaches, or can be made to reach, that far from `start` on.
    fn reserve(&mut self, start: usize, bytes: usize) -> bool {
        let Some(end) = start.checked_add(bytes) else {
            return false;
        };
        if end <= self.reach {
            return true;
        }
        let missing = end.saturating_sub(self.memory.end());
        let is_there = missing == 0 || self.memory.grow(missing);
        if is_there {
            self.reach = self.memory.end();
        }
        is_there
    }
}

/// What a block of that size really has, and the list that it comes from and goes to: [`LARGE`] for
/// the large ones. None at all for a size beyond all memory.
#[inline]
fn rounded(size: usize) -> Option<(usize, usize)> {
    if size <= SMALL_MAX {
        return Some(small(size));
    }
    if size <= MEDIUM_MAX {
        let bytes = size.next_power_of_two();
        let list = SMALL_LISTS + (bytes / SMALL_MAX).trailing_zeros() as usize - 1;
        return Some((bytes, list));
    }
    let bytes = size.checked_next_multiple_of(PAGE)?;
    (bytes <= isize::MAX as usize).then_some((bytes, LARGE))
}

/// What a block of up to [`SMALL_MAX`] bytes really has, and its list.
fn small(size: usize) -> (usize, usize) {
    let list = size.saturating_sub(1) / STEP;
    ((list + 1) * STEP, list)
}

/// The word at an address.
fn word(address: usize) -> *mut usize {
    ptr::with_exposed_provenance_mut(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A memory of a fixed size that opens up bit by bit.
    struct Region {
        words: Vec<u128>,
        open: usize,
    }

    impl Memory for Region {
        fn start(&self) -> usize {
            self.words.as_ptr().expose_provenance()
        }

        fn end(&self) -> usize {
            self.start() + self.open
        }

        fn grow(&mut self, bytes: usize) -> bool {
            let open = self.open + bytes.next_multiple_of(PAGE);
            let fits = open <= self.words.len() * size_of::<u128>();
            if fits {
                self.open = open;
            }
            fits
        }
    }

    fn heap(bytes: usize) -> Heap<Region> {
        Heap::new(Region {
            words: vec![0; bytes / size_of::<u128>()],
            open: 1000,
        })
    }

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    /// A block in use, each of whose bytes is `mark`.
    struct Used {
        block: NonNull<u8>,
        layout: Layout,
        mark: u8,
    }

    impl Used {
        fn is_whole(&self) -> bool {
            // SAFETY: the test holds the block.
            unsafe { core::slice::from_raw_parts(self.block.as_ptr(), self.layout.size()) }
                .iter()
                .all(|&byte| byte == self.mark)
        }
    }

    #[test]
    fn blocks_keep_their_bytes_through_a_long_life() {
        let mut heap = heap(64 << 20);
        let mut used: Vec<Used> = vec![];
        let mut state = 1u64;
        let mut random = |bound: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as usize % bound
        };
        for turn in 0..50_000 {
            let size = match random(20) {
                0 => random(300_000),
                1..4 => random(20_000),
                _ => random(300),
            };
            match random(5) {
                0 | 1 if used.len() < 200 => {
                    let layout = layout(size, 1 << random(7));
                    let block = NonNull::new(heap.allocate(layout)).expect("there is room");
                    assert!(block.addr().get().is_multiple_of(layout.align()));
                    let mark = turn as u8;
                    // SAFETY: the block is new, and has that many bytes.
                    unsafe { block.write_bytes(mark, size) };
                    used.push(Used {
                        block,
                        layout,
                        mark,
                    });
                }
                2 if !used.is_empty() => {
                    let index = random(used.len());
                    let Used {
                        block,
                        layout: old,
                        mark,
                    } = used.swap_remove(index);
                    let size = if old.align() > STEP { old.size() } else { size };
                    // SAFETY: the block is the heap's, and its new place is the one used.
                    let block = unsafe { heap.resize(block, old, size) };
                    let block = NonNull::new(block).expect("there is room");
                    let kept = Used {
                        block,
                        layout: layout(old.size().min(size), old.align()),
                        mark,
                    };
                    assert!(kept.is_whole());
                    // SAFETY: the block has that many bytes.
                    unsafe { block.write_bytes(mark, size) };
                    used.push(Used {
                        block,
                        layout: layout(size, old.align()),
                        mark,
                    });
                }
                _ if !used.is_empty() => {
                    let gone = used.swap_remove(random(used.len()));
                    assert!(gone.is_whole());
                    // SAFETY: the block is the heap's, and nobody uses it any more.
                    unsafe { heap.free(gone.block, gone.layout) };
                }
                _ => {}
            }
        }
        assert!(used.iter().all(Used::is_whole));
    }

    #[test]
    fn what_is_freed_is_used_again() {
        let mut heap = heap(1 << 20);
        for size in [1, 16, 100, 1024, 1025, 5000, 65_536, 65_537, 200_000] {
            let layout = layout(size, 8);
            let first = heap.allocate(layout);
            let wall = heap.allocate(self::layout(16, 8));
            // SAFETY: the block is the heap's, and nobody uses it.
            unsafe { heap.free(NonNull::new(first).unwrap(), layout) };
            assert_eq!(heap.allocate(layout), first, "{size}");
            assert!(!wall.is_null());
        }
    }

    #[test]
    fn a_growing_vector_stays_where_it_is() {
        let mut heap = heap(1 << 20);
        let mut size = 16;
        let first = NonNull::new(heap.allocate(layout(size, 1))).unwrap();
        while size < 500_000 {
            // SAFETY: the block is the heap's, with that size.
            let moved = unsafe { heap.resize(first, layout(size, 1), size * 2) };
            assert_eq!(moved, first.as_ptr());
            size *= 2;
        }
    }

    #[test]
    fn too_much_is_refused_and_the_rest_still_works() {
        let mut heap = heap(1 << 20);
        assert!(heap.allocate(layout(2 << 20, 8)).is_null());
        assert!(heap.allocate(layout(isize::MAX as usize - 8, 8)).is_null());
        let block = NonNull::new(heap.allocate(layout(100, 8))).unwrap();
        // SAFETY: the block is the heap's, with that layout.
        unsafe {
            assert!(heap.resize(block, layout(100, 8), 2 << 20).is_null());
            heap.free(block, layout(100, 8));
        }
        assert!(!heap.allocate(layout(1 << 19, 8)).is_null());
    }

    #[test]
    fn large_blocks_are_merged_again() {
        let mut heap = heap(4 << 20);
        let layout = layout(2 * PAGE, 8);
        let blocks: Vec<_> = (0..10)
            .map(|_| NonNull::new(heap.allocate(layout)).unwrap())
            .collect();
        heap.allocate(self::layout(16, 8));
        for index in [3, 1, 2, 0, 9, 7, 8, 5, 6, 4] {
            // SAFETY: the block is the heap's, and nobody uses it.
            unsafe { heap.free(blocks[index], layout) };
        }
        assert_eq!(
            heap.allocate(self::layout(20 * PAGE, 8)),
            blocks[0].as_ptr()
        );
    }

    #[test]
    fn a_large_block_is_cut_for_a_smaller_one() {
        let mut heap = heap(4 << 20);
        let large = layout(10 * PAGE, 8);
        let first = heap.allocate(large);
        heap.allocate(layout(16, 8));
        // SAFETY: the block is the heap's, and nobody uses it.
        unsafe { heap.free(NonNull::new(first).unwrap(), large) };
        let parts: Vec<_> = (0..5)
            .map(|_| heap.allocate(layout(2 * PAGE, 8)).addr())
            .collect();
        assert!(
            parts
                .iter()
                .all(|part| (first.addr()..first.addr() + 10 * PAGE).contains(part))
        );
    }
}
