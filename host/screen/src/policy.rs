//! What is screened, for what, and how strictly.

use std::fmt;
use std::str::FromStr;

/// A kind of attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    /// SQL, or a query of a document store.
    Sql,
    /// A command of a shell, or code that runs one.
    Command,
    /// A path out of its folder, or to a file of the system.
    PathTraversal,
    /// Script in markup.
    Script,
    /// A filter of a directory search.
    Ldap,
    /// An external entity of XML.
    Xxe,
}

impl Category {
    /// All categories.
    pub const ALL: [Self; 6] = [
        Self::Sql,
        Self::Command,
        Self::PathTraversal,
        Self::Script,
        Self::Ldap,
        Self::Xxe,
    ];

    /// The stable name, such as `path_traversal`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sql => "sql",
            Self::Command => "command",
            Self::PathTraversal => "path_traversal",
            Self::Script => "script",
            Self::Ldap => "ldap",
            Self::Xxe => "xxe",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a text stood in the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldKind {
    /// What people write to a model. Talk about code is welcome.
    Prompt,
    /// An identifier or a file name.
    Identifier,
    /// A header or a query string.
    Header,
}

impl FieldKind {
    /// The stable name, such as `prompt`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Identifier => "identifier",
            Self::Header => "header",
        }
    }
}

impl fmt::Display for FieldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a hit leads to. The screen itself only skips the work for [`Mode::Off`]; refusing is
/// the caller's part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// The request is refused.
    #[default]
    Block,
    /// The request goes on; log and response name the hit.
    Report,
    /// The field is not screened.
    Off,
}

/// A policy that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The mode is none of the three.
    #[error("{given:?} is no mode of screening: `block`, `report` or `off`")]
    Mode {
        /// What was given.
        given: String,
    },
    /// The threshold is no likelihood.
    #[error("{given:?} is no threshold: a number above 0 and below 1")]
    Threshold {
        /// What was given.
        given: String,
    },
}

impl FromStr for Mode {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        match text {
            "block" => Ok(Self::Block),
            "report" => Ok(Self::Report),
            "off" => Ok(Self::Off),
            other => Err(PolicyError::Mode {
                given: other.to_owned(),
            }),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Block => "block",
            Self::Report => "report",
            Self::Off => "off",
        })
    }
}

/// The likelihood of an attack, above 0 and below 1, from which on a text is a hit.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Threshold(f32);

impl Threshold {
    /// Where attack and talk are equally likely.
    pub const EVEN: Self = Self(0.5);

    /// A threshold of this likelihood.
    ///
    /// # Errors
    ///
    /// The number is not above 0 and below 1.
    pub fn new(likelihood: f32) -> Result<Self, PolicyError> {
        if likelihood > 0.0 && likelihood < 1.0 {
            Ok(Self(likelihood))
        } else {
            Err(PolicyError::Threshold {
                given: likelihood.to_string(),
            })
        }
    }

    /// The likelihood.
    pub const fn likelihood(self) -> f32 {
        self.0
    }
}

impl FromStr for Threshold {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        let given = || PolicyError::Threshold {
            given: text.to_owned(),
        };
        Self::new(text.parse().map_err(|_| given())?).map_err(|_| given())
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How one kind of field is screened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// What a hit leads to.
    pub mode: Mode,
    /// From which likelihood on a text is a hit.
    pub threshold: Threshold,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: Mode::Block,
            threshold: Threshold::EVEN,
        }
    }
}

/// How each kind of field is screened.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Policies {
    /// Of what people write to a model.
    pub prompt: Policy,
    /// Of identifiers and file names.
    pub identifier: Policy,
    /// Of headers and query strings.
    pub header: Policy,
}

impl Policies {
    /// The policy of this kind of field.
    pub const fn of(&self, kind: FieldKind) -> Policy {
        match kind {
            FieldKind::Prompt => self.prompt,
            FieldKind::Identifier => self.identifier,
            FieldKind::Header => self.header,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_survive_text() {
        for mode in [Mode::Block, Mode::Report, Mode::Off] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        assert!("Block".parse::<Mode>().is_err());
    }

    #[test]
    fn a_threshold_is_a_likelihood() {
        assert_eq!("0.25".parse::<Threshold>().unwrap().likelihood(), 0.25);
        for wrong in ["0", "1", "-0.1", "NaN", "inf", "half", ""] {
            assert!(wrong.parse::<Threshold>().is_err(), "{wrong}");
        }
    }
}
