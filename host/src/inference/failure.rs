//! What is told of a run that failed: the metrics of its model, and a line of the audit log where a
//! cap ended it.

use super::{RequestContext, outcome};
use crate::audit::EventKind;
use crate::models::LiveModel;
use belljar_sandbox::{Cap, RunError};
use serde_json::json;

/// Notes a run that failed.
pub(super) fn note(model: &LiveModel, context: &RequestContext, error: &RunError) {
    let cap = match error {
        RunError::Cap(hit) => Some(hit.cap.name()),
        _ => None,
    };
    model.metrics.note_failure(outcome::code(error), cap);
    context.note_failure();
    let RunError::Cap(hit) = error else { return };
    if matches!(hit.cap, Cap::Fuel | Cap::WallTimeMs)
        && let Some(tally) = context.tally()
    {
        tally.note_refused_fuel();
    }
    let name = hit.cap.name();
    // Which model, which cap, which numbers: what its author asks for first.
    let about = [
        ("model", json!(&*model.label)),
        ("cap", json!(name)),
        ("limit", json!(hit.limit)),
        ("used", json!(hit.used)),
    ];
    context.security_event(EventKind::CapHit, &about);
    // At this level, because a model that does it all day would fill the disk.
    tracing::debug!(model.id = %model.label, cap = name, limit = hit.limit, used = hit.used, "a run hit a cap");
}
