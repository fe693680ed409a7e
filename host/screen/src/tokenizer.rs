//! Cuts a decoded text into tokens.

use crate::command::Command;
use crate::grammar::Grammar;
use crate::ldap::Ldap;
use crate::lexicon::{self, Classes, WORD_BYTES_MAX, WordHash};
use crate::look_ahead::Rule;
use crate::markup::Markup;
use crate::sql::Sql;
use crate::token::{FOREIGN, INDENTED, Kind, NEW_LINE, SPACED, Token};
use crate::{markup, sql};

/// What a token begins with.
#[derive(Debug, Clone, Copy)]
enum First {
    Sign,
    Letter,
    Digit,
    /// A byte that is not ASCII.
    High,
}

/// What each byte begins, and the grammars with a rule that begins at it.
const FIRSTS: [(First, Classes); 256] = {
    let mut firsts = [(First::High, Classes::NONE); 256];
    let mut byte = 0_u8;
    while byte.is_ascii() {
        let first = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => First::Letter,
            b'0'..=b'9' => First::Digit,
            _ => First::Sign,
        };
        if let Some(slot) = firsts.split_at_mut(byte as usize).1.first_mut() {
            *slot = (first, Classes::NONE);
        }
        byte += 1;
    }
    let grammars: [(Classes, &[Rule]); 4] = [
        (Sql::MARK, Sql::RULES),
        (Command::MARK, Command::RULES),
        (Markup::MARK, Markup::RULES),
        (Ldap::MARK, Ldap::RULES),
    ];
    let mut grammars = grammars.as_slice();
    while let [(mark, rules), rest @ ..] = grammars {
        let mut rules = *rules;
        while let [rule, rest @ ..] = rules {
            let mut signs = rule.signs;
            while let [sign, rest @ ..] = signs {
                if let Some(slot) = firsts.split_at_mut(*sign as usize).1.first_mut() {
                    slot.1 = slot.1.or(*mark);
                }
                signs = rest;
            }
            rules = rest;
        }
        grammars = rest;
    }
    firsts
};

#[inline]
fn first_of(byte: u8) -> First {
    FIRSTS
        .get(usize::from(byte))
        .map_or(First::High, |(first, _)| *first)
}

#[inline]
fn rules_of(sign: u8) -> Classes {
    FIRSTS
        .get(usize::from(sign))
        .map_or(Classes::NONE, |(_, rules)| *rules)
}

/// Cuts a text from front to end.
#[derive(Debug)]
pub(crate) struct Tokenizer<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    /// Of the next token.
    flags: u8,
}

