//! Counts violations within a sliding window, and says when they are enough for a ban.
//!
//! Pure: the time is an argument, and nothing here is written down or answered. Each violation
//! decays on its own when the window has passed over it. Those of one kind that have led to a
//! ban are spent: they do not count towards the next ban of that kind, or the first slip after
//! a ban would be a ban again. They go on counting towards the totals, which make bans longer.

mod windows;

use std::hash::Hash;
use std::time::Duration;

use windows::{Log, Windows};

use super::Violation;
use crate::net::NetworkList;

/// The settings by which violations become bans.
#[derive(Clone, Debug)]
pub struct AbuseConfig {
    /// Whether violations are counted and bans refuse anybody. Off: what was stored is kept
    /// until it ends, and nobody is held to it.
    pub enabled: bool,
    /// The time for which a violation counts, at least a second; kept to the second.
    pub window: Duration,
    /// The lengths of bans.
    pub durations: BanDurations,
    /// Failed authentications that make a ban.
    pub failed_authentications_max: u32,
    /// Injections that make a ban.
    pub injections_max: u32,
    /// Oversized bodies that make a ban.
    pub oversized_bodies_max: u32,
    /// Requests over a rate limit that make a ban.
    pub rate_violations_max: u32,
    /// Violations of all kinds from which a ban is of the second duration.
    pub longer_from: u32,
    /// Violations of all kinds from which a ban is of the third duration.
    pub longest_from: u32,
    /// Addresses whose violations are remembered; the one heard of least recently is forgotten
    /// first. At most about 400 bytes each, about 150 for one violation.
    pub addresses_max: usize,
    /// The time between two cleanings of what is over.
    pub cleanup_interval: Duration,
    /// The networks that are never banned.
    pub exempt: NetworkList,
    /// Whether violations of a caller with a valid key count against the key and not against
    /// the address that it shares with others.
    pub count_by_key: bool,
}

/// The lengths of bans: the usual one, the longer and the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BanDurations(pub [Duration; 3]);

impl Default for BanDurations {
    fn default() -> Self {
        Self([
            Duration::from_mins(5),
            Duration::from_hours(1),
            Duration::from_hours(24),
        ])
    }
}

impl Default for AbuseConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            window: Duration::from_hours(1),
            durations: BanDurations::default(),
            failed_authentications_max: 5,
            injections_max: 3,
            oversized_bodies_max: 10,
            rate_violations_max: 20,
            longer_from: 30,
            longest_from: 50,
            addresses_max: 250_000,
            cleanup_interval: Duration::from_hours(1),
            exempt: NetworkList::EMPTY,
            count_by_key: false,
        }
    }
}

impl AbuseConfig {
    /// Violations of a kind that make a ban.
    #[must_use]
    pub fn threshold(&self, violation: Violation) -> u32 {
        match violation {
            Violation::FailedAuthentication => self.failed_authentications_max,
            Violation::Injection => self.injections_max,
            Violation::OversizedBody => self.oversized_bodies_max,
            Violation::RateLimit => self.rate_violations_max,
        }
    }
}

/// A ban is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The kind of violation that led to it last.
    pub reason: Violation,
    /// Violations of all kinds within the window.
    pub violations: u32,
    /// The length of the ban.
    pub duration: Duration,
}

/// The violations of many subjects.
#[derive(Debug)]
pub struct Abuse<K> {
    config: AbuseConfig,
    windows: Windows<K>,
}

impl<K: Clone + Eq + Hash> Abuse<K> {
    /// Nobody has done anything yet.
    #[must_use]
    pub fn new(config: AbuseConfig) -> Self {
        let windows = Windows::new(config.addresses_max);
        Self { config, windows }
    }

    /// Judges by other settings from now on. How many are remembered stays.
    pub fn set_config(&mut self, config: AbuseConfig) {
        self.config = config;
    }

    /// Counts a violation, at a time since some fixed moment that never goes back.
    pub fn note(&mut self, subject: K, violation: Violation, now: Duration) -> Option<Verdict> {
        if !self.config.enabled {
            return None;
        }
        let now_s = whole_seconds(now);
        let window_s = whole_seconds(self.config.window).max(1);
        // The oldest beyond this many make no difference any more.
        let kept = self.config.longest_from.max(self.thresholds_together()) as usize;
        let Self { config, windows } = self;
        let judge = |log: &mut Log| {
            let before = log.total();
            log.push(violation, now_s, kept);
            let total = log.total();
            let crossed = |bound: u32| before < bound && total >= bound;
            let due = log.unspent(violation) >= config.threshold(violation)
                || crossed(config.longer_from)
                || crossed(config.longest_from);
            if due {
                log.spend(violation);
            }
            due.then_some(total)
        };
        let violations = windows.with_log(subject, now_s, window_s, judge)??;
        let [usual, longer, longest] = config.durations.0;
        Some(Verdict {
            reason: violation,
            violations,
            duration: match violations {
                total if total >= config.longest_from => longest,
                total if total >= config.longer_from => longer,
                _ => usual,
            },
        })
    }

    fn thresholds_together(&self) -> u32 {
        // The most there can be without a ban of one kind.
        let thresholds = Violation::ALL.map(|violation| self.config.threshold(violation));
        thresholds.into_iter().fold(0, u32::saturating_add)
    }

    /// Forgets what a subject has done.
    pub fn forgive(&mut self, subject: &K) {
        self.windows.remove(subject);
    }

    /// Forgets the subjects that match.
    pub fn forgive_all(&mut self, matches: impl Fn(&K) -> bool) {
        self.windows.remove_all(matches);
    }

    /// Drops what the window has passed over.
    pub fn clean(&mut self, now: Duration) {
        let window_s = whole_seconds(self.config.window).max(1);
        self.windows.clean(whole_seconds(now), window_s);
    }

    /// Subjects that are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.windows.len()
    }

    /// Whether nobody is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn whole_seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
