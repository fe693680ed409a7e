//! Talks to a server: finds it, finds the key, and turns refusals into one clear line.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use reqwest::{ClientBuilder, Method, RequestBuilder, Response, Url};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::signing::SigningKey;
use super::{PlaceArgs, output};
use crate::app::{ADMIN_KEY_FILE, DiscoveryFile};
use crate::auth::PresentedKey;
use crate::outgoing::is_this_machine;

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
    /// File with a key that signs, as `keys create --json` prints it, to sign with
    #[arg(
        long,
        value_name = "FILE",
        env = "BELLJAR_SIGNING_FILE",
        hide_env_values = true,
        conflicts_with = "admin_key_file"
    )]
    signing_file: Option<PathBuf>,
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
            signing_file: None,
            place,
        }
    }
}

impl ClientArgs {
    /// The places of this machine's settings and data.
    pub(super) fn place(&self) -> &PlaceArgs {
        &self.place
    }

    /// The settings of this machine.
    pub(super) fn resolve(&self) -> Result<crate::config::Resolved, super::Failure> {
        self.place.resolve()
    }

    /// The data directory, where no server is named and none runs on it.
    pub(super) fn stopped_data_dir(&self) -> Result<Option<PathBuf>, super::Failure> {
        if self.server.is_some() {
            return Ok(None);
        }
        let data_dir = self.place.data_dir()?;
        // One that was killed has left the file behind.
        let runs = DiscoveryFile::read(&data_dir).is_some_and(|file| file.is_of_a_process());
        Ok((!runs).then_some(data_dir))
    }
}

/// A server and a key for it.
pub(super) struct Client {
    http: reqwest::Client,
    place: Place,
    credential: Credential,
}

/// What says who sends a request.
enum Credential {
    Key(SecretString),
    Signing(SigningKey),
}

/// Where a server is.
pub(super) struct Place {
    base: Url,
    /// The socket of this machine that leads to it, if one does.
    socket: Option<PathBuf>,
    /// Whether it was named, and not found in a data directory.
    is_named: bool,
}

impl Place {
    /// The server of that address.
    pub(super) fn named(url: &str) -> Result<Self, super::Failure> {
        Ok(Self {
            base: base_url(url).map_err(super::Failure::usage)?,
            socket: None,
            is_named: true,
        })
    }

    /// The server behind a socket of the file system.
    pub(super) fn behind(socket: PathBuf) -> Result<Self, super::Failure> {
        let socket = Some(socket);
        let place = Self::named("localhost")?;
        Ok(Self { socket, ..place })
    }

    /// The server of a data directory.
    pub(super) fn of(data_dir: &Path) -> Result<Self, super::Failure> {
        let file = DiscoveryFile::read(data_dir).with_context(|| {
            format!(
                "no server runs on {}: start one with `belljar serve`, or name one with --server",
                data_dir.display()
            )
        })?;
        // What a socket of this machine carries needs no encryption.
        let url = match &file.socket {
            Some(_) => file.url.replacen("https:", "http:", 1),
            None => file.url,
        };
        Ok(Self {
            socket: file.socket,
            is_named: false,
            ..Self::named(&url)?
        })
    }

    /// Whether it is of this machine.
    fn is_loopback(&self) -> bool {
        is_this_machine(&self.base)
    }

    /// The address of a path made of these parts, each of which may hold any character.
    pub(super) fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// What connections to it begin with.
    pub(super) fn connecting(&self) -> ClientBuilder {
        // Fails only where a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("belljar/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            // A redirect could carry the key to somebody else.
            .redirect(reqwest::redirect::Policy::none())
            // What a proxy sees, it sees with the key.
            .no_proxy();
        let http = match &self.socket {
            Some(socket) => http.unix_socket(socket.as_path()),
            None => http,
        };
        if self.base.scheme() == "http" {
            // Nobody's certificate is looked at. The authorities of the machine would be read all
            // the same, and where it has none, as in an image of nothing but this program, that
            // is an error.
            http.tls_certs_only([])
        } else {
            http
        }
    }

    /// The same for a question without a secret, which may be asked of whoever listens there: a
    /// certificate is for the name by which others call a server, and not for the loopback
    /// address, by which a server is found that has no socket for this.
    pub(super) fn connecting_without_secrets(&self) -> ClientBuilder {
        let connecting = self.connecting();
        if self.is_loopback() && !self.is_named {
            connecting.tls_danger_accept_invalid_certs(true)
        } else {
            connecting
        }
    }

