//! What a text is cut into, which all grammars share.
//!
//! Tokens are words, numbers and runs of one punctuation character; spaces are a flag on what
//! follows them. A run counts once, so that a megabyte of quotes is one token.

use crate::lexicon::{self, Classes, WordHash};

/// What a token is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Letters, digits and `_`, beginning with a letter; `-` between letters.
    Word,
    /// Digits, perhaps with a point.
    Number,
    /// `0x` and hexadecimal digits.
    Hex,
    /// One punctuation character, once or several times.
    Punct(u8),
    /// A comment of SQL, `/*…*/`, short enough to be one.
    Comment,
    /// Code that the text quotes.
    Quoted,
}

/// Spaces stand before the token.
pub(crate) const SPACED: u8 = 1;
/// A line ends before the token.
pub(crate) const NEW_LINE: u8 = 1 << 1;
/// The word has letters that are not ASCII.
pub(crate) const FOREIGN: u8 = 1 << 2;
/// The token lies in code: a fence, backticks or an indented line.
pub(crate) const CODE: u8 = 1 << 3;
/// The line of the token is indented like code.
pub(crate) const INDENTED: u8 = 1 << 4;

/// One piece of the text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    /// Byte offset of the first byte.
    pub(crate) start: u32,
    /// Byte offset after the last byte.
    pub(crate) end: u32,
    /// What a word belongs to, and which grammars have a rule that begins here.
    pub(crate) classes: Classes,
    /// Of a word, without regard to case; of nothing for other tokens.
    pub(crate) hash: WordHash,
    pub(crate) kind: Kind,
    pub(crate) flags: u8,
    /// The sign of a run of signs; 0 for all other tokens. So it is told without a branch.
    pub(crate) sign: u8,
}

impl Token {
    /// The same token elsewhere, where nothing is known of code yet.
    pub(crate) fn moved(self, start: u32, end: u32) -> Self {
        Self {
            start,
            end,
            flags: self.flags & !CODE,
            ..self
        }
    }

    /// True when the other token reads the same.
    #[inline]
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.hash == other.hash
            && (self.flags ^ other.flags) & !CODE == 0
            && self.length() == other.length()
    }

    pub(crate) fn is(&self, punct: u8) -> bool {
        #[cfg(test)]
        STEPS.set(STEPS.get() + 1);
        self.kind == Kind::Punct(punct)
    }

    pub(crate) fn is_any(&self, puncts: &[u8]) -> bool {
        matches!(self.kind, Kind::Punct(found) if puncts.contains(&found))
    }

    /// True for this word, in any case: `token.reads(word!("select"))`.
    #[inline]
    pub(crate) fn reads(&self, word: WordHash) -> bool {
        self.hash == word
    }

    /// True for one of these words, in any case.
    #[inline]
    pub(crate) fn reads_any(&self, words: &[WordHash]) -> bool {
        words.contains(&self.hash)
    }

    pub(crate) fn is_word(&self) -> bool {
        self.kind == Kind::Word
    }

    /// A single or double quote, or the backtick some use as one.
    pub(crate) fn is_quote(&self) -> bool {
        matches!(self.kind, Kind::Punct(b'\'' | b'"' | b'`'))
    }

    /// A command that prose does not use as a word.
    pub(crate) fn is_command(&self) -> bool {
        self.has(lexicon::COMMAND) && !self.has(Classes::COMMON.or(Classes::STOP))
    }

    /// True when no spaces stand around it; `rest` follows.
    pub(crate) fn is_tight(&self, rest: &[Self]) -> bool {
        !self.is_spaced() && rest.first().is_some_and(|next| !next.is_spaced())
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self.kind, Kind::Number | Kind::Hex)
    }

    pub(crate) fn has(&self, any: Classes) -> bool {
        #[cfg(test)]
        STEPS.set(STEPS.get() + 1);
        self.classes.has(any)
    }

    /// Spaces or a new line stand before it, or the text begins with it.
    pub(crate) fn is_spaced(&self) -> bool {
        self.flags & (SPACED | NEW_LINE) != 0 || self.start == 0
    }

    pub(crate) fn begins_line(&self) -> bool {
        self.flags & NEW_LINE != 0 || self.start == 0
    }

    pub(crate) fn is_foreign(&self) -> bool {
        self.flags & FOREIGN != 0
    }

    /// It lies in code: a fence, backticks or an indented line.
    pub(crate) fn is_code(&self) -> bool {
        self.flags & CODE != 0
    }

    /// Its line is indented like code.
    pub(crate) fn is_indented(&self) -> bool {
        self.flags & INDENTED != 0
    }

    /// Length in bytes.
    pub(crate) fn length(&self) -> u32 {
        self.end - self.start
    }

    pub(crate) fn text<'t>(&self, text: &'t str) -> &'t str {
        text.get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

#[cfg(test)]
thread_local! {
    /// How many tokens this thread has looked at, each time it looked.
    static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// How many looks at tokens `work` takes.
#[cfg(test)]
pub(crate) fn steps_of(work: impl FnOnce()) -> u64 {
    let before = STEPS.get();
    work();
    STEPS.get() - before
}
