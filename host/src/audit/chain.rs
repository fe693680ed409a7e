//! A line of the log, and its link to the one before.
//!
//! A line is a JSON object whose last member is `hash`. The hash is the SHA-256 of the line as
//! it would be without that member: take `,"hash":"…"` out and hash what is left, byte for byte.
//! The member before it, `previous`, is the hash of the line before, so no line can be changed,
//! removed or moved without changing all that follow.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::Event;

/// A place in the chain: the number of a line and its hash.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Link {
    pub(super) sequence: u64,
    /// 64 hex digits.
    pub(super) hash: String,
}

impl Link {
    /// Before the first line.
    pub(super) fn genesis() -> Self {
        Self {
            sequence: 0,
            hash: "0".repeat(64),
        }
    }
}

#[derive(serde::Serialize)]
struct Content<'a> {
    sequence: u64,
    time: Timestamp,
    #[serde(flatten)]
    event: &'a Event,
    previous: &'a str,
}

/// The line that follows `before`, without a line end, and its place.
pub(super) fn line(before: &Link, time: Timestamp, event: &Event) -> (String, Link) {
    let sequence = before.sequence.saturating_add(1);
    let content = Content {
        sequence,
        time,
        event,
        previous: &before.hash,
    };
    // Names and numbers: there is nothing in it that JSON could not say.
    let mut line = serde_json::to_string(&content).unwrap_or_else(|_| "{}".to_owned());
    let hash = hash(line.as_bytes());
    line.pop();
    line.push_str(HASH_KEY);
    line.push_str(&hash);
    line.push_str(END);
    (line, Link { sequence, hash })
}

const HASH_KEY: &str = ",\"hash\":\"";
const END: &str = "\"}";

pub(super) fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A line as it was read.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    /// The line's place, with the hash that it claims.
    pub(super) link: Link,
    pub(super) previous: String,
    pub(super) event: String,
    pub(super) about: serde_json::Value,
    /// Whether the hash is the one of its content.
    pub(super) is_intact: bool,
}

#[derive(serde::Deserialize)]
struct Read {
    sequence: u64,
    previous: String,
    event: String,
    #[serde(default)]
    about: serde_json::Value,
}

/// Understands a line. None where it is no line of an audit log.
pub(super) fn parse(line: &[u8]) -> Option<Parsed> {
    let text = std::str::from_utf8(line).ok()?;
    let (content, claimed) = text.strip_suffix(END)?.rsplit_once(HASH_KEY)?;
    let content = format!("{content}}}");
    let read: Read = serde_json::from_str(&content).ok()?;
    Some(Parsed {
        is_intact: hash(content.as_bytes()) == claimed,
        link: Link {
            sequence: read.sequence,
            hash: claimed.to_owned(),
        },
        previous: read.previous,
        event: read.event,
        about: read.about,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::audit::{Actor, EventKind};
    use serde_json::json;

    #[test]
    fn a_line_is_what_it_is_documented_to_be() {
        let actor = Actor {
            address: Some("192.0.2.7".parse().unwrap()),
            ..Actor::default()
        };
        let about = [("reason", json!("invalid_api_key"))];
        let event = Event::new(EventKind::AuthenticationFailed, actor, &about);
        let (line, link) = line(
            &Link::genesis(),
            "2030-01-01T00:00:00Z".parse().unwrap(),
            &event,
        );
        let zeros = "0".repeat(64);
        let content = format!(
            r#"{{"sequence":1,"time":"2030-01-01T00:00:00Z","event":"authentication_failed","address":"192.0.2.7","about":{{"reason":"invalid_api_key"}},"previous":"{zeros}"}}"#
        );
        let hash = hash(content.as_bytes());
        let without_brace = content.strip_suffix('}').unwrap();
        assert_eq!(line, format!(r#"{without_brace},"hash":"{hash}"}}"#));
        let parsed = parse(line.as_bytes()).unwrap();
        assert!(parsed.is_intact);
        assert_eq!(parsed.link, link);
        let changed = line.replace("invalid_api_key", "missing_api_key");
        assert!(!parse(changed.as_bytes()).unwrap().is_intact);
    }
}
