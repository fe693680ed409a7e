//! The stack at which a run was ended: each function with its source line, where the component says.

use crate::profile::{ProfileFrame, places};
use parking_lot::Mutex;
use std::sync::Arc;
use wasmtime::WasmBacktrace;

/// The stack of the last run that did not come to its end by itself: it was out of fuel, trapped, or
/// broke off for another reason of the guest's. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct StackCatcher(Arc<Mutex<Option<Vec<ProfileFrame>>>>);

impl StackCatcher {
    /// The frames, the innermost first; none where each run has come to its end by itself. A line is
    /// where the frame was: of one that has called another, the line of that call.
    #[must_use]
    pub fn frames(&self) -> Option<Vec<ProfileFrame>> {
        self.0.lock().clone()
    }

    /// Keeps the stack of a failure.
    pub(crate) fn catch(&self, error: &wasmtime::Error) {
        let frames = error
            .downcast_ref::<WasmBacktrace>()
            .map(|backtrace| backtrace.frames().iter().flat_map(places).collect());
        *self.0.lock() = Some(frames.unwrap_or_default());
    }
}
