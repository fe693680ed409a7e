//! Metrics: the table of all there are, and the recorder that keeps their values.
//!
//! A metric is counted through its row in the table and in no other way, so one that is not
//! described cannot be counted. Labels are bounded: routes are templates, models are those that
//! exist, reasons are names from the code. Nothing that a caller writes becomes a label.

mod adapters;
mod family;
mod histogram;
mod level;
mod table;

use std::fmt::Write as _;
use std::sync::OnceLock;

pub use ::metrics::{Counter, Gauge};
use ::metrics::{describe_counter, describe_gauge};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};

pub use adapters::{AdapterUse, set_adapters};
pub use family::{Family, Handle, MetricKind, MetricRow};
pub use histogram::{Buckets, Histogram};
pub use level::{Level, Present};
pub use table::*;

/// The recorder of this process.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

static RECORDER: OnceLock<Metrics> = OnceLock::new();

impl Metrics {
    /// Installs the recorder, or gives the one that is installed: it is one a process, however
    /// many servers run in it.
    ///
    /// # Errors
    ///
    /// When another recorder was installed by somebody else.
    pub fn install() -> Result<Self, BuildError> {
        static INSTALL: parking_lot::Mutex<()> = parking_lot::Mutex::new(());
        let _turn = INSTALL.lock();
        if let Some(metrics) = RECORDER.get() {
            return Ok(metrics.clone());
        }
        let metrics = Self(PrometheusBuilder::new().install_recorder()?);
        METRICS.iter().for_each(|row| describe(row));
        let version = [("version", env!("CARGO_PKG_VERSION").into())];
        BUILD_INFO.with(version).set(1.0);
        Ok(RECORDER.get_or_init(|| metrics).clone())
    }

    /// All values in the Prometheus text format.
    #[must_use]
    pub fn render(&self) -> String {
        LOG_LINES_DROPPED
            .handle()
            .absolute(super::log_lines_dropped());
        let mut out = self.0.render();
        histogram::render(&mut out);
        adapters::render(&mut out);
        out
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

fn describe(row: &MetricRow) {
    match row.kind {
        MetricKind::Counter => describe_counter!(row.name, row.unit, row.help),
        MetricKind::Gauge => describe_gauge!(row.name, row.unit, row.help),
        // It says so itself.
        MetricKind::Histogram => {}
    }
}

/// The reference page of all metrics, as Markdown. `docs/metrics.md` is a copy of it.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(HEAD);
    for row in METRICS {
        let (name, kind, unit) = (row.name, row.kind.name(), row.unit.as_str());
        // Writing to a string does not fail.
        let _ = write!(page, "| `{name}` | {kind} | {unit} | {}", row.help);
        for (label, values) in row.labels {
            let _ = write!(page, "<br>`{label}`: {values}");
        }
        page.push_str(" |\n");
    }
    page
}

const HEAD: &str = "\
# Metrics

Written by `cargo run -p belljar --example reference_pages`; do not edit by hand.

`GET /metrics`, and `metrics.listen` where it is set, give these in the Prometheus text format. A
histogram has the series `_bucket`, `_sum` and `_count`. A metric shows once it has a value.
Those whose names begin with `vllm:` have vLLM's names and labels, and values where `testing` is on;
`vllm:lora_requests_info` is beside them where `test.adapters` names some.

| metric | kind | unit | meaning, and its labels |
| --- | --- | --- | --- |
";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn one_recorder_serves_a_whole_process() {
        let first = Metrics::install().unwrap();
        let second = Metrics::install().unwrap();
        UPLOADS.with([("outcome", "ok".into())]).increment(2);
        UPLOAD_BYTES.handle().increment(3);
        for metrics in [first, second] {
            let text = metrics.render();
            assert!(text.contains(r#"belljar_uploads_total{outcome="ok"} 2"#));
            assert!(text.contains("belljar_upload_bytes_total 3"));
            assert!(text.contains("belljar_build_info{version="));
        }
    }

    #[test]
    fn a_metric_is_described_and_a_histogram_has_its_buckets() {
        let metrics = Metrics::install().unwrap();
        COMPILE_DURATION
            .with([("outcome", "ok".into())])
            .record(0.1);
        let text = metrics.render();
        let name = "belljar_compile_duration_seconds";
        assert!(text.contains(&format!("# HELP {name} Compilation, load and snapshot.")));
        assert!(text.contains(&format!("# TYPE {name} histogram")));
        assert!(text.contains(&format!(r#"{name}_bucket{{outcome="ok",le="0.25"}} 1"#)));
    }

    /// Prometheus asks this of names: counters end in `_total`, and none is there twice. Those of
    /// vLLM have its prefix.
    #[test]
    fn names_are_distinct_and_say_what_they_are() {
        let names: BTreeSet<_> = METRICS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), METRICS.len());
        for row in METRICS {
            let is_ours = row.name.starts_with("belljar_");
            assert!(is_ours || row.name.starts_with("vllm:"), "{}", row.name);
            let is_counter = row.kind == MetricKind::Counter;
            assert_eq!(row.name.ends_with("_total"), is_counter, "{}", row.name);
            let is_histogram = row.kind == MetricKind::Histogram;
            assert_eq!(!row.buckets.is_empty(), is_histogram, "{}", row.name);
        }
    }

    #[test]
    fn the_page_in_the_repository_is_up_to_date() {
        let page = include_str!("../../../docs/metrics.md");
        assert!(
            page == reference(),
            "run `cargo run -p belljar --example reference_pages` and commit the result"
        );
    }
}
