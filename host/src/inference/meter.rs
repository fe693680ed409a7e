//! What runs are counted as: the metrics of their model, and the fuel of their key.

use crate::auth::KeyUsage;
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
}

impl RunReport for FuelCount {
    fn run_ended(&self, cost: &RunCost) {
        self.model.metrics.note_fuel(cost.fuel);
        if let Some(usage) = &self.usage {
            usage.add_fuel(cost.fuel);
        }
    }
}
