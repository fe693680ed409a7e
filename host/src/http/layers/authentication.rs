//! The authentication in front of every route: who is calling?
//!
//! It stands before the body is read and before anything else is looked at, and a route is
//! closed unless its policy opens it.

use super::check::{Halt, Refusal};
use super::revocation::{Ends, Revocation, certificate_refused};
use crate::audit::EventKind;
use crate::auth::{
    AuthError, Caller, Examined, KeyStore, MalformedAuthorization, MalformedKey, PresentedKey,
    Scope, TokenError,
};
use crate::guard::Violation;
use crate::http::error::{ApiError, ErrorType, Status};
use crate::http::policy::{Access, RoutePolicy};
use crate::http::signature::ACCEPT_SIGNATURE;
use crate::inference::RequestContext;
use crate::telemetry::metrics;
use crate::tls::{Client, Verdict};
use axum::response::IntoResponse as _;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, header};

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
        client: Option<&Client>,
        signer: Option<Caller>,
        headers: &mut HeaderMap,
        examined: Option<&Examined>,
    ) -> Result<Revocation, Halt> {
        if policy.access == Access::Open {
            return Ok(Revocation::default());
        }
        let known = Known {
            keys: &self.keys,
            examined,
        };
        let standing = client.map(Client::standing);
        let verdict = standing.as_ref().map(|standing| &standing.verdict);
        let caller =
            identify(headers, verdict, signer, known).map_err(|refusal| match refusal {
                AuthRefusal::Refused { reason, error } => {
                    Halt::from(refuse_as(context, reason, *error))
                }
                AuthRefusal::Unseen(examination) => Halt::UntilExamined(examination),
            })?;
        forget_credentials(headers);
        let ends = Ends {
            key: caller.ended().cloned(),
            certificate: standing.map(|standing| standing.ended.clone()),
        };
        context.set_caller(caller);
        self.note_request(context);
        Ok(Revocation::at(ends))
    }

    /// Counts a request among those of its key.
    pub(crate) fn note_request(&self, context: &RequestContext) {
        if let Some(usage) = context.caller().and_then(Caller::usage) {
            usage.note_request(self.keys.now());
        }
    }
}

/// Whether the request has the key of an administrator. For the one route that a ban leaves open.
pub(super) fn administers(headers: &HeaderMap, keys: &KeyStore) -> bool {
    let examined = None;
    let known = Known { keys, examined };
    authenticate(headers, known).is_ok_and(|caller| caller.has(Scope::Admin))
}

/// When to ask again while nobody can say whether a token holds, in seconds.
const TOKEN_RETRY_AFTER_S: u64 = 5;
/// Refuses a request for its credentials.
pub(super) fn refuse(context: &RequestContext, error: ApiError) -> Refusal {
    refuse_as(context, error.code(), error)
}

/// The same under another name in metrics and in the audit log.
fn refuse_as(context: &RequestContext, reason: &'static str, error: ApiError) -> Refusal {
    metrics::AUTH_FAILURES
        .with([("reason", reason.into())])
        .increment(1);
    let about = [("reason", reason.into())];
    context.security_event(EventKind::AuthenticationFailed, &about);
    let mut answer = error.into_response();
    if reason == SIGNATURE_REQUIRED {
        let wanted = HeaderValue::from_static(WANTED_SIGNATURE);
        answer.headers_mut().insert(ACCEPT_SIGNATURE, wanted);
    }
    Refusal::now(answer)
}

/// The code where a key was presented that lets nobody in alone.
const SIGNATURE_REQUIRED: &str = "signature_required";

/// What is to be signed, in the form of RFC 9421, section 5.1.
const WANTED_SIGNATURE: &str = "sig=(\"@method\" \"@authority\" \"@path\" \"@query\" \
     \"content-type\" \"content-digest\");created;alg=\"hmac-sha256\"";

/// Nothing behind the authentication needs a secret, so nothing behind it can keep or print one.
fn forget_credentials(headers: &mut HeaderMap) {
    headers.remove(header::AUTHORIZATION);
    OWN_HEADERS
        .iter()
        .for_each(|name| drop(headers.remove(name)));
}

/// Why a caller is not let in.
enum AuthRefusal {
    Refused {
        /// The name in metrics and in the audit log.
        reason: &'static str,
        error: Box<ApiError>,
    },
    /// Nobody knows yet: a token has to be looked into first.
    Unseen(BoxFuture<'static, Examined>),
}

impl From<ApiError> for AuthRefusal {
    fn from(error: ApiError) -> Self {
        Self::Refused {
            reason: error.code(),
            error: Box::new(error),
        }
    }
}

/// Who is known: whoever has a key, and whose token was seen or has just been looked into.
#[derive(Clone, Copy)]
struct Known<'a> {
    keys: &'a KeyStore,
    examined: Option<&'a Examined>,
}

