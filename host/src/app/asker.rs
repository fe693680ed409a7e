//! What asks the models of this server without a connection.

use std::sync::Arc;

use super::App;
use crate::asking::{Asker, ExampleExaminer};
use crate::audit::AuditLog;
use crate::clock::Clock;
use crate::config::Settings;
use crate::inference::Inference;
use crate::limits::Limiter;
use crate::models::Examiner;

/// What holds versions to their examples: requests that nobody sent, which count for nobody.
pub(super) fn examiner(
    settings: &Settings,
    inference: &Inference,
    audit: &AuditLog,
    clock: &Clock,
) -> Arc<dyn Examiner> {
    Arc::new(ExampleExaminer::new(Asker {
        inference: inference.clone(),
        config: settings.http.clone(),
        limiter: Limiter::unbounded(clock.clone()),
        audit: audit.clone(),
        clock: clock.clone(),
    }))
}

impl App {
    /// What answers requests that come over no connection.
    pub(crate) fn asker(&self) -> Asker {
        Asker {
            inference: self.state.inference().clone(),
            config: self.state.config().clone(),
            limiter: self.state.limiter().clone(),
            audit: self.audit.clone(),
            clock: self.state.clock().clone(),
        }
    }
}
