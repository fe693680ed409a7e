//! What a model has computed of the beginnings of prompts, kept by the host from one request to the
//! next of the same key.
//!
//! Tokens are kept in blocks, each found by all tokens up to its end. The host drops blocks when it
//! likes and keeps none for callers without a key, so an answer must be the same with and without
//! what is found:
//!
//! ```
//! use belljar_guest::state;
//!
//! const BLOCK: u32 = 32;
//! # fn restore(_rows: &[u8]) {}
//! # fn rows_of(_block: u32) -> Vec<u8> { Vec::new() }
//! fn prepare(tokens: &[u32]) {
//!     let found = state::find(tokens, BLOCK);
//!     for block in 0..found {
//!         if let Some(rows) = state::read(block) {
//!             restore(&rows);
//!         }
//!     }
//!     // … compute the rest, and have it kept:
//!     for block in found..tokens.len() as u32 / BLOCK {
//!         state::write(block, &rows_of(block));
//!     }
//! }
//! # prepare(&[1; 64]);
//! ```
//!
//! Natively each thread of a test has a state of its own.

use alloc::vec::Vec;

#[cfg(target_family = "wasm")]
use crate::bindings::base::belljar::model::state as source;

/// Names the tokens that [`read`] and [`write`] are about from now on, cut into blocks of
/// `block_tokens`, and gives how many blocks are there, counted from the first up to the first that
/// is not.
pub fn find(tokens: &[u32], block_tokens: u32) -> u32 {
    source::find(tokens, block_tokens)
}

/// What is kept of a block that [`find`] has counted, by its place from 0.
pub fn read(block: u32) -> Option<Vec<u8>> {
    source::read(block)
}

/// Has something kept of a block of the tokens that were named, unless it is there already.
pub fn write(block: u32, bytes: &[u8]) {
    source::write(block, bytes);
}

/// The state for native tests: that of the test's own thread.
#[cfg(not(target_family = "wasm"))]
mod source {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::vec::Vec;

    #[derive(Default)]
    struct Kept {
        /// By the tokens up to the end of the block, and how long blocks are.
        blocks: BTreeMap<(u32, Vec<u32>), Vec<u8>>,
        named: Vec<(u32, Vec<u32>)>,
        found: u32,
    }

    std::thread_local! {
        static KEPT: RefCell<Kept> = RefCell::default();
    }

    pub(super) fn find(tokens: &[u32], block_tokens: u32) -> u32 {
        KEPT.with_borrow_mut(|kept| {
            let length = block_tokens.max(1) as usize;
            let ends = (length..=tokens.len()).step_by(length);
            kept.named = ends
                .map(|end| (block_tokens, tokens.get(..end).unwrap_or_default().to_vec()))
                .collect();
            let there = kept.named.iter();
            let found = there.take_while(|name| kept.blocks.contains_key(*name));
            kept.found = found.count() as u32;
            kept.found
        })
    }

    pub(super) fn read(block: u32) -> Option<Vec<u8>> {
        KEPT.with_borrow(|kept| {
            let name = kept.named.get(block as usize)?;
            (block < kept.found).then(|| kept.blocks.get(name).cloned())?
        })
    }

    pub(super) fn write(block: u32, bytes: &[u8]) {
        KEPT.with_borrow_mut(|kept| {
            if let Some(name) = kept.named.get(block as usize)
                && block >= kept.found
            {
                kept.blocks.insert(name.clone(), bytes.to_vec());
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_by_the_tokens_up_to_their_end() {
        assert_eq!(find(&[1, 2, 3, 4, 5], 2), 0);
        write(0, b"12");
        write(1, b"34");
        write(2, b"half a block");
        assert_eq!(find(&[1, 2, 3, 4, 6, 7], 2), 2);
        assert_eq!(read(1).as_deref(), Some(&b"34"[..]));
        assert_eq!(read(2), None);
        write(1, b"other");
        assert_eq!(find(&[1, 2, 3, 4], 2), 2);
        assert_eq!(read(1).as_deref(), Some(&b"34"[..]));
        assert_eq!(find(&[3, 4], 2), 0);
        assert_eq!(find(&[1, 2, 3, 4], 4), 0);
    }
}