    /// Says that it cannot be talked to.
    pub(super) fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        let mut reason: &dyn std::error::Error = error;
        while let Some(source) = reason.source() {
            reason = source;
        }
        let place = match &self.socket {
            Some(socket) if self.is_named => socket.display().to_string(),
            _ => self.base.to_string(),
        };
        if error.is_connect() {
            anyhow!("no server answers at {place}: {reason}")
        } else {
            anyhow!("the connection to {place} failed: {reason}")
        }
    }
}

impl Client {
    pub(super) fn new(args: &ClientArgs) -> Result<Self, super::Failure> {
        let data_dir = match (&args.server, &args.admin_key_file) {
            // Everything is said: the settings of this machine do not matter.
            (Some(_), Some(_)) => None,
            _ => Some(args.place.data_dir()?),
        };
        let place = match (&args.server, &data_dir) {
            (Some(url), _) => Place::named(url)?,
            (None, Some(dir)) => Place::of(dir)?,
            (None, None) => return Err(anyhow!("no server is named: use --server").into()),
        };
        let credential = match (&args.signing_file, &args.admin_key_file, data_dir) {
            (Some(path), ..) => Credential::Signing(SigningKey::read(path)?),
            (None, Some(path), _) => Credential::Key(read_key(path)?),
            // The key of this machine's server is for this machine's server.
            (None, None, Some(dir)) if place.is_loopback() => {
                Credential::Key(read_key(&dir.join(ADMIN_KEY_FILE))?)
            }
            (None, None, _) => {
                let error = anyhow!(
                    "{} is another machine: name its key with --admin-key-file",
                    place.base
                );
                return Err(super::Failure::usage(error));
            }
        };
        let shows_key = matches!(credential, Credential::Key(_));
        if shows_key && place.base.scheme() == "http" && !place.is_loopback() {
            output::note("warning: the key is sent over a connection without encryption");
        }
        let http = place.connecting().build();
        let http = http.context("the HTTP client cannot be set up")?;
        Ok(Self {
            http,
            place,
            credential,
        })
    }

    /// A request to a path made of these parts, each of which may hold any character.
    pub(super) fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let request = self.http.request(method, self.place.url(path));
        match &self.credential {
            Credential::Key(key) => request.bearer_auth(key.expose_secret()),
            // Signed when it is whole.
            Credential::Signing(_) => request,
        }
    }

    /// Sends a request and reads the JSON of the answer.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Value> {
        read_json(self.answer(request, None).await?).await
    }

    /// Sends a request and reads the text of the answer, and where the page after it begins.
    pub(super) async fn send_for_text(
        &self,
        request: RequestBuilder,
    ) -> Result<(String, Option<String>)> {
        let response = self.answer(request, None).await?;
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

    /// The address of a path, for a person to ask.
    pub(super) fn url(&self, path: &[&str]) -> Url {
        self.place.url(path)
    }

    /// Whether requests are signed, so that a body that streams must come with its digest.
    pub(super) fn signs(&self) -> bool {
        matches!(self.credential, Credential::Signing(_))
    }

    /// Sends a request. `digest` is the SHA-256 of a body that streams.
    pub(super) async fn answer(
        &self,
        request: RequestBuilder,
        digest: Option<[u8; 32]>,
    ) -> Result<Response> {
        let mut request = request.build().context("the request cannot be made")?;
        if let Credential::Signing(key) = &self.credential {
            key.sign(&mut request, digest)?;
        }
        let answer = self.http.execute(request).await;
        answer.map_err(|error| self.place.unreachable(&error))
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
    let id = id.filter(|_| status.is_server_error());
    Err(Refusal {
        message: message.to_owned(),
        code: field("code").unwrap_or_default().to_owned(),
        request: id.map_or_else(String::new, |id| format!("; request id {id}")),
    }
    .into())
}

/// What a server has refused a request with.
#[derive(Debug, thiserror::Error)]
#[error("{}{request}", output::with_code(message, code))]
pub(super) struct Refusal {
    message: String,
    /// Stable and for programs.
    pub(super) code: String,
    request: String,
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

fn read_key(path: &Path) -> Result<SecretString> {
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
            assert!(is_this_machine(&base_url(here).unwrap()), "{here}");
        }
        for there in [
            "example.org",
            "http://localhost.example.org",
            "http://10.0.0.1:1",
        ] {
            assert!(!is_this_machine(&base_url(there).unwrap()), "{there}");
        }
        for bad in ["ftp://x", "http://", "file:///x"] {
            assert!(base_url(bad).is_err(), "{bad}");
        }
    }
}
