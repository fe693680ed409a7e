//! What makes a request a call of gRPC, and an answer one: its media type, its time limit, messages
//! behind their lengths, and a status at the very end
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).
//!
//! Handlers of calls refuse like all others, with an [`ApiError`]: `surface.rs` says it in gRPC's
//! words. The messages of a request are read in `body/messages.rs`.

use super::error::{ApiError, ErrorText};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_core::Stream;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body::{Frame, SizeHint};
use prost::Message;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tonic::{Code, Status};

/// Bytes before each message: whether it is packed, and its length.
pub(super) const PREFIX_BYTES: usize = 5;

/// The ways in which a message may be packed.
const ENCODINGS: &str = "identity,gzip,deflate";

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// The code by which a program tells one refusal from another of the same status.
const BELLJAR_CODE: HeaderName = HeaderName::from_static("belljar-code");

/// Whether a request is a call. The forms for browsers (`application/grpc-web`) are not: their
/// messages are framed in another way.
pub(crate) fn is_call(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return false;
    };
    let essence = value.as_bytes().split(|byte| *byte == b';').next();
    let essence = essence.unwrap_or_default().trim_ascii();
    [&b"application/grpc"[..], b"application/grpc+proto"]
        .iter()
        .any(|known| essence.eq_ignore_ascii_case(known))
}

/// How long the caller waits for the whole call. What is no time is passed over: the server's own
/// limits hold.
pub(crate) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    const DIGITS_MAX: usize = 8;
    let value = headers.get(GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.len() > DIGITS_MAX || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3_600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// Appends a message with its length before it.
pub(crate) fn frame(message: &impl Message, out: &mut Vec<u8>) {
    let bytes = message.encoded_len();
    out.reserve(PREFIX_BYTES + bytes);
    out.push(0);
    // An answer over 4 GiB has been refused where the caps of a run are.
    let length = u32::try_from(bytes).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    // A vector has room for everything.
    let _ = message.encode(out);
}

/// Says in the head of an answer, where no message follows, or behind its last message how the call
/// has ended.
fn end(headers: &mut HeaderMap, error: Option<&ErrorText>) {
    let (code, ours, message) = error.map_or((Code::Ok, "", ""), ErrorText::for_grpc);
    // Percent-encodes what a header cannot hold, so that there is nothing that it refuses.
    let _ = Status::new(code, message).add_header(headers);
    if let Some(value) = (!ours.is_empty()).then(|| HeaderValue::from_static(ours)) {
        headers.insert(BELLJAR_CODE, value);
    }
}

/// The answer to a refused call: a head and nothing behind it.
pub(crate) fn refused(mut response: Response, error: &ErrorText) -> Response {
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
    headers.insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static(ENCODINGS));
    end(headers, Some(error));
    *response.status_mut() = http::StatusCode::OK;
    response.map(|_| Body::empty())
}

/// The one message that answers a call.
pub(crate) struct Reply<M>(pub(crate) M);

impl<M: Message> IntoResponse for Reply<M> {
    fn into_response(self) -> Response {
        let mut out = Vec::new();
        frame(&self.0, &mut out);
        answer(Whole {
            message: Some(out.into()),
            is_ended: false,
        })
    }
}

fn answer<B>(body: B) -> Response
where
    B: http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let mut response = Response::new(Body::new(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
    response
}

/// The names of the codes of gRPC, by their numbers.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The name of the code with which a call has ended, where these headers say it.
pub(crate) fn status_name(headers: &HeaderMap) -> Option<&'static str> {
    let status = Status::from_header_map(headers)?;
    let code = usize::try_from(status.code() as i32).ok()?;
    CODES.get(code).copied()
}

/// What follows the last message: how the call has ended.
pub(crate) fn trailers(error: Option<&ErrorText>) -> Frame<Bytes> {
    let mut headers = HeaderMap::new();
    end(&mut headers, error);
    Frame::trailers(headers)
}

/// The body of an answer of one message.
struct Whole {
    message: Option<Bytes>,
    is_ended: bool,
}

impl http_body::Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(message) = self.message.take() {
            return Poll::Ready(Some(Ok(Frame::data(message))));
        }
        let is_first = !std::mem::replace(&mut self.is_ended, true);
        Poll::Ready(is_first.then(|| Ok(trailers(None))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_ended
    }

    fn size_hint(&self) -> SizeHint {
        let bytes = self.message.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(bytes).unwrap_or(u64::MAX))
    }
}

/// The answer to a call that gives messages as they come, each with its length before it. A failure
/// is the last of them.
pub(crate) fn streamed<S>(messages: S) -> Response
where
    S: Stream<Item = Result<Bytes, ApiError>> + Send + 'static,
{
    answer(Streamed {
        messages: Some(Box::pin(messages)),
    })
}

type Messages = Pin<Box<dyn Stream<Item = Result<Bytes, ApiError>> + Send>>;

/// The body of an answer of many messages.
struct Streamed {
    /// None once the end has been told.
    messages: Option<Messages>,
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(messages) = &mut self.messages else {
            return Poll::Ready(None);
        };
        let next = ready!(messages.as_mut().poll_next(context));
        Poll::Ready(Some(Ok(match next {
            Some(Ok(message)) => Frame::data(message),
            ended => {
                self.messages = None;
                match ended {
                    Some(Err(error)) => trailers(Some(error.text())),
                    _ => trailers(None),
                }
            }
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.messages.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        let (name, value) = (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
        HeaderMap::from_iter([(name, value)])
    }

    #[test]
    fn a_call_is_known_by_its_type() {
        for (value, expect) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("Application/GRPC; charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/grpc-web+proto", false),
            ("application/grpc+json", false),
            ("application/json", false),
        ] {
            assert_eq!(is_call(&headers("content-type", value)), expect, "{value}");
        }
        assert!(!is_call(&HeaderMap::new()));
    }

    #[test]
    fn times_have_a_unit_and_at_most_eight_digits() {
        for (value, expect) in [
            ("1H", Some(Duration::from_secs(3_600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("4m", Some(Duration::from_millis(4))),
            ("5u", Some(Duration::from_micros(5))),
            ("6n", Some(Duration::from_nanos(6))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3_600))),
            ("0S", Some(Duration::ZERO)),
            ("100000000S", None),
            ("S", None),
            ("", None),
            ("1", None),
            ("1s", None),
            ("-1S", None),
            ("+1S", None),
        ] {
            assert_eq!(timeout(&headers("grpc-timeout", value)), expect, "{value}");
        }
    }
}
