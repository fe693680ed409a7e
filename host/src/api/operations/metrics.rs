//! `GET /metrics`: all numbers in the Prometheus text format.

use super::Failures;
use crate::auth::{KeyStore, Scope, UsageCounts};
use crate::http::HttpState;
use crate::http::policy::{RoutePolicy, Routes};
use crate::ledger::Measure;
use crate::limits::Counts;
use crate::models::RunMetrics;
use crate::telemetry::metrics::{self, Counter, Family, Gauge};
use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{HeaderValue, header};
use std::fmt::Write as _;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    // On a loopback address without keys, a scraper needs none either.
    let policy = RoutePolicy::scope_of_keys(Scope::Metrics).counting(Counts::Nothing);
    Routes::default().add(policy, routes!(show))
}

/// All metrics, in the Prometheus text format. Needs the scope `metrics` where keys are required.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "Server",
    responses((status = 200, body = String, content_type = "text/plain; version=0.0.4"), Failures)
)]
async fn show(state: State<HttpState>) -> impl IntoResponse {
    text_of_all(state).await
}

/// The same route without a key, for a listener that only operators reach.
pub(crate) fn operators_route() -> Router<HttpState> {
    Router::new().route("/metrics", get(text_of_all))
}

async fn text_of_all(State(state): State<HttpState>) -> impl IntoResponse {
    const TEXT_FORMAT: HeaderValue =
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, TEXT_FORMAT)], render(&state))
}

fn render(state: &HttpState) -> String {
    let stats = state.registry().sandbox().stats();
    metrics::SANDBOX_RUNNING
        .handle()
        .set(f64::from(stats.running));
    metrics::SANDBOX_WAITING
        .handle()
        .set(f64::from(stats.waiting));
    metrics::SANDBOX_SLOTS.handle().set(f64::from(stats.slots));
    metrics::MODELS_RESIDENT_BYTES
        .handle()
        .set(stats.mapped_bytes as f64);
    let (in_force, remembered) = state.bans().sizes();
    let set = |gauge: &Family<Gauge, 0>, value| {
        let value = u32::try_from(value).unwrap_or(u32::MAX);
        gauge.handle().set(f64::from(value));
    };
    set(&metrics::BANS_IN_FORCE, in_force);
    set(&metrics::MODELS_AWAY, state.registry().residents().1);
    set(&metrics::ABUSE_TABLE, remembered);
    let (addresses, keys) = state.limiter().rates().table_sizes();
    set(&metrics::RATE_LIMIT_ADDRESSES, addresses);
    set(&metrics::RATE_LIMIT_KEYS, keys);
    // There from the start, so that an alert on its growth has something to look at.
    metrics::AUDIT_FAILURES
        .with([("sink", "file".into())])
        .increment(0);
    let mut text = state.metrics().render();
    let served = state.registry().served();
    let counts = served
        .iter()
        .map(|served| (&*served.label, &*served.metrics));
    text.push_str(&RunMetrics::write_all(counts));
    write_keys(&mut text, state.keys());
    write_budgets(&mut text, state);
    text
}

/// Keys that have lines of their own; the counts of all later ones are together, under `other`.
const KEYS_LABELLED_MAX: usize = 1_000;

/// What keys have used, under their ids, which say nothing about their secrets. Written from the
/// counts themselves: they outlive the process, and a key that is deleted takes its lines along.
fn write_keys(text: &mut String, keys: &KeyStore) {
    let (records, callers) = (keys.list(), keys.token_callers());
    let of_keys = records
        .iter()
        .map(|record| (record.id.as_str(), keys.usage(&record.id)));
    let of_callers = callers
        .iter()
        .map(|caller| (caller.id.as_str(), caller.usage));
    let counts: Vec<(&str, UsageCounts)> = of_keys.chain(of_callers).collect();
    let (labelled, others) = counts.split_at(counts.len().min(KEYS_LABELLED_MAX));
    for (family, count) in &KEY_COUNTERS {
        let (name, help) = (family.row().name, family.row().help);
        // Writing to a string does not fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
        for (id, counts) in labelled {
            let _ = writeln!(text, "{name}{{key_id=\"{id}\"}} {}", count(counts));
        }
        if !others.is_empty() {
            let sum = others.iter().map(|(_, counts)| count(counts)).sum::<u64>();
            let _ = writeln!(text, "{name}{{key_id=\"other\"}} {sum}");
        }
    }
}

/// What is left of the budgets of keys that have one, of the keys that have lines of their own.
fn write_budgets(text: &mut String, state: &HttpState) {
    let (name, help) = (
        metrics::KEY_BUDGET.row().name,
        metrics::KEY_BUDGET.row().help,
    );
    let mut is_first = true;
    for record in state.keys().list().iter().take(KEYS_LABELLED_MAX) {
        let budget = state.limiter().quotas().budget_of(&record.allowance);
        if budget.is_unbounded() {
            continue;
        }
        let used = state.ledger().ledger().month_of(&record.id).used;
        for measure in Measure::ALL {
            let Some(limit) = budget.of(measure) else {
                continue;
            };
            if std::mem::take(&mut is_first) {
                let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
            }
            let left = limit.saturating_sub(used.of(measure));
            let (id, budget) = (&record.id, measure.name());
            let _ = writeln!(text, "{name}{{key_id=\"{id}\",budget=\"{budget}\"}} {left}");
        }
    }
}

type KeyCounter = (&'static Family<Counter, 1>, fn(&UsageCounts) -> u64);

static KEY_COUNTERS: [KeyCounter; 3] = [
    (&metrics::KEY_REQUESTS, |counts| counts.requests),
    (&metrics::KEY_TOKENS, |counts| {
        counts
            .prompt_tokens
            .saturating_add(counts.completion_tokens)
    }),
    (&metrics::KEY_FUEL, |counts| counts.fuel),
];
