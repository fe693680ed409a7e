//! Regular expressions of schemas: read once into a tree, from which texts are made
//! (`pattern::write`) and against which they are held (`pattern::matching`). The syntax is that of
//! ECMA-262, which JSON Schema asks for, and what other dialects add to it where it is common.

mod matching;
mod parse;
mod write;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::words;
pub(crate) use write::Length;

/// A pattern that has been read.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    node: Node,
    /// Whether letters of either case are the same.
    folds: bool,
    /// Whether something in it asks about what is around, which making a text cannot foresee.
    looks: bool,
    groups: usize,
}

#[derive(Clone, Debug)]
enum Node {
    /// Nothing, which is always there.
    Empty,
    Character(char),
    /// Any character but the end of a line.
    Any,
    Class(Class),
    /// A group that is counted, with its number from 0.
    Group(usize, Box<Node>),
    /// What a group took, once more.
    Back(usize),
    Sequence(Vec<Node>),
    Alternatives(Vec<Node>),
    Repeat {
        node: Box<Node>,
        least: u32,
        /// None where there is no most.
        most: Option<u32>,
        lazy: bool,
    },
    Start,
    End,
    /// The edge of a word, or where there is none.
    Edge {
        wanted: bool,
    },
    Look {
        node: Box<Node>,
        ahead: bool,
        wanted: bool,
    },
}

#[derive(Clone, Debug)]
struct Class {
    negated: bool,
    items: Vec<Item>,
}

#[derive(Clone, Copy, Debug)]
enum Item {
    Range(char, char),
    Kind(Kind),
}

/// The kinds of characters that have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Digit,
    NoDigit,
    Word,
    NoWord,
    Space,
    NoSpace,
    Letter,
    Upper,
    Lower,
    Number,
    Mark,
}

impl Kind {
    fn has(self, character: char) -> bool {
        let is_word = character.is_ascii_alphanumeric() || character == '_';
        match self {
            Self::Digit => character.is_ascii_digit(),
            Self::NoDigit => !character.is_ascii_digit(),
            Self::Word => is_word,
            Self::NoWord => !is_word,
            Self::Space => character.is_whitespace(),
            Self::NoSpace => !character.is_whitespace(),
            Self::Letter => words::is_letter(character),
            Self::Upper => words::is_upper(character),
            Self::Lower => words::is_letter(character) && !words::is_upper(character),
            Self::Number => character.is_ascii_digit(),
            Self::Mark => character.is_ascii_punctuation(),
        }
    }

    /// The kind that `\p{name}` names.
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "L" | "Letter" | "Alphabetic" | "alpha" => Self::Letter,
            "Lu" | "Uppercase" | "Uppercase_Letter" | "upper" => Self::Upper,
            "Ll" | "Lowercase" | "Lowercase_Letter" | "lower" => Self::Lower,
            "Nd" | "Decimal_Number" | "digit" => Self::Digit,
            "N" | "Number" => Self::Number,
            "P" | "Pd" | "Punctuation" | "Dash_Punctuation" | "punct" => Self::Mark,
            "Z" | "Zs" | "Separator" | "Space_Separator" | "White_Space" | "space" => Self::Space,
            _ => return None,
        })
    }
}

impl Class {
    fn has(&self, character: char, folds: bool) -> bool {
        let is_listed = |character: char| {
            self.items.iter().any(|item| match *item {
                Item::Range(low, high) => (low..=high).contains(&character),
                Item::Kind(kind) => kind.has(character),
            })
        };
        let listed = is_listed(character)
            || folds
                && (is_listed(character.to_ascii_lowercase())
                    || is_listed(character.to_ascii_uppercase()));
        listed != self.negated
    }
}

impl Pattern {
    /// None where the pattern is broken, or has what nothing here knows.
    pub(crate) fn parse(pattern: &str) -> Option<Self> {
        parse::parse(pattern)
    }
}

#[cfg(test)]
mod tests;
