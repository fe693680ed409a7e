//! The digest of a body that was signed (RFC 9530), and the body that is held to it.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use sfv::{BareItem, Dictionary, KeyRef, ListEntry, Parser};
use sha2::{Digest as _, Sha256, Sha512};
use subtle::ConstantTimeEq as _;

use super::{CONTENT_DIGEST, SignatureFault};
use crate::audit::EventKind;
use crate::guard::Violation;
use crate::http::error::{ApiError, ErrorType, Status};
use crate::inference::RequestContext;
use crate::telemetry::metrics;

/// The digest that a body is said to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ContentDigest {
    Sha256(Box<[u8; 32]>),
    Sha512(Box<[u8; 64]>),
}

impl ContentDigest {
    /// The strongest digest in the header that is known here; others are passed over.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, SignatureFault> {
        Self::strongest(headers).ok_or(SignatureFault::ContentDigest)
    }

    fn strongest(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(CONTENT_DIGEST).iter();
        let value = lines.next().filter(|_| lines.next().is_none())?;
        let digests: Dictionary = Parser::new(value.as_bytes()).parse().ok()?;
        let bytes = |name| match digests.get(KeyRef::constant(name)) {
            Some(ListEntry::Item(item)) => match &item.bare_item {
                BareItem::ByteSequence(bytes) => Some(Some(bytes.as_slice())),
                _ => Some(None),
            },
            Some(ListEntry::InnerList(_)) => Some(None),
            None => None,
        };
        match (bytes("sha-512"), bytes("sha-256")) {
            (Some(digest), _) => Some(Self::Sha512(Box::new(digest?.try_into().ok()?))),
            (None, Some(digest)) => Some(Self::Sha256(Box::new(digest?.try_into().ok()?))),
            (None, None) => None,
        }
    }

    /// Holds a body to the digest: its end is seen by nobody unless the digest is that of all that
    /// came. Whoever has read a body to its end has checked it.
    pub(crate) fn hold(self, body: Body) -> (Body, BodyCheck) {
        let check = BodyCheck::default();
        let held = HeldBody {
            body,
            hasher: match self {
                Self::Sha256(_) => Hasher::Sha256(Sha256::new()),
                Self::Sha512(_) => Hasher::Sha512(Box::default()),
            },
            expected: self,
            check: check.clone(),
            has_ended: false,
        };
        (Body::new(held), check)
    }
}

/// What has become of the digest of a body. In the extensions of a request whose body is held to
/// one.
#[derive(Clone, Debug, Default)]
pub(crate) struct BodyCheck(Arc<AtomicBool>);

impl BodyCheck {
    /// Whether the body has ended and is not the one that was signed.
    pub(crate) fn has_failed(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The body is not the one that was signed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the body is not the one that was signed")]
struct Altered;

/// Whether a body could not be read because it is not the one that was signed.
pub(crate) fn is_altered(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<Altered>() {
            return true;
        }
        next = error.source();
    }
    false
}

/// 401: the body is not the one that was signed. Counts and is recorded like a wrong signature,
/// which it is.
pub(crate) fn altered_body(context: &RequestContext) -> ApiError {
    const CODE: &str = "content_digest_mismatch";
    metrics::AUTH_FAILURES
        .with([("reason", CODE.into())])
        .increment(1);
    context.security_event(EventKind::AuthenticationFailed, &[("reason", CODE.into())]);
    ApiError::new(
        Status::Unauthorized,
        ErrorType::Authentication,
        CODE,
        "The body is not the one that was signed: its digest is another than the one in \
         Content-Digest.",
    )
    .counting_as(Violation::FailedAuthentication)
    .closing()
}

enum Hasher {
    Sha256(Sha256),
    Sha512(Box<Sha512>),
}

/// A body that is held to a digest.
struct HeldBody {
    body: Body,
    hasher: Hasher,
    expected: ContentDigest,
    check: BodyCheck,
    /// Whether it has come to its end and is the one that was signed.
    has_ended: bool,
}

impl HeldBody {
    fn is_the_one(&mut self) -> bool {
        let same = match (&mut self.hasher, &self.expected) {
            (Hasher::Sha256(hasher), ContentDigest::Sha256(expected)) => hasher
                .finalize_reset()
                .as_slice()
                .ct_eq(expected.as_slice()),
            (Hasher::Sha512(hasher), ContentDigest::Sha512(expected)) => hasher
                .finalize_reset()
                .as_slice()
                .ct_eq(expected.as_slice()),
            _ => return false,
        };
        same.into()
    }
}

impl http_body::Body for HeldBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        // Who goes on reading behind the failure hears the same again.
        if self.check.has_failed() {
            return Poll::Ready(Some(Err(axum::Error::new(Altered))));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(frame) = frame {
            if let Ok(frame) = &frame
                && let Some(data) = frame.data_ref()
            {
                match &mut self.hasher {
                    Hasher::Sha256(hasher) => hasher.update(data),
                    Hasher::Sha512(hasher) => hasher.update(data),
                }
            }
            return Poll::Ready(Some(frame));
        }
        if self.is_the_one() {
            self.has_ended = true;
            return Poll::Ready(None);
        }
        self.check.0.store(true, Ordering::Release);
        Poll::Ready(Some(Err(axum::Error::new(Altered))))
    }

