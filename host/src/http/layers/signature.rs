//! Who has signed the request? The check that stands before the look at keys, and holds the body of
//! a signed request to what was signed.

use super::address::Peer;
use super::authentication::refuse;
use super::check::Refusal;
use crate::auth::{Caller, KeyStore, SignatureError};
use crate::guard::Violation;
use crate::http::error::{ApiError, ErrorType, Status};
use crate::http::policy::{Access, RoutePolicy};
use crate::http::signature::{
    AskedUri, CONTENT_DIGEST, ContentDigest, Encrypted, Message, SIGNATURE, SIGNATURE_INPUT,
    SignatureFault, SignedHead,
};
use crate::inference::RequestContext;
use crate::net::OriginRule;
use axum::body::Body;
use axum::extract::Request;
use http::{HeaderMap, HeaderName, header};
use http_body::Body as _;
use std::borrow::Cow;

const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The check.
pub(crate) struct SignatureCheck {
    pub(crate) keys: KeyStore,
    pub(crate) rule: OriginRule,
}

impl SignatureCheck {
    /// The caller who has signed a request to a route whose policy is not open. None where nobody
    /// has; a request that says so and is not is refused.
    pub(crate) fn check(
        &self,
        policy: RoutePolicy,
        context: &RequestContext,
        request: &mut Request,
    ) -> Result<Option<Caller>, Refusal> {
        if !self.keys.has_signers()
            || policy.access == Access::Open
            || !request.headers().contains_key(SIGNATURE_INPUT)
        {
            return Ok(None);
        }
        match self.signer(request) {
            Ok(None) => Ok(None),
            Ok(Some((caller, digest))) => {
                if let Some(digest) = digest {
                    let body = std::mem::take(request.body_mut());
                    let (body, check) = digest.hold(body);
                    *request.body_mut() = body;
                    request.extensions_mut().insert(check);
                }
                // Checked against their own grammar; nothing behind this reads them.
                for name in [SIGNATURE_INPUT, SIGNATURE, CONTENT_DIGEST] {
                    request.headers_mut().remove(name);
                }
                Ok(Some(caller))
            }
            Err(error) => Err(refuse(context, error)),
        }
    }

    /// Who has signed a request, and the digest of the body that belongs to it.
    fn signer(
        &self,
        request: &Request,
    ) -> Result<Option<(Caller, Option<ContentDigest>)>, ApiError> {
        let Some(signed) = SignedHead::of(request.headers())? else {
            return Ok(None);
        };
        let message = self.message(request);
        signed.check_coverage(&message, has_body(request.body()))?;
        // Refused by its form before a nonce is spent on it.
        let digest = match signed.covers(CONTENT_DIGEST.as_str()) {
            true => Some(ContentDigest::of(request.headers())?),
            false => None,
        };
        let base = signed.base(&message)?;
        let caller = self.keys.authenticate_signed(&signed.presented(&base))?;
        Ok(Some((caller, digest)))
    }

    /// What the client has sent, as it sees it: a proxy that is trusted says by which name and
    /// scheme it was asked.
    fn message<'a>(&self, request: &'a Request) -> Message<'a> {
        let (headers, extensions) = (request.headers(), request.extensions());
        let target = extensions.get().map_or(request.uri(), |AskedUri(uri)| uri);
        let peer = extensions.get::<Peer>();
        let is_proxied = peer.is_some_and(|Peer(ip)| self.rule.trusts(*ip));
        let forwarded = |name| is_proxied.then(|| first(headers, &name)).flatten();
        let own_scheme = match extensions.get::<Encrypted>() {
            Some(Encrypted) => "https",
            None => "http",
        };
        let scheme = match forwarded(X_FORWARDED_PROTO) {
            Some(scheme) if scheme.eq_ignore_ascii_case("https") => "https",
            Some(scheme) if scheme.eq_ignore_ascii_case("http") => "http",
            _ => own_scheme,
        };
        let named = || {
            let named = target.authority().map(|authority| authority.as_str());
            named.or_else(|| headers.get(header::HOST)?.to_str().ok())
        };
        let authority = forwarded(X_FORWARDED_HOST).or_else(named);
        Message {
            method: request.method(),
            scheme,
            authority: Cow::Borrowed(authority.unwrap_or_default().trim_ascii()),
            target,
            headers,
        }
    }
}

/// Whether anything may come as a body.
fn has_body(body: &Body) -> bool {
    !body.is_end_stream()
}

/// The first of the values of a header that each proxy on the way has added one to.
fn first<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?;
    let first = value.split(',').next()?.trim_ascii();
    (!first.is_empty()).then_some(first)
}

impl From<SignatureFault> for ApiError {
    fn from(fault: SignatureFault) -> Self {
        wrong(
            "invalid_signature",
            format!("The request's signature cannot be used: {fault}."),
        )
    }
}

impl From<SignatureError> for ApiError {
    fn from(error: SignatureError) -> Self {
        match error {
            SignatureError::Invalid => wrong(
                "invalid_signature",
                "The request's signature is not valid: no key of that id signs, or it was another \
                 request or another secret that was signed with.",
            ),
            SignatureError::Revoked => wrong("invalid_api_key", "The API key has been revoked."),
            SignatureError::Expired => wrong("invalid_api_key", "The API key has expired."),
            SignatureError::TooOld { age_max } => wrong(
                "signature_expired",
                format!(
                    "The request was signed more than {age_max:?} ago (the setting \
                     `signed_requests.age_max`). Sign it again, and look at the clock."
                ),
            ),
            SignatureError::TooEarly { skew_max } => wrong(
                "signature_too_early",
                format!(
                    "The request was signed more than {skew_max:?} ahead of the server's clock (the \
                     setting `signed_requests.skew_max`). Look at the clock."
                ),
            ),
            SignatureError::Over => wrong(
                "signature_expired",
                "The time that the request's signature gives itself is over. Sign it again.",
            ),
            SignatureError::Replayed => wrong(
                "signature_replayed",
                "The request's nonce has been used before. Sign each request, and each attempt, \
                 with a nonce of its own.",
            ),
            // Nobody's fault: does not count.
            SignatureError::BeforeStart { retry_after_s } => unauthorized(
                "signature_before_start",
                "The request was signed before the server was ready to tell it from one that it has \
                 had. Sign it again.",
            )
            .retry_after(retry_after_s),
            SignatureError::Full { setting, limit } => Self::overloaded(
                format!(
                    "The server remembers {limit} nonces of signed requests, which is as many as it \
                     may (the setting `{setting}`)."
                ),
                1,
            ),
        }
    }
}

/// A signature was presented, and it does not hold.
fn wrong(code: &'static str, message: impl Into<Cow<'static, str>>) -> ApiError {
    unauthorized(code, message).counting_as(Violation::FailedAuthentication)
}

fn unauthorized(code: &'static str, message: impl Into<Cow<'static, str>>) -> ApiError {
    let kind = ErrorType::Authentication;
    ApiError::new(Status::Unauthorized, kind, code, message)
}
