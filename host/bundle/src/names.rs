//! What models are called: [`ModelName`], [`ModelVersion`] and the two together, [`ModelId`].
//! A value of these types has passed every rule; nobody checks it again.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::text::{quotable, serde_as_text};

/// A model's name: 1 to 64 characters of `a-z`, `0-9`, `.`, `_`, `-`, the first one a letter
/// or a digit.
///
/// The set is small so that a name is safe in a path, an address, a log line and a metric label
/// without escaping.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelName(String);

impl ModelName {
    /// The longest name, in bytes.
    pub const BYTES_MAX: usize = 64;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ModelName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > Self::BYTES_MAX {
            return Err(NameError::TooLong {
                bytes: text.len(),
                limit: Self::BYTES_MAX,
            });
        }
        for (index, character) in text.chars().enumerate() {
            let everywhere = character.is_ascii_lowercase() || character.is_ascii_digit();
            let inside = index > 0 && matches!(character, '.' | '_' | '-');
            if !everywhere && !inside {
                return Err(NameError::Character {
                    name: quotable(text),
                    character,
                });
            }
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for ModelName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

serde_as_text!(ModelName);

/// A model's version: a semantic version such as `1.0.0` or `2.1.0-rc.1`, at most 64 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelVersion(semver::Version);

impl ModelVersion {
    /// The longest version, in bytes of text.
    pub const BYTES_MAX: usize = 64;

    /// The version for comparing and matching.
    pub fn as_semver(&self) -> &semver::Version {
        &self.0
    }
}

impl FromStr for ModelVersion {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.len() > Self::BYTES_MAX {
            return Err(NameError::TooLong {
                bytes: text.len(),
                limit: Self::BYTES_MAX,
            });
        }
        semver::Version::parse(text)
            .map(Self)
            .map_err(|error| NameError::Version {
                version: quotable(text),
                reason: error.to_string(),
            })
    }
}

impl fmt::Display for ModelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

serde_as_text!(ModelVersion);

/// One version of one model, written `name@version`. What it stands for never changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelId {
    /// Which model.
    pub name: ModelName,
    /// Which version of it.
    pub version: ModelVersion,
}

impl FromStr for ModelId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (name, version) = text
            .split_once('@')
            .ok_or_else(|| NameError::NoVersion { id: quotable(text) })?;
        Ok(Self {
            name: name.parse()?,
            version: version.parse()?,
        })
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

serde_as_text!(ModelId);

/// Why a text is not a name, a version or an id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing was written.
    #[error("the name is empty")]
    Empty,
    /// The text is over its bound.
    #[error("{bytes} bytes are too many: at most {limit}")]
    TooLong {
        /// What was given.
        bytes: usize,
        /// What is allowed.
        limit: usize,
    },
    /// A character that a name may not have, or not at this place.
    #[error(
        "\"{name}\" has {character:?}: a name is made of a-z, 0-9, '.', '_' and '-', and begins \
         with a letter or a digit"
    )]
    Character {
        /// The name, made safe to print.
        name: String,
        /// The first character that is wrong.
        character: char,
    },
    /// Not a semantic version.
    #[error("\"{version}\" is not a semantic version such as 1.0.0: {reason}")]
    Version {
        /// The text, made safe to print.
        version: String,
        /// What the parser found.
        reason: String,
    },
    /// An id without its second half.
    #[error("\"{id}\" is not of the form name@version")]
    NoVersion {
        /// The text, made safe to print.
        id: String,
    },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "0", "smollm2", "a.b_c-d", "a..b", &"x".repeat(64)] {
            assert_eq!(good.parse::<ModelName>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            ".a",
            "-a",
            "_a",
            "A",
            "a/b",
            "a b",
            "é",
            "a\0",
            "a@b",
            &"x".repeat(65),
        ] {
            assert!(bad.parse::<ModelName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn versions_and_ids() {
        let id: ModelId = "fake@1.2.3-rc.1+b5".parse().unwrap();
        assert_eq!(id.name.as_str(), "fake");
        assert_eq!(id.version.as_semver().major, 1);
        assert_eq!(id.to_string(), "fake@1.2.3-rc.1+b5");
        for bad in [
            "fake",
            "fake@",
            "@1.0.0",
            "fake@1.0",
            "fake@v1.0.0",
            "fake@1.0.0@2.0.0",
        ] {
            assert!(bad.parse::<ModelId>().is_err(), "{bad:?}");
        }
        assert!(
            format!("1.0.0-{}", "x".repeat(100))
                .parse::<ModelVersion>()
                .is_err()
        );
    }
}
