//! Why a bundle is no model that can be served.

use std::fmt;

use crate::safetensors::SafetensorsError;

/// Why a bundle is no model that can be served. Each says which part of it is wrong.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum LoadError {
    /// A file is missing, too long, or cannot be read.
    File {
        /// Which one.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A member of a JSON file is missing, wrong, or asks for what is not supported.
    Member {
        /// Which file.
        file: &'static str,
        /// Which member, by its path.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The file of the weights is wrong.
    Weights(SafetensorsError),
}

impl LoadError {
    /// A file that is wrong as a whole.
    pub fn file(name: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::File {
            name: name.into(),
            problem: problem.into(),
        }
    }

    /// A member of a JSON file.
    pub fn member(file: &'static str, name: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Member {
            file,
            name: name.into(),
            problem: problem.into(),
        }
    }

    /// A tensor that is missing, of another size or no part of the model.
    pub fn tensor(name: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Weights(SafetensorsError::tensor(name, problem))
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, problem } => write!(f, "asset `{name}` {problem}"),
            Self::Member {
                file,
                name,
                problem,
            } => write!(f, "asset `{file}`: `{name}` {problem}"),
            Self::Weights(error) => write!(f, "asset `{}`: {error}", crate::weights::FILE),
        }
    }
}

impl std::error::Error for LoadError {}

impl From<SafetensorsError> for LoadError {
    fn from(error: SafetensorsError) -> Self {
        Self::Weights(error)
    }
}
