//! What is wrong in a rule file, and where: all of it and not only the first.

use std::fmt;

/// How many problems of one file are told.
pub const PROBLEMS_MAX: usize = 20;

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1; none where only the line is known.
    pub column: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.column {
            Some(column) => write!(f, "line {}, column {column}", self.line),
            None => write!(f, "line {}", self.line),
        }
    }
}

/// Something that is wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    at: Place,
    /// The data set that the problem is in, where it is in none of the rule file itself.
    file: Option<String>,
    words: String,
}

impl Problem {
    pub(super) fn new(at: Place, words: impl Into<String>) -> Self {
        let (file, words) = (None, words.into());
        Self { at, file, words }
    }

    pub(super) fn in_file(self, file: Option<&str>) -> Self {
        let file = file.map(str::to_owned);
        Self { file, ..self }
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> Place {
        self.at
    }

    /// What is wrong, without the place.
    #[must_use]
    pub fn words(&self) -> &str {
        &self.words
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}, ")?;
        }
        write!(f, "{}: {}", self.at, self.words)
    }
}

/// Everything that is wrong in a rule file, in the order of the file; at least one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesError {
    problems: Vec<Problem>,
    /// How many more there are.
    more: usize,
}

impl RulesError {
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|one, other| {
            (&one.file, one.at, &one.words).cmp(&(&other.file, other.at, &other.words))
        });
        problems.dedup();
        let more = problems.len().saturating_sub(PROBLEMS_MAX);
        problems.truncate(PROBLEMS_MAX);
        Self { problems, more }
    }

    /// What is wrong, up to [`PROBLEMS_MAX`].
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            problem.fmt(f)?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl std::error::Error for RulesError {}
