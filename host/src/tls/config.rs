//! The settings of TLS.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::rule::{ClientAuth, ClientRule};
use crate::secrets::SecretText;

/// Where a private key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrivateKeySource {
    /// In a file, in PEM.
    File(PathBuf),
    /// In a setting, in PEM.
    Pem(SecretText),
}

impl<P: Into<PathBuf>> From<P> for PrivateKeySource {
    fn from(path: P) -> Self {
        Self::File(path.into())
    }
}

impl PrivateKeySource {
    /// What messages call it.
    pub(super) fn name(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Pem(_) => PathBuf::from("the value of `tls.key`"),
        }
    }
}

/// The settings of TLS. It is on where there is a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Files with a certificate and those that vouch for it. The first is shown to clients that
    /// ask for no name, or for one that none has.
    pub certificates: Vec<PathBuf>,
    /// The private keys, in the same order. Empty where each certificate's file has its key as
    /// well.
    pub keys: Vec<PrivateKeySource>,
    /// Whether clients are asked for certificates.
    pub client_auth: ClientAuth,
    /// Files with the authorities that vouch for clients.
    pub client_authorities: Vec<PathBuf>,
    /// Files with lists of certificates that these have revoked.
    pub client_revocations: Vec<PathBuf>,
    /// Whose rights certificates have; the first rule that is for one counts.
    pub client_rules: Vec<ClientRule>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
    /// From the start of a connection to the end of its handshake.
    pub handshake_timeout: Duration,
    /// Handshakes at once; others wait.
    pub handshakes_max: usize,
    /// How often the files are looked at; zero for not at all.
    pub watch_period: Duration,
    /// How long before its end a certificate or a list of revocations is told of; zero tells of
    /// none.
    pub expiry_warning: Duration,
    /// How long browsers are told to use nothing but HTTPS; zero tells them nothing.
    pub hsts: Duration,
    /// The address on which plain requests are sent to HTTPS, if there is one.
    pub redirect_listen: Option<SocketAddr>,
    /// The port to which they are sent; none for the server's own.
    pub redirect_port: Option<u32>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// 1.2, with forward secrecy and authenticated encryption only.
    #[default]
    Tls12,
    /// 1.3.
    Tls13,
}

/// The text is no version of TLS that is spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 1.2 or 1.3; older versions are not safe and not spoken")]
pub struct InvalidTlsVersion;

impl Default for Config {
    fn default() -> Self {
        Self {
            certificates: Vec::new(),
            keys: Vec::new(),
            client_auth: ClientAuth::Off,
            client_authorities: Vec::new(),
            client_revocations: Vec::new(),
            client_rules: Vec::new(),
            min_version: TlsVersion::default(),
            handshake_timeout: Duration::from_secs(10),
            handshakes_max: 512,
            watch_period: Duration::from_secs(10),
            expiry_warning: Duration::from_secs(14 * 24 * 60 * 60),
            hsts: Duration::ZERO,
            redirect_listen: None,
            redirect_port: None,
        }
    }
}

impl Config {
    /// Whether connections are encrypted.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.certificates.is_empty()
    }

    /// Each certificate's file with the file of its key.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&Path, PrivateKeySource)> {
        self.certificates.iter().enumerate().map(|(at, file)| {
            let own = || PrivateKeySource::File(file.clone());
            let key = self.keys.get(at).cloned().unwrap_or_else(own);
            (file.as_path(), key)
        })
    }

    /// All files that are read.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        let of_clients = self
            .client_authorities
            .iter()
            .chain(&self.client_revocations);
        let keys = self.keys.iter().filter_map(|key| match key {
            PrivateKeySource::File(path) => Some(path),
            PrivateKeySource::Pem(_) => None,
        });
        let files = self.certificates.iter().chain(keys).chain(of_clients);
        files.map(PathBuf::as_path)
    }
}

impl FromStr for TlsVersion {
    type Err = InvalidTlsVersion;

    fn from_str(text: &str) -> Result<Self, InvalidTlsVersion> {
        match text {
            "1.2" => Ok(Self::Tls12),
            "1.3" => Ok(Self::Tls13),
            _ => Err(InvalidTlsVersion),
        }
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        })
    }
}