impl<'t> Tokenizer<'t> {
    /// Cuts `text` from the byte `at` on.
    pub(crate) const fn new(text: &'t str, at: usize) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at,
            flags: if at == 0 { NEW_LINE } else { 0 },
        }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// The next token, until the text ends.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Option<Token> {
        self.skip_spaces();
        let first = *self.bytes.get(self.at)?;
        let start = self.at;
        // No text a request can carry is that long; what lies behind is not screened.
        let start_offset = u32::try_from(start).ok()?;
        let mut hash = WordHash::NONE;
        let (kind, classes) = match first_of(first) {
            First::Sign => {
                if first == b'/' && self.peek(1) == b'*' && self.skip_comment() {
                    (Kind::Comment, Classes::FOR_SQL)
                } else {
                    self.at += 1;
                    self.skip_while(|byte| byte == first);
                    (Kind::Punct(first), rules_of(first))
                }
            }
            First::Letter => {
                hash = self.skip_word();
                (Kind::Word, self.classes(start, hash))
            }
            First::Digit => {
                let hex = matches!(self.peek(1), b'x' | b'X') && self.peek(2).is_ascii_hexdigit();
                if first == b'0' && hex {
                    self.at += 2;
                    self.skip_while(|byte| byte.is_ascii_hexdigit());
                    (Kind::Hex, Classes::FOR_SQL)
                } else {
                    self.skip_number();
                    (Kind::Number, Classes::FOR_SQL)
                }
            }
            First::High if self.foreign_letter().is_some() => {
                hash = self.skip_word();
                (Kind::Word, self.classes(start, hash))
            }
            First::High => {
                self.at += self.char_length();
                (Kind::Punct(b' '), Classes::NONE)
            }
        };
        let end = u32::try_from(self.at).ok()?;
        let flags = self.flags;
        self.flags = flags & INDENTED;
        Some(Token {
            start: start_offset,
            end,
            classes,
            hash,
            kind,
            flags,
            sign: match kind {
                Kind::Punct(sign) => sign,
                _ => 0,
            },
        })
    }

    /// The classes of the word that ends here.
    fn classes(&self, start: usize, hash: WordHash) -> Classes {
        let mut classes = lexicon::classes(hash);
        let word = self.bytes.get(start..self.at).unwrap_or_default();
        if markup::is_handler(word) {
            classes = classes.or(Classes::HANDLER).or(Classes::FOR_MARKUP);
        }
        if classes.has(lexicon::SQL) && sql::is_mixed_case(word) {
            classes = classes.or(Classes::MIXED_CASE);
        }
        classes
    }

    /// Skips what repeats the `step` bytes before it, as far as the tokens are sure to be the
    /// same.
    pub(crate) fn skip_repetitions(&mut self, step: usize) {
        const BLOCK_BYTES: usize = 4_096;
        /// How far the end of a token depends on what follows.
        const AHEAD_BYTES: usize = 256;
        let advance = (BLOCK_BYTES - AHEAD_BYTES) / step.max(1) * step;
        while advance > 0
            && let Some(before) = self.at.checked_sub(step)
            && let Some(block) = self.bytes.get(self.at..self.at + BLOCK_BYTES)
            && self.bytes.get(before..before + BLOCK_BYTES) == Some(block)
        {
            self.at += advance;
        }
    }

    #[inline]
    fn skip_spaces(&mut self) {
        if matches!(self.peek(0), b' ' | b'\t' | b'\n' | b'\r') {
            self.skip_spaces_here();
        }
    }

    fn skip_spaces_here(&mut self) {
        const INDENT_COLUMNS: usize = 4;
        let mut columns = 0;
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b' ' => columns += 1,
                b'\t' => columns += INDENT_COLUMNS,
                b'\n' | b'\r' => {
                    columns = 0;
                    self.flags |= NEW_LINE;
                }
                _ => break,
            }
            self.flags |= SPACED;
            self.at += 1;
        }
        if self.flags & NEW_LINE != 0 {
            self.flags &= !INDENTED;
            if columns >= INDENT_COLUMNS {
                self.flags |= INDENTED;
            }
        }
    }

    fn skip_while(&mut self, holds: impl Fn(u8) -> bool) {
        while self.bytes.get(self.at).is_some_and(|byte| holds(*byte)) {
            self.at += 1;
        }
    }

    fn skip_number(&mut self) {
        self.skip_while(|byte| byte.is_ascii_digit());
        if self.peek(0) == b'.' && self.peek(1).is_ascii_digit() {
            self.at += 1;
            self.skip_while(|byte| byte.is_ascii_digit());
        }
        let exponent = matches!(self.peek(0), b'e' | b'E' | b'b') && self.peek(1).is_ascii_digit();
        if exponent {
            self.at += 1;
            self.skip_while(|byte| byte.is_ascii_digit());
        }
    }

    fn skip_word(&mut self) -> WordHash {
        let start = self.at;
        let mut hash = WordHash::new();
        while let Some(byte) = self.bytes.get(self.at).copied() {
            let length = match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => 1,
                b'-' if self.peek(1).is_ascii_alphabetic() && self.at > start => 1,
                0x80.. => match self.foreign_letter() {
                    Some(length) => {
                        self.flags |= FOREIGN;
                        length
                    }
                    None => break,
                },
                _ => break,
            };
            for byte in self.bytes.iter().skip(self.at).take(length) {
                hash.add(*byte);
            }
            self.at += length;
        }
        if self.at - start > WORD_BYTES_MAX {
            return WordHash::NONE;
        }
        hash
    }

    fn char_length(&self) -> usize {
        self.text
            .get(self.at..)
            .and_then(|rest| rest.chars().next())
            .map_or(1, char::len_utf8)
    }

    /// The length of the character here, if it is a letter that is not ASCII.
    fn foreign_letter(&self) -> Option<usize> {
        let character = self.text.get(self.at..)?.chars().next()?;
        let letter = !matches!(
            character,
            '\0'..='\u{bf}' | '×' | '÷' | '\u{2000}'..='\u{303f}' | '\u{fe10}'..='\u{fe6f}'
                | '\u{ff00}'..='\u{ff65}' | '\u{fff0}'..='\u{ffff}' | '\u{1f000}'..
        );
        letter.then(|| character.len_utf8())
    }

    /// Skips `/*…*/`. What a server would run all the same, `/*!…*/`, is no comment.
    fn skip_comment(&mut self) -> bool {
        const COMMENT_BYTES_MAX: usize = 64;
        if self.peek(2) == b'!' {
            return false;
        }
        let from = self.at + 2;
        let body = self.bytes.get(from..).unwrap_or_default();
        let body = body.get(..COMMENT_BYTES_MAX).unwrap_or(body);
        let Some(length) = body.windows(2).position(|pair| pair == b"*/") else {
            return false;
        };
        self.at = from + length + 2;
        true
    }
}
