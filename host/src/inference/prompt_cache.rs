//! What beginnings of prompts a caller has sent of late, as the public APIs say of their caches.
//!
//! Nothing is computed less for it. What one key has sent is told to no other: an answer that says
//! what somebody else's prompts begin with would tell it to who guesses.

use super::prompt_tokens::{CACHED_MIN, CACHED_STEP, PromptTokens};
use crate::auth::Caller;
use crate::net::ClientAddress;
use hashlink::LruCache;
use parking_lot::Mutex;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

/// Beginnings that are remembered, of all callers: about 5 MB.
const BEGINNINGS_MAX: usize = 1 << 16;
/// How long they are.
const TIME: Duration = Duration::from_mins(10);
/// Ends before a mark that are looked for, as Anthropic documents.
const ENDS_BACK: usize = 20;

/// Which part of a prompt is to be found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheUse {
    /// As much as there is.
    Automatic,
    /// Nothing.
    Nothing,
    /// All up to the end of the tools.
    Tools,
    /// All up to the end of that message.
    Message(usize),
}

/// What the cache has of a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CachedTokens {
    /// Tokens that were there.
    pub read: u32,
    /// Tokens that are there from now on because the caller asked for it.
    pub written: u32,
}

/// The beginnings of prompts that have been seen. A hash of the caller and the model, and one of
/// the beginning.
pub(super) struct PromptCache {
    seen: Mutex<LruCache<(u64, u64), Instant>>,
    callers: RandomState,
}

impl PromptCache {
    pub(super) fn new() -> Self {
        Self {
            seen: Mutex::new(LruCache::new(BEGINNINGS_MAX)),
            callers: RandomState::new(),
        }
    }

    /// What of a prompt is there, and notes it as seen.
    pub(super) fn note(
        &self,
        (caller, address, model): (&Caller, Option<ClientAddress>, &str),
        prompt: &PromptTokens,
        wanted: CacheUse,
        now: Instant,
    ) -> CachedTokens {
        if prompt.count < CACHED_MIN {
            return CachedTokens::default();
        }
        let owner = match (caller.key_id(), address) {
            (Some(key), _) => self.callers.hash_one((key.as_str(), model)),
            (None, Some(address)) => self.callers.hash_one((address.ip(), model)),
            (None, None) => return CachedTokens::default(),
        };
        let mut seen = self.seen.lock();
        let mut is_there = |hash: u64| {
            let at = seen.get(&(owner, hash)).copied();
            at.is_some_and(|at| now.saturating_duration_since(at) < TIME)
        };
        let marked = match wanted {
            CacheUse::Automatic => {
                let found = prompt.beginnings.iter().rposition(|hash| is_there(*hash));
                for hash in &prompt.beginnings {
                    seen.insert((owner, *hash), now);
                }
                let steps = found.and_then(|found| u32::try_from(found).ok());
                let read = steps.map_or(0, |steps| {
                    CACHED_MIN.saturating_add(steps.saturating_mul(CACHED_STEP))
                });
                return CachedTokens { read, written: 0 };
            }
            CacheUse::Nothing => return CachedTokens::default(),
            CacheUse::Tools => 0,
            CacheUse::Message(index) => index.saturating_add(1),
        };
        let ends = prompt.ends.get(..=marked).unwrap_or_default();
        let Some(&(tokens, hash)) = ends.last().filter(|(tokens, _)| *tokens >= CACHED_MIN) else {
            return CachedTokens::default();
        };
        let back = ends.iter().rev().take(ENDS_BACK);
        let read = back
            .filter(|(tokens, _)| *tokens >= CACHED_MIN)
            .find(|(_, hash)| is_there(*hash))
            .map_or(0, |(tokens, _)| *tokens);
        seen.insert((owner, hash), now);
        CachedTokens {
            read,
            written: tokens.saturating_sub(read),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn prompt(beginnings: &[u64], ends: &[(u32, u64)]) -> PromptTokens {
        let steps = u32::try_from(beginnings.len()).unwrap();
        PromptTokens {
            audio: 0,
            count: CACHED_MIN + steps * CACHED_STEP,
            beginnings: beginnings.to_vec(),
            blocks: Vec::new(),
            ends: ends.to_vec(),
        }
    }

    fn address(ip: &str) -> Option<ClientAddress> {
        Some(ClientAddress::new(ip.parse().unwrap(), 64))
    }

    #[test]
    fn a_beginning_is_there_for_who_has_sent_it_and_for_a_time() {
        let cache = PromptCache::new();
        let now = Instant::now();
        let anonymous = Caller::anonymous();
        let ask = |ip, model, prompt: &PromptTokens, at| {
            let caller = (&anonymous, address(ip), model);
            cache.note(caller, prompt, CacheUse::Automatic, at).read
        };
        let first = prompt(&[1, 2, 3], &[]);
        assert_eq!(ask("192.0.2.1", "m", &first, now), 0);
        assert_eq!(ask("192.0.2.1", "m", &first, now), 1_024 + 256);
        assert_eq!(
            ask("192.0.2.1", "m", &prompt(&[1, 2, 9, 8], &[]), now),
            1_024 + 128
        );
        assert_eq!(ask("192.0.2.1", "m", &prompt(&[7], &[]), now), 0);
        assert_eq!(ask("192.0.2.2", "m", &first, now), 0, "another caller");
        assert_eq!(ask("192.0.2.1", "n", &first, now), 0, "another model");
        assert_eq!(ask("192.0.2.1", "m", &first, now + TIME), 0, "later");
    }

    #[test]
    fn what_is_marked_is_written_once_and_then_read() {
        let cache = PromptCache::new();
        let now = Instant::now();
        let anonymous = Caller::anonymous();
        let ask = |prompt: &PromptTokens, wanted| {
            let caller = (&anonymous, address("192.0.2.1"), "m");
            let CachedTokens { read, written } = cache.note(caller, prompt, wanted, now);
            (read, written)
        };
        let ends = [(100, 1), (1_500, 2), (1_700, 3)];
        let one = prompt(&[1, 2, 3, 4, 5, 6], &ends);
        assert_eq!(ask(&one, CacheUse::Tools), (0, 0), "too few");
        assert_eq!(ask(&one, CacheUse::Nothing), (0, 0));
        assert_eq!(ask(&one, CacheUse::Message(9)), (0, 0), "no such message");
        assert_eq!(ask(&one, CacheUse::Message(0)), (0, 1_500));
        assert_eq!(ask(&one, CacheUse::Message(0)), (1_500, 0));
        assert_eq!(ask(&one, CacheUse::Message(1)), (1_500, 200));
        assert_eq!(ask(&one, CacheUse::Message(1)), (1_700, 0));
    }
}
