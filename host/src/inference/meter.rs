//! What runs are counted as: the metrics of their model, the fuel of their key, and their line of
//! the ledger.

use crate::auth::KeyUsage;
use crate::ledger::Line;
use crate::models::LiveModel;
use belljar_sandbox::{RunCost, RunReport};
use std::sync::Arc;

/// Notes a run that ended well.
pub(super) fn note_end(model: &LiveModel, cost: &RunCost) {
    model.metrics.note_ok(cost.wall);
}

/// Counts what the runs of one request use, when each of them really ends.
#[derive(Debug)]
pub(super) struct FuelCount {
    pub(super) model: Arc<LiveModel>,
    pub(super) usage: Option<Arc<KeyUsage>>,
    pub(super) line: Option<Line>,
}

impl RunReport for FuelCount {
    fn run_ended(&self, cost: &RunCost) {
        self.model.metrics.note_fuel(cost.fuel);
        if let Some(usage) = &self.usage {
            usage.add_fuel(cost.fuel);
        }
        if let Some(line) = &self.line {
            line.add_run(cost.fuel, cost.wall);
        }
    }
}
