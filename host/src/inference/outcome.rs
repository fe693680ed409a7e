//! The names of what can become of a run, as errors, metrics and the audit log use them.

use belljar_sandbox::{GuestError, RunError};

/// The code of a run that gave no result.
#[must_use]
pub fn code(error: &RunError) -> &'static str {
    match error {
        RunError::Cap(hit) => hit.cap.code(),
        RunError::Trap { .. } => "model_trapped",
        RunError::InvalidOutput { .. } => "invalid_model_output",
        RunError::Guest(GuestError::InvalidInput(_)) => "invalid_input",
        RunError::Guest(GuestError::Unsupported(_)) => "unsupported_by_model",
        RunError::Guest(GuestError::Failed(_)) => "model_failed",
        RunError::NoCapability { .. } => "capability_missing",
        RunError::Overloaded { .. } => "overloaded",
        RunError::Host { .. } => "internal_error",
    }
}
