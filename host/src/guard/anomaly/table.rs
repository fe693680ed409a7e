//! The callers that are watched, in bounded tables: keys and addresses apart, so that no number of
//! addresses drives a key out.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use hashlink::LruCache;
use parking_lot::Mutex;

use super::profile::Profile;
use super::tally::Tally;
use crate::ids::KeyId;
use crate::telemetry::metrics;

/// Parts of a table: one lock for all would make every request wait for every other.
const SHARDS: usize = 16;

/// A caller that is watched: a key, wherever it is used from, or an address without one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WatchedCaller {
    /// A verified key.
    Key(KeyId),
    /// An address, or the first one of its IPv6 network.
    Address(IpAddr),
}

impl fmt::Display for WatchedCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(id) => id.fmt(f),
            Self::Address(ip) => ip.fmt(f),
        }
    }
}

/// The text is neither the id of a key nor an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is neither the id of a key, as `belljar keys list` shows it, nor an address")]
pub struct InvalidWatchedCaller;

impl FromStr for WatchedCaller {
    type Err = InvalidWatchedCaller;

    fn from_str(text: &str) -> Result<Self, InvalidWatchedCaller> {
        if let Ok(ip) = text.parse() {
            return Ok(Self::Address(ip));
        }
        text.parse()
            .map(Self::Key)
            .map_err(|_| InvalidWatchedCaller)
    }
}

/// The tables.
#[derive(Debug)]
pub(super) struct Table {
    keys: Vec<Shard>,
    addresses: Vec<Shard>,
}

type Shard = Mutex<LruCache<WatchedCaller, Arc<Tally>>>;

impl Table {
    /// Empty tables for so many keys, and so many addresses.
    pub(super) fn new(callers_max: usize) -> Self {
        let shard = callers_max.div_ceil(SHARDS).max(1);
        let table = || (0..SHARDS).map(|_| Mutex::new(LruCache::new(shard)));
        Self {
            keys: table().collect(),
            addresses: table().collect(),
        }
    }

    fn shard(&self, caller: &WatchedCaller) -> Option<&Shard> {
        match caller {
            WatchedCaller::Key(id) => {
                let last = id.as_str().bytes().next_back().unwrap_or_default();
                self.keys.get(usize::from(last) % SHARDS)
            }
            WatchedCaller::Address(ip) => {
                let bits = match ip {
                    IpAddr::V4(v4) => u64::from(v4.to_bits()),
                    IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64,
                };
                let mixed = bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60;
                self.addresses.get(mixed as usize % SHARDS)
            }
        }
    }

    /// The tally of a caller; a new one where it is not known. Where there is no room, the one
    /// that was not heard of for longest is forgotten.
    pub(super) fn enter(&self, caller: WatchedCaller) -> Option<Arc<Tally>> {
        let mut shard = self.shard(&caller)?.lock();
        if let Some(tally) = shard.get(&caller) {
            return Some(Arc::clone(tally));
        }
        let tally = Arc::new(Tally::new(Profile::default()));
        if shard.len() >= shard.capacity() {
            metrics::ANOMALY_FORGOTTEN.handle().increment(1);
        }
        shard.insert(caller, Arc::clone(&tally));
        Some(tally)
    }

    /// Takes up what was known before the start.
    pub(super) fn restore(&self, caller: WatchedCaller, profile: Profile) {
        if let Some(shard) = self.shard(&caller) {
            shard.lock().insert(caller, Arc::new(Tally::new(profile)));
        }
    }

    /// The tally of a caller that is known. No news of it.
    pub(super) fn find(&self, caller: &WatchedCaller) -> Option<Arc<Tally>> {
        self.shard(caller)?.lock().peek(caller).cloned()
    }

    /// Forgets a caller; whether it was known.
    pub(super) fn forget(&self, caller: &WatchedCaller) -> bool {
        let shard = self.shard(caller);
        shard.is_some_and(|shard| shard.lock().remove(caller).is_some())
    }

    /// Forgets everybody.
    pub(super) fn clear(&self) {
        let shards = self.keys.iter().chain(&self.addresses);
        shards.for_each(|shard| shard.lock().clear());
    }

    /// All callers.
    pub(super) fn all(&self) -> Vec<(WatchedCaller, Arc<Tally>)> {
        let shards = self.keys.iter().chain(&self.addresses);
        let of_shard = |shard: &Shard| {
            let shard = shard.lock();
            let entries = shard.iter();
            entries
                .map(|(caller, tally)| (caller.clone(), Arc::clone(tally)))
                .collect::<Vec<_>>()
        };
        shards.flat_map(of_shard).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_of_addresses_drives_out_a_key_and_there_is_an_end_to_both() {
        let table = Table::new(64);
        let key = WatchedCaller::Key(KeyId::random());
        table.enter(key.clone());
        for n in 0..10_000_u32 {
            table.enter(WatchedCaller::Address(IpAddr::from(n.to_be_bytes())));
        }
        assert!(table.find(&key).is_some());
        assert!(table.all().len() <= 65);
        assert!(table.forget(&key) && !table.forget(&key));
    }

    #[test]
    fn a_caller_is_read_as_it_is_written() {
        for text in [
            "key_0123456789abcdef",
            "config-3",
            "192.0.2.7",
            "2001:db8::",
        ] {
            let caller = text
                .parse::<WatchedCaller>()
                .map(|caller| caller.to_string());
            assert_eq!(caller, Ok(text.to_owned()));
        }
        assert!("somebody".parse::<WatchedCaller>().is_err());
    }
}
