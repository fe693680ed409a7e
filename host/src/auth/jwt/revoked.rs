//! The ids (`jti`) of tokens that are not taken any more: those of a file, and those that
//! administrators have named, which are on disk before they are acknowledged.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use jiff::Timestamp;
use parking_lot::RwLock;

use super::bounds::{ID_BYTES_MAX, REVOKED_MAX};
use super::error::JwtError;

/// A token that an administrator has revoked.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RevokedToken {
    /// Its id.
    pub jti: String,
    /// The time at which it was revoked.
    pub revoked: Timestamp,
    /// The time from which no token with that id can hold any more, and the id is forgotten.
    pub until: Timestamp,
}

/// All ids that are not taken.
#[derive(Debug, Default)]
pub(super) struct RevokedTokens(RwLock<Lists>);

#[derive(Debug, Default)]
struct Lists {
    of_file: HashSet<String>,
    of_administrators: BTreeMap<String, RevokedToken>,
}

impl RevokedTokens {
    /// Whether a token with that id is not taken.
    pub(super) fn has(&self, jti: &str) -> bool {
        let lists = self.0.read();
        lists.of_file.contains(jti) || lists.of_administrators.contains_key(jti)
    }

    /// The tokens that administrators have revoked, by their ids.
    pub(super) fn list(&self) -> Vec<RevokedToken> {
        self.0.read().of_administrators.values().cloned().collect()
    }

    /// What an administrator has revoked under that id.
    pub(super) fn of(&self, jti: &str) -> Option<RevokedToken> {
        self.0.read().of_administrators.get(jti).cloned()
    }

    /// Takes in what is on disk. One that was revoked before stays as it was.
    pub(super) fn add(&self, tokens: impl IntoIterator<Item = RevokedToken>) {
        let mut lists = self.0.write();
        for token in tokens {
            let list = &mut lists.of_administrators;
            list.entry(token.jti.clone()).or_insert(token);
        }
    }

    /// Forgets those that cannot hold any more, and says whether there is room for another.
    pub(super) fn has_room(&self, now: Timestamp) -> bool {
        let mut lists = self.0.write();
        lists.of_administrators.retain(|_, token| token.until > now);
        lists.of_administrators.len() < REVOKED_MAX
    }

    /// Puts another list in the place of the file's.
    pub(super) fn set_file(&self, ids: HashSet<String>) {
        self.0.write().of_file = ids;
    }
}

/// Insists that a text is an id that can be written into a file and an answer as it is.
pub(in crate::auth) fn checked_id(text: &str) -> Result<&str, JwtError> {
    let is_sane = (1..=ID_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_sane.then_some(text).ok_or(JwtError::TokenId)
}

/// The ids of a file: one a line; empty lines and those that begin with `#` are none.
pub(super) fn listed(bytes: &[u8], path: &Path) -> Result<HashSet<String>, JwtError> {
    let mut ids = HashSet::new();
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let id = std::str::from_utf8(line)
            .ok()
            .and_then(|id| checked_id(id).ok());
        let id = id.ok_or_else(|| JwtError::RevokedLine {
            path: path.to_owned(),
            line: index + 1,
        })?;
        if ids.len() >= REVOKED_MAX {
            return Err(JwtError::TooManyRevoked);
        }
        ids.insert(id.to_owned());
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str) -> Result<HashSet<String>, JwtError> {
        listed(text.as_bytes(), Path::new("revoked"))
    }

    #[test]
    fn a_file_has_an_id_a_line() {
        let ids = read("# stolen\n a-1 \r\n\nb:2\n").unwrap();
        assert_eq!(ids, HashSet::from(["a-1".to_owned(), "b:2".to_owned()]));
        assert!(read("").unwrap().is_empty());
        for bad in [
            "a\nb c\n",
            "a\n\u{1}",
            "a\nü",
            &format!("a\n{}", "b".repeat(257)),
        ] {
            let error = read(bad).unwrap_err().to_string();
            assert!(error.starts_with("revoked, line 2:"), "{error}");
        }
    }

    #[test]
    fn what_cannot_hold_any_more_is_forgotten() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let token = |jti: &str, until| RevokedToken {
            jti: jti.to_owned(),
            revoked: at(0),
            until: at(until),
        };
        let all = RevokedTokens::default();
        all.add([token("a", 10), token("b", 20), token("a", 99)]);
        all.set_file(HashSet::from(["c".to_owned()]));
        assert!(all.has("a") && all.has("b") && all.has("c") && !all.has("d"));
        assert!(all.has_room(at(10)));
        assert!(!all.has("a") && all.has("b") && all.has("c"));
        all.set_file(HashSet::new());
        assert!(!all.has("c"));
        assert_eq!(all.list(), [token("b", 20)]);
    }
}
