//! What a ban is for.

use crate::guard::Violation;

/// What a ban is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BanReason {
    /// Violations have added up; the kind of the last one.
    Violations(Violation),
    /// Conduct was unlike what it has been.
    Anomaly,
}

impl BanReason {
    /// The name in metrics, the audit log and the admin API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Violations(violation) => violation.name(),
            Self::Anomaly => "anomaly",
        }
    }

    /// The reason of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let violations = Violation::ALL.map(Self::Violations);
        let mut all = violations.into_iter().chain([Self::Anomaly]);
        all.find(|reason| reason.name() == name)
    }
}
