//! Finds storms of caps: many runs of one model that one cap has ended within a minute.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Actor, Event, EventKind};
use crate::telemetry::metrics;

/// The time in which runs are counted, from the first on.
const WINDOW: Duration = Duration::from_mins(1);
/// The time for which a storm that goes on is not recorded again.
const QUIET: Duration = Duration::from_mins(15);
/// Pairs of a model and a cap that are counted at once; of more nothing is known.
const PAIRS_MAX: usize = 1_000;

/// Counts the runs of each model that each cap ends.
#[derive(Debug, Default)]
pub(super) struct CapStorms {
    pairs: HashMap<(String, String), Pair>,
}

#[derive(Debug)]
struct Pair {
    began: Duration,
    runs: u32,
    recorded: Option<Duration>,
}

impl CapStorms {
    /// Counts an event of a cap; gives the event of a storm where `runs_min` have come together.
    pub(super) fn note(&mut self, hit: &Event, runs_min: u32, now: Duration) -> Option<Event> {
        let text = |field: &str| hit.about.get(field).and_then(Value::as_str);
        let key = (text("model")?.to_owned(), text("cap")?.to_owned());
        if self.pairs.len() >= PAIRS_MAX && !self.pairs.contains_key(&key) {
            let is_recent = |pair: &Pair| {
                let last = pair.recorded.map_or(pair.began + WINDOW, |at| at + QUIET);
                last > now
            };
            self.pairs.retain(|_, pair| is_recent(pair));
            if self.pairs.len() >= PAIRS_MAX {
                return None;
            }
        }
        let (model, cap) = key.clone();
        let pair = self.pairs.entry(key).or_insert(Pair {
            began: now,
            runs: 0,
            recorded: None,
        });
        if now.saturating_sub(pair.began) >= WINDOW {
            (pair.began, pair.runs) = (now, 0);
        }
        pair.runs = pair.runs.saturating_add(1);
        let is_quiet = pair
            .recorded
            .is_none_or(|at| now.saturating_sub(at) >= QUIET);
        if pair.runs < runs_min || !is_quiet {
            return None;
        }
        pair.recorded = Some(now);
        metrics::CAP_STORMS
            .with([("model", model.clone().into()), ("cap", cap.clone().into())])
            .increment(1);
        let about = [
            ("model", json!(model)),
            ("cap", json!(cap)),
            ("runs", json!(pair.runs)),
            ("seconds", json!(WINDOW.as_secs())),
        ];
        Some(Event::new(EventKind::CapStorm, Actor::default(), &about))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(model: &str, cap: &str) -> Event {
        let about = [
            ("model", json!(model)),
            ("cap", json!(cap)),
            ("limit", json!(1)),
            ("used", json!(2)),
        ];
        Event::new(EventKind::CapHit, Actor::default(), &about)
    }

    fn storms(storms: &mut CapStorms, model: &str, runs: u32, now_s: u64) -> usize {
        let now = Duration::from_secs(now_s);
        let found = (0..runs).filter_map(|_| storms.note(&hit(model, "fuel"), 10, now));
        found.count()
    }

    #[test]
    fn a_storm_is_many_runs_of_one_model_at_one_cap_within_a_minute() {
        let mut caps = CapStorms::default();
        assert_eq!(storms(&mut caps, "a@1.0.0", 9, 0), 0);
        // A minute later they begin anew; another model and another cap are others.
        assert_eq!(storms(&mut caps, "a@1.0.0", 9, 60), 0);
        assert_eq!(storms(&mut caps, "b@1.0.0", 9, 60), 0);
        assert!(
            caps.note(&hit("a@1.0.0", "deadline"), 10, Duration::from_secs(60))
                .is_none()
        );
        assert_eq!(storms(&mut caps, "a@1.0.0", 1, 119), 1);
    }

    #[test]
    fn a_storm_that_goes_on_is_recorded_now_and_then() {
        let mut caps = CapStorms::default();
        let found: usize = (0..60)
            .map(|minute| storms(&mut caps, "a@1.0.0", 50, minute * 60))
            .sum();
        assert_eq!(found, 4);
    }

    #[test]
    fn there_is_an_end_to_what_is_counted() {
        let mut caps = CapStorms::default();
        for n in 0..5_000 {
            storms(&mut caps, &format!("m{n}@1.0.0"), 1, 0);
        }
        assert_eq!(caps.pairs.len(), PAIRS_MAX);
        assert_eq!(
            storms(&mut caps, "late@1.0.0", 10, 61),
            1,
            "what is over makes room"
        );
    }
}
