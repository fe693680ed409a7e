//! What of the machine a value names: what the wall around the server leaves open.

use std::net::SocketAddr;
use std::path::PathBuf;

/// What of the machine a value names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::config) struct Named {
    /// Files and folders.
    pub(in crate::config) files: Vec<PathBuf>,
    /// Ports of TCP that are listened on.
    pub(in crate::config) listens: Vec<u16>,
    /// Ports of TCP, of other machines, that are called.
    pub(in crate::config) calls: Vec<u16>,
}

/// Schemes of URLs, and the port of each.
const SCHEMES: [(&str, u16); 4] = [("http", 80), ("https", 443), ("grpc", 443), ("grpcs", 443)];

impl Named {
    /// Files.
    pub(super) fn files<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        Self {
            files: paths.into_iter().cloned().collect(),
            ..Self::default()
        }
    }

    /// Addresses to listen on.
    pub(super) fn listens(addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self {
            listens: addresses.into_iter().map(|it| it.port()).collect(),
            ..Self::default()
        }
    }

    /// What a text names: a file by an absolute path, another machine by a URL, else nothing.
    pub(super) fn by_text(text: &str) -> Self {
        if text.starts_with('/') {
            return Self::files([&PathBuf::from(text)]);
        }
        Self {
            calls: port(text).into_iter().collect(),
            ..Self::default()
        }
    }
}

/// The port of a URL (RFC 3986), if it is one of a scheme that is called.
fn port(url: &str) -> Option<u16> {
    let (scheme, rest) = url.split_once("://")?;
    let (_, usual) = SCHEMES.iter().find(|(name, _)| *name == scheme)?;
    // A secret path may be shown as words.
    let authority = rest.split(['/', '?', '#', ' ']).next()?;
    // Behind a name and its password, and the last `]` of an IPv6 address, if there are any.
    let behind = authority.rsplit(['@', ']']).next()?;
    match behind.rsplit_once(':') {
        Some((_, port)) => port.parse().ok(),
        None => Some(*usual),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_names_a_file_or_another_machine() {
        for (text, calls) in [
            ("https://hooks.example/in", Some(443)),
            ("http://127.0.0.1:8200", Some(8200)),
            ("https://[2001:db8::1]/keys", Some(443)),
            ("https://[2001:db8::1]:8443?x=:1", Some(8443)),
            ("https://user:word@host.example:99/", Some(99)),
            ("https://user:word@host.example", Some(443)),
            ("http://127.0.0.1:8080 (path redacted)", Some(8080)),
            ("unix:///run/x", None),
            ("https", None),
            ("info,belljar=debug", None),
        ] {
            let expected = Named {
                calls: calls.into_iter().collect(),
                ..Named::default()
            };
            assert_eq!(Named::by_text(text), expected, "{text}");
        }
        let file = Named::by_text("/etc/belljar/keys.json");
        assert_eq!(file.files, [PathBuf::from("/etc/belljar/keys.json")]);
        assert!(file.calls.is_empty());
    }
}
