//! What browsers are told and allowed: headers on every answer, answers to preflights, and the
//! refusal of requests that another site makes in a visitor's name.
//!
//! Three services, because they stand at different heights: [`Headers`] is above everything
//! that refuses, so that a page can read why it was refused; [`Preflight`] is below the bans
//! and above authentication, because a preflight carries no key.

use super::check::Refusal;
use crate::http::error::{ApiError, ErrorType, Status};
use crate::http::host_name::host_and_port;
use crate::http::own_headers::ANSWERED;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

/// What browsers may do.
#[derive(Clone, Debug, Default)]
pub struct BrowserConfig {
    /// The sites whose pages may call this server. None by default.
    pub allowed_origins: Vec<AllowedOrigin>,
    /// Whether browsers may send cookies and the like along. Keys in headers need it not.
    pub allow_credentials: bool,
    /// The names, besides its own, by which the server may be called. Where it is empty and
    /// the server listens on an address that others reach, any name will do.
    pub allowed_hosts: Vec<crate::http::AllowedHost>,
    /// The address that the server listens on, and that is a name of its own. Derived.
    pub listens_on: Option<std::net::IpAddr>,
}

/// A site whose pages may call this server, or all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigin {
    /// `*`.
    Any,
    /// Exactly this scheme, name and port, as browsers write them.
    Exact(HeaderValue),
}

/// The text is no origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an origin is a scheme, a name and a port where it is not the usual one, such as `https://app.example`, or `*`"
)]
pub struct InvalidOrigin;

impl FromStr for AllowedOrigin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let origin = spelt_plainly(text).ok_or(InvalidOrigin)?;
        let (scheme, authority) = origin.split_once("://").ok_or(InvalidOrigin)?;
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_lowercase())
            && scheme
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
        // Browsers leave out the usual port, so one that has it would never match.
        let usual = (scheme == "https" && authority.ends_with(":443"))
            || (scheme == "http" && authority.ends_with(":80"));
        if !is_scheme || usual {
            return Err(InvalidOrigin);
        }
        HeaderValue::from_str(&origin)
            .map(Self::Exact)
            .map_err(|_| InvalidOrigin)
    }
}

impl fmt::Display for AllowedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(origin) => f.write_str(origin.to_str().unwrap_or_default()),
        }
    }
}

/// An origin in lower case, without the dot that may end a name and without an empty port. None
/// where it has no host.
fn spelt_plainly(origin: &str) -> Option<String> {
    let origin = origin.to_ascii_lowercase();
    let (scheme, authority) = origin.split_once("://")?;
    let (name, port) = host_and_port(authority.as_bytes())?;
    let name = std::str::from_utf8(name).ok()?;
    Some(match port {
        Some(port) => format!("{scheme}://{name}:{port}"),
        None => format!("{scheme}://{name}"),
    })
}

/// Which origins may call, as the layers share it.
#[derive(Clone, Debug)]
pub(crate) struct Origins(Arc<Allowed>);

#[derive(Debug)]
struct Allowed {
    any: bool,
    exact: Vec<HeaderValue>,
    credentials: bool,
}

impl Origins {
    pub(crate) fn new(config: &BrowserConfig) -> Self {
        let exact = config
            .allowed_origins
            .iter()
            .filter_map(|origin| match origin {
                AllowedOrigin::Any => None,
                AllowedOrigin::Exact(origin) => Some(origin.clone()),
            });
        Self(Arc::new(Allowed {
            any: config.allowed_origins.contains(&AllowedOrigin::Any),
            exact: exact.collect(),
            credentials: config.allow_credentials,
        }))
    }

    fn is_empty(&self) -> bool {
        !self.0.any && self.0.exact.is_empty()
    }

    /// What a page of that origin is told, if it may call.
    pub(crate) fn grant(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        if self.is_empty() {
            return None;
        }
        let origin = headers.get(header::ORIGIN)?;
        if self.0.any {
            return Some(HeaderValue::from_static("*"));
        }
        // Browsers compare what they are told with what they have sent, so that is given back.
        let is_listed = |origin: &[u8]| self.0.exact.iter().any(|exact| exact.as_bytes() == origin);
        let is_allowed = is_listed(origin.as_bytes())
            || origin
                .to_str()
                .ok()
                .and_then(spelt_plainly)
                .is_some_and(|plain| is_listed(plain.as_bytes()));
        is_allowed.then(|| origin.clone())
    }
}

