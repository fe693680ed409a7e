//! Talks to a server: finds it, finds the key, and turns refusals into one clear line.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use reqwest::{Method, RequestBuilder, Response, Url};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::{PlaceArgs, output};
use crate::app::{ADMIN_KEY_FILE, DiscoveryFile};
use crate::auth::PresentedKey;

/// Arguments of all commands that talk to a server.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct ClientArgs {
    /// Server to talk to (default: the one of the data directory)
    #[arg(
        long,
        value_name = "URL",
        env = "BELLJAR_SERVER",
        hide_env_values = true
    )]
    server: Option<String>,
    /// File with the key to use (default: admin.key of the data directory)
    #[arg(
        long,
        value_name = "FILE",
        env = "BELLJAR_ADMIN_KEY_FILE",
        hide_env_values = true
    )]
    admin_key_file: Option<PathBuf>,
    #[command(flatten)]
    place: PlaceArgs,
}

impl ClientArgs {
    /// The same for a command in which a server is one of several things to ask.
    pub(super) fn new(
        server: Option<String>,
        admin_key_file: Option<PathBuf>,
        place: PlaceArgs,
    ) -> Self {
        Self {
            server,
            admin_key_file,
            place,
        }
    }
}

/// A server and a key for it.
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    key: SecretString,
}

impl Client {
    pub(super) fn new(args: &ClientArgs) -> Result<Self, super::Failure> {
        let data_dir = match (&args.server, &args.admin_key_file) {
            // Everything is said: the settings of this machine do not matter.
            (Some(_), Some(_)) => None,
            _ => Some(args.place.data_dir()?),
        };
        let (base, socket) = match (&args.server, &data_dir) {
            (Some(url), _) => (url.clone(), None),
            (None, Some(dir)) => {
                let file = DiscoveryFile::read(dir).with_context(|| {
                    format!(
                        "no server runs on {}: start one with `belljar serve`, or name one with \
                         --server",
                        dir.display()
                    )
                })?;
                // What a socket of this machine carries needs no encryption.
                let url = match &file.socket {
                    Some(_) => file.url.replacen("https:", "http:", 1),
                    None => file.url,
                };
                (url, file.socket)
            }
            (None, None) => return Err(anyhow!("no server is named: use --server").into()),
        };
        let base = base_url(&base).map_err(super::Failure::usage)?;
        let key_file = match (&args.admin_key_file, data_dir) {
            (Some(path), _) => path.clone(),
            // The key of this machine's server is for this machine's server.
            (None, Some(dir)) if is_loopback(&base) => dir.join(ADMIN_KEY_FILE),
            (None, _) => {
                let error =
                    anyhow!("{base} is another machine: name its key with --admin-key-file");
                return Err(super::Failure::usage(error));
            }
        };
        let key = read_key(&key_file)?;
        if base.scheme() == "http" && !is_loopback(&base) {
            output::note("warning: the key is sent over a connection without encryption");
        }
        // Fails only where a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("belljar/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(std::time::Duration::from_secs(10))
            // A redirect could carry the key to somebody else.
            .redirect(reqwest::redirect::Policy::none())
            // What a proxy sees, it sees with the key.
            .no_proxy();
        let http = match socket {
            Some(socket) => http.unix_socket(socket),
            None => http,
        };
        let http = http.build().context("the HTTP client cannot be set up")?;
        Ok(Self { http, base, key })
    }

    /// A request to a path made of these parts, each of which may hold any character.
    pub(super) fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        self.http
            .request(method, url)
            .bearer_auth(self.key.expose_secret())
    }

    /// Sends a request and reads the JSON of the answer.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Value> {
        let response = request
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        read_json(response).await
    }

    /// Sends a request and reads the text of the answer, and where the page after it begins.
    pub(super) async fn send_for_text(
        &self,
        request: RequestBuilder,
    ) -> Result<(String, Option<String>)> {
        let response = request
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        if !response.status().is_success() {
            read_json(response).await?;
            bail!("the answer is no text: is this a belljar server?");
        }
        let next = response
            .headers()
            .get("link")
            .and_then(|link| link.to_str().ok());
        let next = next.and_then(|link| link.split_once("after=")?.1.split('>').next());
        let next = next.map(str::to_owned);
        let text = response.text().await.context("the answer broke off")?;
        Ok((text, next))
    }

    /// Says that the server cannot be talked to.
    pub(super) fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        let mut reason: &dyn std::error::Error = error;
        while let Some(source) = reason.source() {
            reason = source;
        }
        if error.is_connect() {
            anyhow!("no server answers at {}: {reason}", self.base)
        } else {
            anyhow!("the connection to {} failed: {reason}", self.base)
        }
    }
}

/// Reads an answer; a refusal becomes an error that says what the server said.
pub(super) async fn read_json(response: Response) -> Result<Value> {
    let status = response.status();
    let id = response
        .headers()
        .get("x-request-id")
        .and_then(|id| id.to_str().ok())
        .map(str::to_owned);
    let body = response.bytes().await.context("the answer broke off")?;
    if status.is_success() {
        if body.is_empty() {
            return Ok(Value::Null);
        }
        return serde_json::from_slice(&body)
            .context("the answer is not JSON: is this a belljar server?");
    }
    let envelope: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let field = |name: &str| {
        envelope
            .pointer(&format!("/error/{name}"))
            .and_then(Value::as_str)
    };
    let Some(message) = field("message") else {
        bail!("the server answered {status} without saying why: is this a belljar server?");
    };
    let code = field("code").map_or_else(String::new, |code| format!(" ({code})"));
    let id = id.filter(|_| status.is_server_error());
    let id = id.map_or_else(String::new, |id| format!("; request id {id}"));
    bail!("{message}{code}{id}")
}

fn base_url(text: &str) -> Result<Url> {
    let full = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let url: Url = full
        .parse()
        .with_context(|| format!("--server `{text}` is not an address"))?;
    if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
        bail!("--server wants an http or https address such as http://127.0.0.1:8000");
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

fn read_key(path: &std::path::Path) -> Result<SecretString> {
    let text = fs::read_to_string(path)
        .map(Zeroizing::new)
        .with_context(|| {
            format!(
                "the key in {} cannot be read: run as the user of the server, or name another file \
             with --admin-key-file",
                path.display()
            )
        })?;
    let key = text.trim();
    if PresentedKey::parse(key.as_bytes()).is_err() {
        bail!("{} does not hold a key", path.display());
    }
    Ok(key.to_owned().into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_loopback_gets_the_local_key() {
        for here in [
            "127.0.0.1:8000",
            "http://localhost",
            "http://[::1]:1",
            "https://127.9.9.9",
        ] {
            assert!(is_loopback(&base_url(here).unwrap()), "{here}");
        }
        for there in [
            "example.org",
            "http://localhost.example.org",
            "http://10.0.0.1:1",
        ] {
            assert!(!is_loopback(&base_url(there).unwrap()), "{there}");
        }
        for bad in ["ftp://x", "http://", "file:///x"] {
            assert!(base_url(bad).is_err(), "{bad}");
        }
    }
}
