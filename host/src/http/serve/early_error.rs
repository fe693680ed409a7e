//! Answers to what never became a request: heads that are no HTTP or come too slowly, and
//! connections that are refused. Each is in the envelope of the
//! protocol that was asked for and the last on its connection.

use super::connection_limit::ConnectionRefused;
use crate::http::error::{ApiError, ErrorType, Status};
use crate::http::layers::guard_headers;
use crate::http::surface::Surface;
use crate::ids::RequestId;
use axum::response::IntoResponse as _;
use http::{HeaderValue, header};

/// Seconds after which a client whose connection was refused may try again.
const RETRY_AFTER_S: u64 = 5;

/// The answer to a head that the HTTP library refused with `status`; `reason` is its words.
pub(super) fn malformed(status: u16, reason: &str) -> ApiError {
    let new = |status, code, message: &'static str| {
        ApiError::new(status, ErrorType::InvalidRequest, code, message)
    };
    match status {
        414 => new(Status::UriTooLong, "uri_too_long", "The URL is too long."),
        431 => new(
            Status::HeadersTooLarge,
            "headers_too_large",
            "The request has too many headers, or they are too long.",
        ),
        // The library tells a version that it does not speak from other nonsense in words only.
        _ if reason.contains("version") => new(
            Status::HttpVersionNotSupported,
            "http_version_not_supported",
            "This server speaks HTTP/1.0, HTTP/1.1 and HTTP/2.",
        ),
        _ => new(
            Status::BadRequest,
            "malformed_request",
            "The head of the request is not valid HTTP.",
        ),
    }
}

/// The answer to a head that did not arrive in time.
pub(super) fn slow_head() -> ApiError {
    ApiError::new(
        Status::RequestTimeout,
        ErrorType::InvalidRequest,
        "header_timeout",
        "The head of the request did not arrive in time.",
    )
}

/// The answer to a plain request on a port for TLS.
pub(super) fn plain_to_tls() -> ApiError {
    ApiError::new(
        Status::BadRequest,
        ErrorType::InvalidRequest,
        "tls_required",
        "This port speaks TLS: use `https://` instead of `http://`.",
    )
}

/// The answer to a connection that is refused.
pub(super) fn refused_connection(why: ConnectionRefused) -> ApiError {
    match why {
        ConnectionRefused::Server => ApiError::overloaded(
            "The server has all the connections that it may have.",
            RETRY_AFTER_S,
        ),
        ConnectionRefused::Address => ApiError::new(
            Status::TooManyRequests,
            ErrorType::RateLimit,
            "too_many_connections",
            "This address has all the connections that it may have; use those again.",
        )
        .retry_after(RETRY_AFTER_S),
    }
}

/// The whole answer in the form of a protocol, as it goes over an HTTP/1 connection that then ends.
pub(super) fn bytes(error: ApiError, surface: Surface) -> Vec<u8> {
    let id = RequestId::random();
    let body = match surface {
        Surface::OpenInference => error.for_open_inference(),
        Surface::Anthropic => error.for_anthropic(Some(id.as_str())),
        Surface::OpenAi | Surface::Grpc | Surface::Own => error.body(),
    };
    let mut response = error.into_response();
    let status = response.status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if let Ok(id) = HeaderValue::from_str(id.as_str()) {
        headers.insert("x-request-id", id);
    }
    guard_headers(headers);
    let reason = status.canonical_reason().unwrap_or_default();
    let mut out = format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).into_bytes();
    for (name, value) in headers.iter() {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&body);
    out
}