/// Puts on an answer what keeps a browser from misusing it.
pub(crate) fn guard_headers(headers: &mut HeaderMap) {
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // There are no pages here: whatever is taken for one may load and run nothing.
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// Headers of answers that pages may read, beside those of Belljar's own.
const EXPOSED_OF_OTHERS: &str = "x-request-id, retry-after, www-authenticate, location, allow, \
     inference-header-content-length, x-ratelimit-limit-requests, \
     x-ratelimit-remaining-requests, x-ratelimit-reset-requests, x-ratelimit-limit-tokens, \
     x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens, openai-processing-ms, server-timing";

/// All headers of answers that pages may read.
static EXPOSED: LazyLock<HeaderValue> = LazyLock::new(|| {
    let all = format!("{EXPOSED_OF_OTHERS}, {}", ANSWERED.join(", "));
    // Names of headers are what headers can carry.
    HeaderValue::try_from(all).unwrap_or_else(|_| HeaderValue::from_static(EXPOSED_OF_OTHERS))
});

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");

/// Seconds for which a browser may remember the answer to a preflight.
const PREFLIGHT_AGE_S: HeaderValue = HeaderValue::from_static("600");

/// Bytes of the list of headers that a preflight may ask for. The clients of OpenAI send about
/// a dozen.
const ASKED_HEADERS_BYTES_MAX: usize = 2_048;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl Origins {
    /// Puts on an answer what keeps a browser from misusing it, and that the page of `granted`
    /// may read it.
    pub(crate) fn complete(&self, granted: Option<HeaderValue>, headers: &mut HeaderMap) {
        guard_headers(headers);
        let allowed = &self.0;
        if !allowed.exact.is_empty() && !allowed.any {
            // A cache must not give one site what was said to another, or to none.
            headers.append(header::VARY, HeaderValue::from_static("origin"));
        }
        if let Some(origin) = granted {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED.clone());
            if allowed.credentials {
                headers.insert(
                    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
                    HeaderValue::from_static("true"),
                );
            }
        }
    }

    /// Answers preflights, and refuses what another site sends without one.
    pub(crate) fn check(&self, request: &Request) -> Result<(), Refusal> {
        let answer = self.answer(request.method(), request.headers());
        answer.map_or(Ok(()), |answer| Err(Refusal::now(answer)))
    }

    /// The answer to a request that no handler needs to see.
    fn answer(&self, method: &Method, headers: &HeaderMap) -> Option<Response> {
        if *method == Method::OPTIONS
            && headers.contains_key(header::ORIGIN)
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        {
            return Some(match self.grant(headers) {
                Some(_) => preflight(headers),
                None => not_allowed().into_response(),
            });
        }
        // A page can send a form or a body without a type to another site and needs no
        // preflight for it; it cannot read the answer, and the model has run by then. Only
        // browsers send this header, and no page can change it.
        let is_of_another_site = headers
            .get(SEC_FETCH_SITE)
            .is_some_and(|site| site.as_bytes() == b"cross-site");
        let changes_something = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        (is_of_another_site && changes_something && self.grant(headers).is_none())
            .then(|| not_allowed().into_response())
    }
}

fn preflight(headers: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let answer = response.headers_mut();
    answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    answer.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE_S);
    // The site is trusted to call, and which headers it sends is its own affair.
    if let Some(asked) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS)
        && asked.len() <= ASKED_HEADERS_BYTES_MAX
        && asked
            .as_bytes()
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_, ".contains(byte))
    {
        answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    response
}

fn not_allowed() -> ApiError {
    ApiError::new(
        Status::Forbidden,
        ErrorType::Permission,
        "origin_not_allowed",
        "Pages of this origin may not call this server; the setting `cors_allowed_origins` lists \
         those that may.",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_origin_is_what_browsers_send() {
        for (text, origin) in [
            ("https://app.example", "https://app.example"),
            ("HTTPS://App.Example:8443", "https://app.example:8443"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("chrome-extension://abc", "chrome-extension://abc"),
            ("*", "*"),
        ] {
            assert_eq!(text.parse::<AllowedOrigin>().unwrap().to_string(), origin);
        }
        for text in [
            "",
            "null",
            "app.example",
            "https://",
            "https://app.example/",
            "https://app.example/x",
            "https://a@b",
            "https://*.example",
            "https://app.example:443",
            "http://x:80",
            "https://a b",
            "://x",
            "https://x:99999",
        ] {
            assert_eq!(text.parse::<AllowedOrigin>(), Err(InvalidOrigin), "{text}");
        }
    }
}
