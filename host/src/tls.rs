//! TLS on the server's own listener: which certificate a client is shown, in which version, and
//! how that changes while the server runs. Knows no HTTP.
//!
//! What is loaded is swapped in one step: a connection is made by the old certificates or by the
//! new ones, and one that is open stays as it is.

mod certificate;
mod client;
mod config;
mod error;
mod expiry;
mod names;
mod open;
mod rule;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ServerConfig, SupportedProtocolVersion, version};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::clock::time_of_day;
use crate::telemetry::metrics;
use certificate::Certificate;
use client::{ClientCertificate, Clients};
pub use client::{Standing, Verdict};
pub use config::{Config, InvalidTlsVersion, PrivateKeySource, TlsVersion};
pub use error::TlsError;
use expiry::End;
pub use expiry::{FileEnd, FileKind};
use names::ByName;
use open::OpenClients;
pub use rule::{ClientAuth, ClientRule, InvalidClientAuth, InvalidClientRule};
use watch::Fingerprint;

/// The protocol that was agreed on where it is HTTP/2.
pub const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// First byte of whatever begins with a TLS handshake, and of nothing that is HTTP.
const HANDSHAKE: u8 = 22;

/// The time between two lines about plain requests: strangers cause them.
const PLAIN_PERIOD: Duration = Duration::from_secs(60);

/// TLS as it is now. Cheap to clone; clones agree.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    loaded: ArcSwap<Loaded>,
    /// The settings by which it was loaded last.
    config: ArcSwap<Config>,
    /// Places for handshakes that are going on.
    handshakes: Semaphore,
    handshake_timeout: Duration,
    plain: PlainRequests,
    open: OpenClients,
}

struct Loaded {
    server: Arc<ServerConfig>,
    clients: Option<Clients>,
    /// Its number, which no other has.
    generation: u64,
    /// The files as they were before they were read.
    fingerprint: Fingerprint,
    /// When what is in them ends.
    ends: Vec<End>,
}

/// A client that has shown a certificate, as it is known on one connection. Cheap to clone.
#[derive(Clone)]
pub struct Client(Arc<ShownCertificate>);

struct ShownCertificate {
    tls: Tls,
    certificate: ClientCertificate,
}

impl Client {
    /// Who the client is by its certificate and by what is loaded now.
    #[must_use]
    pub fn standing(&self) -> Arc<Standing> {
        let ShownCertificate { tls, certificate } = &*self.0;
        let loaded = tls.0.loaded.load();
        certificate.standing(loaded.clients.as_ref(), loaded.generation, now_s())
    }
}

/// Why a connection is not one of TLS.
#[derive(Debug)]
pub enum HandshakeError {
    /// The first bytes are those of a plain request.
    Plain,
    /// It took too long, or waited too long for its turn.
    Late,
    /// The two have not agreed, or the peer has gone.
    Failed,
}

impl Tls {
    /// Reads everything that the settings name.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or used.
    pub fn load(config: &Config) -> Result<Self, TlsError> {
        let loaded = Loaded::of(config)?;
        let tls = Self(Arc::new(Shared {
            loaded: ArcSwap::from_pointee(loaded),
            config: ArcSwap::from_pointee(config.clone()),
            handshakes: Semaphore::new(config.handshakes_max),
            handshake_timeout: config.handshake_timeout,
            plain: PlainRequests::default(),
            open: OpenClients::default(),
        }));
        tls.note_ends(true);
        Ok(tls)
    }

    /// Reads everything anew. Open connections stay as they are; the certificates that their
    /// clients have shown are held to it from now on.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or used; what was loaded before goes on to be used.
    pub fn reload(&self, config: &Config) -> Result<(), TlsError> {
        let outcome = Loaded::of(config);
        let name = if outcome.is_ok() { "ok" } else { "failed" };
        metrics::TLS_RELOADS
            .with([("outcome", name.into())])
            .increment(1);
        self.0.loaded.store(Arc::new(outcome?));
        self.0.config.store(Arc::new(config.clone()));
        self.note_ends(true);
        Ok(())
    }

