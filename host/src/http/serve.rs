//! Accepts connections and serves them until told to stop.
//!
//! What one connection may cost is bounded here: its number, its time without a request, the
//! time of a head, and the time in which its peer takes nothing. The time of a body is bounded
//! where it is read, that of a whole request by a layer.

mod connection_limit;
mod date;
mod early_error;
mod listener;
mod opening;
mod presence;
mod socket;
mod tracked;
mod unread;
mod watchdog;
mod wire;

use super::severance::{Severance, Severed};
use super::signature::{AskedUri, Encrypted};
use super::state::Config;
use super::surface::{self, Surface};
use crate::telemetry::metrics;
use crate::tls::Tls;
use axum::Router;
use connection_limit::{ConnectionLimiter, ConnectionPermit, ConnectionRefused};
use http::{HeaderValue, Request, Version};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use listener::Accepted;
pub use listener::Listener;
use opening::{Opened, Protocol, Whose};
use socket::{Carrier, LentSocket, Socket};
use std::future::{Future, poll_fn};
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tower::Service as _;
use tracked::{OpenRequest, TrackedAnswer};
use watchdog::{ConnectionWatchdog, TimeoutKind};
use wire::{HEAD_BYTES_KEPT, Wire};

/// How long to wait before the next connection when the system has none to give, as when it is
/// out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a connection that is to end may go on sending.
const LINGER: Duration = Duration::from_secs(2);

/// Bytes that it may send meanwhile. A body a little over the limits is read to its end, so that
/// a client which looks for an answer only then finds it; who sends more has no use for that.
const LINGER_BYTES_MAX: u64 = 16 << 20;

/// How long a connection that is refused has to say what it asks for.
const FIRST_WORDS: Duration = Duration::from_millis(200);

/// Refused connections that are told so at once; those beyond are closed without a
/// word, so that being full costs no more than this.
const EARLY_ERRORS_MAX: usize = 64;

/// Bytes that the HTTP library may hold of a connection's reads and writes, besides what a head
/// needs. Its own choice, 400 KiB, would let a few hundred slow clients hold a lot.
const BUFFER_BYTES: usize = 64 << 10;

/// Headers that the HTTP library has room for on its stack; another number costs it an
/// allocation for each request.
const HEADERS_ON_STACK: usize = 100;

/// What is spoken on a listener, and how.
struct Endpoint {
    router: Router,
    config: Config,
    tls: Option<Tls>,
    /// What browsers are told of HTTPS on each answer.
    hsts: Option<HeaderValue>,
    stopping: CancellationToken,
}

