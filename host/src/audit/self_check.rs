//! The server's own look at its log, from time to time: a record that was changed is noticed without
//! anybody asking.

use serde_json::json;

use super::{Actor, AuditLog, Event, EventKind, VerifyError, verify};

/// The defects that a server has found since its start: each is recorded once.
#[derive(Debug, Default)]
pub struct SelfCheck {
    last: Option<String>,
}

impl SelfCheck {
    /// Reads the whole log, and records what is wrong with it.
    pub async fn run(&mut self, audit: &AuditLog) {
        let Some(inner) = audit.0.as_ref().filter(|inner| inner.config.sinks.file) else {
            return;
        };
        let (file, checkpoint) = inner.files.clone();
        let checked = tokio::task::spawn_blocking(move || verify(&file, &checkpoint)).await;
        let defect = match checked {
            Ok(Err(VerifyError::Broken(defect))) => defect.to_string(),
            Ok(Err(error)) => {
                tracing::error!("the audit log cannot be verified: {error}");
                return;
            }
            Ok(Ok(_)) | Err(_) => return,
        };
        if self.last.as_ref() == Some(&defect) {
            return;
        }
        tracing::error!("the audit log is not whole: {defect}");
        let about = [("defect", json!(defect))];
        audit.record(&Event::new(
            EventKind::AuditBroken,
            Actor::default(),
            &about,
        ));
        self.last = Some(defect);
    }
}
