//! What one caller does in the window that is under way, counted where requests pass: relaxed
//! atomics, and a lock only where a request comes from another network than the one before it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::networks::NetworkKey;
use super::profile::{Counts, Judgement, Profile};

/// Networks that are told apart in a window; more are no news.
const NETWORKS_OF_WINDOW_MAX: usize = 256;
/// No network.
const NOWHERE: u64 = u64::MAX;
/// Requests that a slowed caller may make at once.
const SLOWED_AT_ONCE: u64 = 5;

/// The counts of one caller, shared by its requests.
#[derive(Debug)]
pub struct Tally {
    requests: AtomicU64,
    tokens: AtomicU64,
    errors: AtomicU64,
    refused_fuel: AtomicU64,
    last_network: AtomicU64,
    networks: Mutex<Vec<NetworkKey>>,
    /// Whether an administrator's key is among what this caller shows: such are reported and
    /// neither slowed nor banned, or nobody could end that.
    is_spared: AtomicBool,
    slowed: Slowed,
    /// What is known of the caller; the judging alone takes it.
    pub(super) known: Mutex<Known>,
}

/// What is known of a caller from the windows before.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) profile: Profile,
    /// The judgement of the last window.
    pub(super) last: Judgement,
    /// The last report since the start.
    pub(super) reported: Option<Reported>,
}

/// An anomaly that was reported.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported {
    /// The number of its window.
    pub(super) window: i64,
    pub(super) judgement: Judgement,
}

/// The pace of a caller that was slowed down: the generic cell rate algorithm, in nanoseconds of
/// the clock that never goes back.
#[derive(Debug, Default)]
struct Slowed {
    until_ns: AtomicU64,
    interval_ns: AtomicU64,
    arrival_ns: AtomicU64,
}

impl Tally {
    pub(super) fn new(profile: Profile) -> Self {
        Self {
            requests: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            refused_fuel: AtomicU64::new(0),
            last_network: AtomicU64::new(NOWHERE),
            networks: Mutex::default(),
            is_spared: AtomicBool::new(false),
            slowed: Slowed::default(),
            known: Mutex::new(Known {
                profile,
                ..Known::default()
            }),
        }
    }

    /// Counts a request that was let in, from where it came.
    pub(super) fn note_request(&self, from: IpAddr) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let network = NetworkKey::of(from);
        if self.last_network.swap(network.number(), Ordering::Relaxed) == network.number() {
            return;
        }
        let mut networks = self.networks.lock();
        if networks.len() < NETWORKS_OF_WINDOW_MAX && !networks.contains(&network) {
            networks.push(network);
        }
    }

    /// Counts tokens of prompts and answers.
    pub fn note_tokens(&self, tokens: u64) {
        self.tokens.fetch_add(tokens, Ordering::Relaxed);
    }

    /// Counts a refusal that was the caller's own fault.
    pub fn note_error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a run that wanted more fuel or time than there was for it, and a request refused for
    /// a day's fuel.
    pub fn note_refused_fuel(&self) {
        self.refused_fuel.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn spare(&self) {
        self.is_spared.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_spared(&self) -> bool {
        self.is_spared.load(Ordering::Relaxed)
    }

    /// The counts since this was asked last, and the networks that the requests came from.
    pub(super) fn take(&self) -> (Counts, Vec<NetworkKey>) {
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        let counts = Counts {
            requests: take(&self.requests),
            tokens: take(&self.tokens),
            errors: take(&self.errors),
            refused_fuel: take(&self.refused_fuel),
            new_networks: 0,
        };
        // A request that comes between these two lines is counted in the window that follows.
        self.last_network.store(NOWHERE, Ordering::Relaxed);
        (counts, std::mem::take(&mut *self.networks.lock()))
    }

    /// Holds the caller to so many requests a minute until then.
    pub(super) fn slow(&self, until: Duration, per_minute: u32) {
        let interval = 60_000_000_000 / u64::from(per_minute.max(1));
        self.slowed.interval_ns.store(interval, Ordering::Relaxed);
        self.slowed
            .until_ns
            .fetch_max(nanoseconds(until), Ordering::Release);
    }

    /// Ends that.
    pub(super) fn let_go(&self) {
        self.slowed.until_ns.store(0, Ordering::Release);
    }

    /// The time until which the caller is slowed down, if it is.
    pub(super) fn slowed_until(&self, now: Duration) -> Option<Duration> {
        let until = Duration::from_nanos(self.slowed.until_ns.load(Ordering::Acquire));
        (until > now).then_some(until)
    }

    /// Lets a request of a slowed caller pass, or says how long it has to wait.
    pub(super) fn pace(&self, now: Duration) -> Result<(), Duration> {
        if self.slowed_until(now).is_none() {
            return Ok(());
        }
        let interval = self.slowed.interval_ns.load(Ordering::Relaxed);
        let now = nanoseconds(now);
        let most = interval.saturating_mul(SLOWED_AT_ONCE);
        let mut seen = self.slowed.arrival_ns.load(Ordering::Relaxed);
        loop {
            let next = seen.max(now).saturating_add(interval);
            let ahead = next.saturating_sub(now);
            if ahead > most {
                return Err(Duration::from_nanos(ahead - most));
            }
            let swapped = self.slowed.arrival_ns.compare_exchange_weak(
                seen,
                next,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match swapped {
                Ok(_) => return Ok(()),
                Err(other) => seen = other,
            }
        }
    }
}

/// Enough for 584 years.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_counted_once_in_a_window_and_there_is_an_end_to_them() {
        let tally = Tally::new(Profile::default());
        for last in [1, 2, 1, 200] {
            tally.note_request(IpAddr::from([192, 0, 2, last]));
        }
        tally.note_request(IpAddr::from([198, 51, 100, 1]));
        tally.note_request(IpAddr::from([192, 0, 2, 1]));
        let (counts, networks) = tally.take();
        assert_eq!((counts.requests, networks.len()), (6, 2));
        for n in 0..1_000_u32 {
            tally.note_request(IpAddr::from((n << 8).to_be_bytes()));
        }
        assert_eq!(tally.take().1.len(), NETWORKS_OF_WINDOW_MAX);
        assert_eq!(tally.take().0, Counts::default());
    }

    #[test]
    fn a_slowed_caller_keeps_its_pace_until_the_time_is_over() {
        let tally = Tally::new(Profile::default());
        let at = Duration::from_secs;
        tally.slow(at(600), 6);
        let passed = |now| (0..100).filter(|_| tally.pace(now).is_ok()).count();
        assert_eq!(passed(at(0)), 5, "a few at once");
        assert_eq!(tally.pace(at(0)), Err(at(10)));
        assert!(tally.pace(Duration::from_millis(9_999)).is_err());
        assert_eq!(passed(at(10)), 1, "one each ten seconds");
        assert_eq!(passed(at(600)), 100, "for a bounded time");
    }
}