/// Serves `router` on `listener`, over TLS where there is one, until `shutdown` is done. Then takes
/// no more connections, lets open requests and streams finish within the grace period, and ends the
/// rest.
///
/// A caller that goes away takes its handler with it: the future is dropped, and with it the run.
/// Over HTTP/1 a caller that has gone is told from one that has only ended its sending side, and
/// waits for its answer, by what becomes of a few bytes that are sent to it.
pub async fn serve(
    listener: impl Into<Listener>,
    tls: Option<Tls>,
    router: Router,
    config: Config,
    shutdown: impl Future<Output = ()>,
) {
    let mut listener = listener.into();
    let mut connections = JoinSet::new();
    let stopping = CancellationToken::new();
    let endpoint = Arc::new(Endpoint {
        router,
        config: config.clone(),
        hsts: tls.as_ref().and_then(|tls| hsts(tls.config().hsts)),
        tls,
        stopping: stopping.clone(),
    });
    let limiter =
        ConnectionLimiter::new(config.connections_max, config.connections_per_address_max);
    let early_errors = Arc::new(Semaphore::new(EARLY_ERRORS_MAX));
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            // A server that is to stop takes nothing more, however many are waiting.
            biased;
            () = &mut shutdown => break,
            // Collects what has ended, so that the set does not grow with the connections.
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(Accepted { socket, peer }) => {
                let address = config.origin.peer(peer).network();
                // A proxy has the connections of all whom it speaks for.
                let is_proxy = config.origin.trusts(peer);
                match limiter.enter(address, is_proxy) {
                    Ok(permit) => {
                        let connection = serve_connection(socket, peer, Arc::clone(&endpoint));
                        connections.spawn(holding(permit, connection));
                    }
                    Err(why) => {
                        metrics::CONNECTIONS_REFUSED
                            .with([("reason", why.name().into())])
                            .increment(1);
                        // What could be said to a peer that speaks TLS would cost a handshake.
                        if endpoint.tls.is_none()
                            && let Ok(permit) = Arc::clone(&early_errors).try_acquire_owned()
                        {
                            connections.spawn(async move {
                                turn_away(socket, why).await;
                                drop(permit);
                            });
                        }
                    }
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!("cannot accept connections: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // The port is free for the next server while this one finishes.
    drop(listener);
    stopping.cancel();
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(config.shutdown_grace, all_ended)
        .await
        .is_err()
    {
        let open = connections.len();
        tracing::warn!(
            connections = open,
            "the grace period is over; ending open requests"
        );
    }
    connections.shutdown().await;
}

/// What browsers are told of HTTPS, unless that is nothing.
fn hsts(time: Duration) -> Option<HeaderValue> {
    let text = format!("max-age={}", time.as_secs());
    let value = HeaderValue::from_str(&text).ok();
    value.filter(|_| time >= Duration::from_secs(1))
}

/// Drives a connection, whose permit is given back when it has ended.
async fn holding(permit: ConnectionPermit, connection: impl Future<Output = ()>) {
    connection.await;
    drop(permit);
}

/// Tells a peer that its connection is refused, in the form of what it asks for, if it has said
/// that in a moment.
async fn turn_away(socket: Socket, why: ConnectionRefused) {
    let mut head = [0; HEAD_BYTES_KEPT];
    let seen = tokio::time::timeout(FIRST_WORDS, socket.peek(&mut head)).await;
    let seen = seen.map_or(0, Result::unwrap_or_default);
    let surface = Surface::of_head(head.get(..seen).unwrap_or_default());
    let early_error = early_error::bytes(early_error::refused_connection(why), surface);
    // Fits into the buffer of a fresh socket, so a peer that does not read holds up nothing.
    if LentSocket(&socket).write_all(&early_error).await.is_ok() {
        linger(socket).await;
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

async fn serve_connection(socket: Socket, peer: IpAddr, endpoint: Arc<Endpoint>) {
    let Endpoint { tls, config, .. } = &*endpoint;
    // What is over after a moment, and what few connections need, is on the heap: it would take
    // room in each of ten thousand that wait for the next token.
    let begin = Box::pin(async {
        let peer = opening::peer(&socket, peer, config).await?;
        opening::open(&socket, peer, tls.as_ref(), config).await
    });
    // A peer that has said nothing yet is not waited for when the server stops.
    let Some(Some(opened)) = endpoint.stopping.run_until_cancelled(begin).await else {
        return;
    };
    let lingers = match opened {
        Opened::Http(Protocol::Http1, whose, carrier) => {
            serve_http1(&socket, carrier, whose, &endpoint).await
        }
        Opened::Http(Protocol::Http2, whose, carrier) => {
            Box::pin(serve_http2(&socket, carrier, whose, &endpoint)).await;
            false
        }
        Opened::Refused => true,
    };
    if lingers {
        linger(socket).await;
    }
}

/// Says whether what the peer is still sending is to be thrown away for a moment.
async fn serve_http1(
    socket: &Socket,
    carrier: Carrier<'_>,
    whose: Whose,
    endpoint: &Endpoint,
) -> bool {
    let (ended, wire) = drive_http1(socket, carrier, whose, endpoint).await;
    // How a connection ends is the peer's doing; there is no line in the log for it.
    let (refused, surface) = (wire.refused(), wire.surface());
    let early_error = match (&ended, refused) {
        (Ended::ByItself(Ok(())), _) => None,
        (Ended::ByItself(Err(error)), Some(status)) => {
            Some(early_error::malformed(status, &error.to_string()))
        }
        (Ended::ByItself(Err(_)), None) | (Ended::Lost, _) => return false,
        (Ended::Severed(Severed::Closed), _) => return false,
        (Ended::Severed(Severed::HalfClosed), _) => return true,
        (Ended::Severed(Severed::Reset), _) => {
            socket.reset();
            return false;
        }
        (Ended::TimedOut(kind), _) => {
            metrics::CONNECTIONS_CUT
                .with([("reason", kind.name().into())])
                .increment(1);
            match kind {
                TimeoutKind::Idle => return false,
                TimeoutKind::Head => Some(early_error::slow_head()),
                TimeoutKind::Stalled => {
                    socket.reset();
                    return false;
                }
            }
        }
    };
    let mut carrier = wire.into_carrier();
    if let Some(early_error) = early_error {
        metrics::MALFORMED_REQUESTS
            .with([("reason", early_error.code().into())])
            .increment(1);
        // A full socket takes none of it, and is not waited for.
        let bytes = early_error::bytes(early_error, surface);
        let written = tokio::time::timeout(LINGER, carrier.write_all(&bytes)).await;
        if !matches!(written, Ok(Ok(()))) {
            return false;
        }
    }
    // Of TLS its own end; that of the socket is for whoever lingers.
    let closed = tokio::time::timeout(LINGER, carrier.shutdown()).await;
    matches!(closed, Ok(Ok(())))
}

/// Serves the requests of a connection of HTTP/1 until it ends.
async fn drive_http1<'a>(
    socket: &Socket,
    carrier: Carrier<'a>,
    whose: Whose,
    endpoint: &Endpoint,
) -> (Ended, Wire<Carrier<'a>>) {
    let Endpoint {
        config, stopping, ..
    } = endpoint;
    let watchdog = Arc::new(ConnectionWatchdog::new(config, false));
    let severance = severance(config);
    let severed = severance.as_ref();
    let service = service_fn(|request| answer(endpoint, request, &whose, &watchdog, severed));
    let mut builder = http1::Builder::new();
    builder
        // The watchdog keeps the time of heads, which it can tell from the time without any.
        .header_read_timeout(None)
        // See `date`.
        .auto_date_header(false)
        .half_close(config.half_close)
        .max_buf_size(config.header_bytes_max.saturating_add(BUFFER_BYTES))
        .max_header_size(config.header_bytes_max);
    if config.headers_max != HEADERS_ON_STACK {
        builder.max_headers(config.headers_max);
    }
    // What a peer of TLS gets ahead cannot be plain, and it sends nothing after its last word
    // but the end of the connection: it is not waited for.
    let half_close = config.half_close && matches!(carrier, Carrier::Plain(_));
    let wire = TokioIo::new(Wire::new(carrier, Arc::clone(&watchdog)));
    let mut connection = builder.serve_connection(wire, service);
    let mut timer = WatchdogTimer::new(config);
    // Made for the first answer that is not there at once: many connections never have one.
    let mut lost = None;
    let mut stopped = pin!(stopping.cancelled());
    let mut is_stopping = false;
    let ended = poll_fn(|context| {
        if !is_stopping && stopped.as_mut().poll(context).is_ready() {
            is_stopping = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        if let Poll::Ready(ended) = connection.poll_without_shutdown(context) {
            return Poll::Ready(Ended::ByItself(ended));
        }
        if let Some(how) = severed.and_then(|severance| severance.asked(context)) {
            return Poll::Ready(Ended::Severed(how));
        }
        if !watchdog.is_quiet() {
            let lost = lost.get_or_insert_with(|| {
                Box::pin(presence::lost(socket, &watchdog.presence, half_close))
            });
            if lost.as_mut().poll(context).is_ready() {
                return Poll::Ready(Ended::Lost);
            }
        }
        timer.poll(&watchdog, context).map(Ended::TimedOut)
    })
    .await;
    (ended, connection.into_parts().io.into_inner())
}

async fn serve_http2(socket: &Socket, carrier: Carrier<'_>, whose: Whose, endpoint: &Endpoint) {
    let Endpoint {
        config, stopping, ..
    } = endpoint;
    let watchdog = Arc::new(ConnectionWatchdog::new(config, true));
    let severance = severance(config);
    let severed = severance.as_ref();
    let service = service_fn(|request| answer(endpoint, request, &whose, &watchdog, severed));
    let header_bytes_max = u32::try_from(config.header_bytes_max).unwrap_or(u32::MAX);
    let wire = TokioIo::new(Wire::new(carrier, Arc::clone(&watchdog)));
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .max_concurrent_streams(config.http2_streams_max)
        .max_pending_accept_reset_streams(config.http2_pending_resets_max)
        .max_local_error_reset_streams(config.http2_error_resets_max)
        .max_header_list_size(header_bytes_max)
        .keep_alive_interval(Some(config.header_read_timeout))
        .serve_connection(wire, service);
    let mut connection = pin!(connection);
    let mut timer = WatchdogTimer::new(config);
    let mut stopped = pin!(stopping.cancelled());
    let mut is_stopping = false;
    let timed_out = poll_fn(|context| {
        if !is_stopping && stopped.as_mut().poll(context).is_ready() {
            is_stopping = true;
            connection.as_mut().graceful_shutdown();
        }
        if connection.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        if severed.is_some_and(|severance| severance.asked(context).is_some()) {
            // All streams of it end with it, which is what a server that breaks looks like.
            socket.reset();
            return Poll::Ready(None);
        }
        timer.poll(&watchdog, context).map(Some)
    })
    .await;
    // Closing ends all streams of the peer: one that it does not read holds a run and buffers,
    // and cannot be told apart from the others by a peer that plays fair.
    if let Some(kind) = timed_out {
        metrics::CONNECTIONS_CUT
            .with([("reason", kind.name().into())])
            .increment(1);
    }
}

/// The way to end a connection for its requests, where they may.
fn severance(config: &Config) -> Option<Arc<Severance>> {
    config.severs.then(Arc::default)
}

/// Has a request answered, and keeps it counted as open until its answer has ended.
fn answer(
    endpoint: &Endpoint,
    mut request: Request<Incoming>,
    whose: &Whose,
    watchdog: &Arc<ConnectionWatchdog>,
    severance: Option<&Arc<Severance>>,
) -> TrackedAnswer {
    let (mut router, hsts) = (endpoint.router.clone(), endpoint.hsts.clone());
    request.extensions_mut().insert(whose.peer);
    if let Some(client) = &whose.client {
        request.extensions_mut().insert(client.clone());
    }
    if endpoint.tls.is_some() {
        request.extensions_mut().insert(Encrypted);
    }
    if let Some(severance) = severance {
        request.extensions_mut().insert(Arc::clone(severance));
    }
    if let Some(uri) = surface::respelled(request.uri()) {
        let asked = std::mem::replace(request.uri_mut(), uri);
        request.extensions_mut().insert(AskedUri(asked));
    }
    let open = OpenRequest::begin(watchdog);
    // A connection of HTTP/2 goes on whatever becomes of one request's body.
    if request.version() == Version::HTTP_2 {
        return TrackedAnswer::new(router.call(request), open, None, hsts);
    }
    let (head, body) = request.into_parts();
    let (body, unread) = unread::returned(&head.headers, body);
    let request = Request::from_parts(head, body);
    TrackedAnswer::new(router.call(request), open, unread, hsts)
}

/// The one timer of a connection.
struct WatchdogTimer {
    timer: Pin<Box<Sleep>>,
    /// How long to wait before asking again whether anything is due.
    recheck: Duration,
}

impl WatchdogTimer {
    fn new(config: &Config) -> Self {
        let recheck = config
            .header_read_timeout
            .min(config.idle_timeout)
            .min(config.write_stall_timeout);
        Self {
            timer: Box::pin(tokio::time::sleep(recheck)),
            recheck,
        }
    }

    /// Ready when the connection is to be ended. The timer only moves when it has fired or a
    /// deadline has come nearer, so most requests do not touch it.
    fn poll(
        &mut self,
        watchdog: &ConnectionWatchdog,
        context: &mut Context<'_>,
    ) -> Poll<TimeoutKind> {
        loop {
            if let Some((at, _)) = watchdog.due()
                && at < self.timer.deadline()
            {
                self.timer.as_mut().reset(at);
            }
            ready!(self.timer.as_mut().poll(context));
            let now = Instant::now();
            match watchdog.due() {
                Some((at, kind)) if at <= now => return Poll::Ready(kind),
                Some((at, _)) => self.timer.as_mut().reset(at),
                None => self.timer.as_mut().reset(now + self.recheck),
            }
        }
    }
}

/// Closes a connection so that its last answer arrives.
///
/// A caller whose body was refused is often still sending it. Closing with unread bytes makes
/// the system reset the connection, which can take back the 413 that the caller has not read
/// yet; so what still comes is thrown away for a moment.
async fn linger(mut socket: Socket) {
    let drain = async {
        socket.finish().await?;
        let mut rest = LentSocket(&socket).take(LINGER_BYTES_MAX);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    };
    let _ = tokio::time::timeout(LINGER, drain).await;
}

/// How a connection of HTTP/1 has ended.
enum Ended {
    ByItself(hyper::Result<()>),
    /// Its peer has gone in the middle of an answer.
    Lost,
    /// One of its requests has asked for that.
    Severed(Severed),
    TimedOut(TimeoutKind),
}
