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
            Err(_) => text.to_ascii_lowercase(),
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

/// The name in `name`, `name:port`, `[v6]` or `[v6]:port`. None where it is anything else.
pub(crate) fn host_name(authority: &[u8]) -> Option<&[u8]> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
