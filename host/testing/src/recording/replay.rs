//! A recording that answers several tests at once, each of which gets the answers in their order.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::{Cursors, Found, Miss, Recording, Request};

/// Tests whose places in the answers are remembered. Whoever has not asked for the longest begins
/// anew.
pub const RUNS_MAX: usize = 1024;
/// Bytes of the name of a test; a longer one counts as none.
pub const RUN_BYTES_MAX: usize = 128;

/// A recording, and where each test is in the answers to what it asks more than once.
#[derive(Debug)]
pub struct Replay {
    recording: Recording,
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    /// With when it was asked last, counted in requests.
    by_run: HashMap<Box<str>, (u64, Cursors)>,
    requests: u64,
}

impl Replay {
    /// One from whose beginning nobody has asked.
    #[must_use]
    pub fn new(recording: Recording) -> Self {
        Self {
            recording,
            places: Mutex::default(),
        }
    }

    /// What it answers from.
    #[must_use]
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// What was answered to this request, for the test of this name; those without one are one.
    ///
    /// # Errors
    /// When it was not recorded.
    pub fn find(&self, run: &str, request: &Request) -> Result<Found<'_>, Box<Miss>> {
        let run = if run.len() > RUN_BYTES_MAX { "" } else { run };
        let mut places = self.places.lock();
        let cursors = places.of(run);
        self.recording.find(request, cursors)
    }
}

impl Places {
    fn of(&mut self, run: &str) -> &mut Cursors {
        self.requests += 1;
        if self.by_run.len() == RUNS_MAX && !self.by_run.contains_key(run) {
            let oldest = self.by_run.iter().min_by_key(|(_, (asked, _))| *asked);
            if let Some(oldest) = oldest.map(|(run, _)| run.clone()) {
                self.by_run.remove(&oldest);
            }
        }
        let (asked, cursors) = self.by_run.entry(run.into()).or_default();
        *asked = self.requests;
        cursors
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::recording::{Exchange, Header, ModelNames};

    #[test]
    fn tests_are_apart_and_the_oldest_makes_room() {
        let exchange = |status: u16| {
            let line = format!(
                "{{\"request\":{{\"method\":\"GET\",\"path\":\"/\"}},\"answer\":{{\"status\":{status},\"after_ms\":0}}}}"
            );
            Exchange::from_line(&line).unwrap()
        };
        let exchanges = vec![exchange(200), exchange(201)];
        let recording = Recording::new(Header::new(&[]), exchanges, ModelNames::Recorded).unwrap();
        let replay = Replay::new(recording);
        let request = exchange(200).request;
        let ask = |run: &str| replay.find(run, &request).unwrap().answer.status;
        assert_eq!(
            [ask("a"), ask("b"), ask("a"), ask("b")],
            [200, 200, 201, 201]
        );
        for number in 0..RUNS_MAX - 1 {
            ask(&number.to_string());
            ask("b");
        }
        assert_eq!(ask("b"), 201, "it has asked all the time");
        assert_eq!(ask("a"), 200, "it has asked before all others");
        let long = "x".repeat(RUN_BYTES_MAX + 1);
        assert_eq!([ask(""), ask(&long)], [200, 201]);
        assert!(replay.places.lock().by_run.len() <= RUNS_MAX);
    }
}
