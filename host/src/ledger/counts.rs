//! The counts of one line, and what requests add to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::month::SpentCounts;

/// What was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Requests that were admitted.
    pub requests: u64,
    /// Of those, requests that were answered with an error or broken off by one.
    pub failed_requests: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens that were generated.
    pub completion_tokens: u64,
    /// Units of fuel.
    pub fuel: u64,
    /// Microseconds of runs on the wall clock.
    pub run_us: u64,
}

/// What was used on one line since it was last written.
#[derive(Debug, Default)]
pub(super) struct Counts {
    requests: AtomicU64,
    failed_requests: AtomicU64,
    prompt_tokens: AtomicU64,
    completion_tokens: AtomicU64,
    fuel: AtomicU64,
    run_us: AtomicU64,
}

impl Counts {
    /// Counts a request that is over.
    pub(super) fn add_request(&self, has_failed: bool) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if has_failed {
            self.failed_requests.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What is new since this was asked last.
    pub(super) fn take(&self) -> Amounts {
        let take = |count: &AtomicU64| match count.load(Ordering::Relaxed) {
            0 => 0,
            _ => count.swap(0, Ordering::Relaxed),
        };
        Amounts {
            requests: take(&self.requests),
            failed_requests: take(&self.failed_requests),
            prompt_tokens: take(&self.prompt_tokens),
            completion_tokens: take(&self.completion_tokens),
            fuel: take(&self.fuel),
            run_us: take(&self.run_us),
        }
    }

    /// What was taken could not be written: it is new again.
    pub(super) fn give_back(&self, taken: &Amounts) {
        for (count, taken) in [
            (&self.requests, taken.requests),
            (&self.failed_requests, taken.failed_requests),
            (&self.prompt_tokens, taken.prompt_tokens),
            (&self.completion_tokens, taken.completion_tokens),
            (&self.fuel, taken.fuel),
            (&self.run_us, taken.run_us),
        ] {
            count.fetch_add(taken, Ordering::Relaxed);
        }
    }
}

/// The line of the ledger that a request's use goes on: one of its day, key and model. Cheap to
/// clone; whoever holds one may add to it.
#[derive(Clone, Debug)]
pub struct Line {
    pub(super) counts: Arc<Counts>,
    /// The month of the key.
    pub(super) spent: Arc<SpentCounts>,
}

impl Line {
    /// Adds tokens of prompts and tokens that were generated.
    pub fn add_tokens(&self, prompt: u64, completion: u64) {
        let counts = &self.counts;
        counts.prompt_tokens.fetch_add(prompt, Ordering::Relaxed);
        counts
            .completion_tokens
            .fetch_add(completion, Ordering::Relaxed);
        self.spent.add_tokens(prompt.saturating_add(completion));
    }

    /// Adds what a run has used.
    pub fn add_run(&self, fuel: u64, wall: Duration) {
        let run_us = u64::try_from(wall.as_micros()).unwrap_or(u64::MAX);
        self.counts.fuel.fetch_add(fuel, Ordering::Relaxed);
        self.counts.run_us.fetch_add(run_us, Ordering::Relaxed);
        self.spent.add_fuel(fuel);
    }
}
