//! Which models were asked for of late: a count that goes up about once a second and with each model
//! that comes into memory, and a note of it on each model. Requests read both and write the note
//! once in a while: what all cores write on each request is what they wait for.

use std::sync::atomic::{AtomicU64, Ordering};

/// The count.
#[derive(Debug, Default)]
pub(super) struct Eras(AtomicU64);

/// The last count at which somebody has asked for a model.
#[derive(Debug, Default)]
pub(super) struct Asked(AtomicU64);

impl Eras {
    /// The count of now.
    pub(super) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Lets another era begin.
    pub(super) fn begin(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Asked {
    /// Notes that somebody asks.
    pub(super) fn note(&self, era: u64) {
        if self.0.load(Ordering::Relaxed) != era {
            self.0.store(era, Ordering::Relaxed);
        }
    }

    /// The count at which somebody has asked last.
    pub(super) fn last(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
