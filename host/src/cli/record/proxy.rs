//! The proxy: passes requests on and answers back as they come, and keeps both.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use belljar_testing::recording::{self, BODY_BYTES_MAX, Cutter, Exchange, Headers};
use belljar_testing::scrub::Scrubber;
use belljar_testing::secrets::secrets_of;
use bytes::Bytes;
use futures_core::Stream;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, HeaderName, Uri, header};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::part::Part;
use super::to_call;
use super::upstream::Upstream;
use crate::cli::{Failure, output};
use crate::http::error::ApiError;
use crate::http::recorded::{asked, headers_of, is_of_connection};
use crate::http::surface::Surface;
use crate::ids::RequestId;

/// How long answers that are under way at the end may take.
const GRACE: Duration = Duration::from_secs(30);

/// What goes through is kept here.
pub(super) struct Proxy {
    upstream: Upstream,
    scrubber: Scrubber,
    /// None once the recording has ended.
    part: Mutex<Option<Part>>,
    not_kept: AtomicUsize,
}

/// What is there when a recording has ended.
pub(super) struct Recorded {
    pub(super) part: Part,
    pub(super) not_kept: usize,
}

impl Proxy {
    pub(super) fn new(upstream: Upstream, scrubber: Scrubber, part: Part) -> Self {
        Self {
            upstream,
            scrubber,
            part: Mutex::new(Some(part)),
            not_kept: AtomicUsize::new(0),
        }
    }

    /// Says that an exchange is not in the recording, and why.
    fn pass_over(&self, asked: &recording::Request, why: &str) {
        self.not_kept.fetch_add(1, Ordering::Relaxed);
        output::note(&format!(
            "not recorded: {} {}: {why}",
            asked.method, asked.path
        ));
    }
}

/// Records until a signal comes.
pub(super) async fn run(proxy: Proxy, listen: SocketAddr) -> Result<Recorded, Failure> {
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr()?;
    let proxy = Arc::new(proxy);
    announce(&[("recording", &proxy.upstream.shown())], address)?;
    let routes = Router::new().fallback(pass).with_state(Arc::clone(&proxy));
    serve_until_asked(listener, routes, GRACE).await?;
    let part = proxy.part.lock().take();
    Ok(Recorded {
        part: part.context("the recording has ended already")?,
        not_kept: proxy.not_kept.load(Ordering::Relaxed),
    })
}

/// Says where a server of a command is, in the form of the server's own banner.
pub(in crate::cli) fn announce(rows: &[(&str, &str)], address: SocketAddr) -> Result<()> {
    let url = format!("http://{}", to_call(address));
    for (name, value) in rows {
        output::line(format!("{name:<10} {value}"))?;
    }
    output::line(format!("{:<10} {url}", "listening"))?;
    output::line(format!("{:<10} Ctrl-C", "ends with"))?;
    output::line(format!("curl {url}/v1/models"))
}

/// Serves until the first signal, and what is open then to its end, in bounded time. A second
/// signal ends that, too.
pub(in crate::cli) async fn serve_until_asked(
    listener: TcpListener,
    routes: Router,
    grace: Duration,
) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = axum::serve(listener, routes).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    let mut serving = std::pin::pin!(serving.into_future());
    tokio::select! {
        ended = &mut serving => return Ok(ended?),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    drop(stop);
    tokio::select! {
        ended = serving => Ok(ended?),
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        () = tokio::time::sleep(grace) => {
            output::note("answers that were still under way are cut off");
            Ok(())
        }
    }
}

async fn pass(State(proxy): State<Arc<Proxy>>, request: Request) -> Response {
    let surface = Surface::of_request(&request);
    match take(proxy, request).await {
        Ok(response) => response,
        Err(error) => surface.retell(error.into_response(), &RequestId::random().to_string()),
    }
}

async fn take(proxy: Arc<Proxy>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    if !is_from_here(&parts.headers) {
        return Err(ApiError::foreign_page());
    }
    let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await;
    let body = body.map_err(|_| ApiError::too_large_to_record(BODY_BYTES_MAX))?;
    let asked = asked(&parts, body.clone());
    let secrets = secrets_of(
        asked
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
        parts.uri.query().unwrap_or_default(),
    );
    let begun = Instant::now();
    let whither = (parts.uri.path(), parts.uri.query());
    let sent = proxy
        .upstream
        .send(parts.method, whither, &parts.headers, body)
        .await;
    let answered = sent.map_err(|reason| {
        proxy.pass_over(&asked, &reason);
        ApiError::upstream(&reason)
    })?;
    let head = begun.elapsed();
    let status = answered.status();
    let headers = headers_of(answered.headers());
    let mut passed = HeaderMap::new();
    for (name, value) in answered.headers() {
        if !is_of_connection(name) {
            passed.append(name, value.clone());
        }
    }
    let is_packed = headers
        .get("content-encoding")
        .is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"));
    if is_packed {
        proxy.pass_over(
            &asked,
            "the answer is compressed, though that was not asked for",
        );
    }
    let taking = (!is_packed).then(|| Taking {
        exchange: Some(Begun {
            cutter: Cutter::new(&headers),
            asked,
            secrets,
            status: status.as_u16(),
            headers,
            head,
        }),
        begun: begun + head,
        proxy,
    });
    let mut response = Response::new(Body::from_stream(tee(answered.bytes_stream(), taking)));
    *response.status_mut() = status;
    *response.headers_mut() = passed;
    Ok(response)
}

