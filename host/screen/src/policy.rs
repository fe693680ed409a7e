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
    /// What a model said in earlier turns, the arguments of its tool calls included.
    History,
    /// What a tool answered.
    ToolResult,
    /// What describes tools and the form of answers.
    Schema,
    /// A text to be embedded or ranked.
    Document,
    /// An identifier or a file name.
    Identifier,
    /// A header, a path or a query string.
    Header,
    /// A name, an option or a string in a request for tensors.
    Tensor,
}

impl FieldKind {
    /// All places.
    pub const ALL: [Self; 8] = [
        Self::Prompt,
        Self::History,
        Self::ToolResult,
        Self::Schema,
        Self::Document,
        Self::Identifier,
        Self::Header,
        Self::Tensor,
    ];

    /// The stable name, such as `tool_result`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::History => "history",
            Self::ToolResult => "tool_result",
            Self::Schema => "schema",
            Self::Document => "document",
            Self::Identifier => "identifier",
            Self::Header => "header",
            Self::Tensor => "tensor",
        }
    }

    /// Whether nobody talks there, so that nothing speaks for a text but itself.
    pub const fn is_strict(self) -> bool {
        matches!(self, Self::Identifier | Self::Header)
    }
}

impl fmt::Display for FieldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a hit leads to. The screen itself only skips the work for [`Mode::Off`]; refusing is
/// the caller's part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The request is refused.
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

    /// Where an attack is nine times as likely as talk.
    pub const CLEAR: Self = Self(0.9);

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

/// How one place is screened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// What a hit leads to.
    pub mode: Mode,
    /// From which likelihood on a text is a hit.
    pub threshold: Threshold,
}

impl Policy {
    /// The policy of places whose texts their sender can write in another way.
    pub const BLOCK: Self = Self {
        mode: Mode::Block,
        threshold: Threshold::EVEN,
    };

    /// The policy of places that hold what models, tools and files say: nobody can rewrite that.
    pub const REPORT: Self = Self {
        mode: Mode::Report,
        threshold: Threshold::EVEN,
    };
}

/// How each place is screened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policies {
    /// Of what people write to a model.
    pub prompt: Policy,
    /// Of what the model said in earlier turns.
    pub history: Policy,
    /// Of what tools answered.
    pub tool_result: Policy,
    /// Of what describes tools and answers.
    pub schema: Policy,
    /// Of texts to be embedded or ranked.
    pub document: Policy,
    /// Of identifiers and file names.
    pub identifier: Policy,
    /// Of headers, paths and query strings.
    pub header: Policy,
    /// Of names, options and strings in requests for tensors.
    pub tensor: Policy,
    /// From which likelihood on a hit is no matter of doubt: see [`crate::Hit::is_clear`].
    pub clear: Threshold,
}

impl Default for Policies {
    fn default() -> Self {
        Self {
            prompt: Policy::BLOCK,
            history: Policy::REPORT,
            tool_result: Policy::REPORT,
            schema: Policy::REPORT,
            document: Policy::REPORT,
            identifier: Policy::BLOCK,
            header: Policy::BLOCK,
            tensor: Policy::REPORT,
            clear: Threshold::CLEAR,
        }
    }
}

impl Policies {
    /// The policy of this place.
    pub const fn of(&self, kind: FieldKind) -> Policy {
        match kind {
            FieldKind::Prompt => self.prompt,
            FieldKind::History => self.history,
            FieldKind::ToolResult => self.tool_result,
            FieldKind::Schema => self.schema,
            FieldKind::Document => self.document,
            FieldKind::Identifier => self.identifier,
            FieldKind::Header => self.header,
            FieldKind::Tensor => self.tensor,
        }
    }

    /// The policies of all places.
    pub const fn all_mut(&mut self) -> [&mut Policy; 8] {
        [
            &mut self.prompt,
            &mut self.history,
            &mut self.tool_result,
            &mut self.schema,
            &mut self.document,
            &mut self.identifier,
            &mut self.header,
            &mut self.tensor,
        ]
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
