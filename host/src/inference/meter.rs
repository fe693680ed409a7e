//! What runs are counted as: the metrics of their model, and the fuel of their key.

use crate::auth::KeyUsage;
use crate::models::LiveModel;
use crate::telemetry::metrics::{self, Counter, Histogram};
use arc_swap::ArcSwap;
use belljar_sandbox::{RunReport, Spent};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// Notes a run that ended well.
pub(super) fn note_end(model: &LiveModel, spent: &Spent) {
    handles(&model.label, |handles| {
        handles.ok.increment(1);
        handles.duration.record(spent.wall);
    });
}

/// Counts what the runs of one request use, when each of them really ends.
#[derive(Debug)]
pub(super) struct FuelCount {
    pub(super) model: Option<Arc<str>>,
    pub(super) usage: Option<Arc<KeyUsage>>,
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
    let text = || Arc::clone(label);
    let handles = Arc::new(Handles {
        ok: metrics::RUNS.with([("model", text().into()), ("outcome", "ok".into())]),
        fuel: metrics::RUN_FUEL.with([("model", text().into())]),
        duration: metrics::RUN_DURATION.with([("model", text().into())]),
    });
    note(&handles);
    TABLE.rcu(|table| {
        let mut table = Table::clone(table);
        table.insert(Arc::clone(label), Arc::clone(&handles));
        table
    });
}
