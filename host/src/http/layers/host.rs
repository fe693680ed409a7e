//! By which name the server is called.
//!
//! Each request names it exactly once and in good form: two names that two programs read
//! differently are how requests are smuggled. And on a loopback address only the server's own
//! names will do: a page of another site can have its own name point to 127.0.0.1 and then
//! speak to this server as if it were that site (DNS rebinding), but it cannot change the name
//! that the browser puts into the request.

use super::browser::BrowserConfig;
use super::check::{Check, Refusal, refuse};
use crate::http::error::{ApiError, ErrorType};
use axum::extract::Request;
use http::{StatusCode, Version, header};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

/// A name by which the server may be called, without a port; or any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost(Box<str>);

/// The text is no name of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a host is a name or an address without a port, such as `models.example` or `[::1]`, or `*`"
)]
pub struct InvalidHost;

impl FromStr for AllowedHost {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let name = match text.parse::<std::net::Ipv6Addr>() {
            Ok(address) => format!("[{address}]"),
            Err(_) => text.to_ascii_lowercase(),
        };
        if name == "*" || host_name(name.as_bytes()).is_some_and(|host| host.len() == name.len()) {
            Ok(Self(name.into()))
        } else {
            Err(InvalidHost)
        }
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name in `name`, `name:port`, `[v6]` or `[v6]:port`. None where it is anything else.
pub(super) fn host_name(authority: &[u8]) -> Option<&[u8]> {
    let end = if authority.first() == Some(&b'[') {
        authority.iter().position(|byte| *byte == b']')? + 1
    } else {
        let colon = authority.iter().position(|byte| *byte == b':');
        colon.unwrap_or(authority.len())
    };
    let (name, port) = authority.split_at_checked(end)?;
    let is_name = match name {
        [] => false,
        [b'[', inner @ .., b']'] => std::str::from_utf8(inner)
            .is_ok_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok()),
        name => name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(byte)),
    };
    let is_port = match port {
        [] => true,
        [b':', digits @ ..] => {
            digits.iter().all(u8::is_ascii_digit)
                && std::str::from_utf8(digits).is_ok_and(|digits| digits.parse::<u16>().is_ok())
        }
        _ => false,
    };
    (is_name && is_port).then_some(name)
}

/// The names by which the server may be called; none where any will do.
#[derive(Clone, Debug)]
pub(crate) struct HostNames(Option<Arc<[Box<str>]>>);

impl HostNames {
    /// The names of a server that listens on an address, with those that are set.
    pub(crate) fn new(config: &BrowserConfig) -> Self {
        let listens_on = config.listens_on;
        let is_loopback = listens_on.is_some_and(|ip| ip.is_loopback());
        let set = &config.allowed_hosts;
        if set.iter().any(|host| &*host.0 == "*") || (set.is_empty() && !is_loopback) {
            return Self(None);
        }
        let own = ["localhost", "127.0.0.1", "[::1]"].map(Box::from);
        let listens_on = listens_on.map(|ip| match ip {
            IpAddr::V4(ip) => ip.to_string().into(),
            IpAddr::V6(ip) => format!("[{ip}]").into(),
        });
        let set = set.iter().map(|host| host.0.clone());
        Self(Some(own.into_iter().chain(listens_on).chain(set).collect()))
    }

    fn has(&self, name: &[u8]) -> bool {
        self.0.as_ref().is_none_or(|names| {
            names
                .iter()
                .any(|known| known.as_bytes().eq_ignore_ascii_case(name))
        })
    }

