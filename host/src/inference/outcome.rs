//! The names of what can become of a run, as errors, metrics and the audit log use them.

use belljar_sandbox::{Cap, GuestError, RunError};

/// The code of a run that gave no result.
#[must_use]
pub fn code(error: &RunError) -> &'static str {
    match error {
        RunError::Cap(hit) => cap_code(hit.cap),
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

/// The code of a run that a cap ended.
#[must_use]
pub fn cap_code(cap: Cap) -> &'static str {
    match cap {
        Cap::Fuel => "fuel_exhausted",
        Cap::Memory => "memory_exceeded",
        Cap::WallTimeMs => "deadline_exceeded",
        Cap::OutputBytes => "output_too_large",
        Cap::Stack => "stack_exhausted",
        Cap::TableElements => "table_elements_exceeded",
        Cap::Instances => "instances_exceeded",
        Cap::Memories => "memories_exceeded",
        Cap::Tables => "tables_exceeded",
        Cap::HostcallBytes => "hostcall_bytes_exceeded",
        Cap::Resources => "resources_exceeded",
        Cap::StdioBytes => "stdio_exceeded",
        Cap::LogLines => "log_lines_exceeded",
        Cap::ComponentBytes => "component_too_large",
        Cap::CompileTimeMs => "compile_time_exceeded",
        Cap::CompileAddressSpaceBytes => "compile_memory_exceeded",
    }
}
