//! How long the runs of a model have been of late.

use std::sync::atomic::{AtomicU8, Ordering};

/// It has never run.
const UNKNOWN: u8 = 0;
/// Its last run was over within a tick.
const QUICK: u8 = 1;
/// A run was longer since.
const SLOW: u8 = 2;

/// What is known of the runs of a model. A guess that may be wrong: only where and in what
/// portions a run goes on hangs on it.
#[derive(Debug)]
pub(crate) struct Pace(AtomicU8);

impl Default for Pace {
    fn default() -> Self {
        Self(AtomicU8::new(UNKNOWN))
    }
}

impl Pace {
    /// Whether its next run may have its first tick on the thread of its caller. The runs of a
    /// model that is slow start on the guest threads: a crowd of endless ones would else take a
    /// tick each from the threads that serve HTTP.
    pub(crate) fn may_be_quick(&self) -> bool {
        self.0.load(Ordering::Relaxed) != SLOW
    }

    /// Whether its last run was over within a tick: one that has never run is not known to be.
    pub(crate) fn is_quick(&self) -> bool {
        self.0.load(Ordering::Relaxed) == QUICK
    }

    /// A run was over within a tick.
    pub(crate) fn note_quick(&self) {
        self.0.store(QUICK, Ordering::Relaxed);
    }

    /// A run is longer.
    pub(crate) fn note_slow(&self) {
        self.0.store(SLOW, Ordering::Relaxed);
    }
}
