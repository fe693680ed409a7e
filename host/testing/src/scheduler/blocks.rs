//! The blocks of the KV cache: who holds them, which of them are known by name, and which goes
//! first where one is needed.

use std::collections::{BTreeMap, HashMap};

/// The blocks that one sequence holds, in the order of its tokens.
#[derive(Debug, Default)]
pub(super) struct Hold {
    blocks: Vec<u32>,
    /// How many of them have been named, or need not be.
    named: usize,
}

#[derive(Debug, Default)]
struct Block {
    holders: u32,
    name: Option<u64>,
    /// Its place among those that nobody holds.
    free_since: u64,
}

/// All blocks. Those that nobody holds keep their name until they are needed, the one that has
/// been free longest first.
#[derive(Debug)]
pub(super) struct Blocks {
    blocks_max: u32,
    /// Those that were ever used: memory is taken for no other.
    blocks: Vec<Block>,
    /// Those of them that nobody holds, by when they were let go.
    free: BTreeMap<u64, u32>,
    by_name: HashMap<u64, u32>,
    clock: u64,
}

#[cfg(test)]
impl Hold {
    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }
}

#[cfg(test)]
impl Blocks {
    /// How many times blocks are held in all.
    pub(super) fn holders(&self) -> usize {
        self.blocks.iter().map(|block| block.holders as usize).sum()
    }
}

impl Blocks {
    pub(super) fn new(blocks_max: u32) -> Self {
        Self {
            blocks_max,
            blocks: Vec::new(),
            free: BTreeMap::new(),
            by_name: HashMap::new(),
            clock: 0,
        }
    }

    /// How many are held.
    pub(super) fn used(&self) -> u32 {
        let used = self.blocks.len().saturating_sub(self.free.len());
        u32::try_from(used).unwrap_or(u32::MAX)
    }

    /// Whether a hold has so many blocks now. Where there are not enough, it gets none.
    pub(super) fn grow(&mut self, hold: &mut Hold, count: usize) -> bool {
        let more = count.saturating_sub(hold.blocks.len());
        let free = (self.blocks_max - self.used()) as usize;
        if more > free {
            return false;
        }
        for _ in 0..more {
            match self.take() {
                Some(block) => hold.blocks.push(block),
                None => return false,
            }
        }
        true
    }

    /// A block that nobody holds.
    fn take(&mut self) -> Option<u32> {
        // Those without a past first: nothing is forgotten for them.
        let count = u32::try_from(self.blocks.len()).unwrap_or(u32::MAX);
        if count < self.blocks_max {
            self.blocks.push(Block {
                holders: 1,
                ..Block::default()
            });
            return Some(count);
        }
        let (_, index) = self.free.pop_first()?;
        let block = self.blocks.get_mut(index as usize)?;
        block.holders = 1;
        if let Some(name) = block.name.take() {
            self.by_name.remove(&name);
        }
        Some(index)
    }

    /// Takes the blocks of these names, up to the first that is not there. Says how many there
    /// were. The hold has none yet.
    pub(super) fn find(&mut self, hold: &mut Hold, names: impl Iterator<Item = u64>) -> usize {
        debug_assert!(hold.blocks.is_empty());
        for name in names {
            let Some(index) = self.by_name.get(&name).copied() else {
                break;
            };
            let Some(block) = self.blocks.get_mut(index as usize) else {
                break;
            };
            if block.holders == 0 {
                self.free.remove(&block.free_since);
            }
            block.holders += 1;
            hold.blocks.push(index);
        }
        hold.named = hold.blocks.len();
        hold.named
    }

    /// Names the first blocks of a hold, which are full. One that another has named first keeps no
    /// name: the other is found.
    pub(super) fn keep(&mut self, hold: &mut Hold, full: usize, name: impl Fn(usize) -> u64) {
        let full = full.min(hold.blocks.len());
        for index in hold.named..full {
            let Some(block) = hold.blocks.get(index).copied() else {
                break;
            };
            let name = name(index);
            if let std::collections::hash_map::Entry::Vacant(place) = self.by_name.entry(name)
                && let Some(of) = self.blocks.get_mut(block as usize)
            {
                place.insert(block);
                of.name = Some(name);
            }
        }
        hold.named = hold.named.max(full);
    }

    /// Lets all blocks of a hold go, its last first: beginnings are what others find.
    pub(super) fn give_back(&mut self, hold: &mut Hold) {
        for index in hold.blocks.drain(..).rev() {
            let Some(block) = self.blocks.get_mut(index as usize) else {
                continue;
            };
            block.holders = block.holders.saturating_sub(1);
            if block.holders == 0 {
                self.clock += 1;
                block.free_since = self.clock;
                self.free.insert(self.clock, index);
            }
        }
        hold.named = 0;
    }
}
