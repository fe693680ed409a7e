//! The names of all metrics, and the recorder that keeps their values.
//!
//! Labels are bounded: routes are templates, models are those that exist, reasons are names
//! from the code. Nothing that a caller writes becomes a label.

use std::sync::OnceLock;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Requests answered. Labels: `route`, `method`, `status` (the class, as in `2xx`).
pub const HTTP_REQUESTS: &str = "belljar_http_requests_total";
/// Seconds from the head of a request to the last byte of its answer. Label: `route`.
pub const HTTP_DURATION: &str = "belljar_http_request_duration_seconds";
/// Requests being worked on.
pub const HTTP_IN_FLIGHT: &str = "belljar_http_requests_in_flight";
/// Bytes of bodies read.
pub const HTTP_BYTES_IN: &str = "belljar_http_request_body_bytes_total";
/// Bytes of bodies sent.
pub const HTTP_BYTES_OUT: &str = "belljar_http_response_body_bytes_total";
/// Connections open now.
pub const CONNECTIONS_OPEN: &str = "belljar_connections_open";
/// Connections that there was no room for, or that were closed for what they began with.
/// Label: `reason`.
pub const CONNECTIONS_REFUSED: &str = "belljar_connections_refused_total";
/// Connections that the server ended. Label: `reason`.
pub const CONNECTIONS_CUT: &str = "belljar_connections_cut_total";
/// Heads that never became a request. Label: `reason` (the error's code).
pub const MALFORMED_REQUESTS: &str = "belljar_malformed_requests_total";
/// Addresses whose rate is remembered.
pub const RATE_LIMIT_ADDRESSES: &str = "belljar_rate_limit_addresses";
/// Keys whose rate is remembered.
pub const RATE_LIMIT_KEYS: &str = "belljar_rate_limit_keys";
/// Requests that a key was let in with. Label: `key_id` (of the first 1 000 keys, else `other`).
pub const KEY_REQUESTS: &str = "belljar_key_requests_total";
/// Tokens of prompts and answers of a key. Label: `key_id`.
pub const KEY_TOKENS: &str = "belljar_key_tokens_total";
/// Fuel used by a key. Label: `key_id`.
pub const KEY_FUEL: &str = "belljar_key_fuel_total";
/// Injections found. Labels: `kind` (of field), `category`, `outcome` (`block` or `report`).
pub const INJECTIONS: &str = "belljar_injections_total";
/// Refusals by the first gate. Label: `reason`.
pub const AUTH_FAILURES: &str = "belljar_auth_failures_total";
/// Errors answered. Label: `reason` (the error's code).
pub const REFUSALS: &str = "belljar_refusals_total";
/// Violations of the rules of conduct. Label: `kind`.
pub const VIOLATIONS: &str = "belljar_violations_total";
/// Bans made. Label: `reason` (a kind of violation).
pub const BANS: &str = "belljar_bans_total";
/// Bans in force.
pub const BANS_IN_FORCE: &str = "belljar_bans_in_force";
/// Addresses whose violations are remembered.
pub const ABUSE_TABLE: &str = "belljar_abuse_table_entries";
/// Writes of bans that failed.
pub const BAN_WRITE_FAILURES: &str = "belljar_ban_write_failures_total";
/// Security events written to the audit log. Label: `event`.
pub const AUDIT_EVENTS: &str = "belljar_audit_events_total";
/// Security events that could not be written to a sink of the audit log. Label: `sink`.
pub const AUDIT_FAILURES: &str = "belljar_audit_failures_total";
/// Security events that were only counted, because many of one kind came at once.
pub const AUDIT_REPEATED: &str = "belljar_audit_repeated_total";
/// Requests and streams that were ended because their key did.
pub const KEY_CUTS: &str = "belljar_key_cuts_total";
/// Runs of models that ended. Labels: `model`, `outcome` (`ok` or the error's code).
pub const RUNS: &str = "belljar_runs_total";
/// Seconds of one run on the wall clock. Label: `model`.
pub const RUN_DURATION: &str = "belljar_run_duration_seconds";
/// Fuel used by runs. Label: `model`.
pub const RUN_FUEL: &str = "belljar_run_fuel_total";
/// Runs ended by a cap. Labels: `model`, `cap`.
pub const RUN_CAPS: &str = "belljar_run_caps_hit_total";
/// Runs that hold a slot now.
pub const SANDBOX_RUNNING: &str = "belljar_sandbox_running";
/// Runs that wait for a slot now.
pub const SANDBOX_WAITING: &str = "belljar_sandbox_waiting";
/// Slots there are.
pub const SANDBOX_SLOTS: &str = "belljar_sandbox_slots";
/// Uploads that ended. Label: `outcome` (`ok` or the error's code).
pub const UPLOADS: &str = "belljar_uploads_total";
/// Bytes of bundles received.
pub const UPLOAD_BYTES: &str = "belljar_upload_bytes_total";
/// Versions by state. Label: `state`.
pub const MODEL_VERSIONS: &str = "belljar_model_versions";
/// Seconds of one compilation with its load and snapshot. Label: `outcome`.
pub const COMPILE_DURATION: &str = "belljar_compile_duration_seconds";
/// Log lines lost because stderr was read too slowly.
pub const LOG_LINES_DROPPED: &str = "belljar_log_lines_dropped_total";
/// Always 1. Label: `version`.
pub const BUILD_INFO: &str = "belljar_build_info";

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
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(HTTP_DURATION.to_owned()), &SHORT_SECONDS)?
            .set_buckets_for_metric(Matcher::Full(RUN_DURATION.to_owned()), &SHORT_SECONDS)?
            .set_buckets_for_metric(Matcher::Full(COMPILE_DURATION.to_owned()), &LONG_SECONDS)?;
        let metrics = Self(builder.install_recorder()?);
        describe();
        Ok(RECORDER.get_or_init(|| metrics).clone())
    }

    /// All values in the Prometheus text format.
    #[must_use]
    pub fn render(&self) -> String {
        metrics::counter!(LOG_LINES_DROPPED).absolute(super::log_lines_dropped());
        self.0.render()
    }

    /// Folds what histograms have collected into their buckets. Call every few seconds: where
    /// nobody reads the metrics, they would grow without bound.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

