//! Ends what was let in with a credential that does not hold any more.
//!
//! Who has a key that is revoked, deleted or expired, or a client's certificate that is, must not go
//! on reading a stream that began before. So the future and the body of each request with one listen
//! to its end.

use crate::http::error::{ApiError, ErrorType, Status};
use crate::http::grpc;
use crate::telemetry::metrics;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, header};
use http_body::{Body as _, Frame, SizeHint};
use parking_lot::Mutex;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// How long a request that has no answer yet may go on after what it came with has ended. Lets the very
/// request that ended the key tell its caller so; with it, everything ends within a second.
const GRACE: Duration = Duration::from_millis(500);

/// What a request was let in with, as signals that it does not hold any more.
#[derive(Clone, Default)]
pub(crate) struct Ends {
    /// Of its key or its token.
    pub(super) key: Option<CancellationToken>,
    /// Of the certificate that its client has shown.
    pub(super) certificate: Option<CancellationToken>,
}

/// Which of them it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Key,
    Certificate,
}

impl Ends {
    fn is_never(&self) -> bool {
        self.key.is_none() && self.certificate.is_none()
    }

    /// Waits for the first.
    async fn first(self) -> Ended {
        let of = async |signal: Option<CancellationToken>| match signal {
            Some(signal) => signal.cancelled_owned().await,
            None => std::future::pending().await,
        };
        tokio::select! {
            () = of(self.key) => Ended::Key,
            () = of(self.certificate) => Ended::Certificate,
        }
    }
}

impl Ended {
    fn error(self) -> ApiError {
        match self {
            Self::Key => no_longer_valid(),
            Self::Certificate => certificate_refused(),
        }
    }
}

/// The end of what a request came with. By default a request ends by itself.
#[derive(Default)]
pub(crate) struct Revocation {
    ends: Ends,
    /// Made when the request has to wait: most never do.
    wait: Option<Wait>,
}

enum Wait {
    ForEnd(BoxFuture<'static, Ended>),
    Grace(Ended, Pin<Box<Sleep>>),
}

impl Revocation {
    /// A request that ends with the first of them.
    pub(super) const fn at(ends: Ends) -> Self {
        Self { ends, wait: None }
    }

    /// The ends, for the body of an answer; none where there are none.
    pub(super) fn take(&mut self) -> Option<Ends> {
        self.wait = None;
        Some(std::mem::take(&mut self.ends)).filter(|ends| !ends.is_never())
    }

    /// Ready when the time of a request without an answer is over.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<ApiError> {
        if self.ends.is_never() {
            return Poll::Pending;
        }
        loop {
            let wait = self
                .wait
                .get_or_insert_with(|| Wait::ForEnd(Box::pin(self.ends.clone().first())));
            match wait {
                Wait::ForEnd(end) => {
                    let ended = ready!(end.as_mut().poll(context));
                    *wait = Wait::Grace(ended, Box::pin(tokio::time::sleep(GRACE)));
                }
                Wait::Grace(ended, grace) => {
                    ready!(grace.as_mut().poll(context));
                    metrics::KEY_CUTS.handle().increment(1);
                    return Poll::Ready(ended.error());
                }
            }
        }
    }
}

/// An answer whose body ends with what it was asked for with. A body that is there already goes out
/// as it is.
pub(super) fn revocable(response: Response, ends: Ends) -> Response {
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    let way = if is_of_events(response.headers()) {
        LastWord::Event
    } else if grpc::is_call(response.headers()) {
        LastWord::Trailers
    } else {
        LastWord::None
    };
    response.map(|body| Body::new(RevocableBody::new(body, ends, way)))
}

/// How a body that is cut says why.
#[derive(Clone, Copy)]
enum LastWord {
    /// In a last event: events are read one by one.
    Event,
    /// In what follows the last message of a call of gRPC.
    Trailers,
    /// Not at all: it is broken off, so that nobody takes it for whole.
    None,
}

