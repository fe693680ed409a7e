//! The nonces of one key that have been used within the time in which a signature holds.
//!
//! A table that is full refuses the next request instead of forgetting an old one: what is
//! forgotten could be sent again.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

/// How many nonces are remembered in all. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(in crate::auth) struct NoncesInAll(Arc<AtomicUsize>);

/// How many may be.
#[derive(Clone, Copy, Debug)]
pub(in crate::auth) struct NonceBounds {
    pub(in crate::auth) in_all: usize,
    pub(in crate::auth) per_key: usize,
}

/// Why a nonce is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::auth) enum Unremembered {
    /// It was used.
    Used,
    /// It is from a time that has been forgotten.
    Forgotten,
    /// The key has as many as it may.
    KeyFull,
    /// All keys together have.
    Full,
}

/// The nonces of one key.
#[derive(Debug)]
pub(in crate::auth) struct Nonces {
    window: Mutex<Window>,
    in_all: NoncesInAll,
}

#[derive(Debug)]
struct Window {
    /// Hashes with a seed of the process: who chooses nonces cannot make two meet.
    used: HashSet<u64>,
    /// The same by the second in which they were signed, to be forgotten by.
    by_second: BTreeMap<i64, Vec<u64>>,
    /// Everything signed before this second has been forgotten. A clock that is set back brings
    /// nothing of it in again.
    forgotten_before: i64,
}

impl Nonces {
    pub(in crate::auth) fn new(in_all: NoncesInAll) -> Self {
        Self {
            window: Mutex::new(Window {
                used: HashSet::new(),
                by_second: BTreeMap::new(),
                forgotten_before: i64::MIN,
            }),
            in_all,
        }
    }

    /// Takes a nonce that was signed at `created`, once. What was signed before `oldest` is
    /// forgotten. Both in seconds since the Unix epoch.
    pub(in crate::auth) fn take(
        &self,
        nonce: u64,
        created: i64,
        oldest: i64,
        bounds: NonceBounds,
    ) -> Result<(), Unremembered> {
        let mut window = self.window.lock();
        self.forget(&mut window, oldest);
        if created < window.forgotten_before {
            return Err(Unremembered::Forgotten);
        }
        if window.used.contains(&nonce) {
            return Err(Unremembered::Used);
        }
        if window.used.len() >= bounds.per_key {
            return Err(Unremembered::KeyFull);
        }
        // Taken before it is filled, so that keys at work at once stay below the bound together.
        if self.in_all.0.fetch_add(1, Ordering::AcqRel) >= bounds.in_all {
            self.in_all.0.fetch_sub(1, Ordering::AcqRel);
            return Err(Unremembered::Full);
        }
        window.used.insert(nonce);
        window.by_second.entry(created).or_default().push(nonce);
        Ok(())
    }

    /// Forgets what was signed before `oldest`.
    pub(in crate::auth) fn forget_before(&self, oldest: i64) {
        self.forget(&mut self.window.lock(), oldest);
    }

    fn forget(&self, window: &mut Window, oldest: i64) {
        if oldest <= window.forgotten_before {
            return;
        }
        window.forgotten_before = oldest;
        if window
            .by_second
            .first_key_value()
            .is_none_or(|(second, _)| *second >= oldest)
        {
            return;
        }
        let kept = window.by_second.split_off(&oldest);
        let mut forgotten = 0;
        for nonce in std::mem::replace(&mut window.by_second, kept)
            .into_values()
            .flatten()
        {
            window.used.remove(&nonce);
            forgotten += 1;
        }
        // What a busy hour has taken is given back.
        if window.used.capacity() > 4 * window.used.len().max(ROOM_KEPT) {
            window.used.shrink_to_fit();
        }
        self.in_all.0.fetch_sub(forgotten, Ordering::AcqRel);
    }
}

/// Nonces whose room is kept for the next ones.
const ROOM_KEPT: usize = 1_024;

impl Drop for Nonces {
    fn drop(&mut self) {
        let used = self.window.get_mut().used.len();
        self.in_all.0.fetch_sub(used, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: NonceBounds = NonceBounds {
        in_all: 4,
        per_key: 3,
    };

    fn nonces(in_all: &NoncesInAll) -> Nonces {
        Nonces::new(in_all.clone())
    }

    #[test]
    fn a_nonce_is_taken_once_for_as_long_as_it_could_be_sent_again() {
        let in_all = NoncesInAll::default();
        let nonces = nonces(&in_all);
        assert_eq!(nonces.take(1, 100, 40, BOUNDS), Ok(()));
        assert_eq!(nonces.take(1, 100, 100, BOUNDS), Err(Unremembered::Used));
        // Also where it was signed in another second.
        assert_eq!(nonces.take(1, 101, 100, BOUNDS), Err(Unremembered::Used));
        assert_eq!(
            nonces.take(1, 100, 101, BOUNDS),
            Err(Unremembered::Forgotten)
        );
        // The clock was set back.
        assert_eq!(
            nonces.take(1, 100, 40, BOUNDS),
            Err(Unremembered::Forgotten)
        );
        assert_eq!(nonces.take(1, 101, 40, BOUNDS), Ok(()));
    }

    #[test]
    fn what_is_full_refuses_and_has_room_again_when_time_has_passed() {
        let in_all = NoncesInAll::default();
        let (one, other) = (nonces(&in_all), nonces(&in_all));
        for nonce in 0..3 {
            assert_eq!(one.take(nonce, 100, 40, BOUNDS), Ok(()));
        }
        assert_eq!(one.take(3, 100, 40, BOUNDS), Err(Unremembered::KeyFull));
        assert_eq!(one.take(0, 100, 40, BOUNDS), Err(Unremembered::Used));
        assert_eq!(other.take(0, 100, 40, BOUNDS), Ok(()));
        assert_eq!(other.take(1, 100, 40, BOUNDS), Err(Unremembered::Full));
        one.forget_before(101);
        assert_eq!(other.take(1, 101, 40, BOUNDS), Ok(()));
        drop(other);
        assert_eq!(in_all.0.load(Ordering::Acquire), 0);
    }

    #[test]
    fn room_that_was_needed_once_is_given_back() {
        let in_all = NoncesInAll::default();
        let nonces = nonces(&in_all);
        let bounds = NonceBounds {
            in_all: 100_000,
            per_key: 100_000,
        };
        for nonce in 0..100_000 {
            assert_eq!(nonces.take(nonce, 100, 40, bounds), Ok(()));
        }
        nonces.forget_before(101);
        assert!(nonces.window.lock().used.capacity() <= 4 * ROOM_KEPT);
    }
}
