//! A certificate with its key, as they are read from files.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use secrecy::zeroize::Zeroizing;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::config::PrivateKeySource;
use super::error::TlsError;
use super::now_s;
use crate::telemetry::metrics;

/// Bytes of a file of certificates, keys or revocations.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Days before its end from which on a certificate's end is told.
const EXPIRES_SOON_DAYS: i64 = 14;
const DAY_S: i64 = 24 * 60 * 60;

/// A certificate with its key and what it says of itself.
pub(super) struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    /// The names that it is for, in lower case; some begin with `*.`.
    pub(super) names: Vec<String>,
    /// The file.
    file: String,
    /// Seconds from the Unix epoch to its end.
    not_after_s: i64,
}

impl Certificate {
    /// Reads a certificate, those that vouch for it, and its key.
    pub(super) fn read(
        certificate: &Path,
        key: &PrivateKeySource,
        provider: &CryptoProvider,
    ) -> Result<Self, TlsError> {
        let chain = read_chain(certificate)?;
        let private = read_key(key)?;
        let leaf = chain.first().ok_or_else(|| TlsError::NoCertificate {
            path: certificate.to_owned(),
        })?;
        let (names, not_after_s) = describe(leaf)
            .ok_or_else(|| TlsError::unusable(certificate, "it is no X.509 certificate"))?;
        let certified = CertifiedKey::from_der(chain, private, provider);
        let certified = certified.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::OtherKey {
                certificate: certificate.to_owned(),
                key: key.name(),
            },
            error => TlsError::unusable(&key.name(), error),
        })?;
        Ok(Self {
            key: Arc::new(certified),
            names,
            file: certificate.display().to_string(),
            not_after_s,
        })
    }

    /// Says when it ends: in a metric always, in the log where that is soon.
    pub(super) fn tell_expiry(&self) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds of this millennium are exact"
        )]
        metrics::TLS_CERTIFICATE_EXPIRY
            .with([("file", self.file.clone().into())])
            .set(self.not_after_s as f64);
        let left_s = self.not_after_s - now_s();
        if left_s <= 0 {
            tracing::error!(file = %self.file, "the certificate has expired: clients refuse it");
        } else if left_s < EXPIRES_SOON_DAYS * DAY_S {
            tracing::warn!(
                file = %self.file,
                days = left_s / DAY_S,
                "the certificate expires soon"
            );
        }
        if self.names.is_empty() {
            tracing::warn!(
                file = %self.file,
                "the certificate names no host (subjectAltName): clients refuse it"
            );
        }
    }
}

/// All certificates of a file, in their order.
pub(super) fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read_file(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|error| TlsError::unusable(path, error))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate {
            path: path.to_owned(),
        });
    }
    Ok(chain)
}

fn read_key(key: &PrivateKeySource) -> Result<PrivateKeyDer<'static>, TlsError> {
    let path = match key {
        PrivateKeySource::File(path) => path,
        PrivateKeySource::Pem(text) => {
            let read = PrivateKeyDer::from_pem_slice(text.expose().as_bytes());
            return read.map_err(|_| TlsError::NoKey { path: key.name() });
        }
    };
    let text = read_file(path)?;
    if std::fs::metadata(path).is_ok_and(|about| about.mode() & 0o007 != 0) {
        tracing::warn!(file = %path.display(), "everybody on this machine can read this private key");
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| TlsError::NoKey { path: path.clone() })
}

/// A file as a whole, wiped when it has been used: it may hold a key.
pub(super) fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let failed = |source| TlsError::File {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Zeroizing::new(Vec::new());
    let file = File::open(path).map_err(failed)?;
    let mut file = file.take(FILE_BYTES_MAX + 1);
    file.read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(TlsError::TooLarge {
            path: path.to_owned(),
            bytes_max: FILE_BYTES_MAX,
        });
    }
    Ok(bytes)
}

/// The names of a certificate and its end.
fn describe(der: &[u8]) -> Option<(Vec<String>, i64)> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let names = certificate.subject_alternative_name().ok()?;
    let names = names.map_or(&[][..], |extension| &extension.value.general_names);
    let names = names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    Some((
        names.collect(),
        certificate.validity().not_after.timestamp(),
    ))
}
