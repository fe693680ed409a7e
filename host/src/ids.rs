//! Names for what the host itself counts: API keys and requests. Names of models are born in
//! `belljar_bundle`.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use uuid::fmt::Simple;

/// The public name of an API key: `key_` and 16 hex digits for a stored key, `config-N` for
/// the N-th key of the configuration; or of a caller by token: `jwt_` and 32 hex digits. Says
/// nothing about the secret, so it may be logged.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Arc<str>);

impl KeyId {
    /// A fresh name for a stored key.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("key_{:016x}", rand::random::<u64>()).into())
    }

    /// The name of the `position`-th key (from 1) of the configuration. The position and not a
    /// piece of the hash: a key that people chose can be weak, and a piece of its hash in a
    /// log would let a reader of the log test guesses.
    #[must_use]
    pub fn configured(position: usize) -> Self {
        Self(format!("config-{position}").into())
    }

    /// The name of whom an issuer of tokens calls `caller`: the same for each of its tokens. A
    /// hash of 128 bits, so that nobody can choose a name that is another caller's as well.
    #[must_use]
    pub fn of_caller(issuer: &str, caller: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"belljar caller by token\0");
        // Where the issuer ends is part of it.
        hash.update(
            u64::try_from(issuer.len())
                .unwrap_or(u64::MAX)
                .to_be_bytes(),
        );
        hash.update(issuer);
        hash.update(caller);
        let digits = hex::encode(hash.finalize());
        let (digits, _) = digits.split_at(CALLER_DIGITS);
        Self(format!("{CALLER_PREFIX}{digits}").into())
    }

    /// Whether it is that of a caller by token.
    #[must_use]
    pub fn is_of_caller(&self) -> bool {
        self.0.starts_with(CALLER_PREFIX)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a text is the name of a stored key, of this server or of another one.
    #[must_use]
    pub fn is_stored(text: &str) -> bool {
        has_digits(text, "key_", 16)
    }
}

impl Borrow<str> for KeyId {
    /// For look-ups by an id that a request names.
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Whether a text is a prefix and so many hex digits in lower case.
fn has_digits(text: &str, prefix: &str, count: usize) -> bool {
    text.strip_prefix(prefix).is_some_and(|digits| {
        let is_digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        digits.len() == count && digits.bytes().all(is_digit)
    })
}

/// The beginning of the names of callers by token.
const CALLER_PREFIX: &str = "jwt_";
/// Hex digits after it.
const CALLER_DIGITS: usize = 32;

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for KeyId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl FromStr for KeyId {
    type Err = InvalidKeyId;

    fn from_str(text: &str) -> Result<Self, InvalidKeyId> {
        let configured = text
            .strip_prefix("config-")
            .is_some_and(|n| n.len() <= 6 && n.parse::<usize>().is_ok_and(|n| n > 0));
        if Self::is_stored(text) || has_digits(text, CALLER_PREFIX, CALLER_DIGITS) || configured {
            Ok(Self(text.into()))
        } else {
            Err(InvalidKeyId)
        }
    }
}

/// The text is not the name of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
// The text is not repeated: people paste secrets where a name is asked for.
#[error("not the id of a key: an id is `key_` and 16 hex digits, as `belljar keys list` shows")]
pub struct InvalidKeyId;

/// A fresh UUID of version 7, which sorts by time. Costs no system call and no lock, as a counter
/// that all threads share would.
#[must_use]
pub fn sorted_uuid() -> Uuid {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    uuid_v7(now.unwrap_or_default(), rand::random())
}

/// Milliseconds, a fraction of one in the 12 bits behind them (RFC 9562, method 3), and 62 random
/// bits.
fn uuid_v7(since_epoch: Duration, random: u64) -> Uuid {
    const NS_PER_MS: u32 = 1_000_000;
    let ms = u64::try_from(since_epoch.as_millis()).unwrap_or(0);
    let ns = u64::from(since_epoch.subsec_nanos() % NS_PER_MS);
    let fraction = (ns << 12) / u64::from(NS_PER_MS);
    let (version, variant) = (7 << 12, 0b10 << 62);
    Uuid::from_u64_pair((ms << 16) | version | fraction, variant | (random >> 2))
}

/// The name of one request, in the `x-request-id` header, the log and errors.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Arc<str>);

/// Bytes of a request id that a caller may choose.
pub const REQUEST_ID_BYTES_MAX: usize = 128;

impl RequestId {
    /// A fresh id; sorts by time.
    #[must_use]
    pub fn random() -> Self {
        let mut text = [0_u8; Simple::LENGTH];
        Self((*sorted_uuid().simple().encode_lower(&mut text)).into())
    }

