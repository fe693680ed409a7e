//! A gauge of how many there are of something right now, which this process reads as well.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::Gauge;

use super::family::Family;

/// How many there are of something right now.
pub struct Level {
    gauge: &'static Family<Gauge, 0>,
    now: AtomicU64,
}

/// One of them, for as long as this value is there.
#[derive(Debug)]
pub struct Present(&'static Level);

impl Level {
    /// The level that a gauge shows.
    pub(super) const fn of(gauge: &'static Family<Gauge, 0>) -> Self {
        Self {
            gauge,
            now: AtomicU64::new(0),
        }
    }

    /// One more, until the value is dropped.
    #[must_use]
    pub fn enter(&'static self) -> Present {
        self.now.fetch_add(1, Ordering::Relaxed);
        self.gauge.handle().increment(1.0);
        Present(self)
    }

    /// How many there are.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Level").field(&self.now()).finish()
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
        self.0.gauge.handle().decrement(1.0);
    }
}
