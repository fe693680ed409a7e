//! The one syntax by which a setting says where its value stands.

use std::fmt;
use std::path::PathBuf;

/// Characters of a path or a field in Vault.
const VAULT_CHARACTERS_MAX: usize = 512;

/// The place where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// `file:PATH`: all of a file, without the end of its last line.
    File(PathBuf),
    /// `env:NAME`: a variable of the environment.
    Variable(String),
    /// `vault:MOUNT/data/PATH#FIELD`: a field of a secret in a KV store of version 2.
    Vault(VaultRef),
}

/// A field of a secret in Vault.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VaultRef {
    /// The path as Vault's API has it: the mount, `data`, and the name.
    path: Vec<String>,
    field: String,
}

/// The text begins like the place of a value and names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    /// A file without a path.
    #[error("`file:` is followed by the path of a file")]
    File,
    /// A variable without a name.
    #[error("`env:` is followed by the name of a variable")]
    Variable,
    /// No path, or no field.
    #[error(
        "`vault:` is followed by the path of a secret as Vault's API has it, with `data` behind \
         the mount, and its field: `vault:secret/data/belljar#api_keys`"
    )]
    Vault,
}

impl SecretRef {
    /// The place that a text names; none where it is a value itself.
    ///
    /// # Errors
    ///
    /// When it begins like a place and is none.
    pub fn of(text: &str) -> Result<Option<Self>, InvalidReference> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("file:") {
            let is_path = !path.is_empty() && !path.contains(char::is_control);
            let path = is_path.then(|| PathBuf::from(path));
            return path.map(Self::File).map(Some).ok_or(InvalidReference::File);
        }
        if let Some(name) = text.strip_prefix("env:") {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            let is_variable = !name.is_empty() && name.bytes().all(is_name);
            let name = is_variable.then(|| name.to_owned());
            return name
                .map(Self::Variable)
                .map(Some)
                .ok_or(InvalidReference::Variable);
        }
        let Some(place) = text.strip_prefix("vault:") else {
            return Ok(None);
        };
        let place = VaultRef::read(place).ok_or(InvalidReference::Vault)?;
        Ok(Some(Self::Vault(place)))
    }
}

impl VaultRef {
    fn read(text: &str) -> Option<Self> {
        let (path, field) = text.split_once('#')?;
        let is_plain = |text: &str| {
            (1..=VAULT_CHARACTERS_MAX).contains(&text.len())
                && !text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '#')
        };
        let segments: Vec<String> = path.split('/').map(str::to_owned).collect();
        let is_path = segments
            .iter()
            .all(|segment| !matches!(segment.as_str(), "" | "." | ".."));
        let data = segments.iter().position(|segment| segment == "data")?;
        (is_plain(path) && is_plain(field) && is_path && data > 0 && data + 1 < segments.len())
            .then(|| Self {
                path: segments,
                field: field.to_owned(),
            })
    }

    /// The segments of its path.
    pub(super) fn path(&self) -> &[String] {
        &self.path
    }

    /// The field.
    pub(super) fn field(&self) -> &str {
        &self.field
    }
}

impl fmt::Display for VaultRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vault:{}#{}", self.path.join("/"), self.field)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn places_are_told_from_values() {
        for value in [
            "",
            "a-key-of-sixteen-characters",
            "File:x",
            "sha256:00",
            "C:\\x",
        ] {
            assert_eq!(SecretRef::of(value), Ok(None), "{value}");
        }
        assert_eq!(
            SecretRef::of(" file:/run/secrets/key\n"),
            Ok(Some(SecretRef::File("/run/secrets/key".into())))
        );
        assert_eq!(
            SecretRef::of("env:MY_KEY"),
            Ok(Some(SecretRef::Variable("MY_KEY".to_owned())))
        );
        let Some(SecretRef::Vault(place)) = SecretRef::of("vault:kv/team/data/a/b#c.d").unwrap()
        else {
            panic!("no place");
        };
        assert_eq!(place.to_string(), "vault:kv/team/data/a/b#c.d");
        assert_eq!((place.path().len(), place.field()), (5, "c.d"));
    }

    #[test]
    fn what_begins_like_a_place_and_is_none_is_refused() {
        for (text, expect) in [
            ("file:", InvalidReference::File),
            ("file:a\u{7}b", InvalidReference::File),
            ("env:", InvalidReference::Variable),
            ("env:A-B", InvalidReference::Variable),
            ("vault:", InvalidReference::Vault),
            ("vault:secret/belljar#x", InvalidReference::Vault),
            ("vault:secret/data/belljar", InvalidReference::Vault),
            ("vault:secret/data/#x", InvalidReference::Vault),
            ("vault:data/belljar#x", InvalidReference::Vault),
            ("vault:secret/data/../sys#x", InvalidReference::Vault),
            ("vault:secret/data/a b#x", InvalidReference::Vault),
            ("vault:secret/data/a#", InvalidReference::Vault),
        ] {
            assert_eq!(SecretRef::of(text), Err(expect), "{text}");
        }
    }
}