impl Known<'_> {
    fn caller(&self, key: &PresentedKey<'_>) -> Result<Caller, AuthRefusal> {
        if let Some(outcome) = self.examined.and_then(|examined| examined.of(key)) {
            return Ok(outcome?);
        }
        match self.keys.authenticate(Some(key)) {
            Err(AuthError::Unseen) => Err(match self.examined {
                None => AuthRefusal::Unseen(Box::pin(self.keys.examine(key))),
                // Another one was looked into for this request.
                Some(_) => conflict().into(),
            }),
            outcome => Ok(outcome?),
        }
    }
}

impl From<AuthError> for AuthRefusal {
    fn from(error: AuthError) -> Self {
        Self::from(match error {
            AuthError::Missing => {
                // Does not count against the address: a client that was never given a key guesses
                // none. OpenAI has one code for a key that is missing and one that is wrong.
                let message = "You did not provide an API key. Send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`.";
                return Self::Refused {
                    reason: "missing_api_key",
                    error: Box::new(unauthorized("invalid_api_key", message)),
                };
            }
            AuthError::Unknown => invalid("The API key is not valid."),
            AuthError::Revoked => invalid("The API key has been revoked."),
            AuthError::Expired => invalid("The API key has expired."),
            AuthError::Token(TokenError::Unavailable) => ApiError::new(
                Status::ServiceUnavailable,
                ErrorType::Server,
                "token_keys_unavailable",
                "The keys that vouch for tokens cannot be read at the moment.",
            )
            .retry_after(TOKEN_RETRY_AFTER_S),
            // One answer whatever is wrong with it: the reason helps whoever tries. It is in the
            // audit log.
            AuthError::Token(fault) => {
                return Self::Refused {
                    reason: fault.name(),
                    error: Box::new(invalid("The token is not valid.")),
                };
            }
            AuthError::Unseen => ApiError::internal("a token that nobody has looked into"),
            // Whoever has the key guesses nothing, and has half of what is needed.
            AuthError::SignatureNeeded => unauthorized(
                SIGNATURE_REQUIRED,
                "Requests with this API key must be signed (RFC 9421, HMAC-SHA256); the header \
                 Accept-Signature says what. The key alone lets nobody in.",
            ),
        })
    }
}

/// Whoever has signed a request, if no key beside the signature says otherwise. One that this server
/// cannot have made is another layer's, or of a client that insists on sending some.
fn agreeing(signer: Caller, headers: &HeaderMap, keys: &KeyStore) -> Result<Caller, AuthRefusal> {
    let shared = Credential::of(headers, &header::AUTHORIZATION, bearer);
    for key in own(headers).keys().iter().chain(shared.keys()) {
        let named = keys.presented_beside(key)?;
        if named.is_some() && named.as_ref() != signer.key_id() {
            return Err(conflict().into());
        }
    }
    Ok(signer)
}

/// Who calls, by the signature of a request, its credentials, and the certificate of its client.
///
/// A key in the request, or its signature, is more than a certificate can say, and counts; one that this server
/// cannot know is what clients send which insist on sending some.
fn identify(
    headers: &HeaderMap,
    verdict: Option<&Verdict>,
    signer: Option<Caller>,
    known: Known<'_>,
) -> Result<Caller, AuthRefusal> {
    let named = match verdict {
        None | Some(Verdict::Nobody) => None,
        Some(Verdict::Key(named)) => Some(named),
        Some(Verdict::Unmapped) => return Err(unmapped().into()),
        Some(Verdict::Refused) => return Err(certificate_refused().into()),
    };
    if let Some(signer) = signer {
        return agreeing(signer, headers, known.keys);
    }
    let Some(named) = named else {
        return authenticate(headers, known);
    };
    let shared = Credential::of(headers, &header::AUTHORIZATION, bearer);
    let is_known = |key: &PresentedKey<'_>| match known.keys.authenticate(Some(key)) {
        Ok(caller) => caller.key_id().is_some(),
        Err(AuthError::Unseen | AuthError::Token(_)) => true,
        Err(_) => key.is_ours(),
    };
    if own(headers)
        .keys()
        .iter()
        .chain(shared.keys())
        .any(is_known)
    {
        return authenticate(headers, known);
    }
    Ok(match known.keys.authenticate_as(named) {
        // The rule is wrong, and not whoever it is for.
        Err(AuthError::Unknown | AuthError::Missing) => return Err(unmapped().into()),
        caller => caller?,
    })
}

