//! A condition that does not hold, as it is told to who asks why a rule did not match.

use crate::difference::Likeness;
use std::fmt;

/// A condition that does not hold of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// The condition, by its key in the rule.
    pub(super) place: String,
    /// What was expected and what was found.
    pub(super) words: String,
    /// How near it was.
    pub(super) likeness: Likeness,
}

impl Unmet {
    pub(super) fn new(place: impl Into<String>, words: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            words: words.into(),
            likeness: Likeness::NONE,
        }
    }

    pub(crate) fn of(
        place: impl Into<String>,
        words: impl Into<String>,
        likeness: Likeness,
    ) -> Self {
        Self {
            likeness,
            ..Self::new(place, words)
        }
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.place, self.words)
    }
}
