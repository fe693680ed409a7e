//! Shows the texts of requests to the screening, and tells the log, the metrics and the audit log
//! what it finds.

use super::RequestContext;
use crate::audit::EventKind;
use crate::guard::{Finding, Screened, Screening, Texts};
use crate::telemetry::metrics;

/// A finding that blocks a request. Holds nothing of the text.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("an injection was found at {field}")]
pub struct Injection {
    /// The place in the request, for example `messages[2].content`.
    pub field: String,
}

impl RequestContext {
    /// Lets a value through, or says why not. What is only to be reported is noted for the
    /// answer.
    ///
    /// # Errors
    ///
    /// The first finding that blocks.
    pub fn screen<T: Texts>(
        &self,
        screening: &Screening,
        value: T,
    ) -> Result<Screened<T>, Injection> {
        let (screened, reported) = screening.pass(value).map_err(|finding| {
            self.note_finding(&finding, "block");
            Injection {
                field: finding.field,
            }
        })?;
        for finding in reported {
            self.note_finding(&finding, "report");
            self.report(finding.to_string());
        }
        Ok(screened)
    }

    fn note_finding(&self, finding: &Finding, outcome: &'static str) {
        let (kind, category) = (finding.hit.kind.name(), finding.hit.category.name());
        metrics::INJECTIONS
            .with([
                ("kind", kind.into()),
                ("category", category.into()),
                ("outcome", outcome.into()),
            ])
            .increment(1);
        tracing::warn!(request.id = %self.id(), outcome, "an injection was found: {finding}");
        self.security_event(
            EventKind::Injection,
            &[
                ("outcome", outcome.into()),
                ("category", category.into()),
                ("field", finding.field.as_str().into()),
                ("finding", finding.hit.to_string().into()),
            ],
        );
    }
}
