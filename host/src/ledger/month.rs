//! What keys have used in a month.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::{Month, Spent};

/// Keys whose month is counted apart, about 150 bytes each. Those beyond share one count, so that
/// their budgets end too early and never too late.
const KEYS_MAX: usize = 200_000;

/// What a key has used in a month, as it is being counted.
#[derive(Debug, Default)]
pub(super) struct SpentCounts {
    fuel: AtomicU64,
    tokens: AtomicU64,
    requests: AtomicU64,
}

impl SpentCounts {
    /// All of it at this moment.
    pub(super) fn now(&self) -> Spent {
        Spent {
            fuel: self.fuel.load(Ordering::Relaxed),
            tokens: self.tokens.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
        }
    }

    /// Adds what was used before.
    pub(super) fn add(&self, before: Spent) {
        self.add_fuel(before.fuel);
        self.add_tokens(before.tokens);
        self.requests.fetch_add(before.requests, Ordering::Relaxed);
    }

    pub(super) fn add_fuel(&self, fuel: u64) {
        self.fuel.fetch_add(fuel, Ordering::Relaxed);
    }

    pub(super) fn add_tokens(&self, tokens: u64) {
        self.tokens.fetch_add(tokens, Ordering::Relaxed);
    }

    pub(super) fn add_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes a request, unless there are as many as there may be.
    pub(super) fn take_request(&self, limit: u64) -> bool {
        self.requests
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                (taken < limit).then_some(taken.saturating_add(1))
            })
            .is_ok()
    }
}

/// The counts of all keys in one month.
#[derive(Debug)]
pub(super) struct MonthCounts {
    pub(super) month: Month,
    /// Whether what the database has of this month has been added.
    is_resumed: AtomicBool,
    keys: Mutex<HashMap<Arc<str>, Arc<SpentCounts>>>,
    others: Arc<SpentCounts>,
}

impl MonthCounts {
    /// A month of which nothing is known yet.
    pub(super) fn new(month: Month) -> Self {
        Self {
            month,
            is_resumed: AtomicBool::new(false),
            keys: Mutex::default(),
            others: Arc::default(),
        }
    }

    /// The counts of a key.
    pub(super) fn of(&self, key: &str) -> Arc<SpentCounts> {
        let mut keys = self.keys.lock();
        if let Some(counts) = keys.get(key) {
            return Arc::clone(counts);
        }
        if keys.len() >= KEYS_MAX {
            return Arc::clone(&self.others);
        }
        let counts: Arc<SpentCounts> = Arc::default();
        keys.insert(key.into(), Arc::clone(&counts));
        counts
    }

    /// Whether what was used before has been added.
    pub(super) fn is_resumed(&self) -> bool {
        self.is_resumed.load(Ordering::Acquire)
    }

    /// Adds what the database has of this month, once, before anything counted here is written.
    pub(super) fn resume(&self, before: impl IntoIterator<Item = (String, Spent)>) {
        for (key, spent) in before {
            self.of(&key).add(spent);
        }
        self.is_resumed.store(true, Ordering::Release);
    }
}
