//! What a body of JSON may be like.

use crate::guard::ControlCharacters;
use belljar_screen::json::Bounds;
use std::fmt;
use std::str::FromStr;

/// What JSON may be like, whichever route reads it. Types and ranges of fields are checked
/// besides, by the types that a body becomes.
#[derive(Clone, Copy, Debug)]
pub struct InputConfig {
    /// Whether all of this is checked. Where it is not, `depth_max` still holds, and so does
    /// what no reader could take: numbers that overflow and halves of surrogate pairs. Bodies
    /// stay within their size, and fields within their types and ranges.
    pub validation: bool,
    /// Lists and objects within each other.
    pub depth_max: usize,
    /// Bytes of one string.
    pub string_bytes_max: usize,
    /// Items of one list. Lists of tensors are bounded by the size of the body alone.
    pub array_items_max: usize,
    /// Keys of one object.
    pub keys_max: usize,
    /// Bytes of one key.
    pub key_bytes_max: usize,
    /// The fate of control characters in texts.
    pub control_characters: ControlCharacters,
    /// What becomes of members of a request for a text or for embeddings that nobody knows.
    pub unknown_members: UnknownMembers,
}

/// What becomes of members at the top of a request that neither OpenAI's API nor a well-known
/// server documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownMembers {
    /// The request is refused: a slip of the pen would pass unseen.
    #[default]
    Refuse,
    /// They are passed over, and named in a header of the answer.
    Ignore,
}

/// The text names nothing that can become of unknown members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown members can be met with `refuse` or `ignore`")]
pub struct InvalidUnknownMembers;

impl FromStr for UnknownMembers {
    type Err = InvalidUnknownMembers;

    fn from_str(text: &str) -> Result<Self, InvalidUnknownMembers> {
        match text {
            "refuse" => Ok(Self::Refuse),
            "ignore" => Ok(Self::Ignore),
            _ => Err(InvalidUnknownMembers),
        }
    }
}

impl fmt::Display for UnknownMembers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refuse => "refuse",
            Self::Ignore => "ignore",
        })
    }
}

impl Default for InputConfig {
    fn default() -> Self {
        Self {
            validation: true,
            depth_max: 64,
            // Pictures come as strings, so a string may be most of a body.
            string_bytes_max: 10 << 20,
            array_items_max: 100_000,
            keys_max: 1_024,
            key_bytes_max: 512,
            control_characters: ControlCharacters::Remove,
            unknown_members: UnknownMembers::Refuse,
        }
    }
}

/// Lists and objects within each other that the parser follows; it refuses deeper ones in
/// words of its own.
pub const PARSER_DEPTH_MAX: usize = 127;

impl InputConfig {
    /// The bounds of a body whose strings are names and settings.
    pub(crate) fn bounds(&self) -> Bounds {
        if !self.validation {
            return Bounds {
                depth_max: self.depth_max,
                array_items_max: usize::MAX,
                string_bytes_max: usize::MAX,
                keys_max: usize::MAX,
                key_bytes_max: usize::MAX,
                duplicate_keys: true,
                control_characters: true,
                lists_are_data: false,
            };
        }
        Bounds {
            depth_max: self.depth_max,
            array_items_max: self.array_items_max,
            string_bytes_max: self.string_bytes_max,
            keys_max: self.keys_max,
            key_bytes_max: self.key_bytes_max,
            duplicate_keys: false,
            control_characters: false,
            lists_are_data: false,
        }
    }

    /// The bounds of a body whose texts the screening cleans, or refuses where it may not.
    pub(crate) fn text_bounds(&self) -> Bounds {
        Bounds {
            control_characters: true,
            ..self.bounds()
        }
    }

    /// The fate of control characters in texts.
    pub(crate) fn text_controls(&self) -> ControlCharacters {
        if self.validation {
            self.control_characters
        } else {
            ControlCharacters::Keep
        }
    }

    /// The bounds of a body of tensors: its lists are data, and so are its strings.
    pub(crate) fn tensor_bounds(&self) -> Bounds {
        Bounds {
            array_items_max: usize::MAX,
            control_characters: true,
            lists_are_data: true,
            ..self.bounds()
        }
    }
}
