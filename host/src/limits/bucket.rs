//! The remainder of one caller's minute: requests by the generic cell rate algorithm of
//! `governor`, tokens in a bucket that takes back what was reserved and not used.

use std::hash::{Hash, Hasher};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

use super::rate::Rate;
use crate::clock::Clock;

const NS_PER_MINUTE: u64 = 60_000_000_000;

/// The state of one of the two allowances, requests or tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// A minute's worth.
    pub limit: u32,
    /// The amount that could be taken now.
    pub remaining: u32,
    /// The time until the whole of it is there again.
    pub reset: Duration,
}

/// The state of both allowances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateStatus {
    /// The window of requests.
    pub requests: Window,
    /// The window of tokens.
    pub tokens: Window,
}

/// The reason why nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shortage {
    /// Requests are short: the next one is there after this time.
    Requests(Duration),
    /// Tokens are short: as many are there after this time.
    Tokens(Duration),
}

/// The algorithm for requests at one rate, for all buckets of that rate.
pub(super) struct Requests {
    limiter: RateLimiter<Cell, Cells, Clock, NoOpMiddleware<Nanos>>,
    per_minute: NonZeroU32,
    /// The time that the limiter counts from.
    start: Duration,
}

impl Requests {
    pub(super) fn new(per_minute: NonZeroU32, clock: &Clock) -> Self {
        Self {
            start: clock.elapsed(),
            limiter: RateLimiter::new(Quota::per_minute(per_minute), Cells, clock.clone()),
            per_minute,
        }
    }

    pub(super) fn per_minute(&self) -> NonZeroU32 {
        self.per_minute
    }

    /// Between two requests at an even pace.
    fn interval_ns(&self) -> u64 {
        (NS_PER_MINUTE / u64::from(self.per_minute.get())).max(1)
    }

    fn take(&self, cell: &Cell) -> Result<(), Duration> {
        self.limiter.check_key(cell).map_err(|not_until| {
            not_until.wait_time_from(governor::clock::Clock::now(self.limiter.clock()))
        })
    }

    /// The nanoseconds by which the cell is ahead of the time: each request that was taken puts it
    /// ahead by one interval.
    fn ahead_ns(&self, cell: &Cell, now: Duration) -> u64 {
        let now = nanoseconds(now.saturating_sub(self.start));
        cell.0.load(Ordering::Acquire).saturating_sub(now)
    }

    /// The time until the next request would be taken.
    fn wait(&self, cell: &Cell, now: Duration) -> Duration {
        let tolerance = self.interval_ns() * u64::from(self.per_minute.get() - 1);
        Duration::from_nanos(self.ahead_ns(cell, now).saturating_sub(tolerance))
    }

    fn window(&self, cell: &Cell, now: Duration) -> Window {
        let (ahead, interval) = (self.ahead_ns(cell, now), self.interval_ns());
        let burst = interval * u64::from(self.per_minute.get());
        let remaining = burst.saturating_sub(ahead) / interval;
        Window {
            limit: self.per_minute.get(),
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            reset: Duration::from_nanos(ahead),
        }
    }
}

/// The theoretical arrival time of one caller's next request, in nanoseconds since the start of
/// the limiter; 0 before the first. To `governor` it is its own key: the table is ours, so that
/// it can be bounded and an entry is small.
#[derive(Default)]
struct Cell(AtomicU64);

impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Cell {}

impl Hash for Cell {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::ptr::from_ref(self).hash(state);
    }
}

/// The limiter wants keys that can be cloned, and clones none.
impl Clone for Cell {
    fn clone(&self) -> Self {
        Self(AtomicU64::new(self.0.load(Ordering::Acquire)))
    }
}

/// Finds a cell's state in the cell.
struct Cells;

impl StateStore for Cells {
    type Key = Cell;

    fn measure_and_replace<T, F, E>(&self, cell: &Cell, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut seen = cell.0.load(Ordering::Acquire);
        loop {
            let before = (seen > 0).then(|| Nanos::from(seen));
            let (value, after) = decide(before)?;
            let swapped = cell.0.compare_exchange_weak(
                seen,
                after.into(),
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            match swapped {
                Ok(_) => return Ok(value),
                Err(other) => seen = other,
            }
        }
    }
}

/// Enough for 584 years.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A bucket of tokens that fills evenly, a minute's worth a minute.
struct Tokens {
    per_minute: NonZeroU32,
    /// The level, in tokens times the nanoseconds of a minute, so that filling is exact: each
    /// nanosecond adds `per_minute`. Negative where more was used than had been reserved.
    level: i128,
    /// The moment of that level, in nanoseconds of the clock.
    filled_ns: u64,
}

impl Tokens {
    const UNIT: i128 = NS_PER_MINUTE as i128;

