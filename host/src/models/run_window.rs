//! What was counted within the last minute, from what has been counted in all.

use std::collections::VecDeque;
use std::time::Duration;

/// Runs, and what they have used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunCounts {
    /// Runs that have ended.
    pub runs: u64,
    /// Of those, runs that failed.
    pub errors: u64,
    /// Fuel that they have used.
    pub fuel: u64,
}

impl RunCounts {
    fn since(self, before: Self) -> Self {
        Self {
            runs: self.runs.saturating_sub(before.runs),
            errors: self.errors.saturating_sub(before.errors),
            fuel: self.fuel.saturating_sub(before.fuel),
        }
    }

    /// These and others.
    #[must_use]
    pub fn plus(self, others: Self) -> Self {
        Self {
            runs: self.runs.saturating_add(others.runs),
            errors: self.errors.saturating_add(others.errors),
            fuel: self.fuel.saturating_add(others.fuel),
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);
/// The least time between two samples that are kept apart, so that a window has about 60.
const STEP: Duration = Duration::from_millis(900);

/// What had been counted at times of the last minute, the oldest first.
#[derive(Debug, Default)]
pub(super) struct RunWindow(VecDeque<(Duration, RunCounts)>);

impl RunWindow {
    /// Takes note of what has been counted by `now`.
    pub(super) fn note(&mut self, now: Duration, counts: RunCounts) {
        match self.0.back_mut() {
            Some((at, last)) if now.saturating_sub(*at) < STEP => *last = counts,
            _ => self.0.push_back((now, counts)),
        }
        // The newest of those that are older than a minute is what the minute is counted from.
        while self.0.get(1).is_some_and(|(at, _)| is_over(*at, now)) {
            self.0.pop_front();
        }
    }

    /// What of `counts`, which is all by `now`, was counted within the last minute.
    pub(super) fn since_a_minute(&self, now: Duration, counts: RunCounts) -> RunCounts {
        let before = self.0.iter().rev().find(|(at, _)| is_over(*at, now));
        counts.since(before.map(|(_, counts)| *counts).unwrap_or_default())
    }
}

fn is_over(at: Duration, now: Duration) -> bool {
    now.saturating_sub(at) >= MINUTE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(runs: u64) -> RunCounts {
        RunCounts {
            runs,
            errors: runs / 2,
            fuel: runs * 10,
        }
    }

    #[test]
    fn what_is_older_than_a_minute_is_not_in_it() {
        let at = Duration::from_secs;
        let mut window = RunWindow::default();
        assert_eq!(window.since_a_minute(at(5), runs(3)), runs(3));
        for second in 0..200 {
            window.note(at(second), runs(second * 2));
        }
        assert_eq!(window.since_a_minute(at(199), runs(398)), runs(120));
        assert!(window.0.len() <= 62, "{}", window.0.len());
        // Nobody has run anything since.
        assert_eq!(window.since_a_minute(at(230), runs(398)), runs(58));
        assert_eq!(window.since_a_minute(at(300), runs(398)), runs(0));
    }

    #[test]
    fn a_clock_that_stands_fills_no_window() {
        let mut window = RunWindow::default();
        for count in 0..1_000 {
            window.note(Duration::ZERO, runs(count));
        }
        assert_eq!(window.0.len(), 1);
        assert_eq!(window.since_a_minute(Duration::ZERO, runs(999)), runs(999));
        assert_eq!(window.since_a_minute(MINUTE, runs(1_000)).runs, 1);
    }
}
