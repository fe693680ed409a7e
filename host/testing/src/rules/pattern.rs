//! Patterns of names and paths, in which `*` stands for any characters.

use crate::matching::is_like;

/// A list of patterns, of which one has to match.
#[derive(Debug)]
pub(super) struct Patterns(Vec<String>);

impl Patterns {
    pub(super) fn new(patterns: Vec<String>) -> Self {
        Self(patterns)
    }

    pub(super) fn match_one(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| is_like(pattern, name))
    }

    /// The patterns as they are told: `a*` or `b`.
    pub(super) fn words(&self) -> String {
        let words = self.0.iter().map(|pattern| format!("`{pattern}`"));
        words.collect::<Vec<_>>().join(" or ")
    }

    /// The first pattern.
    pub(super) fn first(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }
}
