//! What models have computed of the beginnings of prompts, by key and version: where a guest's
//! `state` interface leads.
//!
//! In memory only, bounded in bytes and time. A key finds what its own requests have left and no
//! other's: otherwise the time of an answer would tell what somebody else's prompts begin with.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use belljar_bundle::Digest;
use belljar_sandbox::{BlockName, BlockStore};
use bytes::Bytes;
use hashlink::LruCache;
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::ids::KeyId;
use crate::telemetry::metrics;

/// The settings of what is kept of prompts.
#[derive(Clone, Debug)]
pub struct PrefixConfig {
    /// Whether anything is kept.
    pub enabled: bool,
    /// Bytes kept, of all keys and models together.
    pub bytes_max: u64,
    /// How long a beginning is kept that is not asked for.
    pub time: Duration,
}

impl Default for PrefixConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            bytes_max: 256 << 20,
            time: Duration::from_mins(10),
        }
    }
}

/// What a block is counted as besides its bytes: its name and its places in maps.
const BLOCK_OVERHEAD_BYTES: u64 = 256;

/// The blocks that guests have kept. Cheap to clone; clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct PrefixCache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: PrefixConfig,
    clock: Clock,
    kept: Mutex<Kept>,
}

/// Everything that is kept, and how many bytes that is.
#[derive(Debug, Default)]
struct Kept {
    owners: HashMap<Owner, Blocks>,
    bytes: u64,
}

/// Whose blocks they are: what one key has had computed by one version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Owner {
    model: Digest,
    key: KeyId,
}

/// The blocks of one owner, the one that was asked for longest ago first.
#[derive(Debug)]
struct Blocks {
    by_name: LruCache<BlockName, Block>,
    bytes: u64,
}

#[derive(Debug)]
struct Block {
    bytes: Bytes,
    /// When it was last asked for, by the time since the start.
    used: Duration,
}

impl Block {
    fn size(&self) -> u64 {
        self.bytes.len() as u64 + BLOCK_OVERHEAD_BYTES
    }
}

impl PrefixCache {
    pub(super) fn new(config: PrefixConfig, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            config,
            clock,
            kept: Mutex::default(),
        }))
    }

    /// What is kept for one key of one version. None where nothing is kept.
    pub(super) fn of(&self, model: Digest, key: &KeyId) -> Option<Box<dyn BlockStore>> {
        let owner = Owner {
            model,
            key: key.clone(),
        };
        self.0.config.enabled.then(|| {
            Box::new(OwnBlocks {
                cache: self.clone(),
                owner,
            }) as Box<dyn BlockStore>
        })
    }

    /// Drops what nobody has asked for in its time.
    pub(super) fn expire(&self) {
        let Inner {
            config,
            clock,
            kept,
        } = &*self.0;
        let now = clock.elapsed();
        let mut kept = kept.lock();
        let kept = &mut *kept;
        for blocks in kept.owners.values_mut() {
            while let Some((_, oldest)) = blocks.by_name.iter().next()
                && now.saturating_sub(oldest.used) >= config.time
            {
                kept.bytes -= blocks.drop_oldest();
            }
        }
        kept.owners.retain(|_, blocks| blocks.bytes > 0);
        kept.note();
    }
}

impl Kept {
    /// Drops blocks of those who have most, until there is room for so many bytes.
    fn make_room(&mut self, bytes: u64, bytes_max: u64) {
        while self.bytes.saturating_add(bytes) > bytes_max {
            let most = self.owners.values_mut().max_by_key(|blocks| blocks.bytes);
            let freed = most.map_or(0, Blocks::drop_oldest);
            if freed == 0 {
                break;
            }
            self.bytes -= freed;
        }
        self.owners.retain(|_, blocks| blocks.bytes > 0);
    }

    fn note(&self) {
        let bytes = u32::try_from(self.bytes >> 10).unwrap_or(u32::MAX);
        metrics::PREFIX_CACHE_BYTES
            .handle()
            .set(f64::from(bytes) * 1024.0);
    }
}

impl Blocks {
    /// Drops the block that was asked for longest ago, and says how many bytes that frees.
    fn drop_oldest(&mut self) -> u64 {
        let Some((_, block)) = self.by_name.remove_lru() else {
            return 0;
        };
        self.bytes -= block.size();
        block.size()
    }
}

/// The blocks of one owner, for one run.
#[derive(Debug)]
struct OwnBlocks {
    cache: PrefixCache,
    owner: Owner,
}

impl BlockStore for OwnBlocks {
    fn find(&self, names: &[BlockName]) -> Vec<Bytes> {
        let Inner {
            config,
            clock,
            kept,
        } = &*self.cache.0;
        let now = clock.elapsed();
        let mut kept = kept.lock();
        let mut found = Vec::new();
        if let Some(blocks) = kept.owners.get_mut(&self.owner) {
            found.extend(names.iter().map_while(|name| {
                let block = blocks.by_name.peek(name)?;
                (now.saturating_sub(block.used) < config.time).then(|| block.bytes.clone())
            }));
            // The first last, so that the end of a prompt goes before its beginning, without which
            // it is of no use.
            for name in names.iter().take(found.len()).rev() {
                if let Some(block) = blocks.by_name.get_mut(name) {
                    block.used = now;
                }
            }
        }
        drop(kept);
        let missed = names.len() - found.len();
        for (outcome, count) in [("found", found.len()), ("missed", missed)] {
            metrics::PREFIX_CACHE_BLOCKS
                .with([("outcome", outcome.into())])
                .increment(count as u64);
        }
        found
    }

