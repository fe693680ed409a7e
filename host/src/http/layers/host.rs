//! By which name the server is called.
//!
//! Each request names it exactly once and in good form: two names that two programs read
//! differently are how requests are smuggled. And on a loopback address only the server's own
//! names will do: a page of another site can have its own name point to 127.0.0.1 and then
//! speak to this server as if it were that site (DNS rebinding), but it cannot change the name
//! that the browser puts into the request.

use super::browser::BrowserConfig;
use super::check::Refusal;
use crate::http::error::{ApiError, ErrorType, Status};
use crate::http::host_name::{host_and_port, host_name, is_same_name};
use axum::extract::Request;
use http::{Version, header};
use std::net::IpAddr;
use std::sync::Arc;

/// The names by which the server may be called; none where any will do.
#[derive(Clone, Debug)]
pub(crate) struct HostNames(Option<Arc<[Box<str>]>>);

impl HostNames {
    /// The names of a server that listens on an address, with those that are set.
    pub(crate) fn new(config: &BrowserConfig) -> Self {
        let listens_on = config.listens_on;
        let is_loopback = listens_on.is_some_and(|ip| ip.is_loopback());
        let set = &config.allowed_hosts;
        if set.iter().any(|host| host.as_str() == "*") || (set.is_empty() && !is_loopback) {
            return Self(None);
        }
        let own = ["localhost", "127.0.0.1", "[::1]"].map(Box::from);
        let listens_on = listens_on.map(|ip| match ip {
            IpAddr::V4(ip) => ip.to_string().into(),
            IpAddr::V6(ip) => format!("[{ip}]").into(),
        });
        let set = set.iter().map(|host| host.as_str().into());
        Self(Some(own.into_iter().chain(listens_on).chain(set).collect()))
    }

    fn has(&self, name: &[u8]) -> bool {
        self.0.as_ref().is_none_or(|names| {
            names
                .iter()
                .any(|known| is_same_name(known.as_bytes(), name))
        })
    }

    /// Whether a request calls the server by its name.
    pub(crate) fn check(&self, request: &Request) -> Result<(), Refusal> {
        self.named(request).map_err(Refusal::now)
    }

    fn named(&self, request: &Request) -> Result<(), ApiError> {
        let mut named = request.headers().get_all(header::HOST).iter();
        let host = named.next().map(http::HeaderValue::as_bytes);
        if named.next().is_some() {
            return Err(invalid("The request has more than one Host."));
        }
        // HTTP/2 names the host in a field of its own, and HTTP/1 can in the target.
        let target = request.uri();
        let authority = target.authority().map(|name| name.as_str().as_bytes());
        let usual_port = match target.scheme_str() {
            Some("https") => 443,
            _ => 80,
        };
        let host = match (authority, host) {
            (Some(authority), Some(host)) if !is_same(authority, host, usual_port) => {
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
            Status::Forbidden,
            ErrorType::Permission,
            "host_not_allowed",
            "The server is not called by this name; the setting `http.allowed_hosts` lists those \
             that it is called by.",
        ))
    }
}

/// Whether two spellings name one host and one port, which is the usual one where there is none.
fn is_same(one: &[u8], other: &[u8], usual_port: u16) -> bool {
    match (host_and_port(one), host_and_port(other)) {
        (Some((one, one_port)), Some((other, other_port))) => {
            is_same_name(one, other)
                && one_port.unwrap_or(usual_port) == other_port.unwrap_or(usual_port)
        }
        _ => false,
    }
}

fn invalid(message: &'static str) -> ApiError {
    ApiError::invalid_request("invalid_host", message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use axum::body::Body;

    #[track_caller]
    fn check(config: &BrowserConfig, version: Version, target: &str, hosts: &[&str], expect: &str) {
        let mut request = http::Request::get(target).version(version);
        for host in hosts {
            request = request.header("host", *host);
        }
        let request = request.body(Body::empty()).unwrap();
        let code = HostNames::new(config)
            .named(&request)
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
            "localhost.",
            "localhost.:80",
            "localhost:",
            "[::1]:",
            "127.0.0.1.:",
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:8000",
            "[::1]:8000",
            "127.0.0.2",
            "[0:0:0:0:0:0:0:1]:8000",
            "[::0001]",
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
        check(&set, v11, "http://[0::2]/", &["[::0:2]:"], "");
        check(&set, v11, "/", &["my.example.:"], "");
        let dotted = on("127.0.0.1", &["My.Example."]);
        check(&dotted, v11, "/", &["my.example"], "");
        check(&dotted, v11, "/", &["my.example."], "");
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
        check(&local, v11, "http://localhost./", &["localhost"], "");
        check(&local, v11, "http://localhost:80/", &["localhost.:80"], "");
        check(
            &local,
            v11,
            "http://localhost:81/",
            &["localhost"],
            "invalid_host",
        );
        check(&local, v11, "http://localhost/", &["localhost:80"], "");
        check(&local, v11, "https://localhost:443/", &["localhost."], "");
        check(
            &local,
            v11,
            "https://localhost/",
            &["localhost:80"],
            "invalid_host",
        );
        check(&local, Version::HTTP_2, "http://localhost/", &[], "");
        check(&local, Version::HTTP_2, "http://localhost./", &[], "");
    }
}
