//! The messages of a gRPC call, each behind its length: a length over the limit of bodies is refused
//! before the message is read, and a packed one is unpacked within that limit.

use super::packed::{Coding, Unpacker};
use super::{Limits, SETTING, Segments, judged};
use crate::http::context::context_of;
use crate::http::error::{ApiError, ErrorType, Status, TOO_LARGE};
use crate::http::grpc::{self, PREFIX_BYTES};
use crate::http::signature::{altered_body, is_altered};
use crate::inference::RequestContext;
use crate::traces::{attributes, spans};
use axum::body::Body;
use bytes::{Buf as _, Bytes};
use http::request::Parts;
use http::{HeaderName, Version};
use http_body_util::BodyExt as _;
use std::time::Duration;

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// Bytes of a message that asks for no run. Generated types take many times as much.
const SMALL_BYTES_MAX: u64 = 64 << 10;

/// The messages of one call.
pub(crate) struct Messages {
    body: Body,
    /// What has come and is not read yet.
    rest: Bytes,
    coding: Option<Coding>,
    bytes_max: u64,
    /// Whether that is the call's own limit, and not the setting.
    is_small: bool,
    /// From the first byte of a message to its last.
    read_timeout: Duration,
    context: RequestContext,
}

/// A message as it came.
pub(crate) struct Message {
    bytes: Bytes,
    coding: Option<Coding>,
    bytes_max: u64,
}

impl Messages {
    /// The messages of a request, which must be a call.
    pub(crate) fn of(head: &Parts, body: Body, limits: Limits) -> Result<Self, ApiError> {
        if !grpc::is_call(&head.headers) {
            let message = "This is a call of gRPC: send it as application/grpc.";
            return Err(ApiError::unsupported_media_type(message));
        }
        if head.version != Version::HTTP_2 {
            return Err(ApiError::new(
                Status::HttpVersionNotSupported,
                ErrorType::InvalidRequest,
                "http_version_not_supported",
                "Calls of gRPC are made over HTTP/2.",
            ));
        }
        Ok(Self {
            body,
            rest: Bytes::new(),
            coding: Coding::named(head.headers.get_all(GRPC_ENCODING))
                .ok_or_else(unknown_encoding)?,
            bytes_max: limits.bytes_max,
            is_small: false,
            read_timeout: limits.read_timeout,
            context: context_of(&head.extensions),
        })
    }

    /// The same for a call whose messages are small.
    pub(crate) fn small(self) -> Self {
        Self {
            bytes_max: SMALL_BYTES_MAX.min(self.bytes_max),
            is_small: SMALL_BYTES_MAX < self.bytes_max,
            ..self
        }
    }

    /// The one message of a call that has one, unpacked.
    pub(crate) async fn only(mut self) -> Result<Message, ApiError> {
        let time = self.read_timeout;
        let read = async {
            let invalid = |message| ApiError::invalid_request("invalid_message", message);
            let none = || invalid("The call has no message.");
            let message = self.read().await?.ok_or_else(none)?;
            match self.has_more().await? {
                false => Ok(message),
                true => Err(invalid("The call has more than its one message.")),
            }
        };
        let message = tokio::time::timeout(time, read).await;
        message.map_err(|_| ApiError::body_timeout())?
    }

    /// The next message; none where the caller has sent its last. How long it may take to begin is
    /// for the caller of this to say.
    pub(crate) async fn next(&mut self) -> Result<Option<Message>, ApiError> {
        if !self.has_more().await? {
            return Ok(None);
        }
        let span = self.context.span(&spans::BODY);
        let message = tokio::time::timeout(self.read_timeout, self.read()).await;
        let message = message.map_err(|_| ApiError::body_timeout())??;
        if let (Some(mut span), Some(message)) = (span, &message) {
            let read = PREFIX_BYTES + message.len();
            let read = u64::try_from(read).unwrap_or(u64::MAX);
            span.set(&attributes::HTTP_REQUEST_SIZE, read);
            span.pass();
        }
        Ok(message)
    }

    async fn read(&mut self) -> Result<Option<Message>, ApiError> {
        if !self.has_more().await? {
            return Ok(None);
        }
        let mut prefix = self.take(PREFIX_BYTES).await?;
        let (flag, length) = (prefix.get_u8(), prefix.get_u32());
        let coding = match (flag, self.coding) {
            (0, _) => None,
            (1, Some(coding)) => Some(coding),
            (1, None) => {
                let message =
                    "A message says that it is packed, and grpc-encoding does not say how.";
                return Err(ApiError::invalid_request("invalid_message", message));
            }
            _ => {
                let message = "A message does not begin with a prefix of gRPC.";
                return Err(ApiError::invalid_request("invalid_message", message));
            }
        };
        if u64::from(length) > self.bytes_max {
            return Err(if self.is_small {
                too_large_for_call()
            } else {
                ApiError::too_large(self.bytes_max, SETTING)
            });
        }
        let bytes = self
            .take(usize::try_from(length).unwrap_or(usize::MAX))
            .await?;
        self.context.add_bytes_in(PREFIX_BYTES + bytes.len());
        Ok(Some(Message {
            bytes,
            coding,
            bytes_max: self.bytes_max,
        }))
    }

    /// Whether there is another byte. May be dropped while it waits.
    pub(crate) async fn has_more(&mut self) -> Result<bool, ApiError> {
        while self.rest.is_empty() {
            let Some(frame) = self.body.frame().await else {
                return Ok(false);
            };
            let frame = frame.map_err(|error| {
                if is_altered(&error) {
                    altered_body(&self.context)
                } else {
                    ApiError::incomplete_body()
                }
            })?;
            if let Ok(data) = frame.into_data() {
                self.rest = data;
            }
        }
        Ok(true)
    }

