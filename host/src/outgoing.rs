//! Requests that the server itself sends, to where its settings say and nowhere else: in bounded
//! time, without redirects and without a proxy of the environment, and with a bound on the answer.

mod backoff;

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

pub(crate) use backoff::pause;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Method, RequestBuilder, Url};

/// Bytes of a file with authorities.
const AUTHORITIES_BYTES_MAX: u64 = 1 << 20;
/// How long a large file may stand still.
const FILE_STALL_TIME: Duration = Duration::from_secs(30);
/// Characters of a URL.
const URL_CHARACTERS_MAX: usize = 2048;

/// The address of a service: `https`, or `http` on this machine alone, where nobody listens in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceUrl(Url);

/// The text is no address of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an `https://` URL, or an `http://` one of 127.0.0.1, [::1] or localhost, without a \
     user and without a fragment"
)]
pub struct InvalidServiceUrl;

impl FromStr for ServiceUrl {
    type Err = InvalidServiceUrl;

    fn from_str(text: &str) -> Result<Self, InvalidServiceUrl> {
        if text.len() > URL_CHARACTERS_MAX {
            return Err(InvalidServiceUrl);
        }
        let url = Url::parse(text).map_err(|_| InvalidServiceUrl)?;
        let is_allowed = match url.scheme() {
            "https" => url.has_host(),
            "http" => is_this_machine(&url),
            _ => false,
        };
        // What stands in a URL stands in logs.
        let is_bare = url.username().is_empty() && url.password().is_none();
        (is_allowed && is_bare && url.fragment().is_none())
            .then_some(Self(url))
            .ok_or(InvalidServiceUrl)
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ServiceUrl {
    /// The URL of something below this one.
    #[must_use]
    pub fn join(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        // Both schemes have a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// The URL itself.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// The port that is connected to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(443)
    }
}

/// The address that a URL names by a number; none where it is a name.
pub(crate) fn address_in(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.parse().ok()
}

/// Whether a URL is of this machine, by a number or by its usual name.
pub(crate) fn is_this_machine(url: &Url) -> bool {
    url.host_str() == Some("localhost") || address_in(url).is_some_and(|ip| ip.is_loopback())
}

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub enum OutgoingError {
    /// A file with authorities cannot be read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file has no certificates that could vouch for anybody.
    #[error("{path}: it has no certificates in PEM")]
    NoAuthorities {
        /// The file.
        path: PathBuf,
    },
    /// The client could not be set up.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
    /// Nobody answered, or not in time.
    #[error("{0}")]
    Unanswered(String),
    /// The answer is too long.
    #[error("the answer has more than {bytes_max} bytes")]
    TooLarge {
        /// The bound, in bytes.
        bytes_max: usize,
    },
}

/// A client of other services. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outgoing {
    client: Client,
}

impl Outgoing {
    /// A client whose requests take `timeout` at most, their answers included. Servers are vouched
    /// for by the authorities in these files, or by those that the system trusts where there are
    /// none.
    ///
    /// # Errors
    ///
    /// When a file cannot be used.
    pub fn new(timeout: Duration, authorities: &[PathBuf]) -> Result<Self, OutgoingError> {
        let mut client = bounded(timeout);
        if !authorities.is_empty() {
            let mut trusted = Vec::new();
            for path in authorities {
                let found = Certificate::from_pem_bundle(&read_file(path)?);
                let found = found.ok().filter(|found| !found.is_empty());
                let path = path.clone();
                trusted.extend(found.ok_or(OutgoingError::NoAuthorities { path })?);
            }
            client = client.tls_certs_only(trusted);
        }
        Self::built(client)
    }

    /// A client of this machine alone, over plain HTTP: nobody's certificate is looked at, and a
    /// machine without authorities will do.
    ///
    /// # Errors
    ///
    /// When the client cannot be set up.
    pub fn without_tls(timeout: Duration) -> Result<Self, OutgoingError> {
        Self::built(bounded(timeout).tls_certs_only([]))
    }

    /// A client that brings large files, for commands: as long as something comes, it may take any
    /// time.
    ///
    /// # Errors
    ///
    /// When the client cannot be set up.
    pub fn for_files() -> Result<Self, OutgoingError> {
        Self::built(
            unbounded()
                .connect_timeout(FILE_STALL_TIME)
                .read_timeout(FILE_STALL_TIME),
        )
    }

