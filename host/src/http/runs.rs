//! Runs one thing on one model, and notes for the log and the metrics what became of it.

use super::error::ApiError;
use super::layers::Record;
use crate::audit::EventKind;
use crate::auth::KeyUsage;
use crate::models::LiveModel;
use crate::telemetry::metrics as names;
use arc_swap::ArcSwap;
use belljar_sandbox::{Completed, RunError, RunReport, Spent};
use metrics::{Counter, Histogram};
use serde_json::json;
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Waits for a run and notes its end.
pub(crate) async fn tracked<T>(
    model: &LiveModel,
    record: &Record,
    run: impl Future<Output = Result<Completed<T>, RunError>>,
) -> Result<T, ApiError> {
    match run.await {
        Ok(Completed { value, spent }) => {
            note_end(model, &spent);
            Ok(value)
        }
        Err(error) => Err(note_failure(model, record, error)),
    }
}

/// Notes a run that ended well.
pub(crate) fn note_end(model: &LiveModel, spent: &Spent) {
    handles(&model.label, |handles| {
        handles.ok.increment(1);
        handles.duration.record(spent.wall);
    });
}

/// Counts what the runs of one request use, when each of them really ends.
#[derive(Debug)]
pub(crate) struct FuelCount {
    pub(crate) model: Option<Arc<str>>,
    pub(crate) usage: Option<Arc<KeyUsage>>,
}

impl RunReport for FuelCount {
    fn run_ended(&self, spent: &Spent) {
        if let Some(model) = &self.model {
            handles(model, |handles| handles.fuel.increment(spent.fuel));
        }
        if let Some(usage) = &self.usage {
            usage.add_fuel(spent.fuel);
        }
    }
}

/// Notes a run that failed, and turns the failure into the caller's error.
pub(crate) fn note_failure(model: &LiveModel, record: &Record, error: RunError) -> ApiError {
    let cap = match &error {
        RunError::Cap(hit) => Some(hit.clone()),
        _ => None,
    };
    let error = ApiError::from(error);
    let label = || model.label.to_string();
    metrics::counter!(names::RUNS, "model" => label(), "outcome" => error.code()).increment(1);
    if let Some(hit) = cap {
        let name = hit.cap.name();
        metrics::counter!(names::RUN_CAPS, "model" => label(), "cap" => name).increment(1);
        // Which model, which cap, which numbers: what its author asks for first.
        let about = [
            ("model", json!(label())),
            ("cap", json!(name)),
            ("limit", json!(hit.limit)),
            ("used", json!(hit.used)),
        ];
        record.security_event(EventKind::CapHit, &about);
        tracing::info!(model.id = %model.label, cap = name, limit = hit.limit, used = hit.used, "a run hit a cap");
    }
    error
}

/// The metrics of one model, found once: looking them up by their labels on each run would cost
/// a good part of what a fresh sandbox costs.
struct Handles {
    ok: Counter,
    fuel: Counter,
    duration: Histogram,
}

type Table = HashMap<Arc<str>, Arc<Handles>>;

fn handles(label: &Arc<str>, note: impl FnOnce(&Handles)) {
    static TABLE: LazyLock<ArcSwap<Table>> = LazyLock::new(ArcSwap::default);
    if let Some(handles) = TABLE.load().get(label) {
        return note(handles);
    }
    let text = || label.to_string();
    let handles = Arc::new(Handles {
        ok: metrics::counter!(names::RUNS, "model" => text(), "outcome" => "ok"),
        fuel: metrics::counter!(names::RUN_FUEL, "model" => text()),
        duration: metrics::histogram!(names::RUN_DURATION, "model" => text()),
    });
    note(&handles);
    TABLE.rcu(|table| {
        let mut table = Table::clone(table);
        table.insert(Arc::clone(label), Arc::clone(&handles));
        table
    });
}

/// Seconds for a `Retry-After`: whole, and at least one.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().max(1)
}