    /// So many bytes: without a copy where they have come in one piece.
    async fn take(&mut self, length: usize) -> Result<Bytes, ApiError> {
        let mut segments = Segments::default();
        loop {
            let missing = length.saturating_sub(segments.bytes);
            if missing == 0 || self.has_more().await? {
                let piece = self.rest.split_to(missing.min(self.rest.len()));
                if piece.len() == length {
                    return Ok(piece);
                }
                segments.keep(piece);
                if segments.bytes == length {
                    return Ok(segments.join());
                }
            } else {
                return Err(ApiError::incomplete_body());
            }
        }
    }
}

impl Message {
    /// How many bytes came.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// What it says.
    pub(crate) fn unpack(self) -> Result<Bytes, ApiError> {
        let Self {
            bytes,
            coding,
            bytes_max,
        } = self;
        let Some(coding) = coding else {
            return Ok(bytes);
        };
        let received = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let mut unpacker = Unpacker::new(coding, bytes_max);
        let unpacked = unpacker.push(&bytes).and_then(|()| unpacker.finish());
        let unpacked = unpacked.map_err(|refusal| judged(refusal, received, bytes_max))?;
        Ok(unpacked.join())
    }
}

/// 413: the message is over the limit of a call whose messages are small.
fn too_large_for_call() -> ApiError {
    let message = format!("Messages of this call have at most {SMALL_BYTES_MAX} bytes.");
    ApiError::new(
        Status::PayloadTooLarge,
        ErrorType::InvalidRequest,
        TOO_LARGE,
        message,
    )
}

/// 415: messages are packed in a way that is not undone here.
fn unknown_encoding() -> ApiError {
    ApiError::new(
        Status::UnsupportedMediaType,
        ErrorType::InvalidRequest,
        "unsupported_content_encoding",
        "Send messages as they are, or packed with `gzip` or `deflate`.",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::http::json::InputConfig;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use futures_util::stream;
    use http::Request;
    use std::io::Write as _;

    const BYTES_MAX: u64 = 1_000;

    fn messages(pieces: Vec<Vec<u8>>, encoding: &str) -> Result<Messages, ApiError> {
        let request = Request::builder()
            .version(Version::HTTP_2)
            .header("content-type", "application/grpc")
            .header("grpc-encoding", encoding);
        let (head, ()) = request.body(()).unwrap().into_parts();
        let pieces = pieces.into_iter().map(Ok::<_, std::io::Error>);
        let limits = Limits {
            bytes_max: BYTES_MAX,
            read_timeout: Duration::from_secs(60),
            json: InputConfig::default(),
        };
        let body = Body::from_stream(stream::iter(pieces));
        Messages::of(&head, body, limits)
    }

    fn framed(flag: u8, length: usize, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(length).unwrap().to_be_bytes();
        [&[flag][..], &length, content].concat()
    }

    #[tokio::test]
    async fn messages_are_the_same_however_they_are_cut() {
        let sent = ["one", "", "the third, and a longer one"];
        let whole: Vec<u8> = sent
            .iter()
            .flat_map(|text| framed(0, text.len(), text.as_bytes()))
            .collect();
        for size in 1..=whole.len() {
            let pieces = whole.chunks(size).map(<[u8]>::to_vec).collect();
            let mut messages = messages(pieces, "identity").unwrap();
            for expect in sent {
                let message = messages.next().await.unwrap().unwrap();
                assert_eq!(message.unpack().unwrap(), expect);
            }
            assert!(messages.next().await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn what_is_no_message_is_refused() {
        let limit = usize::try_from(BYTES_MAX).unwrap();
        for (body, code) in [
            (vec![], "invalid_message"),
            (vec![0, 0, 0], "incomplete_body"),
            (framed(0, 4, b"abc"), "incomplete_body"),
            (framed(2, 3, b"abc"), "invalid_message"),
            (framed(1, 3, b"abc"), "invalid_message"),
            (framed(0, 3, b"abcd"), "invalid_message"),
            (framed(0, limit + 1, b""), "payload_too_large"),
            (
                framed(0, usize::try_from(u32::MAX).unwrap(), b""),
                "payload_too_large",
            ),
        ] {
            let refused = messages(vec![body.clone()], "identity")
                .unwrap()
                .only()
                .await;
            assert_eq!(refused.map(|_| ()).unwrap_err().code(), code, "{body:?}");
        }
        let most = framed(0, limit, &vec![7; limit]);
        let message = messages(vec![most], "identity").unwrap().only().await;
        assert_eq!(message.unwrap().len(), limit);
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn a_packed_message_is_held_to_the_limit_of_what_is_in_it() {
        let limit = usize::try_from(BYTES_MAX).unwrap();
        let unpack = async |content: Vec<u8>| {
            let body = framed(1, content.len(), &content);
            let message = messages(vec![body], "gzip").unwrap().only().await.unwrap();
            message.unpack().map_err(|error| error.code())
        };
        assert_eq!(unpack(gzip(b"abc")).await.unwrap(), "abc");
        assert_eq!(unpack(gzip(&vec![0; limit])).await.unwrap().len(), limit);
        let bomb = unpack(gzip(&vec![0; limit + 1])).await;
        assert_eq!(bomb.unwrap_err(), "payload_too_large");
        let broken = unpack(gzip(b"abc")[..10].to_vec()).await;
        assert_eq!(broken.unwrap_err(), "invalid_content_encoding");
        let unknown = messages(vec![], "zstd").map(|_| ()).unwrap_err();
        assert_eq!(unknown.code(), "unsupported_content_encoding");
    }
}