/// Whether a body is one of server-sent events.
pub(crate) fn is_of_events(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

fn no_longer_valid() -> ApiError {
    ApiError::new(
        Status::Unauthorized,
        ErrorType::Authentication,
        "invalid_api_key",
        "The API key or token is no longer valid.",
    )
}

/// The refusal of whose certificate was good when its connection was made.
pub(super) fn certificate_refused() -> ApiError {
    ApiError::new(
        Status::Unauthorized,
        ErrorType::Authentication,
        "invalid_certificate",
        "The client's certificate is not valid any more.",
    )
}

/// The body of a stream.
struct RevocableBody {
    stream: Arc<Mutex<Stream>>,
    way: LastWord,
    said_why: bool,
    _watch: AbortOnDropHandle<()>,
}

/// What the body and its watch share.
struct Stream {
    body: Result<Body, Ended>,
    reader: Option<Waker>,
}

impl RevocableBody {
    /// The watch is a task of its own, because a body is not asked for more while its reader
    /// does not read: the run behind it ends all the same.
    fn new(body: Body, ends: Ends, way: LastWord) -> Self {
        let stream = Arc::new(Mutex::new(Stream {
            body: Ok(body),
            reader: None,
        }));
        let watched = Arc::clone(&stream);
        let watch = tokio::spawn(async move {
            let ended = ends.first().await;
            let (body, reader) = {
                let mut stream = watched.lock();
                (
                    std::mem::replace(&mut stream.body, Err(ended)),
                    stream.reader.take(),
                )
            };
            metrics::KEY_CUTS.handle().increment(1);
            drop(body);
            if let Some(reader) = reader {
                reader.wake();
            }
        });
        Self {
            stream,
            way,
            said_why: false,
            _watch: AbortOnDropHandle::new(watch),
        }
    }
}

impl http_body::Body for RevocableBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let ended = {
            let mut stream = self.stream.lock();
            match &mut stream.body {
                Ok(body) => {
                    let frame = Pin::new(body).poll_frame(context);
                    if frame.is_pending() {
                        stream.reader = Some(context.waker().clone());
                    }
                    return frame;
                }
                Err(ended) => *ended,
            }
        };
        if std::mem::replace(&mut self.said_why, true) {
            return Poll::Ready(None);
        }
        let error = ended.error();
        Poll::Ready(Some(match self.way {
            LastWord::Event => {
                let mut event = b"data: ".to_vec();
                event.extend_from_slice(&error.body());
                event.extend_from_slice(b"\n\n");
                Ok(Frame::data(event.into()))
            }
            LastWord::Trailers => Ok(grpc::trailers(Some(error.text()))),
            LastWord::None => Err(axum::Error::new(std::io::Error::other(error.code()))),
        }))
    }

    fn is_end_stream(&self) -> bool {
        match &self.stream.lock().body {
            Ok(body) => body.is_end_stream(),
            Err(_) => self.said_why,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use axum::response::IntoResponse as _;
    use futures_util::stream;
    use http::StatusCode;
    use http_body_util::BodyExt as _;
    use std::convert::Infallible;
    use std::future::{pending, poll_fn};

    /// A body that gives one piece and then nothing more, and says when it is dropped.
    fn endless(content_type: &'static str) -> (Response, Arc<()>) {
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let pieces = stream::unfold((true, held), |(first, held)| async move {
            if !first {
                pending::<()>().await;
            }
            Some((Ok::<_, Infallible>("data: 1\n\n"), (false, held)))
        });
        let body = Body::from_stream(pieces);
        let mut response = Response::new(body);
        let value = http::HeaderValue::from_static(content_type);
        response.headers_mut().insert(header::CONTENT_TYPE, value);
        (response, alive)
    }

    fn of_key(ended: &CancellationToken) -> Ends {
        Ends {
            key: Some(ended.clone()),
            certificate: None,
        }
    }

    #[tokio::test]
    async fn a_stream_ends_with_its_key_and_says_why() {
        let ended = CancellationToken::new();
        let (response, alive) = endless("text/event-stream; charset=utf-8");
        let mut body = revocable(response, of_key(&ended)).into_body();
        let first = body.frame().await.unwrap().unwrap();
        assert_eq!(first.into_data().unwrap(), "data: 1\n\n");
        let next = tokio::spawn(async move { (body.frame().await, body) });
        tokio::task::yield_now().await;
        ended.cancel();
        let (last, mut body) = next.await.unwrap();
        let last = last.unwrap().unwrap().into_data().unwrap();
        assert!(last.starts_with(b"data: {\"error\":"));
        assert!(body.frame().await.is_none());
        assert_eq!(Arc::strong_count(&alive), 1, "the run has ended");
    }

    #[tokio::test]
    async fn a_stream_that_nobody_reads_ends_as_well() {
        let ended = CancellationToken::new();
        let (response, alive) = endless("application/x-ndjson");
        let mut body = revocable(response, of_key(&ended)).into_body();
        ended.cancel();
        tokio::time::timeout(Duration::from_secs(5), async {
            while Arc::strong_count(&alive) > 1 {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        assert!(
            body.frame().await.unwrap().is_err(),
            "broken off, not ended"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_without_an_answer_has_a_moment_to_give_one() {
        let ended = CancellationToken::new();
        let mut revocation = Revocation::at(of_key(&ended));
        let is_over = poll_fn(|context| Poll::Ready(revocation.poll(context).is_ready())).await;
        assert!(!is_over, "the key holds");
        ended.cancel();
        let start = tokio::time::Instant::now();
        let answer = poll_fn(|context| revocation.poll(context)).await;
        assert_eq!(answer.into_response().status(), StatusCode::UNAUTHORIZED);
        assert_eq!(start.elapsed(), GRACE);
    }
}