/// From a fresh sandbox with an empty guest to a long generation.
const SHORT_SECONDS: [f64; 16] = [
    0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.5, 1.0, 10.0, 60.0,
];
const LONG_SECONDS: [f64; 9] = [0.05, 0.25, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

fn describe() {
    describe_counter!(HTTP_REQUESTS, Unit::Count, "Requests answered.");
    describe_histogram!(
        HTTP_DURATION,
        Unit::Seconds,
        "From a request's head to its last byte."
    );
    describe_gauge!(HTTP_IN_FLIGHT, Unit::Count, "Requests being worked on.");
    describe_counter!(HTTP_BYTES_IN, Unit::Bytes, "Bytes of request bodies read.");
    describe_counter!(
        HTTP_BYTES_OUT,
        Unit::Bytes,
        "Bytes of response bodies sent."
    );
    describe_gauge!(CONNECTIONS_OPEN, Unit::Count, "Connections open now.");
    describe_counter!(
        CONNECTIONS_REFUSED,
        Unit::Count,
        "Connections that there was no room for."
    );
    describe_counter!(
        CONNECTIONS_CUT,
        Unit::Count,
        "Connections that the server ended."
    );
    describe_counter!(
        MALFORMED_REQUESTS,
        Unit::Count,
        "Heads that never became a request."
    );
    describe_gauge!(
        RATE_LIMIT_ADDRESSES,
        Unit::Count,
        "Addresses whose rate is remembered."
    );
    describe_gauge!(
        RATE_LIMIT_KEYS,
        Unit::Count,
        "Keys whose rate is remembered."
    );
    describe_counter!(INJECTIONS, Unit::Count, "Injections found in requests.");
    describe_counter!(
        AUTH_FAILURES,
        Unit::Count,
        "Requests refused for their credentials."
    );
    describe_counter!(REFUSALS, Unit::Count, "Errors answered.");
    describe_counter!(
        VIOLATIONS,
        Unit::Count,
        "Violations of the rules of conduct."
    );
    describe_counter!(BANS, Unit::Count, "Bans made.");
    describe_gauge!(BANS_IN_FORCE, Unit::Count, "Bans in force.");
    describe_gauge!(
        ABUSE_TABLE,
        Unit::Count,
        "Addresses whose violations are remembered."
    );
    describe_counter!(
        BAN_WRITE_FAILURES,
        Unit::Count,
        "Writes of bans that failed."
    );
    describe_counter!(AUDIT_EVENTS, Unit::Count, "Security events recorded.");
    describe_counter!(
        AUDIT_FAILURES,
        Unit::Count,
        "Security events that could not be written."
    );
    describe_counter!(
        AUDIT_REPEATED,
        Unit::Count,
        "Security events that were only counted."
    );
    describe_counter!(
        KEY_CUTS,
        Unit::Count,
        "Requests and streams ended because their key did."
    );
    describe_counter!(RUNS, Unit::Count, "Runs of models that ended.");
    describe_histogram!(RUN_DURATION, Unit::Seconds, "One run on the wall clock.");
    describe_counter!(RUN_FUEL, Unit::Count, "Fuel used by runs.");
    describe_counter!(RUN_CAPS, Unit::Count, "Runs ended by a cap.");
    describe_gauge!(SANDBOX_RUNNING, Unit::Count, "Runs that hold a slot.");
    describe_gauge!(SANDBOX_WAITING, Unit::Count, "Runs that wait for a slot.");
    describe_gauge!(SANDBOX_SLOTS, Unit::Count, "Slots there are.");
    describe_counter!(UPLOADS, Unit::Count, "Uploads that ended.");
    describe_counter!(UPLOAD_BYTES, Unit::Bytes, "Bytes of bundles received.");
    describe_gauge!(MODEL_VERSIONS, Unit::Count, "Versions of models by state.");
    describe_histogram!(
        COMPILE_DURATION,
        Unit::Seconds,
        "Compilation, load and snapshot."
    );
    describe_counter!(
        LOG_LINES_DROPPED,
        Unit::Count,
        "Log lines lost to a slow reader."
    );
    describe_gauge!(
        BUILD_INFO,
        Unit::Count,
        "Always 1; the label says the version."
    );
    metrics::gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_recorder_serves_a_whole_process() {
        let first = Metrics::install().unwrap();
        let second = Metrics::install().unwrap();
        metrics::counter!(UPLOADS, "outcome" => "ok").increment(2);
        first.upkeep();
        assert!(
            second
                .render()
                .contains(r#"belljar_uploads_total{outcome="ok"} 2"#)
        );
        assert!(second.render().contains("belljar_build_info{version="));
    }
}
