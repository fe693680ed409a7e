//! Shows the texts of requests to the screening, and tells the log, the metrics and the audit log
//! what it finds.

use super::RequestContext;
use crate::audit::EventKind;
use crate::auth::Caller;
use crate::guard::{Finding, Objection, Screened, Screening, Texts};
use crate::telemetry::metrics;

/// Why a request is refused for a text. Holds nothing of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScreenRefusal {
    /// An injection where injections are blocked.
    #[error("an injection was found at {field}")]
    Injection {
        /// The place in the request, for example `messages[2].content`.
        field: String,
        /// Whether it is so clear that it counts towards a ban.
        is_clear: bool,
    },
    /// A control character where none is taken.
    #[error("{field} holds a control character")]
    ControlCharacter {
        /// The place in the request, for example `user`.
        field: String,
    },
}

impl RequestContext {
    /// Lets a value through, or says why not. What is only to be reported is noted for the
    /// answer.
    ///
    /// # Errors
    ///
    /// The first finding that blocks, or a control character where none is taken.
    pub fn screen<T: Texts>(
        &self,
        screening: &Screening,
        value: T,
    ) -> Result<Screened<T>, ScreenRefusal> {
        let owner = self.caller().and_then(Caller::key_id);
        let (screened, reported) =
            screening
                .pass(owner, value)
                .map_err(|objection| match *objection {
                    Objection::Injection(finding) => {
                        self.note_finding(&finding, "block");
                        ScreenRefusal::Injection {
                            field: finding.field,
                            is_clear: finding.hit.is_clear,
                        }
                    }
                    Objection::ControlCharacter { field } => {
                        ScreenRefusal::ControlCharacter { field }
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
