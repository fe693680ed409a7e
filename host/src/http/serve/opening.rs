//! What a connection begins with, before HTTP: whom it speaks for, TLS, and which HTTP it is.

use super::socket::{Carrier, LentSocket, Socket};
use super::{LINGER, early_error};
use crate::http::layers::Peer;
use crate::http::proxy_protocol::{self, ProxyProtocol};
use crate::http::state::Config;
use crate::http::surface::Surface;
use crate::telemetry::metrics;
use crate::tls::{Client, HTTP2, HandshakeError, Tls};
use std::net::IpAddr;
use std::time::Duration;
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::TcpStream;

/// What a client of HTTP/2 begins with.
const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long to wait for more of a preface of which a part has come, at first and at most.
const PREFACE_PAUSE: Duration = Duration::from_millis(1);
const PREFACE_PAUSE_MAX: Duration = Duration::from_millis(100);

pub(super) enum Protocol {
    Http1,
    Http2,
}

/// Whom the requests of a connection are of.
pub(super) struct Whose {
    pub(super) peer: Peer,
    /// The client, where it has shown a certificate.
    pub(super) client: Option<Client>,
}

impl From<Peer> for Whose {
    fn from(peer: Peer) -> Self {
        Self { peer, client: None }
    }
}

/// What has become of a fresh connection.
pub(super) enum Opened<'a> {
    /// HTTP can begin.
    Http(Protocol, Whose, Carrier<'a>),
    /// It was told why not.
    Refused,
}

/// Opens a connection. None where it is to be closed, because it does not begin as it must.
pub(super) async fn open<'a>(
    socket: &'a Socket,
    peer: Peer,
    tls: Option<&Tls>,
    config: &Config,
) -> Option<Opened<'a>> {
    if let Socket::Tcp(stream) = socket {
        // Tokens are small, and none should wait for the next.
        let _ = stream.set_nodelay(true);
        if let Some(tls) = tls {
            return encrypt(socket, stream, peer, tls).await;
        }
    }
    let protocol = protocol(socket, config.header_read_timeout).await?;
    let carrier = Carrier::Plain(LentSocket(socket));
    Some(Opened::Http(protocol, peer.into(), carrier))
}

/// The peer of a connection: its other end, or the one that this end speaks for. None where the
/// connection is to be closed, because it does not begin as it must.
pub(super) async fn peer(socket: &Socket, peer: IpAddr, config: &Config) -> Option<Peer> {
    match (config.proxy_protocol, socket) {
        (ProxyProtocol::Off, _) | (_, Socket::Unix(_)) => return Some(Peer(peer)),
        (ProxyProtocol::Required, Socket::Tcp(_)) => {}
    }
    let refused = |reason: &'static str| {
        metrics::CONNECTIONS_REFUSED
            .with([("reason", reason.into())])
            .increment(1);
        None
    };
    if !config.origin.trusts(peer) {
        // Whoever reaches the port past the balancer could claim to be anybody.
        return refused("proxy_untrusted");
    }
    match proxy_protocol::read(&mut LentSocket(socket), config.header_read_timeout).await {
        Ok(source) => Some(Peer(source.unwrap_or(peer))),
        Err(error) => refused(error.name()),
    }
}

/// Encrypts a connection; the two agree on which HTTP it is meanwhile.
async fn encrypt<'a>(
    socket: &'a Socket,
    stream: &TcpStream,
    peer: Peer,
    tls: &Tls,
) -> Option<Opened<'a>> {
    match tls.accept(stream, LentSocket(socket)).await {
        Ok(stream) => {
            let protocol = match stream.get_ref().1.alpn_protocol() {
                Some(HTTP2) => Protocol::Http2,
                _ => Protocol::Http1,
            };
            let client = tls.client(&stream);
            let whose = Whose { peer, client };
            Some(Opened::Http(
                protocol,
                whose,
                Carrier::Tls(Box::new(stream)),
            ))
        }
        Err(HandshakeError::Plain) => {
            tls.note_plain(peer.0);
            refuse_plain(LentSocket(socket)).await
        }
        Err(HandshakeError::Late) => {
            metrics::CONNECTIONS_CUT
                .with([("reason", "handshake".into())])
                .increment(1);
            None
        }
        Err(HandshakeError::Failed) => None,
    }
}

/// Says to whoever speaks plainly on a port for TLS what is wrong, in plain words.
async fn refuse_plain<'a>(mut socket: LentSocket<'_>) -> Option<Opened<'a>> {
    let error = early_error::plain_to_tls();
    metrics::MALFORMED_REQUESTS
        .with([("reason", error.code().into())])
        .increment(1);
    // What was asked for is not read: an answer in the form of each protocol is not owed.
    let bytes = early_error::bytes(error, Surface::Own);
    let written = tokio::time::timeout(LINGER, socket.write_all(&bytes)).await;
    matches!(written, Ok(Ok(()))).then_some(Opened::Refused)
}

/// Looks at the first bytes without taking them. None where the peer sends too few in time:
/// a connection that says nothing is not kept.
async fn protocol(stream: &Socket, limit: Duration) -> Option<Protocol> {
    let look = async {
        let mut first = [0_u8; HTTP2_PREFACE.len()];
        let mut pause = PREFACE_PAUSE;
        loop {
            let seen = stream
                .peek(&mut first)
                .await
                .ok()
                .filter(|seen| *seen > 0)?;
            let seen = first.get(..seen)?;
            if seen == HTTP2_PREFACE {
                return Some(Protocol::Http2);
            }
            if !HTTP2_PREFACE.starts_with(seen) {
                return Some(Protocol::Http1);
            }
            // The first letters of both, which are no more than these where nothing follows.
            if stream
                .ready(Interest::READABLE)
                .await
                .ok()?
                .is_read_closed()
            {
                return Some(Protocol::Http1);
            }
            // Rare enough to look again a little later, and ever later, so that many who say
            // no more cost little.
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PREFACE_PAUSE_MAX);
        }
    };
    tokio::time::timeout(limit, look).await.ok().flatten()
}
