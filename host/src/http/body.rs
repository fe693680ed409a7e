//! Reads a request's body up to its limit: by the announced length before the first byte (so a
//! client that waits for `100 Continue` is refused without sending), by counting what comes, and
//! by counting what comes out of it where it is packed.

mod messages;
mod packed;

use self::packed::{Coding, Unpacker};
use super::context::context_of;
use super::error::{ApiError, TOO_LARGE};
use super::json::InputConfig;
use super::signature::{altered_body, is_altered};
use crate::guard::Violation;
use crate::inference::RequestContext;
use crate::traces::{attributes, spans};
use axum::body::Body;
use axum::extract::{FromRef, FromRequest, Request};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
pub(crate) use messages::{Message, Messages};
use std::time::Duration;

/// How large bodies may be, where a route reads them whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) bytes_max: u64,
    /// From the first byte that is waited for to the last.
    pub(crate) read_timeout: Duration,
    /// What a body of JSON may be like.
    pub(crate) json: InputConfig,
}

/// A whole body.
pub(crate) struct RequestBody(pub(crate) Bytes);

/// A body that was read on the way to its route, in the extensions of its request.
#[derive(Clone)]
pub(crate) struct WholeBody(pub(crate) Bytes);

impl<S> FromRequest<S> for RequestBody
where
    S: Send + Sync,
    Limits: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        if let Some(WholeBody(body)) = parts.extensions.remove() {
            return Ok(Self(body));
        }
        let context = context_of(&parts.extensions);
        whole(&parts.headers, body, Limits::from_ref(state), &context)
            .await
            .map(Self)
    }
}

/// The setting that bounds a body which is read whole.
pub(crate) const SETTING: &str = "max_request_size";

/// Times its own size that a packed body may come to before it counts as one that was made to
/// burst. A large picture or a long document is just large, and its sender is told so.
const BURST_FACTOR: u64 = 100;

/// Reads a body whole.
pub(crate) async fn whole(
    headers: &HeaderMap,
    body: Body,
    limits: Limits,
    context: &RequestContext,
) -> Result<Bytes, ApiError> {
    let span = context.span(&spans::BODY);
    let coding = Coding::of(headers)?;
    check_length(headers, limits.bytes_max, SETTING)?;
    let read = async {
        match coding {
            None => read(body, limits.bytes_max, context)
                .await
                .map(|body| (body.len(), body)),
            Some(coding) => read_packed(body, coding, limits.bytes_max, context).await,
        }
    };
    // Costs nothing for a body that is there already, which most are.
    let body = tokio::time::timeout(limits.read_timeout, read).await;
    let (received, body) = body.map_err(|_| ApiError::body_timeout())??;
    context.add_bytes_in(received);
    if let Some(mut span) = span {
        let received = u64::try_from(received).unwrap_or(u64::MAX);
        span.set(&attributes::HTTP_REQUEST_SIZE, received);
        span.pass();
    }
    if let Some(ruled) = context.tested().and_then(|tested| tested.ruled.as_ref()) {
        ruled.note_body(&body);
    }
    Ok(body)
}

/// Reads a body as it comes, packed or not, for whoever looks at it before its handler.
pub(crate) async fn untouched(
    headers: &HeaderMap,
    body: Body,
    limits: Limits,
    context: &RequestContext,
) -> Result<Bytes, ApiError> {
    check_length(headers, limits.bytes_max, SETTING)?;
    let read = read(body, limits.bytes_max, context);
    let body = tokio::time::timeout(limits.read_timeout, read).await;
    body.map_err(|_| ApiError::body_timeout())?
}

/// Refuses a body whose announced length is over the limit.
pub(crate) fn check_length(
    headers: &HeaderMap,
    bytes_max: u64,
    setting: &'static str,
) -> Result<(), ApiError> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    match announced {
        Some(bytes) if bytes > bytes_max => Err(ApiError::too_large(bytes_max, setting)),
        _ => Ok(()),
    }
}

/// The pieces of a body, as long as they are within the limit.
struct Pieces<'a> {
    body: Body,
    bytes: u64,
    bytes_max: u64,
    context: &'a RequestContext,
}

impl<'a> Pieces<'a> {
    const fn of(body: Body, bytes_max: u64, context: &'a RequestContext) -> Self {
        Self {
            body,
            bytes: 0,
            bytes_max,
            context,
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| {
                if is_altered(&error) {
                    altered_body(self.context)
                } else {
                    // A client that goes away in the middle of its body; it reads no answer.
                    ApiError::incomplete_body()
                }
            })?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let bytes = u64::try_from(data.len()).unwrap_or(u64::MAX);
            self.bytes = self.bytes.saturating_add(bytes);
            if self.bytes > self.bytes_max {
                return Err(ApiError::too_large(self.bytes_max, SETTING));
            }
            return Ok(Some(data));
        }
        Ok(None)
    }
}