    /// The id that a caller sent, if it is one that can go into a log and a header as it is:
    /// 1 to [`REQUEST_ID_BYTES_MAX`] of `A-Z a-z 0-9 . _ -`.
    #[must_use]
    pub fn accept(bytes: &[u8]) -> Option<Self> {
        let sane = (1..=REQUEST_ID_BYTES_MAX).contains(&bytes.len())
            && bytes
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        let text = std::str::from_utf8(bytes).ok().filter(|_| sane)?;
        Some(Self(text.into()))
    }

    /// The id as text; always a valid header value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as text that several owners share.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl serde::Serialize for RequestId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn key_ids_survive_a_round_trip() {
        let by_token = KeyId::of_caller("https://id.example", "ann");
        assert!(by_token.is_of_caller() && !KeyId::random().is_of_caller());
        for id in [
            KeyId::random(),
            KeyId::configured(1),
            KeyId::configured(12),
            by_token,
        ] {
            assert_eq!(id.as_str().parse::<KeyId>().unwrap(), id);
        }
    }

    #[test]
    fn a_caller_by_token_has_one_name_and_nobody_elses() {
        let name = KeyId::of_caller("https://id.example", "ann");
        assert_eq!(name.as_str(), "jwt_3c5aaf72d6ca44d3b8c88c231c93f5b0");
        for (issuer, caller) in [
            ("https://id.example", "bob"),
            ("https://id.exampl", "eann"),
            ("https://id.examplea", "nn"),
            ("", "https://id.exampleann"),
        ] {
            assert_ne!(KeyId::of_caller(issuer, caller), name);
        }
    }

    #[test]
    fn what_is_not_a_key_id_is_refused_without_being_repeated() {
        for text in [
            "",
            "key_",
            "key_XYZ",
            "key_0123456789ABCDEF",
            "config-0",
            "config-+1x",
            "jwt_0123456789abcdef",
            "sk-belljar-00",
        ] {
            let error = text.parse::<KeyId>().unwrap_err().to_string();
            assert!(
                text.is_empty() || !error.contains(text) || text == "key_",
                "{error}"
            );
        }
    }

    #[test]
    fn fresh_ids_are_uuids_of_version_7_that_sort_by_time() {
        for ns in [0, 1, 999_999, 1_000_000, 1_795_391_911_123_456_789] {
            let time = Duration::from_nanos(ns);
            let id = uuid_v7(time, u64::MAX);
            assert!(id < uuid_v7(time + Duration::from_nanos(245), 0), "{ns}");
            assert_eq!(id.get_version_num(), 7);
            assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
            let (seconds, ns) = id.get_timestamp().unwrap().to_unix();
            assert_eq!(Duration::new(seconds, ns).as_millis(), time.as_millis());
        }
        let ids: HashSet<_> = (0..1_000).map(|_| RequestId::random()).collect();
        assert_eq!(ids.len(), 1_000);
    }

    #[test]
    fn request_ids_take_only_harmless_bytes() {
        assert_eq!(RequestId::accept(b"a.B_9-").unwrap().as_str(), "a.B_9-");
        for bad in [&b""[..], b"a b", b"a\nb", b"\xff", &[b'a'; 129]] {
            assert_eq!(RequestId::accept(bad), None);
        }
        assert!(RequestId::accept(&[b'a'; 128]).is_some());
        assert!(RequestId::accept(RequestId::random().as_str().as_bytes()).is_some());
    }
}