    fn is_end_stream(&self) -> bool {
        // Not before it was compared: who looks here does not ask for more.
        self.has_ended
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use futures_util::stream;
    use http::HeaderValue;
    use http_body_util::BodyExt as _;

    fn header(value: &str) -> HeaderMap {
        let value = HeaderValue::from_str(value).unwrap();
        HeaderMap::from_iter([(CONTENT_DIGEST, value)])
    }

    fn sha256(body: &[u8]) -> String {
        format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)))
    }

    fn sha512(body: &[u8]) -> String {
        format!("sha-512=:{}:", STANDARD.encode(Sha512::digest(body)))
    }

    fn pieces(pieces: &'static [&'static str]) -> Body {
        let pieces = pieces.iter().map(|piece| Ok::<_, std::io::Error>(*piece));
        Body::from_stream(stream::iter(pieces))
    }

    /// RFC 9530, appendix B.1 and D.
    #[test]
    fn the_digests_of_the_standard_are_read() {
        let content = b"{\"hello\": \"world\"}\n";
        let named = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
        assert_eq!(sha256(content), named);
        let read = ContentDigest::of(&header(named)).unwrap();
        assert!(matches!(read, ContentDigest::Sha256(_)));
    }

    #[test]
    fn the_strongest_known_digest_counts() {
        let both = format!("md5=:AAAA:, {}, {}", sha256(b"a"), sha512(b"b"));
        let read = ContentDigest::of(&header(&both)).unwrap();
        assert!(matches!(read, ContentDigest::Sha512(_)));
        for bad in [
            "",
            "md5=:AAAA:",
            "sha-256=:AAAA:",
            "sha-256=AAAA",
            "sha-256",
            "sha-256=(:AAAA:)",
            &format!("{}, sha-512=:AAAA:", sha256(b"a")),
            "\u{e4}",
        ] {
            let read = ContentDigest::of(&header(bad));
            assert_eq!(read, Err(SignatureFault::ContentDigest), "{bad}");
        }
        let mut twice = header(&sha256(b"a"));
        twice.append(CONTENT_DIGEST, sha256(b"a").parse().unwrap());
        assert!(ContentDigest::of(&twice).is_err());
        assert!(ContentDigest::of(&HeaderMap::new()).is_err());
    }

    #[tokio::test]
    async fn nobody_sees_the_end_of_a_body_that_was_not_signed() {
        for digest in [sha256, sha512] {
            for (body, signed, is_whole) in [
                (&["ab", "c"][..], &b"abc"[..], true),
                (&[], b"", true),
                (&["ab", "d"], b"abc", false),
                (&["ab"], b"abc", false),
                (&["abc", ""], b"", false),
                (&["abc", "d"], b"abc", false),
                (&[], b"abc", false),
            ] {
                let expected = ContentDigest::of(&header(&digest(signed))).unwrap();
                let (held, check) = expected.hold(pieces(body));
                let read = held.collect().await;
                assert_eq!(read.is_ok(), is_whole, "{body:?}");
                assert_eq!(check.has_failed(), !is_whole, "{body:?}");
                assert!(read.err().is_none_or(|error| is_altered(&error)));
            }
        }
    }

    #[tokio::test]
    async fn a_body_that_is_empty_is_still_compared() {
        use http_body::Body as _;
        let expected = ContentDigest::of(&header(&sha256(b"abc"))).unwrap();
        let (mut held, _) = expected.hold(Body::empty());
        assert!(!held.is_end_stream());
        for _ in 0..3 {
            assert!(held.frame().await.unwrap().is_err(), "it never ends");
        }
    }
}
