//! The authentication in front of every route: who is calling?
//!
//! It stands before the body is read and before anything else is looked at, and a route is
//! closed unless its policy opens it.

use super::check::Refusal;
use super::revocation::Revocation;
use crate::audit::EventKind;
use crate::auth::{
    AuthError, Caller, KeyStore, MalformedAuthorization, MalformedKey, PresentedKey, Scope,
};
use crate::guard::Violation;
use crate::http::error::{ApiError, ErrorType};
use crate::http::policy::{Access, RoutePolicy};
use crate::inference::RequestContext;
use crate::telemetry::metrics;
use http::{HeaderMap, StatusCode, header};

/// The check.
pub(crate) struct Authentication {
    pub(crate) keys: KeyStore,
}

impl Authentication {
    /// Finds out who calls a route whose policy is not open, and until when that holds.
    pub(crate) fn check(
        &self,
        policy: RoutePolicy,
        context: &RequestContext,
        headers: &mut HeaderMap,
    ) -> Result<Revocation, Refusal> {
        if policy.access == Access::Open {
            return Ok(Revocation::default());
        }
        let caller = authenticate(headers, &self.keys).map_err(|refusal| {
            metrics::AUTH_FAILURES
                .with([("reason", refusal.code().into())])
                .increment(1);
            let about = [("reason", refusal.code().into())];
            context.security_event(EventKind::AuthenticationFailed, &about);
            Refusal::now(refusal)
        })?;
        forget_credentials(headers);
        if let Some(usage) = caller.usage() {
            usage.note_request(self.keys.now());
        }
        let ended = caller.ended().cloned();
        context.set_caller(caller);
        Ok(Revocation::at(ended))
    }
}

/// Whether the request has the key of an administrator. For the one route that a ban leaves open.
pub(super) fn administers(headers: &HeaderMap, keys: &KeyStore) -> bool {
    authenticate(headers, keys).is_ok_and(|caller| caller.has(Scope::Admin))
}

/// Nothing behind the authentication needs a secret, so nothing behind it can keep or print one.
fn forget_credentials(headers: &mut HeaderMap) {
    headers.remove(header::AUTHORIZATION);
    headers.remove(X_API_KEY);
}

fn authenticate(headers: &HeaderMap, keys: &KeyStore) -> Result<Caller, ApiError> {
    let key = presented(headers)?;
    keys.authenticate(key.as_ref()).map_err(|error| match error {
        // Does not count against the address: a client that was never given a key guesses none.
        AuthError::Missing => unauthorized(
            "missing_api_key",
            "You did not provide an API key. Send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`.",
        ),
        AuthError::Unknown => invalid("The API key is not valid."),
        AuthError::Revoked => invalid("The API key has been revoked."),
        AuthError::Expired => invalid("The API key has expired."),
    })
}

/// The key of a request, from either header.
fn presented(headers: &HeaderMap) -> Result<Option<PresentedKey>, ApiError> {
    let bearer = single(headers, &header::AUTHORIZATION)?
        .map(bearer)
        .transpose()?;
    let plain = single(headers, &X_API_KEY)?.map(plain).transpose()?;
    match (bearer, plain) {
        (Some(bearer), Some(plain)) if !bearer.same_as(&plain) => Err(ApiError::invalid_request(
            "conflicting_credentials",
            "The request has two API keys, and they differ; send one.",
        )),
        (bearer, plain) => Ok(bearer.or(plain)),
    }
}

const X_API_KEY: http::HeaderName = http::HeaderName::from_static("x-api-key");

/// The value of a header that must not come twice: a proxy and we could each read another one.
fn single<'a>(
    headers: &'a HeaderMap,
    name: &http::HeaderName,
) -> Result<Option<&'a [u8]>, ApiError> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().map(http::HeaderValue::as_bytes);
    if values.any(|value| Some(value.as_bytes()) != first) {
        return Err(ApiError::invalid_request(
            "conflicting_credentials",
            "The request has two API keys, and they differ; send one.",
        ));
    }
    Ok(first)
}

fn bearer(value: &[u8]) -> Result<PresentedKey, ApiError> {
    PresentedKey::from_authorization(value).map_err(|error| match error {
        MalformedAuthorization::NotBearer => unauthorized(
            "invalid_authorization",
            "The Authorization header is not of the form `Bearer KEY`.",
        )
        .counting_as(Violation::FailedAuthentication),
        MalformedAuthorization::Key(malformed) => refused(malformed),
    })
}

fn plain(value: &[u8]) -> Result<PresentedKey, ApiError> {
    PresentedKey::parse(value).map_err(refused)
}

fn refused(_: MalformedKey) -> ApiError {
    invalid("The API key is malformed.")
}

/// A credential was presented, and it does not hold: what guessing looks like.
fn invalid(message: &'static str) -> ApiError {
    unauthorized("invalid_api_key", message).counting_as(Violation::FailedAuthentication)
}

fn unauthorized(code: &'static str, message: &'static str) -> ApiError {
    ApiError::new(
        StatusCode::UNAUTHORIZED,
        ErrorType::Authentication,
        code,
        message,
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http::HeaderValue;

    #[track_caller]
    fn check(headers: &[(&'static str, &'static str)], expect: Result<bool, &str>) {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                (
                    http::HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect();
        let found = presented(&headers);
        match expect {
            Ok(some) => assert_eq!(found.unwrap().is_some(), some),
            Err(code) => assert_eq!(found.unwrap_err().code(), code),
        }
    }

    #[test]
    fn a_key_comes_in_one_of_two_headers() {
        check(&[], Ok(false));
        check(&[("authorization", "Bearer abc")], Ok(true));
        check(&[("authorization", "bEARER   abc")], Ok(true));
        check(&[("x-api-key", "abc")], Ok(true));
        check(
            &[("authorization", "Bearer abc"), ("x-api-key", "abc")],
            Ok(true),
        );
        check(
            &[("authorization", "Bearer abc"), ("x-api-key", "abd")],
            Err("conflicting_credentials"),
        );
        check(&[("authorization", "Bearer")], Err("invalid_authorization"));
        check(
            &[("authorization", "Basic YWJj")],
            Err("invalid_authorization"),
        );
        check(&[("authorization", "Bearer ")], Err("invalid_api_key"));
        check(&[("authorization", "Bearer a b")], Err("invalid_api_key"));
        check(&[("x-api-key", "")], Err("invalid_api_key"));
    }

    #[test]
    fn no_secret_goes_past_the_authentication() {
        let mut headers = HeaderMap::new();
        headers.append("authorization", HeaderValue::from_static("Bearer abc"));
        headers.append("x-api-key", HeaderValue::from_static("abc"));
        headers.append("accept", HeaderValue::from_static("*/*"));
        forget_credentials(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["accept"]);
    }

    #[test]
    fn two_headers_of_one_name_must_agree() {
        let mut headers = HeaderMap::new();
        headers.append("authorization", HeaderValue::from_static("Bearer abc"));
        headers.append("authorization", HeaderValue::from_static("Bearer abd"));
        assert_eq!(
            presented(&headers).unwrap_err().code(),
            "conflicting_credentials"
        );
    }
}
