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
use super::expiry::{End, FileKind};

/// Bytes of a file of certificates, keys or revocations.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// A certificate with its key and what it says of itself.
pub(super) struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    /// The names that it is for, in lower case; some begin with `*.`.
    pub(super) names: Vec<String>,
    /// When it ends, or one of those that vouch for it.
    pub(super) end: End,
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
        let names = names(leaf)
            .ok_or_else(|| TlsError::unusable(certificate, "it is no X.509 certificate"))?;
        if names.is_empty() {
            tracing::warn!(
                file = %certificate.display(),
                "the certificate names no host (subjectAltName): clients refuse it"
            );
        }
        let end = End::of_chain(certificate, FileKind::Certificate, &chain);
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
            end,
        })
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

/// The names of the hosts that a certificate is for; none where it is none.
fn names(der: &[u8]) -> Option<Vec<String>> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let names = certificate.subject_alternative_name().ok()?;
    let names = names.map_or(&[][..], |extension| &extension.value.general_names);
    let names = names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    Some(names.collect())
}
