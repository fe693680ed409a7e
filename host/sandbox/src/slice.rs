//! When a run gives its thread back: the epoch says that time has passed, and the thread's own
//! clock whether the run has had it.

use rustix::time::{ClockId, clock_gettime};
use std::{
    thread::{self, ThreadId},
    time::Duration,
};

/// Processor time after which a run gives its thread back for the first time. A tick is time on
/// the wall: a run that is over in microseconds sees several where the kernel lets others go
/// first, and would be taken for one that computes.
const FIRST_SLICE: Duration = Duration::from_micros(500);

/// The time slices of a run.
#[derive(Debug, Default)]
pub(crate) struct TimeSlices {
    yields: u32,
    /// The thread of the first slice, and its clock at the first tick in it.
    first: Option<(ThreadId, Duration)>,
}

impl TimeSlices {
    /// Notes that a tick has passed, and says whether the run is to give its thread back.
    pub(crate) fn tick(&mut self) -> bool {
        if self.is_quick() && !self.is_first_over(thread::current().id(), thread_time()) {
            return false;
        }
        self.yields = self.yields.saturating_add(1);
        true
    }

    /// Whether the run has never had to give its thread back.
    pub(crate) fn is_quick(&self) -> bool {
        self.yields == 0
    }

    fn is_first_over(&mut self, thread: ThreadId, now: Duration) -> bool {
        match self.first {
            Some((begun_on, since)) if begun_on == thread => {
                now.saturating_sub(since) >= FIRST_SLICE
            }
            // A run that has waited for something may go on on another thread.
            _ => {
                self.first = Some((thread, now));
                false
            }
        }
    }
}

/// Processor time that this thread has had.
fn thread_time() -> Duration {
    let clock = clock_gettime(ClockId::ThreadCPUTime);
    // Neither part is ever negative.
    let seconds = u64::try_from(clock.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(clock.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Duration = Duration::from_micros(1);

    #[test]
    fn a_run_has_its_first_slice_in_processor_time_and_on_one_thread() {
        let here = thread::current().id();
        let there = thread::spawn(|| thread::current().id()).join().unwrap();
        let mut slices = TimeSlices::default();
        assert!(!slices.is_first_over(here, 9_000 * US), "it has just begun");
        assert!(!slices.is_first_over(here, 9_100 * US), "others went first");
        assert!(!slices.is_first_over(there, 100 * US), "another clock");
        assert!(!slices.is_first_over(there, 599 * US));
        assert!(slices.is_first_over(there, 600 * US));
    }

    #[test]
    fn a_run_that_computes_is_not_quick_and_yields_with_each_tick_from_then_on() {
        let mut slices = TimeSlices::default();
        let mut ticks = 0;
        while !slices.tick() {
            assert!(slices.is_quick());
            ticks += 1;
        }
        assert!(ticks > 1, "the first tick only starts the clock");
        assert!(!slices.is_quick());
        assert!(slices.tick() && slices.tick());
    }
}
