//! When certificates and lists of revoked ones end, and that it is told before.

use std::path::Path;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

use super::{Tls, now_s};
use crate::telemetry::metrics;

/// When what is in a file ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEnd {
    /// The file.
    pub file: String,
    /// What is in it.
    pub kind: FileKind,
    /// Seconds from the Unix epoch to the first end of anything in it; none where nothing ends.
    pub at_s: Option<i64>,
    /// Whether that is within the time in which it is told, or past.
    pub is_soon: bool,
}

/// What a file has in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A certificate of the server's, and those that vouch for it.
    Certificate,
    /// Authorities that vouch for clients.
    Authority,
    /// Lists of certificates that those have revoked.
    Revocations,
}

impl FileKind {
    /// The name in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Authority => "authority",
            Self::Revocations => "revocations",
        }
    }
}

/// The end of a file, as it was read.
#[derive(Clone, Debug)]
pub(super) struct End {
    file: String,
    kind: FileKind,
    at_s: Option<i64>,
}

/// How far an end is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Far,
    Soon { days: i64 },
    Past,
}

const DAY_S: i64 = 24 * 60 * 60;

impl End {
    /// The end of a file with certificates: that of the first of them to end.
    pub(super) fn of_chain(path: &Path, kind: FileKind, chain: &[CertificateDer<'_>]) -> Self {
        let ends = chain.iter().filter_map(|der| {
            let (_, certificate) = X509Certificate::from_der(der).ok()?;
            Some(certificate.validity().not_after.timestamp())
        });
        Self {
            file: path.display().to_string(),
            kind,
            at_s: ends.min(),
        }
    }

    /// The end of a file with lists of revoked certificates: that of the first of them to end.
    pub(super) fn of_lists<L: AsRef<[u8]>>(path: &Path, lists: &[L]) -> Self {
        let ends = lists.iter().filter_map(|der| {
            let (_, list) = CertificateRevocationList::from_der(der.as_ref()).ok()?;
            Some(list.next_update()?.timestamp())
        });
        Self {
            file: path.display().to_string(),
            kind: FileKind::Revocations,
            at_s: ends.min(),
        }
    }

    /// Seconds from the Unix epoch to it; none where the file has no end.
    pub(super) fn at_s(&self) -> Option<i64> {
        self.at_s
    }

    fn standing(&self, warning: Duration, now_s: i64) -> Standing {
        let Some(left_s) = self.at_s.map(|at| at.saturating_sub(now_s)) else {
            return Standing::Far;
        };
        if left_s <= 0 {
            Standing::Past
        } else if left_s <= i64::try_from(warning.as_secs()).unwrap_or(i64::MAX) {
            Standing::Soon {
                days: left_s / DAY_S,
            }
        } else {
            Standing::Far
        }
    }

    fn note(&self, standing: Standing) {
        let file = || [("file", self.file.clone().into())];
        if let Some(at_s) = self.at_s {
            let expiry = match self.kind {
                FileKind::Certificate | FileKind::Authority => &metrics::TLS_CERTIFICATE_EXPIRY,
                FileKind::Revocations => &metrics::TLS_REVOCATIONS_EXPIRY,
            };
            #[expect(
                clippy::cast_precision_loss,
                reason = "seconds of this millennium are exact"
            )]
            expiry.with(file()).set(at_s as f64);
        }
        let is_soon = standing != Standing::Far;
        let soon = metrics::TLS_EXPIRES_SOON.with(file());
        soon.set(f64::from(u8::from(is_soon)));
    }

    fn tell(&self, standing: Standing) {
        let (file, kind) = (&self.file, self.kind.name());
        match (standing, self.kind) {
            (Standing::Far, _) => {}
            (Standing::Soon { days }, FileKind::Revocations) => {
                tracing::warn!(%file, kind, days, "a list of revoked certificates ends soon, and lets no client in then");
            }
            (Standing::Soon { days }, _) => {
                tracing::warn!(%file, kind, days, "the certificate expires soon");
            }
            (Standing::Past, FileKind::Certificate) => {
                tracing::error!(%file, kind, "the certificate has expired: clients refuse it");
            }
            (Standing::Past, FileKind::Authority) => {
                tracing::error!(%file, kind, "the certificate has expired: it vouches for no client");
            }
            (Standing::Past, FileKind::Revocations) => {
                tracing::error!(%file, kind, "a list of revoked certificates has ended: no client is let in");
            }
        }
    }
}

impl Tls {
    /// When what is in each file ends.
    #[must_use]
    pub fn ends(&self) -> Vec<FileEnd> {
        let (warning, now_s) = (self.config().expiry_warning, now_s());
        let loaded = self.0.loaded.load();
        let ends = loaded.ends.iter().map(|end| FileEnd {
            file: end.file.clone(),
            kind: end.kind,
            at_s: end.at_s,
            is_soon: end.standing(warning, now_s) != Standing::Far,
        });
        ends.collect()
    }

    /// Notes in the metrics when each file ends, and tells the log of those whose end is near or
    /// past where it `is_told`.
    pub(super) fn note_ends(&self, is_told: bool) {
        let (warning, now_s) = (self.config().expiry_warning, now_s());
        for end in &self.0.loaded.load().ends {
            let standing = end.standing(warning, now_s);
            end.note(standing);
            if is_told {
                end.tell(standing);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_so_long_before() {
        let end = |at_s| End {
            file: String::new(),
            kind: FileKind::Revocations,
            at_s,
        };
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        let now = 1_000 * DAY_S;
        for (at, warning, expect) in [
            (None, week, Standing::Far),
            (Some(now), week, Standing::Past),
            (Some(now - 1), Duration::ZERO, Standing::Past),
            (Some(now + 1), Duration::ZERO, Standing::Far),
            (Some(now + 1), week, Standing::Soon { days: 0 }),
            (Some(now + 7 * DAY_S), week, Standing::Soon { days: 7 }),
            (Some(now + 7 * DAY_S + 1), week, Standing::Far),
            (
                Some(i64::MAX),
                Duration::MAX,
                Standing::Soon {
                    days: (i64::MAX - now) / DAY_S,
                },
            ),
            (Some(i64::MIN), week, Standing::Past),
        ] {
            assert_eq!(end(at).standing(warning, now), expect, "{at:?}");
        }
    }
}
