//! Reads key sets and lists of revoked ids from where the settings say they are, with a bound on
//! bytes and time.

use std::path::Path;
use std::time::Duration;

use reqwest::{Method, Url};
use tokio::io::AsyncReadExt as _;

use super::bounds::{KEY_SET_BYTES_MAX, REVOKED_BYTES_MAX};
use super::config::{JwtConfig, KeySource};
use super::error::JwtError;
use super::key_set::KeySet;
use super::revoked::listed;
use crate::outgoing::{Outgoing, OutgoingError};

/// The place of the keys, ready to be read.
pub(super) enum KeyReader {
    File(std::path::PathBuf),
    Url { client: Outgoing, url: Url },
}

impl KeyReader {
    /// Gets ready to read.
    pub(super) async fn new(source: &KeySource, config: &JwtConfig) -> Result<Self, JwtError> {
        match source {
            KeySource::File(path) => Ok(Self::File(path.clone())),
            KeySource::Url(url) => Ok(Self::Url {
                client: client(url, config)?,
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
fn client(url: &Url, config: &JwtConfig) -> Result<Outgoing, JwtError> {
    let client = match url.scheme() {
        "http" => Outgoing::without_tls(config.read_timeout),
        _ => Outgoing::new(config.read_timeout, &config.jwks_authorities),
    };
    client.map_err(|error| match error {
        OutgoingError::File { path, source } => JwtError::File { path, source },
        error => JwtError::Client(error.to_string()),
    })
}

async fn fetch(client: &Outgoing, url: &Url) -> Result<Vec<u8>, JwtError> {
    /// The status of an answer that holds what was asked for.
    const OK: u16 = 200;
    let failed = |reason: String| JwtError::Url {
        url: url.to_string(),
        reason,
    };
    let request = client.request(Method::GET, url.clone());
    let request = request.header("accept", "application/json");
    match client.send(request, KEY_SET_BYTES_MAX).await {
        Ok((OK, body)) => Ok(body),
        Ok((status, _)) => Err(failed(format!("it answers {status}"))),
        Err(OutgoingError::TooLarge { bytes_max }) => Err(JwtError::TooLarge {
            place: url.to_string(),
            bytes_max,
        }),
        Err(error) => Err(failed(error.to_string())),
    }
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