    fn keep(&self, name: BlockName, bytes: Bytes) {
        let Inner {
            config,
            clock,
            kept,
        } = &*self.cache.0;
        let block = Block {
            bytes,
            used: clock.elapsed(),
        };
        let size = block.size();
        if size > config.bytes_max {
            return;
        }
        let mut kept = kept.lock();
        let kept = &mut *kept;
        kept.make_room(size, config.bytes_max);
        let blocks = kept
            .owners
            .entry(self.owner.clone())
            .or_insert_with(|| Blocks {
                by_name: LruCache::new_unbounded(),
                bytes: 0,
            });
        blocks.bytes += size;
        kept.bytes += size;
        if let Some(before) = blocks.by_name.insert(name, block) {
            blocks.bytes -= before.size();
            kept.bytes -= before.size();
        }
        kept.note();
        metrics::PREFIX_CACHE_BLOCKS
            .with([("outcome", "kept".into())])
            .increment(1);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::clock::ManualClock;
    use jiff::Timestamp;

    const BLOCK: usize = 1_000;

    fn cache(blocks: u64) -> (PrefixCache, ManualClock) {
        let (clock, time) = Clock::manual(Timestamp::UNIX_EPOCH);
        let config = PrefixConfig {
            bytes_max: blocks * (BLOCK as u64 + BLOCK_OVERHEAD_BYTES),
            ..PrefixConfig::default()
        };
        (PrefixCache::new(config, clock), time)
    }

    fn of(cache: &PrefixCache, model: u8, key: usize) -> Box<dyn BlockStore> {
        let key = KeyId::configured(key);
        cache.of(Digest::from_bytes([model; 32]), &key).unwrap()
    }

    fn name(number: u8) -> BlockName {
        [number; 32]
    }

    fn keep(store: &dyn BlockStore, numbers: &[u8]) {
        for number in numbers {
            store.keep(name(*number), vec![*number; BLOCK].into());
        }
    }

    fn found(store: &dyn BlockStore, numbers: &[u8]) -> usize {
        let names: Vec<_> = numbers.iter().copied().map(name).collect();
        store.find(&names).len()
    }

    #[test]
    fn a_key_finds_its_own_of_that_version_and_nothing_else() {
        let (cache, _) = cache(100);
        let own = of(&cache, 1, 1);
        keep(&*own, &[1, 2, 3]);
        assert_eq!(own.find(&[name(1)]), [Bytes::from(vec![1; BLOCK])]);
        assert_eq!(
            found(&*own, &[1, 2, 9, 3]),
            2,
            "up to the first that is not there"
        );
        assert_eq!(found(&*of(&cache, 1, 2), &[1]), 0, "another key");
        assert_eq!(found(&*of(&cache, 2, 1), &[1]), 0, "another version");
        assert_eq!(found(&*of(&cache, 1, 1), &[1, 2, 3]), 3, "another run");
    }

    #[test]
    fn what_is_not_asked_for_goes_when_its_time_is_over() {
        let (cache, time) = cache(100);
        let own = of(&cache, 1, 1);
        keep(&*own, &[1, 2]);
        time.advance(Duration::from_mins(9));
        assert_eq!(found(&*own, &[1]), 1);
        time.advance(Duration::from_mins(9));
        assert_eq!(found(&*own, &[1, 2]), 1, "asked for meanwhile");
        time.advance(Duration::from_mins(10));
        assert_eq!(found(&*own, &[1]), 0);
        cache.expire();
        let kept = cache.0.kept.lock();
        assert_eq!((kept.bytes, kept.owners.len()), (0, 0));
    }

    #[test]
    fn who_has_most_makes_room_and_loses_ends_before_beginnings() {
        let (cache, _) = cache(6);
        let (greedy, modest) = (of(&cache, 1, 1), of(&cache, 1, 2));
        keep(&*modest, &[1, 2]);
        keep(&*greedy, &[1, 2, 3, 4]);
        assert_eq!(found(&*greedy, &[1, 2, 3, 4]), 4);
        keep(&*greedy, &[5]);
        assert_eq!(found(&*modest, &[1, 2]), 2);
        assert_eq!(found(&*greedy, &[1, 2, 3, 4]), 3, "the end goes first");
        keep(&*modest, &[3]);
        assert_eq!(found(&*modest, &[1, 2, 3]), 3);
        let kept = cache.0.kept.lock();
        let counted: u64 = kept.owners.values().map(|blocks| blocks.bytes).sum();
        assert_eq!(kept.bytes, counted);
        assert!(kept.bytes <= cache.0.config.bytes_max);
    }

    #[test]
    fn what_has_no_room_at_all_is_not_kept() {
        let (cache, _) = cache(1);
        let own = of(&cache, 1, 1);
        keep(&*own, &[1]);
        own.keep(name(2), vec![0; BLOCK + 1].into());
        assert_eq!(found(&*own, &[1]), 1);
        assert_eq!(found(&*own, &[2]), 0);
    }

    #[test]
    fn a_block_that_comes_twice_is_counted_once() {
        let (cache, _) = cache(100);
        let own = of(&cache, 1, 1);
        keep(&*own, &[1, 1]);
        assert_eq!(
            cache.0.kept.lock().bytes,
            BLOCK as u64 + BLOCK_OVERHEAD_BYTES
        );
    }

    #[test]
    fn nothing_is_kept_where_that_is_off() {
        let config = PrefixConfig {
            enabled: false,
            ..PrefixConfig::default()
        };
        let cache = PrefixCache::new(config, Clock::system());
        let key = KeyId::configured(1);
        assert!(cache.of(Digest::from_bytes([0; 32]), &key).is_none());
    }
}
