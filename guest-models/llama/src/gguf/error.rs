//! Why a file cannot be read.

use std::fmt;

/// Why a file is no GGUF file that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GgufError {
    /// It begins with other bytes.
    NotGguf,
    /// It is of a version that is not known.
    Version(u32),
    /// It ends too early.
    Truncated {
        /// What its end is within.
        within: String,
        /// The bytes there are.
        bytes: usize,
    },
    /// It says that it has too many of something.
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many it says.
        count: u64,
        /// How many there may be.
        max: u64,
    },
    /// A name cannot be one.
    Name {
        /// Whose.
        of: String,
        /// Why.
        problem: &'static str,
    },
    /// A key is wrong or missing.
    Key {
        /// Which one.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A tensor is wrong or missing.
    Tensor {
        /// Which one.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl GgufError {
    /// A key that is wrong or missing.
    pub fn key(name: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Key {
            name: name.into(),
            problem: problem.into(),
        }
    }

    /// A tensor that is wrong or missing.
    pub fn tensor(name: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Tensor {
            name: name.into(),
            problem: problem.into(),
        }
    }
}

impl fmt::Display for GgufError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGguf => write!(f, "this is no GGUF file: it does not begin with `GGUF`"),
            Self::Version(version) => {
                write!(f, "GGUF version {version} is not supported; 2 and 3 are")
            }
            Self::Truncated { within, bytes } => {
                write!(f, "the file of {bytes} bytes ends within {within}")
            }
            Self::TooMany { what, count, max } => {
                write!(
                    f,
                    "the file says that it has {count} {what}; at most {max} are read"
                )
            }
            Self::Name { of, problem } => write!(f, "{of} {problem}"),
            Self::Key { name, problem } => write!(f, "key `{name}` {problem}"),
            Self::Tensor { name, problem } => write!(f, "tensor `{name}` {problem}"),
        }
    }
}

impl std::error::Error for GgufError {}
