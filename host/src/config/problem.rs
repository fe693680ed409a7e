//! What is wrong with a configuration, and where it says so.

use std::fmt;
use std::path::PathBuf;

/// The place that a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The setting's own default.
    Default,
    /// A line of a file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// A variable.
    Environment(String),
    /// A flag.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "{name}"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// One problem of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The place that said it.
    pub source: Source,
    /// The key or variable that it is about.
    pub name: String,
    /// A sentence on what is wrong and what would be right. Never the value of a secret.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Environment(variable) if *variable == self.name => {
                write!(f, "environment: {variable}: {}", self.message)
            }
            Source::Environment(variable) => {
                write!(
                    f,
                    "environment: {variable} ({}): {}",
                    self.name, self.message
                )
            }
            // Nobody has said it: there is no place to name.
            Source::Default => write!(f, "{}: {}", self.name, self.message),
            source => write!(f, "{source}: {}: {}", self.name, self.message),
        }
    }
}

/// All problems of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError(pub Vec<Problem>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration cannot be used:")?;
        self.0
            .iter()
            .try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}