async fn read(body: Body, bytes_max: u64, context: &RequestContext) -> Result<Bytes, ApiError> {
    let mut pieces = Pieces::of(body, bytes_max, context);
    let mut first: Option<Bytes> = None;
    let mut segments = Segments::default();
    while let Some(data) = pieces.next().await? {
        // Most bodies come in one piece, which is then the body, without a copy.
        match first.take() {
            None if segments.bytes == 0 => first = Some(data),
            before => {
                before.into_iter().for_each(|before| segments.keep(before));
                segments.keep(data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| segments.join()))
}

/// Reads and unpacks a body. Gives also how many bytes came.
async fn read_packed(
    body: Body,
    coding: Coding,
    bytes_max: u64,
    context: &RequestContext,
) -> Result<(usize, Bytes), ApiError> {
    let mut pieces = Pieces::of(body, bytes_max, context);
    let mut unpacker = Unpacker::new(coding, bytes_max);
    while let Some(piece) = pieces.next().await? {
        let pushed = unpacker.push(&piece);
        pushed.map_err(|refusal| judged(refusal, pieces.bytes, bytes_max))?;
    }
    let received = usize::try_from(pieces.bytes).unwrap_or(usize::MAX);
    let unpacked = unpacker.finish();
    let unpacked = unpacked.map_err(|refusal| judged(refusal, pieces.bytes, bytes_max))?;
    Ok((received, unpacked.join()))
}

/// Counts a body against its sender that goes over the limit only by what its packing hides.
fn judged(refusal: ApiError, received: u64, bytes_max: u64) -> ApiError {
    let is_burst = received.saturating_mul(BURST_FACTOR) < bytes_max;
    if is_burst && refusal.code() == TOO_LARGE {
        refusal.counting_as(Violation::OversizedBody)
    } else {
        refusal
    }
}

/// Bytes of one segment of a body that comes in pieces.
const SEGMENT_BYTES: usize = 64 << 10;

/// Bytes of a piece from which on it is kept as it came. A smaller one is copied, because it
/// holds on to the buffer that it was received in.
const KEPT_BYTES: usize = 4 << 10;

/// A body in the works. It takes about the room of what has come, however small its pieces are:
/// a buffer that doubles would take up to three times as much while it grows.
#[derive(Default)]
struct Segments {
    full: Vec<Bytes>,
    last: Vec<u8>,
    bytes: usize,
}

impl Segments {
    /// Adds a piece without a copy, where it is large enough.
    fn keep(&mut self, data: Bytes) {
        if data.len() < KEPT_BYTES {
            return self.add(&data);
        }
        self.bytes += data.len();
        if !self.last.is_empty() {
            self.full.push(std::mem::take(&mut self.last).into());
        }
        self.full.push(data);
    }

    /// Adds a copy of a piece.
    fn add(&mut self, mut data: &[u8]) {
        self.bytes += data.len();
        while !data.is_empty() {
            let room = SEGMENT_BYTES.saturating_sub(self.last.len());
            let (now, later) = data.split_at_checked(room).unwrap_or((data, &[]));
            self.last.extend_from_slice(now);
            data = later;
            if self.last.len() >= SEGMENT_BYTES {
                let next = Vec::with_capacity(SEGMENT_BYTES);
                self.full
                    .push(std::mem::replace(&mut self.last, next).into());
            }
        }
    }

    fn join(self) -> Bytes {
        let mut whole = BytesMut::with_capacity(self.bytes);
        for segment in self.full {
            whole.extend_from_slice(&segment);
        }
        whole.extend_from_slice(&self.last);
        whole.freeze()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use futures_util::stream;
    use http::HeaderValue;

    async fn read(body: Body, bytes_max: u64) -> Result<Bytes, ApiError> {
        super::read(body, bytes_max, &RequestContext::default()).await
    }

    fn chunked(pieces: &'static [&'static str]) -> Body {
        Body::from_stream(stream::iter(
            pieces.iter().map(|piece| Ok::<_, std::io::Error>(*piece)),
        ))
    }

    #[tokio::test]
    async fn a_body_is_what_its_pieces_make_up() {
        for pieces in [&[][..], &["abc"], &["a", "bc"], &["a", "", "b", "c"]] {
            let body = read(chunked(pieces), 10).await.unwrap();
            assert_eq!(body, pieces.concat());
        }
    }

    #[tokio::test]
    async fn a_body_of_many_pieces_is_whole() {
        // Large ones among small ones.
        let pieces: Vec<Bytes> = (0..300_usize)
            .map(|n| Bytes::from(n.to_string().repeat(if n % 7 == 0 { 3_000 } else { 500 })))
            .collect();
        let whole = pieces.concat();
        let body = stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
        let read = read(Body::from_stream(body), 1 << 20).await.unwrap();
        assert!(whole.len() > 2 * SEGMENT_BYTES && read == whole);
    }

    #[tokio::test]
    async fn a_body_ends_at_its_limit() {
        assert!(read(chunked(&["12345", "67890"]), 10).await.is_ok());
        let refused = read(chunked(&["12345", "67890", "1"]), 10)
            .await
            .unwrap_err();
        assert_eq!(refused.code(), "payload_too_large");
    }

    #[test]
    fn an_announced_length_is_refused_before_the_body() {
        let mut headers = HeaderMap::new();
        check_length(&headers, 10, SETTING).unwrap();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("10"));
        check_length(&headers, 10, SETTING).unwrap();
        assert!(check_length(&headers, 9, SETTING).is_err());
    }
}
