//! What a guest finds in place of time and chance: a clock that goes with its fuel, and streams of
//! random bytes under its seed. `time_and_chance` gives it to guests.

use crate::origin::RunOrigin;
use chacha20::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Nanoseconds by which the monotonic clock goes on with each unit of fuel. Compiled code uses
/// one to three units in a nanosecond of a core, so that this clock is never far from a real one.
pub(crate) const NANOSECONDS_A_FUEL: u64 = 1;

/// The streams of one run's seed.
#[derive(Clone, Copy)]
enum Stream {
    Random = 0,
    Insecure = 1,
    InsecureSeed = 2,
}

/// Streams that each run of a request has for itself.
const STREAMS_A_RUN: u64 = 4;

/// The clock and the random numbers of one run, each made when it is first asked for.
pub(crate) struct Ambient {
    /// The place of the run among those of its request.
    place: u64,
    clock: Option<Arc<FuelClock>>,
    chance: Option<Box<Chance>>,
}

/// What is random in a run. The run's place among those of its request chooses the streams: the
/// answers to one prompt differ.
pub(crate) struct Chance {
    pub(crate) random: ChaCha20Rng,
    pub(crate) insecure: ChaCha20Rng,
}

impl Ambient {
    pub(crate) const fn new(place: u64) -> Self {
        Self {
            place,
            clock: None,
            chance: None,
        }
    }

    pub(crate) fn clock(&mut self) -> &Arc<FuelClock> {
        self.clock.get_or_insert_with(|| Arc::new(FuelClock::new()))
    }

    pub(crate) fn chance(&mut self, origin: &RunOrigin) -> &mut Chance {
        let place = self.place;
        self.chance.get_or_insert_with(|| {
            Box::new(Chance {
                random: stream(origin, place, Stream::Random),
                insecure: stream(origin, place, Stream::Insecure),
            })
        })
    }

    /// The seed for generators of the guest's own that need not be secure.
    pub(crate) fn insecure_seed(&self, origin: &RunOrigin) -> (u64, u64) {
        let mut seed = stream(origin, self.place, Stream::InsecureSeed);
        (seed.next_u64(), seed.next_u64())
    }
}

fn stream(origin: &RunOrigin, place: u64, stream: Stream) -> ChaCha20Rng {
    let mut random = ChaCha20Rng::from_seed(*origin.seed().as_bytes());
    random.set_stream(place.wrapping_mul(STREAMS_A_RUN) + stream as u64);
    random
}

/// The monotonic clock of a run.
#[derive(Debug)]
pub(crate) struct FuelClock {
    now_ns: AtomicU64,
    /// What of it the guest has slept through.
    slept_ns: AtomicU64,
    /// The nearest end of a sleep that somebody waits for.
    next_ns: AtomicU64,
}

/// Nobody waits.
pub(crate) const NEVER: u64 = u64::MAX;

impl FuelClock {
    pub(crate) const fn new() -> Self {
        Self {
            now_ns: AtomicU64::new(0),
            slept_ns: AtomicU64::new(0),
            next_ns: AtomicU64::new(NEVER),
        }
    }

    // One guest at a time has the clock, and its store goes from thread to thread as a whole.
    pub(crate) fn now(&self) -> u64 {
        self.now_ns.load(Ordering::Relaxed)
    }

    /// Goes on to where the fuel says.
    pub(crate) fn go_on(&self, fuel_used: u64) -> u64 {
        let ran = fuel_used.saturating_mul(NANOSECONDS_A_FUEL);
        let now = ran.saturating_add(self.slept_ns.load(Ordering::Relaxed));
        self.now_ns.store(now, Ordering::Relaxed);
        self.next_ns.store(NEVER, Ordering::Relaxed);
        now
    }

    pub(crate) fn wait_for(&self, end_ns: u64) {
        self.next_ns.fetch_min(end_ns, Ordering::Relaxed);
    }

    /// Goes on to the nearest end that somebody waits for. Whether anybody does.
    pub(crate) fn skip(&self) -> bool {
        let next = self.next_ns.swap(NEVER, Ordering::Relaxed);
        if next == NEVER {
            return false;
        }
        let ahead = next.saturating_sub(self.now());
        self.slept_ns.fetch_add(ahead, Ordering::Relaxed);
        self.now_ns.fetch_add(ahead, Ordering::Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_with_fuel_and_by_sleeps_to_the_nearest_end() {
        let clock = FuelClock::new();
        assert_eq!(clock.go_on(100), 100);
        assert!(!clock.skip());
        clock.wait_for(700);
        clock.wait_for(500);
        assert!(clock.skip());
        assert_eq!(clock.now(), 500);
        assert_eq!(clock.go_on(130), 530);
        // What is over already moves nothing.
        clock.wait_for(10);
        assert!(clock.skip());
        assert_eq!(clock.now(), 530);
        clock.wait_for(NEVER - 1);
        assert!(clock.skip());
        assert_eq!(clock.go_on(u64::MAX), u64::MAX);
    }
}