    fn full(per_minute: NonZeroU32, now: Duration) -> Self {
        Self {
            per_minute,
            level: i128::from(per_minute.get()) * Self::UNIT,
            filled_ns: nanoseconds(now),
        }
    }

    fn capacity(&self) -> i128 {
        i128::from(self.per_minute.get()) * Self::UNIT
    }

    fn refill(&mut self, now: Duration) {
        let now_ns = nanoseconds(now);
        let passed = now_ns.saturating_sub(self.filled_ns);
        let added = i128::from(passed) * i128::from(self.per_minute.get());
        self.level = (self.level + added).min(self.capacity());
        self.filled_ns = self.filled_ns.max(now_ns);
    }

    /// The time until the bucket has filled to `level`.
    fn until(&self, level: i128) -> Duration {
        let missing = u128::try_from(level - self.level).unwrap_or(0);
        let ns = missing.div_ceil(u128::from(self.per_minute.get()));
        Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
    }

    fn check(&self, tokens: u32) -> Result<(), Duration> {
        let wanted = i128::from(tokens) * Self::UNIT;
        // A request for no tokens is never refused, however deep the debt.
        if tokens == 0 || wanted <= self.level {
            Ok(())
        } else {
            Err(self.until(wanted))
        }
    }

    /// Adds tokens, or takes where the number is negative. A debt is at most a minute's worth:
    /// what a model claims cannot shut its caller out for longer.
    fn add(&mut self, tokens: i64) {
        let level = self.level + i128::from(tokens) * Self::UNIT;
        self.level = level.clamp(-self.capacity(), self.capacity());
    }

    fn window(&self) -> Window {
        let remaining = (self.level / Self::UNIT).max(0);
        Window {
            limit: self.per_minute.get(),
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            reset: self.until(self.capacity()),
        }
    }
}

/// The two buckets of one caller.
pub(super) struct Bucket {
    algorithm: Arc<Requests>,
    cell: Cell,
    tokens: Tokens,
}

impl Bucket {
    /// Two full buckets.
    pub(super) fn new(algorithm: Arc<Requests>, tokens: NonZeroU32, now: Duration) -> Self {
        Self {
            algorithm,
            cell: Cell::default(),
            tokens: Tokens::full(tokens, now),
        }
    }

    /// A minute's worth.
    pub(super) fn rate(&self) -> Rate {
        Rate {
            requests: self.algorithm.per_minute,
            tokens: self.tokens.per_minute,
        }
    }

    /// Takes one request and `tokens` tokens, or nothing.
    pub(super) fn take(&mut self, tokens: u32, now: Duration) -> Result<(), Shortage> {
        self.tokens.refill(now);
        self.tokens.check(tokens).map_err(Shortage::Tokens)?;
        self.algorithm
            .take(&self.cell)
            .map_err(Shortage::Requests)?;
        self.tokens.add(-i64::from(tokens));
        Ok(())
    }

    /// Whether a request would be taken now; takes nothing.
    pub(super) fn check_request(&self, now: Duration) -> Result<(), Shortage> {
        let wait = self.algorithm.wait(&self.cell, now);
        if wait.is_zero() {
            Ok(())
        } else {
            Err(Shortage::Requests(wait))
        }
    }

    /// Puts back what was reserved and not used, or takes what was used and not reserved.
    pub(super) fn settle(&mut self, reserved: u32, used: u32, now: Duration) {
        self.tokens.refill(now);
        self.tokens.add(i64::from(reserved) - i64::from(used));
    }