    /// A client that passes on what others ask, for commands: it waits for `stall` at most until
    /// something comes, and as long as something comes for any time. Where it talks to nobody but
    /// over plain HTTP, a machine without authorities will do.
    ///
    /// # Errors
    ///
    /// When the client cannot be set up.
    pub fn for_services(stall: Duration, is_plain: bool) -> Result<Self, OutgoingError> {
        let client = unbounded()
            .connect_timeout(FILE_STALL_TIME)
            .read_timeout(stall);
        Self::built(if is_plain {
            client.tls_certs_only([])
        } else {
            client
        })
    }

    fn built(client: ClientBuilder) -> Result<Self, OutgoingError> {
        let client = client.build();
        let client = client.map_err(|error| OutgoingError::Client(reason(&error)))?;
        Ok(Self { client })
    }

    /// A request, to be given what it carries.
    pub fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends a request and reads the answer, its status and its body of `bytes_max` bytes at most.
    ///
    /// # Errors
    ///
    /// When nobody answers in time, or with more.
    pub async fn send(
        &self,
        request: RequestBuilder,
        bytes_max: usize,
    ) -> Result<(u16, Vec<u8>), OutgoingError> {
        let unanswered = |error: reqwest::Error| OutgoingError::Unanswered(reason(&error));
        let mut answer = request.send().await.map_err(unanswered)?;
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(unanswered)? {
            if body.len() + piece.len() > bytes_max {
                return Err(OutgoingError::TooLarge { bytes_max });
            }
            body.extend_from_slice(&piece);
        }
        Ok((answer.status().as_u16(), body))
    }
}

/// What holds for each client of the server.
fn bounded(timeout: Duration) -> ClientBuilder {
    unbounded().timeout(timeout)
}

/// What holds for each client.
fn unbounded() -> ClientBuilder {
    // Fails only where a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("belljar/", env!("CARGO_PKG_VERSION")))
        // A redirect could carry a secret to somebody else.
        .redirect(Policy::none())
        // What the environment says is read by `config` alone.
        .no_proxy()
        // Minutes lie between two requests, and the runtime may be another by then.
        .pool_max_idle_per_host(0)
}

/// The innermost reason of a failure, which says most and repeats no URL.
pub(crate) fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it takes too long".to_owned();
    }
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}

fn read_file(path: &Path) -> Result<Vec<u8>, OutgoingError> {
    let failed = |source| OutgoingError::File {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    let read = file.take(AUTHORITIES_BYTES_MAX).read_to_end(&mut bytes);
    read.map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_service_is_reached_by_https_or_on_this_machine() {
        for good in [
            "https://vault.example:8200",
            "https://vault.example/prefix",
            "http://127.0.0.1:8200",
            "http://[::1]:1",
            "http://localhost/x?y=z",
        ] {
            let url: ServiceUrl = good.parse().unwrap();
            assert!(url.to_string().starts_with(good), "{url}");
        }
        for bad in [
            "",
            "vault.example",
            "http://vault.example",
            "http://127.0.0.1.example",
            "http://localhost.example",
            "ftp://127.0.0.1",
            "https://user:secret@vault.example",
            "https://vault.example/#x",
            "file:///etc/passwd",
            "https://",
        ] {
            assert_eq!(bad.parse::<ServiceUrl>(), Err(InvalidServiceUrl), "{bad}");
        }
        let long = format!("https://vault.example/{}", "a".repeat(URL_CHARACTERS_MAX));
        assert!(long.parse::<ServiceUrl>().is_err());
    }

    #[test]
    fn paths_are_put_below_a_prefix_and_leave_it_by_no_spelling() {
        let url: ServiceUrl = "https://vault.example/prefix/".parse().unwrap();
        let below = |segments: &[&str]| url.join(segments).to_string();
        assert_eq!(
            below(&["v1", "secret"]),
            "https://vault.example/prefix/v1/secret"
        );
        assert_eq!(
            below(&["a/b?c#d"]),
            "https://vault.example/prefix/a%2Fb%3Fc%23d"
        );
        assert_eq!(url.port(), 443);
    }
}
