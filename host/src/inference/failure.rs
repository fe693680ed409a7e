//! What is told of a run that failed: the metrics of its model, and a line of the audit log where a
//! cap ended it.

use super::{RequestContext, outcome};
use crate::audit::EventKind;
use crate::models::LiveModel;
use crate::telemetry::metrics;
use belljar_sandbox::RunError;
use serde_json::json;

/// Notes a run that failed.
pub(super) fn note(model: &LiveModel, context: &RequestContext, error: &RunError) {
    let label = || model.label.to_string();
    metrics::RUNS
        .with([
            ("model", label().into()),
            ("outcome", outcome::code(error).into()),
        ])
        .increment(1);
    let RunError::Cap(hit) = error else { return };
    let name = hit.cap.name();
    metrics::RUN_CAPS
        .with([("model", label().into()), ("cap", name.into())])
        .increment(1);
    // Which model, which cap, which numbers: what its author asks for first.
    let about = [
        ("model", json!(label())),
        ("cap", json!(name)),
        ("limit", json!(hit.limit)),
        ("used", json!(hit.used)),
    ];
    context.security_event(EventKind::CapHit, &about);
    tracing::info!(model.id = %model.label, cap = name, limit = hit.limit, used = hit.used, "a run hit a cap");
}