    fn check(&self, request: &Request) -> Result<(), ApiError> {
        let mut named = request.headers().get_all(header::HOST).iter();
        let host = named.next().map(http::HeaderValue::as_bytes);
        if named.next().is_some() {
            return Err(invalid("The request has more than one Host."));
        }
        // HTTP/2 names the host in a field of its own, and HTTP/1 can in the target.
        let authority = request
            .uri()
            .authority()
            .map(|name| name.as_str().as_bytes());
        let host = match (authority, host) {
            (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => {
                return Err(invalid("The request names two different hosts."));
            }
            (Some(name), _) | (None, Some(name)) => name,
            (None, None) if request.version() < Version::HTTP_11 => return Ok(()),
            (None, None) => return Err(invalid("The request has no Host.")),
        };
        let name = host_name(host).ok_or_else(|| invalid("The Host is not a host and a port."))?;
        if self.has(name) {
            return Ok(());
        }
        Err(ApiError::new(
            StatusCode::FORBIDDEN,
            ErrorType::Permission,
            "host_not_allowed",
            "The server is not called by this name; the setting `http.allowed_hosts` lists those \
             that it is called by.",
        ))
    }
}

fn invalid(message: &'static str) -> ApiError {
    ApiError::invalid_request("invalid_host", message)
}

/// The layer.
#[derive(Clone)]
pub(crate) struct HostCheck {
    pub(crate) names: HostNames,
}

impl Check for HostCheck {
    fn check(&self, request: &mut Request) -> Result<(), Refusal> {
        self.names.check(request).map_err(refuse)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use axum::body::Body;

    #[test]
    fn a_host_is_a_name_and_a_port() {
        for (host, name) in [
            ("localhost", "localhost"),
            ("a-b.example_c.:80", "a-b.example_c."),
            ("127.0.0.1:8000", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[::1]:8000", "[::1]"),
        ] {
            assert_eq!(host_name(host.as_bytes()), Some(name.as_bytes()), "{host}");
        }
        for odd in [
            "", ":80", "a b", "a,b", "u@h", "h/x", "h:", "h:x", "h:70000", "h:80:80", "[::1",
            "[x]", "[::1]x", "h\u{e4}", "h%2f", "h?", "h#", "h\\", "\"h\"",
        ] {
            assert_eq!(host_name(odd.as_bytes()), None, "{odd}");
        }
    }

    #[track_caller]
    fn check(config: &BrowserConfig, version: Version, target: &str, hosts: &[&str], expect: &str) {
        let mut request = http::Request::get(target).version(version);
        for host in hosts {
            request = request.header("host", *host);
        }
        let request = request.body(Body::empty()).unwrap();
        let code = HostNames::new(config)
            .check(&request)
            .map_err(|error| error.code());
        assert_eq!(code.err().unwrap_or_default(), expect, "{target} {hosts:?}");
    }

    #[test]
    fn a_request_names_its_host_once_and_by_a_name_of_the_server() {
        let on = |ip: &str, names: &[&str]| BrowserConfig {
            listens_on: Some(ip.parse().unwrap()),
            allowed_hosts: names.iter().map(|name| name.parse().unwrap()).collect(),
            ..BrowserConfig::default()
        };
        let (local, set) = (
            on("127.0.0.2", &[]),
            on("127.0.0.1", &["My.Example", "::2"]),
        );
        let (outside, outside_set) = (on("192.0.2.1", &[]), on("192.0.2.1", &["my.example"]));
        let any = on("127.0.0.1", &["*"]);
        let v11 = Version::HTTP_11;
        for good in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:8000",
            "[::1]:8000",
            "127.0.0.2",
        ] {
            check(&local, v11, "/", &[good], "");
        }
        check(&local, v11, "/", &["evil.example"], "host_not_allowed");
        check(
            &local,
            v11,
            "/",
            &["localhost.evil.example"],
            "host_not_allowed",
        );
        check(&set, v11, "/", &["my.example:80"], "");
        check(&set, v11, "/", &["[::2]"], "");
        check(&outside, v11, "/", &["anything.example"], "");
        check(
            &outside_set,
            v11,
            "/",
            &["anything.example"],
            "host_not_allowed",
        );
        check(&any, v11, "/", &["anything.example"], "");

        check(&any, v11, "/", &[], "invalid_host");
        check(&any, Version::HTTP_10, "/", &[], "");
        check(&any, Version::HTTP_2, "/", &[], "invalid_host");
        check(&any, v11, "/", &["a", "a"], "invalid_host");
        check(&any, v11, "/", &["a@b"], "invalid_host");
        check(
            &local,
            v11,
            "http://evil.example/",
            &["localhost"],
            "invalid_host",
        );
        check(
            &local,
            v11,
            "http://evil.example/",
            &["evil.example"],
            "host_not_allowed",
        );
        check(&local, v11, "http://localhost/", &["localhost"], "");
        check(&local, Version::HTTP_2, "http://localhost/", &[], "");
    }
}