/// Whether a request is from a program, or a page of this machine: a page of anybody's could have
/// a browser here use the key, and read the answer by a name that leads here.
fn is_from_here(headers: &HeaderMap) -> bool {
    let is_ok = |name: HeaderName, number_is_ok: fn(IpAddr) -> bool| {
        let Some(value) = headers.get(name) else {
            return true;
        };
        let uri = value
            .to_str()
            .ok()
            .and_then(|text| text.parse::<Uri>().ok());
        let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
        let number = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || number.parse().is_ok_and(number_is_ok)
    };
    // A number leads here by itself; a name may have been made to. A page may be of any number.
    is_ok(header::HOST, |_| true) && is_ok(header::ORIGIN, |number| number.is_loopback())
}

/// An answer on its way through.
struct Taking {
    proxy: Arc<Proxy>,
    /// None once it is decided whether it is kept.
    exchange: Option<Begun>,
    /// When the head came.
    begun: Instant,
}

struct Begun {
    cutter: Cutter,
    asked: recording::Request,
    secrets: Vec<String>,
    status: u16,
    headers: Headers,
    head: Duration,
}

impl Taking {
    fn take(&mut self, piece: &[u8]) {
        let Some(exchange) = &mut self.exchange else {
            return;
        };
        exchange.cutter.take(piece, self.begun.elapsed());
        if exchange.cutter.bytes() > BODY_BYTES_MAX {
            self.give_up(&format!("the answer has more than {BODY_BYTES_MAX} bytes"));
        }
    }

    fn give_up(&mut self, why: &str) {
        if let Some(exchange) = self.exchange.take() {
            self.proxy.pass_over(&exchange.asked, why);
        }
    }

    /// Keeps the exchange. It is on the disk when this returns.
    async fn keep(mut self) {
        let Some(exchange) = self.exchange.take() else {
            return;
        };
        let at = self.begun.elapsed();
        let proxy = Arc::clone(&self.proxy);
        let kept = tokio::task::spawn_blocking(move || {
            let Begun {
                cutter,
                asked,
                secrets,
                status,
                headers,
                head,
            } = exchange;
            let shown = recording::Request {
                method: asked.method.clone(),
                path: asked.path.clone(),
                ..recording::Request::default()
            };
            let answer = cutter.end(status, headers, head, at);
            let exchange = Exchange {
                request: asked,
                answer,
            };
            let secrets = secrets.iter().map(String::as_str);
            let secrets: Vec<&str> = secrets.chain(proxy.upstream.secret()).collect();
            let exchange = proxy.scrubber.scrub(exchange, &secrets);
            let mut part = proxy.part.lock();
            let kept = match &mut *part {
                Some(part) => part.append(&exchange),
                None => Err(anyhow!("the recording has ended")),
            };
            drop(part);
            if let Err(error) = kept {
                proxy.pass_over(&shown, &format!("{error:#}"));
            }
        });
        if let Err(error) = kept.await {
            output::note(&format!("not recorded: {error}"));
            self.proxy.not_kept.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        self.give_up("who asked did not wait for the end of the answer");
    }
}

type Pieces = Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>;

/// Passes pieces on as they come. The end is passed on when the exchange is kept.
fn tee(
    pieces: impl Stream<Item = reqwest::Result<Bytes>> + Send + 'static,
    taking: Option<Taking>,
) -> impl Stream<Item = io::Result<Bytes>> {
    let pieces: Pieces = Box::pin(pieces);
    stream::unfold(
        (pieces, taking, false),
        |(mut pieces, mut taking, is_over)| async move {
            if is_over {
                return None;
            }
            match pieces.next().await {
                Some(Ok(piece)) => {
                    if let Some(taking) = &mut taking {
                        taking.take(&piece);
                    }
                    Some((Ok(piece), (pieces, taking, false)))
                }
                Some(Err(error)) => {
                    let reason = crate::outgoing::reason(&error);
                    if let Some(taking) = &mut taking {
                        taking.give_up(&format!("the answer broke off: {reason}"));
                    }
                    Some((Err(io::Error::other(reason)), (pieces, None, true)))
                }
                None => {
                    if let Some(taking) = taking {
                        taking.keep().await;
                    }
                    None
                }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn pages_of_other_sites_are_known() {
        let headers = |host: &str, origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            headers
        };
        for (host, origin, is_ok) in [
            ("127.0.0.1:8000", None, true),
            ("[::1]:8000", None, true),
            ("localhost:8000", Some("http://localhost:3000"), true),
            ("127.0.0.1", Some("https://attacker.example"), false),
            ("127.0.0.1", Some("null"), false),
            ("127.0.0.1", Some("http://192.0.2.1"), false),
            ("192.0.2.1:8000", None, true),
            ("rebound.attacker.example:8000", None, false),
        ] {
            assert_eq!(
                is_from_here(&headers(host, origin)),
                is_ok,
                "{host} {origin:?}"
            );
        }
        assert!(is_from_here(&HeaderMap::new()));
    }
}
