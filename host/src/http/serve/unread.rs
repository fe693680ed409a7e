//! Bodies that nobody has read when their answer is there: of a request that was refused by its
//! head, or for which there is no route.
//!
//! Clients send the head and the body apart. One that is answered in between would write its body
//! to a connection that is closed under it, without a word about that in the answer, and find the
//! next request on it broken. So what is small is read to its end before the answer goes out, and
//! where that does not work the answer says that the connection ends with it.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Sleep;

/// Bytes of an unread body that are read for the sake of its connection.
const BYTES_MAX: usize = 256 << 10;

/// How long is waited for them.
const WAIT: Duration = Duration::from_millis(250);

/// The body of a request, which is given back by whoever drops it before its end.
pub(super) struct ReturnedBody {
    body: Option<Incoming>,
    back: Option<oneshot::Sender<Incoming>>,
}

/// Where the body of a request comes back to, if it was not read.
pub(super) struct Unread {
    body: oneshot::Receiver<Incoming>,
    /// Whether there is no use in reading it: the connection ends anyway, or the client waits for
    /// a word before it sends its body.
    ends: bool,
}

/// An answer that waits for the rest of its request.
pub(super) struct Draining<B> {
    body: Incoming,
    bytes_left: usize,
    timer: Pin<Box<Sleep>>,
    response: Option<Response<B>>,
}

/// The body, and where it comes back to; a request without one needs none.
pub(super) fn returned(headers: &HeaderMap, body: Incoming) -> (ReturnedBody, Option<Unread>) {
    let (back, unread) = if body.is_end_stream() {
        (None, None)
    } else {
        let (back, body) = oneshot::channel();
        let ends = headers.contains_key(header::EXPECT) || is_close(headers);
        (Some(back), Some(Unread { body, ends }))
    };
    let body = Some(body);
    (ReturnedBody { body, back }, unread)
}

fn is_close(headers: &HeaderMap) -> bool {
    let connection = headers.get(header::CONNECTION);
    connection.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
}

fn close<B>(response: &mut Response<B>) {
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
}

impl Unread {
    /// The answer, or what has to be read before it goes out.
    pub(super) fn before<B>(
        mut self,
        mut response: Response<B>,
    ) -> Result<Response<B>, Box<Draining<B>>> {
        match self.body.try_recv() {
            Ok(body) if !self.ends && !is_close(response.headers()) => Err(Box::new(Draining {
                body,
                bytes_left: BYTES_MAX,
                timer: Box::pin(tokio::time::sleep(WAIT)),
                response: Some(response),
            })),
            Ok(_) => {
                close(&mut response);
                Ok(response)
            }
            // It was read, or is being read.
            Err(_) => Ok(response),
        }
    }
}

impl<B> Draining<B> {
    /// The answer, when the rest of the request is read or given up.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Response<B>>> {
        let is_over = loop {
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(None) => break true,
                Poll::Ready(Some(Ok(frame))) => {
                    let bytes = frame.data_ref().map_or(0, Bytes::len);
                    match self.bytes_left.checked_sub(bytes) {
                        Some(left) => self.bytes_left = left,
                        None => break false,
                    }
                }
                Poll::Ready(Some(Err(_))) => break false,
                Poll::Pending => match self.timer.as_mut().poll(context) {
                    Poll::Ready(()) => break false,
                    Poll::Pending => return Poll::Pending,
                },
            }
        };
        let mut response = self.response.take();
        if !is_over && let Some(response) = &mut response {
            close(response);
        }
        Poll::Ready(response)
    }
}

impl Drop for ReturnedBody {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take(), self.back.take())
            && !body.is_end_stream()
        {
            // Nobody waits for it where the caller has gone.
            let _ = back.send(body);
        }
    }
}

impl Body for ReturnedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