fn unmapped() -> ApiError {
    ApiError::new(
        Status::Forbidden,
        ErrorType::Permission,
        "certificate_not_mapped",
        "No rule of this server gives the client's certificate the rights of a key.",
    )
}

/// Who calls, by the credentials of a request.
///
/// `X-API-Key` is this server's own, and so is `api-key`, as Azure's clients spell it.
/// `Authorization` is anybody's: a proxy with a login page in front of it, or the platform below,
/// may have put in what it needs itself. So a good key in the first makes the second another
/// layer's, unless that is in the form of a key of ours. A token is taken from the second alone.
fn authenticate(headers: &HeaderMap, known: Known<'_>) -> Result<Caller, AuthRefusal> {
    let keys = known.keys;
    let own = own(headers);
    let shared = Credential::of(headers, &header::AUTHORIZATION, bearer);
    if let (Credential::Key(own), Some(others)) = (&own, shared.of_another_layer())
        && let Ok(caller) = keys.authenticate(Some(own))
        && caller.key_id().is_some()
        && !others
            .iter()
            .any(|other| other.is_ours() && !other.same_as(own))
    {
        return Ok(caller);
    }
    if keys.key_required() {
        let key = match (&own, &shared) {
            (Credential::Key(key), Credential::Unusable(_))
            | (Credential::Unusable(_), Credential::Key(key)) => Some(*key),
            _ => agreed(own.key()?, shared.key()?)?,
        };
        return match &key {
            Some(key) => known.caller(key),
            None => Ok(keys.authenticate(None)?),
        };
    }
    // Where no key is needed, what is no key is none. One that is known counts, and one that has
    // our form and does not hold is refused, so that a mistake shows.
    let mut found: Option<(PresentedKey<'_>, Caller)> = None;
    for key in own.keys().iter().chain(shared.keys()) {
        let caller = known.caller(key)?;
        if caller.key_id().is_none() {
            continue;
        }
        if found.as_ref().is_some_and(|(other, _)| !other.same_as(key)) {
            return Err(conflict().into());
        }
        found = Some((*key, caller));
    }
    Ok(match found {
        Some((_, caller)) => caller,
        None if own.is_none() && shared.is_none() => Caller::anonymous(),
        None => Caller::with_unknown_key(),
    })
}

/// The one key that both headers name.
fn agreed<'a>(
    own: Option<PresentedKey<'a>>,
    shared: Option<PresentedKey<'a>>,
) -> Result<Option<PresentedKey<'a>>, ApiError> {
    match (own, shared) {
        (Some(own), Some(shared)) if !own.same_as(&shared) => Err(conflict()),
        (own, shared) => Ok(own.or(shared)),
    }
}

/// The headers that only ever hold a key of this server's.
const OWN_HEADERS: [http::HeaderName; 2] = [
    http::HeaderName::from_static("x-api-key"),
    http::HeaderName::from_static("api-key"),
];

/// What the headers of this server's own say.
fn own(headers: &HeaderMap) -> Credential<'_> {
    let [one, other] = OWN_HEADERS.map(|name| Credential::of(headers, &name, PresentedKey::parse));
    one.and(other)
}

