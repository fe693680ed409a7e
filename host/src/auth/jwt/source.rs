//! Reads key sets and lists of revoked ids from where the settings say they are, with a bound on
//! bytes and time.

use std::path::Path;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Url};
use tokio::io::AsyncReadExt as _;

use super::bounds::{KEY_SET_BYTES_MAX, REVOKED_BYTES_MAX};
use super::config::{JwtConfig, KeySource};
use super::error::JwtError;
use super::key_set::KeySet;
use super::revoked::listed;

/// Bytes of a file with authorities.
const AUTHORITIES_BYTES_MAX: usize = 1 << 20;

/// The place of the keys, ready to be read.
pub(super) enum KeyReader {
    File(std::path::PathBuf),
    Url { client: Client, url: Url },
}

impl KeyReader {
    /// Gets ready to read.
    pub(super) async fn new(source: &KeySource, config: &JwtConfig) -> Result<Self, JwtError> {
        match source {
            KeySource::File(path) => Ok(Self::File(path.clone())),
            KeySource::Url(url) => Ok(Self::Url {
                client: client(config).await?,
                url: url.clone(),
            }),
        }
    }

    /// Whether reading asks nobody else, so that a failure is one of the settings.
    pub(super) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Reads the keys.
    pub(super) async fn read(&self) -> Result<KeySet, JwtError> {
        match self {
            Self::File(path) => {
                let json = file(path, KEY_SET_BYTES_MAX).await?;
                KeySet::read(&json, &path.display().to_string())
            }
            Self::Url { client, url } => KeySet::read(&fetch(client, url).await?, url.as_str()),
        }
    }
}

/// Reads the ids in a file, one a line.
pub(super) async fn revoked_ids(
    path: &Path,
) -> Result<std::collections::HashSet<String>, JwtError> {
    listed(&file(path, REVOKED_BYTES_MAX).await?, path)
}

/// A client that goes where it is told and nowhere else.
async fn client(config: &JwtConfig) -> Result<Client, JwtError> {
    let failed = |error: reqwest::Error| JwtError::Client(cause(&error));
    // Fails only where a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut client = Client::builder()
        .user_agent(concat!("belljar/", env!("CARGO_PKG_VERSION")))
        .timeout(config.read_timeout)
        .redirect(Policy::none())
        // What is read from the environment is read by `config`.
        .no_proxy()
        // Each reading is minutes after the one before.
        .pool_max_idle_per_host(0);
    let mut authorities = Vec::new();
    for path in &config.jwks_authorities {
        let pem = file(path, AUTHORITIES_BYTES_MAX).await?;
        authorities.extend(Certificate::from_pem_bundle(&pem).map_err(failed)?);
    }
    if !config.jwks_authorities.is_empty() {
        client = client.tls_certs_only(authorities);
    }
    client.build().map_err(failed)
}

async fn fetch(client: &Client, url: &Url) -> Result<Vec<u8>, JwtError> {
    let failed = |reason: String| JwtError::Url {
        url: url.to_string(),
        reason,
    };
    let request = client.get(url.clone()).header("accept", "application/json");
    let sent = request.send().await;
    let mut response = sent.map_err(|error| failed(cause(&error)))?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(failed(format!("it answers {}", response.status())));
    }
    let mut body = Vec::new();
    while let Some(piece) = response
        .chunk()
        .await
        .map_err(|error| failed(cause(&error)))?
    {
        if body.len() + piece.len() > KEY_SET_BYTES_MAX {
            return Err(JwtError::TooLarge {
                place: url.to_string(),
                bytes_max: KEY_SET_BYTES_MAX,
            });
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// The innermost reason of a failure, which says most.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it takes too long".to_owned();
    }
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}

async fn file(path: &Path, bytes_max: usize) -> Result<Vec<u8>, JwtError> {
    let failed = |source| JwtError::File {
        path: path.to_owned(),
        source,
    };
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let mut bytes = Vec::new();
    let one_more = u64::try_from(bytes_max)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let read = file.take(one_more).read_to_end(&mut bytes).await;
    read.map_err(failed)?;
    if bytes.len() > bytes_max {
        return Err(JwtError::TooLarge {
            place: path.display().to_string(),
            bytes_max,
        });
    }
    Ok(bytes)
}

/// The longest time that a reading takes.
pub(super) fn patience(config: &JwtConfig) -> Duration {
    /// What a reading needs besides the time that the other side is given.
    const OWN: Duration = Duration::from_secs(1);
    config.read_timeout.saturating_add(OWN)
}
