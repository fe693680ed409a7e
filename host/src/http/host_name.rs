//! Names of hosts as requests and settings write them.

use std::fmt;
use std::str::FromStr;

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
            Err(_) => without_final_dot(&text.to_ascii_lowercase()).to_owned(),
        };
        if name == "*" || host_name(name.as_bytes()).is_some_and(|host| host.len() == name.len()) {
            Ok(Self(name.into()))
        } else {
            Err(InvalidHost)
        }
    }
}

impl AllowedHost {
    /// In lower case; `*` for any.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name without the dot that ends it where it is written in full.
fn without_final_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// The name in `name`, `name:port`, `[v6]` or `[v6]:port`. None where it is anything else.
pub(crate) fn host_name(authority: &[u8]) -> Option<&[u8]> {
    host_and_port(authority).map(|(name, _)| name)
}

/// A name and the port behind it. A name in full may end in a dot, and a port may be empty
/// (RFC 3986, section 3.2): both are as if they were not there.
pub(crate) fn host_and_port(authority: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let end = if authority.first() == Some(&b'[') {
        authority.iter().position(|byte| *byte == b']')? + 1
    } else {
        let colon = authority.iter().position(|byte| *byte == b':');
        colon.unwrap_or(authority.len())
    };
    let (name, port) = authority.split_at_checked(end)?;
    let name = name.strip_suffix(b".").unwrap_or(name);
    let is_name = match name {
        [] | [.., b'.'] => false,
        [b'[', inner @ .., b']'] => std::str::from_utf8(inner)
            .is_ok_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok()),
        name => name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(byte)),
    };
    let port = match port {
        [] | [b':'] => None,
        [b':', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {
            Some(std::str::from_utf8(digits).ok()?.parse().ok()?)
        }
        _ => return None,
    };
    is_name.then_some((name, port))
}

/// Whether two names of hosts are one: in whichever case they are written, and an address of IPv6
/// with however many of its zeros.
pub(crate) fn is_same_name(one: &[u8], other: &[u8]) -> bool {
    let address = |name: &[u8]| {
        let inner = name.strip_prefix(b"[")?.strip_suffix(b"]")?;
        let inner = std::str::from_utf8(inner).ok()?;
        inner.parse::<std::net::Ipv6Addr>().ok()
    };
    one.eq_ignore_ascii_case(other) || address(one).is_some_and(|one| Some(one) == address(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_and_a_port() {
        for (host, name) in [
            ("localhost", "localhost"),
            ("a-b.example_c.:80", "a-b.example_c"),
            ("localhost.", "localhost"),
            ("localhost:", "localhost"),
            ("localhost.:", "localhost"),
            ("[::1]:", "[::1]"),
            ("127.0.0.1:8000", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[::1]:8000", "[::1]"),
        ] {
            assert_eq!(host_name(host.as_bytes()), Some(name.as_bytes()), "{host}");
        }
        for odd in [
            "", ":80", "a b", "a,b", "u@h", "h/x", ".", "h..", ":", "h::", "h:x", "h:70000",
            "h:80:80", "[::1", "[x]", "[::1]x", "h\u{e4}", "h%2f", "h?", "h#", "h\\", "\"h\"",
        ] {
            assert_eq!(host_name(odd.as_bytes()), None, "{odd}");
        }
    }
}