/// What one header says, in all of its lines.
#[derive(Debug)]
enum Credential<'a> {
    /// There is no such header.
    None,
    /// One key, in each line.
    Key(PresentedKey<'a>),
    /// Lines that differ, the keys among them.
    Many(Vec<PresentedKey<'a>>),
    /// No key.
    Unusable(MalformedAuthorization),
}

impl<'a> Credential<'a> {
    fn of<E: Into<MalformedAuthorization>>(
        headers: &'a HeaderMap,
        name: &http::HeaderName,
        read: impl Fn(&'a [u8]) -> Result<PresentedKey<'a>, E>,
    ) -> Self {
        let lines = headers.get_all(name);
        let mut others = lines.iter();
        let Some(first) = others.next() else {
            return Self::None;
        };
        if others.any(|other| other != first) {
            let keys = lines.iter().filter_map(|line| read(line.as_bytes()).ok());
            return Self::Many(keys.collect());
        }
        match read(first.as_bytes()) {
            // Of a client whose variable is empty: nothing is guessed, and no key was given.
            _ if is_blank(first.as_bytes()) => Self::None,
            Ok(key) => Self::Key(key),
            Err(malformed) => Self::Unusable(malformed.into()),
        }
    }

    /// What two headers say that mean the same.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::None, only) | (only, Self::None) => only,
            (Self::Key(one), Self::Key(other)) if one.same_as(&other) => Self::Key(one),
            (one, other) => Self::Many([one.keys(), other.keys()].concat()),
        }
    }

    fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// The keys in it, usable or not.
    fn keys(&self) -> &[PresentedKey<'a>] {
        match self {
            Self::Key(key) => std::slice::from_ref(key),
            Self::Many(keys) => keys,
            Self::None | Self::Unusable(_) => &[],
        }
    }

    /// The keys in it where the header is there and may be another layer's.
    fn of_another_layer(&self) -> Option<&[PresentedKey<'a>]> {
        (!self.is_none()).then(|| self.keys())
    }

    /// The one key in it. A header that must not come twice is refused: a proxy and we could each
    /// read another one.
    fn key(&self) -> Result<Option<PresentedKey<'a>>, ApiError> {
        match self {
            Self::None => Ok(None),
            Self::Key(key) => Ok(Some(*key)),
            Self::Many(_) => Err(conflict()),
            Self::Unusable(MalformedAuthorization::NotBearer) => Err(unauthorized(
                "invalid_authorization",
                "The Authorization header is not of the form `Bearer KEY`.",
            )
            .counting_as(Violation::FailedAuthentication)),
            Self::Unusable(MalformedAuthorization::Key(MalformedKey)) => {
                Err(invalid("The API key is malformed."))
            }
        }
    }
}

/// Whether a header holds nothing, or a scheme and nothing.
fn is_blank(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    value.is_empty() || value.eq_ignore_ascii_case(b"Bearer")
}

fn bearer(value: &[u8]) -> Result<PresentedKey<'_>, MalformedAuthorization> {
    PresentedKey::from_authorization(value)
}

fn conflict() -> ApiError {
    ApiError::invalid_request(
        "conflicting_credentials",
        "The request has two API keys, and they differ; send one.",
    )
}

/// A credential was presented, and it does not hold: what guessing looks like.
fn invalid(message: &'static str) -> ApiError {
    unauthorized("invalid_api_key", message).counting_as(Violation::FailedAuthentication)
}

fn unauthorized(code: &'static str, message: &'static str) -> ApiError {
    ApiError::new(
        Status::Unauthorized,
        ErrorType::Authentication,
        code,
        message,
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
        let own = own(&headers);
        let shared = Credential::of(&headers, &header::AUTHORIZATION, bearer);
        let found = own.key().and_then(|own| agreed(own, shared.key()?));
        match expect {
            Ok(some) => assert_eq!(found.unwrap().is_some(), some),
            Err(code) => assert_eq!(found.unwrap_err().code(), code),
        }
    }

    #[test]
    fn a_key_comes_in_one_of_three_headers() {
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
        for blank in ["Bearer", "Bearer ", " bearer  ", ""] {
            check(&[("authorization", blank)], Ok(false));
            check(&[("authorization", blank), ("x-api-key", "abc")], Ok(true));
        }
        check(&[("x-api-key", " ")], Ok(false));
        check(&[("api-key", "abc")], Ok(true));
        check(&[("api-key", "abc"), ("x-api-key", "")], Ok(true));
        check(&[("api-key", "abc"), ("x-api-key", "abc")], Ok(true));
        for other in [("x-api-key", "abd"), ("authorization", "Bearer abd")] {
            check(&[("api-key", "abc"), other], Err("conflicting_credentials"));
        }
        check(
            &[("authorization", "Basic YWJj")],
            Err("invalid_authorization"),
        );
        check(&[("authorization", "Bearer a b")], Err("invalid_api_key"));
    }

    #[test]
    fn no_secret_goes_past_the_authentication() {
        let mut headers = HeaderMap::new();
        headers.append("authorization", HeaderValue::from_static("Bearer abc"));
        headers.append("x-api-key", HeaderValue::from_static("abc"));
        headers.append("api-key", HeaderValue::from_static("abc"));
        headers.append("accept", HeaderValue::from_static("*/*"));
        forget_credentials(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["accept"]);
    }

    #[test]
    fn two_headers_of_one_name_must_agree() {
        let mut headers = HeaderMap::new();
        headers.append("authorization", HeaderValue::from_static("Bearer abc"));
        headers.append("authorization", HeaderValue::from_static("Bearer abd"));
        let shared = Credential::of(&headers, &header::AUTHORIZATION, bearer);
        assert_eq!(shared.key().unwrap_err().code(), "conflicting_credentials");
    }
}
