//! The source of the time. Everything that counts within windows, lets things expire or
//! refills buckets asks a [`Clock`], so that tests move the time instead of waiting for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use governor::nanos::Nanos;
use jiff::{SignedDuration, Timestamp};

/// The time of day and a time that never goes back. Cheap to clone; clones agree.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Source>);

#[derive(Debug)]
enum Source {
    System {
        origin: Instant,
    },
    Manual {
        start: Timestamp,
        elapsed_ns: AtomicU64,
        /// How far the time of day was set from where it would be.
        set_by_s: AtomicI64,
    },
}

/// The machine's time of day. Where it is one that cannot be written, the nearest that can.
pub(crate) fn time_of_day() -> Timestamp {
    let now = SystemTime::now();
    Timestamp::try_from(now).unwrap_or(if now < UNIX_EPOCH {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

/// Moves a clock. For tests.
#[derive(Clone, Debug)]
pub struct ManualClock(Clock);

impl Clock {
    /// The clock of the machine.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(Source::System {
            origin: Instant::now(),
        }))
    }

    /// A clock that stands at `start` until it is moved.
    #[must_use]
    pub fn manual(start: Timestamp) -> (Self, ManualClock) {
        let clock = Self(Arc::new(Source::Manual {
            start,
            elapsed_ns: AtomicU64::new(0),
            set_by_s: AtomicI64::new(0),
        }));
        (clock.clone(), ManualClock(clock))
    }

    /// The time of day. What must outlive the process is kept in it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &*self.0 {
            Source::System { .. } => time_of_day(),
            Source::Manual {
                start, set_by_s, ..
            } => {
                let elapsed = SignedDuration::try_from(self.elapsed()).unwrap_or_default();
                let set_by = SignedDuration::from_secs(set_by_s.load(Ordering::Acquire));
                let away = elapsed.saturating_add(set_by);
                start.saturating_add(away).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// The time since this clock was made. Never goes back, whatever is done to the machine's
    /// time of day.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        match &*self.0 {
            Source::System { origin } => origin.elapsed(),
            Source::Manual { elapsed_ns, .. } => {
                Duration::from_nanos(elapsed_ns.load(Ordering::Acquire))
            }
        }
    }
}

impl ManualClock {
    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual { elapsed_ns, .. } = &*self.0.0 {
            let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
            elapsed_ns.fetch_add(by, Ordering::AcqRel);
        }
    }

    /// Sets the time of day forward or back, as somebody does who corrects it.
    pub fn set_by(&self, seconds: i64) {
        if let Source::Manual { set_by_s, .. } = &*self.0.0 {
            set_by_s.fetch_add(seconds, Ordering::AcqRel);
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl governor::clock::Clock for Clock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.elapsed().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_when_told_and_all_clones_with_it() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let other = clock.clone();
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);
        hand.advance(Duration::from_millis(1500));
        assert_eq!(other.elapsed(), Duration::from_millis(1500));
        assert_eq!(other.now().as_millisecond(), 1500);
        hand.set_by(-2);
        assert_eq!(other.now().as_millisecond(), -500);
        assert_eq!(other.elapsed(), Duration::from_millis(1500));
    }
}
