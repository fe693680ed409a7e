//! Why TLS cannot be had as the settings say.

use std::path::{Path, PathBuf};

/// Why certificates cannot be used. No message has anything of a key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// No certificate is named.
    #[error("no certificate is named: TLS is turned on and off by a start, not while it serves")]
    NoCertificates,
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is larger than any that is meant.
    #[error("{path} is larger than {bytes_max} bytes, and is no file of certificates")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read.
        bytes_max: u64,
    },
    /// A file has no certificate in it.
    #[error("{path} has no certificate in PEM (`-----BEGIN CERTIFICATE-----`)")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A file has no private key in it.
    #[error(
        "{path} has no private key in PEM that can be used: PKCS#8, SEC 1 or PKCS#1, without a \
         passphrase"
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key is another certificate's.
    #[error("the key in {key} does not belong to the certificate in {certificate}")]
    OtherKey {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// What is in a file cannot be used.
    #[error("{path} cannot be used: {reason}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The settings do not make a server.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

impl TlsError {
    pub(super) fn unusable(path: &Path, reason: impl ToString) -> Self {
        Self::Unusable {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}
