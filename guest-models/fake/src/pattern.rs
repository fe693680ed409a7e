//! Regular expressions of schemas: read once into a tree, from which texts are made
//! (`pattern::write`) and against which they are held (`pattern::matching`). The syntax is that of
//! ECMA-262, which JSON Schema asks for, and what other dialects add to it where it is common.

mod matching;
mod parse;
mod write;

use alloc::boxed::Box;
use alloc::vec::Vec;

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
    /// Whatever the kind has not.
    Other(Kind),
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
    Symbol,
    Currency,
    Control,
    /// The characters of a script, as ranges.
    Script(&'static [(char, char)]),
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
            Self::Letter => character.is_alphabetic(),
            Self::Upper => character.is_uppercase(),
            Self::Lower => character.is_lowercase(),
            Self::Number => character.is_numeric(),
            Self::Mark => "!\"#%&'()*,-./:;?@[\\]_{}¡§«¶·»¿–—‘’“”…、。「」！？".contains(character),
            Self::Symbol => "$+<=>^`|~¢£¤¥¦¨©¬®¯°±´¸×÷€₹™→".contains(character),
            Self::Currency => "$¢£¤¥€₹₽₩".contains(character),
            Self::Control => character.is_control(),
            Self::Script(ranges) => ranges
                .iter()
                .any(|(low, high)| (*low..=*high).contains(&character)),
        }
    }

    /// The kind that `\p{name}` names.
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "L" | "Letter" | "Alphabetic" | "Alpha" | "alpha" => Self::Letter,
            "Lu" | "Uppercase" | "Uppercase_Letter" | "Upper" | "upper" => Self::Upper,
            "Ll" | "Lowercase" | "Lowercase_Letter" | "Lower" | "lower" => Self::Lower,
            "Nd" | "Decimal_Number" | "Digit" | "digit" => Self::Digit,
            "N" | "Number" => Self::Number,
            "P" | "Punctuation" | "Punct" | "punct" => Self::Mark,
            "Pd" | "Dash_Punctuation" => Self::Script(&[('-', '-'), ('–', '—')]),
            "S" | "Symbol" => Self::Symbol,
            "Sc" | "Currency_Symbol" => Self::Currency,
            "Z" | "Zs" | "Separator" | "Space_Separator" | "White_Space" | "space" => Self::Space,
            "C" | "Cc" | "Control" | "cntrl" => Self::Control,
            "alnum" | "word" => Self::Word,
            "ASCII" => Self::Script(&[('\0', '\u{7f}')]),
            "Any" | "Assigned" => Self::Script(&[('\0', char::MAX)]),
            "Emoji" | "Emoji_Presentation" | "Extended_Pictographic" => {
                Self::Script(&[('\u{1f300}', '\u{1f5ff}'), ('\u{1f600}', '\u{1f64f}')])
            }
            name => Self::Script(script(name)?),
        })
    }
}

/// The letters of a script, of which texts are made; not all that it has.
fn script(name: &str) -> Option<&'static [(char, char)]> {
    Some(match name {
        "Latin" | "Latn" => &[('A', 'Z'), ('a', 'z'), ('À', 'Ö'), ('Ø', 'ö'), ('ø', 'ɏ')],
        "Greek" | "Grek" => &[('α', 'ω'), ('Α', 'Ρ'), ('Σ', 'Ω')],
        "Cyrillic" | "Cyrl" => &[('а', 'я'), ('А', 'Я'), ('ё', 'ё'), ('Ё', 'Ё')],
        "Han" | "Hani" => &[('一', '龥'), ('㐀', '䶵')],
        "Hiragana" | "Hira" => &[('ぁ', 'ゖ')],
        "Katakana" | "Kana" => &[('ァ', 'ヺ')],
        "Hangul" | "Hang" => &[('가', '힣')],
        "Arabic" | "Arab" => &[('ء', 'غ'), ('ف', 'ي')],
        "Hebrew" | "Hebr" => &[('א', 'ת')],
        "Devanagari" | "Deva" => &[('अ', 'ह')],
        "Thai" => &[('ก', 'ฮ')],
        _ => return None,
    })
}

impl Class {
    fn has(&self, character: char, folds: bool) -> bool {
        let is_listed = |character: char| {
            self.items.iter().any(|item| match *item {
                Item::Range(low, high) => (low..=high).contains(&character),
                Item::Kind(kind) => kind.has(character),
                Item::Other(kind) => !kind.has(character),
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
