//! The counts of one version's runs. They belong to the version and go with it: a registry that
//! hands out series by name would keep those of every name there ever was.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::run_window::{RunCounts, RunWindow};
use crate::telemetry::metrics::{self, Buckets};

/// The counts of one version's runs.
#[derive(Debug)]
pub struct RunMetrics {
    ok: AtomicU64,
    fuel: AtomicU64,
    /// The seconds of runs that ended well.
    durations: Buckets,
    /// Runs that failed, by code. Codes and caps are names from the code, so these have an end.
    failures: Mutex<BTreeMap<&'static str, u64>>,
    caps: Mutex<BTreeMap<&'static str, u64>>,
    window: Mutex<RunWindow>,
}

/// How often one version has run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunTotals {
    /// Runs that ended well.
    pub ok: u64,
    /// Runs that failed.
    pub failed: u64,
    /// The time of those that ended well, all together.
    pub time: Duration,
}

impl Default for RunMetrics {
    fn default() -> Self {
        Self {
            ok: AtomicU64::new(0),
            fuel: AtomicU64::new(0),
            durations: Buckets::new(metrics::RUN_DURATION.row().buckets),
            failures: Mutex::default(),
            caps: Mutex::default(),
            window: Mutex::default(),
        }
    }
}

impl RunMetrics {
    /// Notes a run that ended well.
    pub fn note_ok(&self, wall: Duration) {
        self.ok.fetch_add(1, Ordering::Relaxed);
        self.durations.record(wall.as_secs_f64());
    }

    /// Notes what a run has used.
    pub fn note_fuel(&self, fuel: u64) {
        self.fuel.fetch_add(fuel, Ordering::Relaxed);
    }

    /// Notes a run that failed, and the cap that ended it, if one did.
    pub fn note_failure(&self, code: &'static str, cap: Option<&'static str>) {
        *self.failures.lock().entry(code).or_default() += 1;
        if let Some(cap) = cap {
            *self.caps.lock().entry(cap).or_default() += 1;
        }
    }

    /// What has been counted so far.
    fn counts(&self) -> RunCounts {
        let errors = self.failures.lock().values().sum();
        RunCounts {
            runs: self.ok.load(Ordering::Relaxed).saturating_add(errors),
            errors,
            fuel: self.fuel.load(Ordering::Relaxed),
        }
    }

    /// Takes note of what has been counted by now, as it has to be about once a second for
    /// [`RunMetrics::last_minute`]. Runs themselves keep no time.
    pub fn sample(&self, now: Duration) {
        let counts = self.counts();
        self.window.lock().note(now, counts);
    }

    /// What was counted in the minute before `now`.
    #[must_use]
    pub fn last_minute(&self, now: Duration) -> RunCounts {
        let counts = self.counts();
        self.window.lock().since_a_minute(now, counts)
    }

    /// How the runs until now have ended.
    #[must_use]
    pub fn totals(&self) -> RunTotals {
        let time = Duration::try_from_secs_f64(self.durations.sum());
        RunTotals {
            ok: self.ok.load(Ordering::Relaxed),
            failed: self.failures.lock().values().sum(),
            time: time.unwrap_or(Duration::MAX),
        }
    }

    /// The lines of all these versions in the Prometheus text format. Labels are names of models,
    /// which need no escape.
    #[must_use]
    pub fn write_all<'a>(versions: impl Iterator<Item = (&'a str, &'a Self)> + Clone) -> String {
        let mut text = String::new();
        let row = metrics::RUNS.row();
        row.write_head(&mut text);
        for (model, counts) in versions.clone() {
            let ok = counts.ok.load(Ordering::Relaxed);
            let mut outcomes = counts.failures.lock().clone();
            outcomes.insert("ok", ok);
            for (outcome, count) in outcomes {
                let name = row.name;
                // Writing to a string does not fail.
                let _ = writeln!(
                    text,
                    "{name}{{model=\"{model}\",outcome=\"{outcome}\"}} {count}"
                );
            }
        }
        let row = metrics::RUN_DURATION.row();
        row.write_head(&mut text);
        for (model, counts) in versions.clone() {
            let labels = format!("model=\"{model}\"");
            counts.durations.write(&mut text, row.name, &labels);
        }
        let row = metrics::RUN_FUEL.row();
        row.write_head(&mut text);
        for (model, counts) in versions.clone() {
            let fuel = counts.fuel.load(Ordering::Relaxed);
            let _ = writeln!(text, "{}{{model=\"{model}\"}} {fuel}", row.name);
        }
        let row = metrics::RUN_CAPS.row();
        row.write_head(&mut text);
        for (model, counts) in versions {
            for (cap, count) in counts.caps.lock().iter() {
                let name = row.name;
                let _ = writeln!(text, "{name}{{model=\"{model}\",cap=\"{cap}\"}} {count}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_in_one_bucket_and_in_all_above() {
        let counts = RunMetrics::default();
        counts.note_ok(Duration::from_millis(3));
        counts.note_ok(Duration::from_hours(1));
        counts.note_failure("fuel_exhausted", Some("fuel"));
        let text = RunMetrics::write_all([("m@1.0.0", &counts)].into_iter());
        for line in [
            "belljar_runs_total{model=\"m@1.0.0\",outcome=\"ok\"} 2",
            "belljar_runs_total{model=\"m@1.0.0\",outcome=\"fuel_exhausted\"} 1",
            "belljar_run_caps_hit_total{model=\"m@1.0.0\",cap=\"fuel\"} 1",
            "belljar_run_duration_seconds_bucket{model=\"m@1.0.0\",le=\"0.005\"} 1",
            "belljar_run_duration_seconds_bucket{model=\"m@1.0.0\",le=\"+Inf\"} 2",
            "belljar_run_duration_seconds_count{model=\"m@1.0.0\"} 2",
            "# TYPE belljar_run_duration_seconds histogram",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
