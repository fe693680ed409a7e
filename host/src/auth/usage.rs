//! The usage of a key: counted in memory, without locks, and written to the database now and
//! then by the store.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use jiff::Timestamp;

use crate::clock::Clock;

/// The counts of one key. Shared by all its requests.
#[derive(Debug)]
pub struct KeyUsage {
    clock: Clock,
    /// Milliseconds since the Unix epoch; [`NEVER`] before the first request.
    last_used_ms: AtomicI64,
    requests: AtomicU64,
    prompt_tokens: AtomicU64,
    completion_tokens: AtomicU64,
    fuel: AtomicU64,
    /// The UTC day of `fuel_before`, counted from 1970.
    day: AtomicI64,
    /// The value of `fuel` when that day began.
    fuel_before: AtomicU64,
    /// Whether there is something that the database does not have.
    changed: AtomicBool,
}

/// The usage of a key at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct UsageCounts {
    /// The time of the last request; none before the first.
    pub last_used: Option<Timestamp>,
    /// Requests that it was let in with, those that failed later included.
    pub requests: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens that were generated.
    pub completion_tokens: u64,
    /// Units of fuel.
    pub fuel: u64,
    /// Units of fuel in the UTC day of `day`.
    pub fuel_today: u64,
    /// The UTC day, counted from 1970.
    #[serde(skip)]
    pub(super) day: i64,
}

const NEVER: i64 = i64::MIN;
const MILLISECONDS_PER_DAY: i64 = 86_400_000;

impl KeyUsage {
    /// The use of a key that has used nothing yet.
    pub(super) fn new(clock: Clock) -> Self {
        Self::resumed(clock, &UsageCounts::default())
    }

    /// Goes on from what the database has.
    pub(super) fn resumed(clock: Clock, counts: &UsageCounts) -> Self {
        let last_used = counts.last_used.map_or(NEVER, Timestamp::as_millisecond);
        Self {
            clock,
            last_used_ms: last_used.into(),
            requests: counts.requests.into(),
            prompt_tokens: counts.prompt_tokens.into(),
            completion_tokens: counts.completion_tokens.into(),
            fuel: counts.fuel.into(),
            day: counts.day.into(),
            fuel_before: counts.fuel.saturating_sub(counts.fuel_today).into(),
            changed: false.into(),
        }
    }

    /// Counts a request that was let in.
    pub fn note_request(&self, now: Timestamp) {
        self.last_used_ms
            .fetch_max(now.as_millisecond(), Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.changed.store(true, Ordering::Release);
    }

    /// Counts tokens.
    pub fn add_tokens(&self, prompt: u64, completion: u64) {
        self.prompt_tokens.fetch_add(prompt, Ordering::Relaxed);
        self.completion_tokens
            .fetch_add(completion, Ordering::Relaxed);
        self.changed.store(true, Ordering::Release);
    }

    /// Counts units of fuel, on the day that it is.
    pub fn add_fuel(&self, fuel: u64) {
        self.begin_day();
        self.fuel.fetch_add(fuel, Ordering::Release);
        self.changed.store(true, Ordering::Release);
    }

    /// Units of fuel used since midnight, UTC.
    #[must_use]
    pub fn fuel_today(&self) -> u64 {
        self.begin_day();
        let before = self.fuel_before.load(Ordering::Acquire);
        self.fuel.load(Ordering::Acquire).saturating_sub(before)
    }

    /// All counts.
    #[must_use]
    pub fn counts(&self) -> UsageCounts {
        let fuel_today = self.fuel_today();
        let last_used = self.last_used_ms.load(Ordering::Relaxed);
        UsageCounts {
            last_used: Timestamp::from_millisecond(last_used).ok(),
            requests: self.requests.load(Ordering::Relaxed),
            prompt_tokens: self.prompt_tokens.load(Ordering::Relaxed),
            completion_tokens: self.completion_tokens.load(Ordering::Relaxed),
            fuel: self.fuel.load(Ordering::Acquire),
            fuel_today,
            day: self.day.load(Ordering::Acquire),
        }
    }

    /// The counts, if there is something new since this was asked last.
    pub(super) fn take_changed(&self) -> Option<UsageCounts> {
        self.changed
            .swap(false, Ordering::AcqRel)
            .then(|| self.counts())
    }

    /// Whether there is something that the database does not have.
    pub(super) fn has_changed(&self) -> bool {
        self.changed.load(Ordering::Acquire)
    }

    /// The counts could not be written: they are still something new.
    pub(super) fn keep_changed(&self) {
        self.changed.store(true, Ordering::Release);
    }

    /// Begins to count anew where a day has begun.
    ///
    /// The total is read before the day is, and fuel of the new day is added after the day has
    /// been moved on. So whoever still sees the old day has a total without any of the new
    /// day's fuel, and the maximum of several of them has none either.
    fn begin_day(&self) {
        let total = self.fuel.load(Ordering::Acquire);
        let today = day_of(self.clock.now());
        if self.day.load(Ordering::Acquire) < today {
            self.fuel_before.fetch_max(total, Ordering::AcqRel);
            self.day.fetch_max(today, Ordering::AcqRel);
        }
    }
}

fn day_of(time: Timestamp) -> i64 {
    time.as_millisecond().div_euclid(MILLISECONDS_PER_DAY)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn fuel_of_a_day_ends_at_midnight_utc() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let usage = KeyUsage::new(clock.clone());
        hand.advance(Duration::from_secs(86_399));
        usage.add_fuel(5);
        assert_eq!(usage.fuel_today(), 5);
        hand.advance(Duration::from_secs(1));
        assert_eq!(usage.fuel_today(), 0);
        usage.add_fuel(3);
        assert_eq!((usage.fuel_today(), usage.counts().fuel), (3, 8));
        // After a restart on the same day, and on a later one.
        let again = KeyUsage::resumed(clock, &usage.counts());
        assert_eq!(again.counts(), usage.counts());
        hand.advance(Duration::from_secs(2 * 86_400));
        assert_eq!((again.fuel_today(), again.counts().fuel), (0, 8));
    }

    #[test]
    fn fuel_that_many_add_at_midnight_is_counted_once_each() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let usage = KeyUsage::new(clock);
        usage.add_fuel(7);
        hand.advance(Duration::from_secs(86_400));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1_000).for_each(|_| usage.add_fuel(1)));
            }
        });
        assert_eq!((usage.fuel_today(), usage.counts().fuel), (4_000, 4_007));
    }

    #[test]
    fn only_what_has_changed_is_written() {
        let usage = KeyUsage::new(Clock::system());
        assert_eq!(usage.take_changed(), None);
        usage.note_request(Timestamp::UNIX_EPOCH);
        usage.add_tokens(2, 3);
        let counts = usage.take_changed().unwrap_or_default();
        assert_eq!(counts.last_used, Some(Timestamp::UNIX_EPOCH));
        assert_eq!((counts.requests, counts.prompt_tokens), (1, 2));
        assert_eq!(counts.completion_tokens, 3);
        assert_eq!(usage.take_changed(), None);
        usage.keep_changed();
        assert!(usage.take_changed().is_some());
    }
}
