//! Accepts connections and serves them until told to stop.

use super::state::Config;
use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::future::{Future, poll_fn};
use std::io;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

/// What a client of HTTP/2 begins with.
const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long to wait before the next connection when the system has none to give, as when it is
/// out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a connection that is to end may go on sending.
const LINGER: Duration = Duration::from_secs(2);

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
    let mut connections = JoinSet::new();
    let stopping = CancellationToken::new();
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
            Ok((stream, _)) => {
                let (router, config) = (router.clone(), config.clone());
                connections.spawn(serve_connection(stream, router, config, stopping.clone()));
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
    stopping: CancellationToken,
) {
    // Tokens are small, and none should wait for the next.
    let _ = stream.set_nodelay(true);
    // A peer that has said nothing yet is not waited for when the server stops.
    let protocol = protocol(&stream, config.header_read_timeout);
    let Some(Some(protocol)) = stopping.run_until_cancelled(protocol).await else {
        return;
    };
    let service = service_fn(move |request: Request<Incoming>| router.clone().call(request));
    let stream = TokioIo::new(stream);
    // How a connection ends is the peer's doing; there is nothing to tell anyone.
    match protocol {
        Protocol::Http1 => {
            let mut connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(config.header_read_timeout)
                .serve_connection(stream, service);
            let ended = tokio::select! {
                ended = poll_fn(|context| connection.poll_without_shutdown(context)) => ended,
                () = stopping.cancelled() => {
                    std::pin::Pin::new(&mut connection).graceful_shutdown();
                    poll_fn(|context| connection.poll_without_shutdown(context)).await
                }
            };
            if ended.is_ok() {
                linger(connection.into_parts().io.into_inner()).await;
            }
        }
        Protocol::Http2 => {
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(config.http2_streams_max)
                .keep_alive_interval(Some(config.header_read_timeout))
                .serve_connection(stream, service);
            let mut connection = std::pin::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => {}
                () = stopping.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                }
            }
        }
    }
}

/// Closes a connection so that its last answer arrives.
///
/// A caller whose body was refused is often still sending it. Closing with unread bytes makes
/// the system reset the connection, which can take back the 413 that the caller has not read
/// yet; so what still comes is thrown away for a moment.
async fn linger(mut stream: TcpStream) {
    let drain = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    };
    let _ = tokio::time::timeout(LINGER, drain).await;
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
