//! The port of those who still say `http://`: each request is sent to HTTPS, and nothing else is
//! done for it.

use super::error::ApiError;
use super::host_name::host_and_port;
use super::layers::{BrowserConfig, HostNames, Refusal, guard_headers};
use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};

/// The port of HTTPS where none is said.
const HTTPS_PORT: u16 = 443;

/// A service that answers every request with the address to go to: the same host and path, over
/// HTTPS and at that port. 308 keeps the method and the body.
pub(crate) fn redirect_router(port: u16, browser: &BrowserConfig) -> Router {
    let names = HostNames::new(browser);
    Router::new().fallback(async move |request: Request| {
        let mut response = match names.check(&request) {
            Ok(()) => redirect(&request, port).unwrap_or_else(|| nowhere().into_response()),
            Err(Refusal::Now(answer)) => *answer,
            Err(Refusal::Later(answer)) => answer.await,
        };
        guard_headers(response.headers_mut());
        response
    })
}

fn redirect(request: &Request, port: u16) -> Option<Response> {
    let target = request.uri();
    let named = request.headers().get(header::HOST);
    let host = match (target.authority(), named) {
        (Some(authority), _) => authority.as_str().as_bytes(),
        (None, Some(host)) => host.as_bytes(),
        (None, None) => return None,
    };
    let (name, _) = host_and_port(host)?;
    let name = std::str::from_utf8(name).ok()?;
    let path = target.path_and_query().map_or("/", |path| path.as_str());
    // `OPTIONS *` has no path, and asks about nothing that could move.
    let path = path.strip_prefix('/')?;
    let location = if port == HTTPS_PORT {
        format!("https://{name}/{path}")
    } else {
        format!("https://{name}:{port}/{path}")
    };
    let location = HeaderValue::from_str(&location).ok()?;
    let headers = [(header::LOCATION, location)];
    Some((StatusCode::PERMANENT_REDIRECT, headers).into_response())
}

fn nowhere() -> ApiError {
    ApiError::invalid_request(
        "tls_required",
        "This server speaks HTTPS; the request does not say which host it is for.",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use axum::body::Body;

    #[track_caller]
    fn check(port: u16, host: &str, target: &str, expect: Option<&str>) {
        let request = Request::get(target).header("host", host);
        let found = redirect(&request.body(Body::empty()).unwrap(), port);
        let location = found.as_ref().map(|answer| &answer.headers()["location"]);
        assert_eq!(location.map(|value| value.to_str().unwrap()), expect);
    }

    #[test]
    fn host_path_and_query_stay() {
        check(443, "a.example", "/x?y=1", Some("https://a.example/x?y=1"));
        check(443, "a.example:80", "/", Some("https://a.example/"));
        check(
            8443,
            "a.example:8080",
            "/x",
            Some("https://a.example:8443/x"),
        );
        check(8443, "[::1]:80", "/x", Some("https://[::1]:8443/x"));
        check(
            443,
            "a.example",
            "//evil.example/",
            Some("https://a.example//evil.example/"),
        );
        check(443, "a.example", "*", None);
        check(443, "a.example@evil.example", "/", None);
        check(443, "a.example/evil", "/", None);
    }
}