    /// The remainder of both.
    pub(super) fn status(&mut self, now: Duration) -> RateStatus {
        self.tokens.refill(now);
        RateStatus {
            requests: self.algorithm.window(&self.cell, now),
            tokens: self.tokens.window(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use jiff::Timestamp;
    use proptest::prelude::*;

    fn bucket(requests: u32, tokens: u32) -> (Bucket, Clock, crate::clock::ManualClock) {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        // Not at the clock's zero, as in a server that has been up for a while.
        hand.advance(Duration::from_secs(77));
        let rate = Rate::new(requests, tokens);
        let algorithm = Arc::new(Requests::new(rate.requests, &clock));
        let bucket = Bucket::new(algorithm, rate.tokens, clock.elapsed());
        (bucket, clock, hand)
    }

    #[test]
    fn waiting_as_long_as_said_is_enough_and_less_is_not() {
        for (requests, tokens, each) in [(3, 1_000, 0), (1_000, 100, 40), (7, 7, 1)] {
            let (mut bucket, clock, hand) = bucket(requests, tokens);
            let wait = loop {
                match bucket.take(each, clock.elapsed()) {
                    Ok(()) => {}
                    Err(Shortage::Requests(wait) | Shortage::Tokens(wait)) => break wait,
                }
            };
            hand.advance(wait - Duration::from_nanos(1));
            assert!(bucket.take(each, clock.elapsed()).is_err());
            hand.advance(Duration::from_nanos(1));
            assert_eq!(bucket.take(each, clock.elapsed()), Ok(()));
        }
    }

    #[test]
    fn what_is_refused_takes_nothing() {
        let (mut bucket, clock, _) = bucket(2, 100);
        assert!(matches!(
            bucket.take(101, clock.elapsed()),
            Err(Shortage::Tokens(_))
        ));
        assert_eq!(bucket.status(clock.elapsed()).requests.remaining, 2);
        bucket.take(10, clock.elapsed()).unwrap();
        bucket.take(10, clock.elapsed()).unwrap();
        assert!(matches!(
            bucket.take(10, clock.elapsed()),
            Err(Shortage::Requests(_))
        ));
        assert!(bucket.check_request(clock.elapsed()).is_err());
        assert_eq!(bucket.status(clock.elapsed()).tokens.remaining, 80);
    }

    #[test]
    fn what_was_not_used_comes_back_and_what_was_used_beyond_is_owed() {
        let (mut bucket, clock, hand) = bucket(10, 60);
        bucket.take(60, clock.elapsed()).unwrap();
        bucket.settle(60, 20, clock.elapsed());
        assert_eq!(bucket.status(clock.elapsed()).tokens.remaining, 40);
        bucket.settle(0, 50, clock.elapsed());
        assert_eq!(bucket.status(clock.elapsed()).tokens.remaining, 0);
        // Ten are owed, and one comes back each second.
        hand.advance(Duration::from_secs(10));
        assert_eq!(
            bucket.take(1, clock.elapsed()),
            Err(Shortage::Tokens(Duration::from_secs(1)))
        );
    }

    #[test]
    fn standing_says_when_all_is_there_again() {
        let (mut bucket, clock, hand) = bucket(60, 600);
        bucket.take(300, clock.elapsed()).unwrap();
        let status = bucket.status(clock.elapsed());
        assert_eq!(status.requests.remaining, 59);
        assert_eq!(status.requests.reset, Duration::from_secs(1));
        assert_eq!(status.tokens.reset, Duration::from_secs(30));
        hand.advance(Duration::from_secs(30));
        let status = bucket.status(clock.elapsed());
        assert_eq!(
            (status.requests.remaining, status.tokens.remaining),
            (60, 600)
        );
        assert_eq!(status.tokens.reset, Duration::ZERO);
    }

    proptest! {
        /// However it is asked, no minute gives more than two minutes' worth (what was saved
        /// and what came in), and what is said to remain can be had.
        #[test]
        fn a_bucket_never_gives_more_than_its_rate(
            requests in 1_u32..50,
            tokens in 1_u32..500,
            steps in prop::collection::vec((0_u64..3_000, 0_u32..100), 1..200),
        ) {
            let (mut bucket, clock, hand) = bucket(requests, tokens);
            let (mut taken, mut drawn, mut passed) = (0_u64, 0_u64, 0_u64);
            for (wait_ms, want) in steps {
                hand.advance(Duration::from_millis(wait_ms));
                passed += wait_ms;
                let before = bucket.status(clock.elapsed());
                let result = bucket.take(want, clock.elapsed());
                let fits = before.requests.remaining > 0 && want <= before.tokens.remaining;
                prop_assert_eq!(result.is_ok(), fits || (want == 0 && before.requests.remaining > 0));
                if result.is_ok() {
                    taken += 1;
                    drawn += u64::from(want);
                }
            }
            let budget = |per_minute: u32| u64::from(per_minute) * (60_000 + passed) / 60_000 + 1;
            prop_assert!(taken <= budget(requests));
            prop_assert!(drawn <= budget(tokens));
        }
    }
}
