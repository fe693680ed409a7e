//! What guests have kept of the beginnings of prompts, as one run sees it: the names of blocks, and
//! the bytes of those that were found. Where the bytes are kept, and for how long, is the host's.

use bytes::Bytes;
use std::fmt::Debug;

/// Blocks of one prompt that are looked for at most. Those beyond are computed anew.
pub const BLOCKS_MAX: usize = 4096;

/// The name of a block: a BLAKE3 hash of how long blocks are and of all tokens up to its end.
pub type BlockName = [u8; 32];

/// Where blocks of one caller and one model are kept. Called while a guest waits, so nothing here
/// may block.
pub trait BlockStore: Debug + Send + Sync {
    /// The bytes of the blocks of these names, from the first on up to the first that is not there.
    fn find(&self, names: &[BlockName]) -> Vec<Bytes>;

    /// Keeps the bytes of a block, if there is room.
    fn keep(&self, name: BlockName, bytes: Bytes);
}

/// The blocks of the tokens that a guest has named.
#[derive(Debug, Default)]
pub(crate) struct NamedBlocks {
    store: Option<Box<dyn BlockStore>>,
    names: Vec<BlockName>,
    found: Vec<Bytes>,
}

impl NamedBlocks {
    /// No blocks yet. Without a store there will never be any.
    pub(crate) fn of(store: Option<Box<dyn BlockStore>>) -> Self {
        Self {
            store,
            ..Self::default()
        }
    }

    /// Names the blocks of some tokens, and gives how many are there from the first on.
    pub(crate) fn find(&mut self, tokens: &[u32], block_tokens: u32) -> u32 {
        let Some(store) = &self.store else { return 0 };
        self.names = names(tokens, block_tokens);
        self.found = store.find(&self.names);
        u32::try_from(self.found.len()).unwrap_or(u32::MAX)
    }

    /// The bytes of a block that was found.
    pub(crate) fn read(&self, block: u32) -> Option<&[u8]> {
        self.found.get(block as usize).map(Bytes::as_ref)
    }

    /// Keeps the bytes of a block that was named and not found.
    pub(crate) fn write(&self, block: u32, bytes: Vec<u8>) {
        let block = block as usize;
        if block >= self.found.len()
            && let (Some(store), Some(name)) = (&self.store, self.names.get(block))
        {
            store.keep(*name, bytes.into());
        }
    }
}

/// The names of the whole blocks of some tokens, each of which goes on from the one before it.
fn names(tokens: &[u32], block_tokens: u32) -> Vec<BlockName> {
    let length = block_tokens.max(1) as usize;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&block_tokens.to_le_bytes());
    let blocks = tokens.chunks_exact(length).take(BLOCKS_MAX);
    blocks
        .map(|block| {
            for token in block {
                hasher.update(&token.to_le_bytes());
            }
            hasher.finalize().into()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::{collections::HashMap, sync::Arc};

    #[derive(Clone, Debug, Default)]
    struct Kept(Arc<Mutex<HashMap<BlockName, Bytes>>>);

    impl BlockStore for Kept {
        fn find(&self, names: &[BlockName]) -> Vec<Bytes> {
            let kept = self.0.lock();
            names
                .iter()
                .map_while(|name| kept.get(name).cloned())
                .collect()
        }

        fn keep(&self, name: BlockName, bytes: Bytes) {
            self.0.lock().insert(name, bytes);
        }
    }

    fn run(kept: &Kept) -> NamedBlocks {
        NamedBlocks::of(Some(Box::new(kept.clone())))
    }

    #[test]
    fn blocks_are_found_by_all_tokens_before_their_end() {
        let kept = Kept::default();
        let mut first = run(&kept);
        assert_eq!(first.find(&[1, 2, 3, 4, 5], 2), 0);
        first.write(0, vec![12]);
        first.write(1, vec![34]);
        first.write(2, vec![5]);
        assert_eq!(kept.0.lock().len(), 2, "half a block is none");

        let mut second = run(&kept);
        assert_eq!(second.find(&[1, 2, 3, 4, 9, 9], 2), 2);
        assert_eq!(second.read(1), Some(&[34][..]));
        assert_eq!(second.read(2), None);
        assert_eq!(second.find(&[1, 2, 3, 9], 2), 1);
        assert_eq!(second.read(1), None, "of other tokens");
        assert_eq!(second.find(&[3, 4], 2), 0, "another beginning");
        assert_eq!(second.find(&[1, 2, 3, 4], 4), 0, "another length");
    }

    #[test]
    fn what_was_found_is_not_written_again() {
        let kept = Kept::default();
        let mut run = run(&kept);
        run.find(&[1, 2], 1);
        run.write(0, vec![1]);
        run.find(&[1, 2], 1);
        run.write(0, vec![9]);
        run.write(7, vec![7]);
        assert_eq!(run.find(&[1, 2], 1), 1);
        assert_eq!(run.read(0), Some(&[1][..]));
        assert_eq!(kept.0.lock().len(), 1);
    }

    #[test]
    fn a_prompt_has_no_more_blocks_than_are_looked_for() {
        assert_eq!(names(&vec![7; BLOCKS_MAX + 5], 1).len(), BLOCKS_MAX);
        assert_eq!(names(&[7; 3], 0).len(), 3, "blocks of nothing are of one");
        let long = u32::MAX;
        assert!(names(&[7; 3], long).is_empty());
    }

    #[test]
    fn without_a_store_nothing_is_found() {
        let mut none = NamedBlocks::of(None);
        assert_eq!(none.find(&[1, 2], 1), 0);
        none.write(0, vec![1]);
        assert_eq!(none.find(&[1, 2], 1), 0);
    }
}
