//! Accepts connections and serves them until told to stop.

use super::state::Config;
use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use std::future::Future;
use std::io;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::Service as _;

/// What a client of HTTP/2 begins with.
const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long to wait before the next connection when the system has none to give, as when it is
/// out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves `router` on `listener` until `shutdown` is done. Then takes no more connections, lets
/// open requests and streams finish within the grace period, and ends the rest.
///
/// A caller that goes away takes its handler with it: the future is dropped, and with it the run.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    config: Config,
    shutdown: impl Future<Output = ()>,
) {
    let graceful = GracefulShutdown::new();
    let mut connections = tokio::task::JoinSet::new();
    let stopping = CancellationToken::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            // A server that is to stop takes nothing more, however many are waiting.
            biased;
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
            // Collects what has ended, so that the set does not grow with the connections.
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) => {
                let (router, config) = (router.clone(), config.clone());
                let (watcher, stopping) = (graceful.watcher(), stopping.clone());
                connections.spawn(serve_connection(stream, router, config, watcher, stopping));
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
    if tokio::time::timeout(config.shutdown_grace, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!(
            connections = connections.len(),
            "the grace period is over; ending open requests"
        );
    }
    connections.shutdown().await;
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

async fn serve_connection(
    stream: TcpStream,
    router: Router,
    config: Config,
    watcher: Watcher,
    stopping: CancellationToken,
) {
    // Tokens are small, and none should wait for the next.
    let _ = stream.set_nodelay(true);
    // A peer that has said nothing yet is not waited for when the server stops.
    let protocol = stopping
        .run_until_cancelled(protocol(&stream, config.header_read_timeout))
        .await;
    let Some(Some(protocol)) = protocol else {
        return;
    };
    let service = service_fn(move |request: Request<Incoming>| router.clone().call(request));
    let stream = TokioIo::new(stream);
    // How a connection ends is the peer's doing; there is nothing to tell anyone.
    match protocol {
        Protocol::Http1 => {
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(config.header_read_timeout)
                .serve_connection(stream, service);
            let _ = watcher.watch(connection).await;
        }
        Protocol::Http2 => {
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(config.http2_streams_max)
                .keep_alive_interval(Some(config.header_read_timeout))
                .serve_connection(stream, service);
            let _ = watcher.watch(connection).await;
        }
    }
}

enum Protocol {
    Http1,
    Http2,
}

/// Looks at the first bytes without taking them. None where the peer sends too few in time:
/// a connection that says nothing is not kept.
async fn protocol(stream: &TcpStream, patience: Duration) -> Option<Protocol> {
    let look = async {
        let mut first = [0_u8; HTTP2_PREFACE.len()];
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
            // The first letters of both: rare enough to look again a little later.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(patience, look).await.ok().flatten()
}