    /// The settings by which everything was loaded last.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        self.0.config.load_full()
    }

    fn fingerprint(&self) -> Fingerprint {
        self.0.loaded.load().fingerprint.clone()
    }

    /// Makes a fresh connection one of TLS, within the time that there is for it. `carrier` is what
    /// carries the bytes of `socket`.
    ///
    /// # Errors
    ///
    /// When it does not become one.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: &TcpStream,
        carrier: S,
    ) -> Result<TlsStream<S>, HandshakeError> {
        let shaken =
            tokio::time::timeout(self.0.handshake_timeout, self.shake(socket, carrier)).await;
        let shaken = shaken.unwrap_or(Err(HandshakeError::Late));
        let outcome = match &shaken {
            Ok(_) => "ok",
            Err(HandshakeError::Plain) => "plain",
            Err(HandshakeError::Late) => "late",
            Err(HandshakeError::Failed) => "failed",
        };
        metrics::TLS_HANDSHAKES
            .with([("outcome", outcome.into())])
            .increment(1);
        shaken
    }

    async fn shake<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: &TcpStream,
        carrier: S,
    ) -> Result<TlsStream<S>, HandshakeError> {
        let mut first = [0; 1];
        // Before a place is taken: who says nothing holds none.
        match socket.peek(&mut first).await {
            Ok(1) if first == [HANDSHAKE] => {}
            Ok(1) => return Err(HandshakeError::Plain),
            _ => return Err(HandshakeError::Failed),
        }
        // Never closed, so there is a place in the end, or the time is over.
        let _place = self.0.handshakes.acquire().await;
        let _open = OpenHandshake::begin();
        let server = Arc::clone(&self.0.loaded.load().server);
        let shaken = TlsAcceptor::from(server).accept(carrier).await;
        shaken.map_err(|error| {
            tracing::debug!("a TLS handshake failed: {error}");
            HandshakeError::Failed
        })
    }

    /// The client at the other end, if it has shown a certificate.
    #[must_use]
    pub fn client<S>(&self, stream: &TlsStream<S>) -> Option<Client> {
        let chain = stream.get_ref().1.peer_certificates()?;
        let client = Client(Arc::new(ShownCertificate {
            tls: self.clone(),
            certificate: ClientCertificate::of(chain)?,
        }));
        self.0.open.add(&client);
        Some(client)
    }

    /// Takes note of a plain request, and says at times that they come.
    pub fn note_plain(&self, peer: std::net::IpAddr) {
        if let Some(more) = self.0.plain.note() {
            tracing::warn!(
                peer = %peer,
                more,
                "a plain request came to the port for TLS: its client should say `https://`"
            );
        }
    }
}

impl Loaded {
    fn of(config: &Config) -> Result<Self, TlsError> {
        let fingerprint = watch::fingerprint(config);
        let provider = Arc::new(ring::default_provider());
        let certificates = config
            .pairs()
            .map(|(certificate, key)| Certificate::read(certificate, &key, &provider));
        let certificates: Vec<Certificate> = certificates.collect::<Result<_, _>>()?;
        let mut ends: Vec<End> = certificates.iter().map(|it| it.end.clone()).collect();
        let names = ByName::new(certificates).ok_or(TlsError::NoCertificates)?;
        let clients = Clients::of(config, &provider, &mut ends)?;
        let server = server_config(config, names, clients.as_ref(), provider)?;
        Ok(Self {
            server: Arc::new(server),
            clients,
            generation: NEXT_GENERATION.fetch_add(1, Ordering::Relaxed),
            fingerprint,
            ends,
        })
    }
}

/// The number of what is loaded next.
static NEXT_GENERATION: AtomicU64 = AtomicU64::new(1);

fn server_config(
    config: &Config,
    names: ByName,
    clients: Option<&Clients>,
    provider: Arc<CryptoProvider>,
) -> Result<ServerConfig, TlsError> {
    let versions: &[&SupportedProtocolVersion] = match config.min_version {
        TlsVersion::Tls12 => &[&version::TLS13, &version::TLS12],
        TlsVersion::Tls13 => &[&version::TLS13],
    };
    let nobody = WebPkiClientVerifier::no_client_auth;
    let verifier = clients.map_or_else(nobody, |clients| Arc::clone(&clients.verifier));
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(names));
    server.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
    if clients.is_some() {
        // A session that is resumed repeats what a certificate said when it began.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
    } else {
        // Sessions are resumed by what the client keeps, so they cost the server no memory.
        server.ticketer = ring::Ticketer::new()?;
    }
    Ok(server)
}

/// A handshake that is going on, as the metrics count it.
struct OpenHandshake;

impl OpenHandshake {
    fn begin() -> Self {
        metrics::TLS_HANDSHAKES_OPEN.handle().increment(1.0);
        Self
    }
}

impl Drop for OpenHandshake {
    fn drop(&mut self) {
        metrics::TLS_HANDSHAKES_OPEN.handle().decrement(1.0);
    }
}

/// Counts plain requests, and lets one in a while be told of.
#[derive(Default)]
struct PlainRequests {
    /// Milliseconds from the start to the last line, and one; 0 before the first.
    told_ms: AtomicU64,
    untold: AtomicU64,
    started: std::sync::OnceLock<Instant>,
}

impl PlainRequests {
    /// How many have come untold, where it is time for a line.
    fn note(&self) -> Option<u64> {
        let started = self.started.get_or_init(Instant::now);
        let elapsed = started.elapsed();
        self.note_at(elapsed)
    }

    fn note_at(&self, elapsed: Duration) -> Option<u64> {
        let now = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX - 1) + 1;
        let told = self.told_ms.load(Ordering::Relaxed);
        let period = u64::try_from(PLAIN_PERIOD.as_millis()).unwrap_or(u64::MAX);
        let is_due = told == 0 || now - told.min(now) >= period;
        let is_ours = is_due
            && self
                .told_ms
                .compare_exchange(told, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_ours {
            return Some(self.untold.swap(0, Ordering::Relaxed));
        }
        self.untold.fetch_add(1, Ordering::Relaxed);
        None
    }
}

/// Seconds from the Unix epoch to now.
fn now_s() -> i64 {
    time_of_day().as_second()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_requests_get_a_line_a_minute() {
        let plain = PlainRequests::default();
        let at = |seconds| plain.note_at(Duration::from_secs(seconds));
        assert_eq!(at(1), Some(0));
        assert_eq!(at(2), None);
        assert_eq!(at(59), None);
        assert_eq!(at(62), Some(2));
        assert_eq!(at(63), None);
    }
}
