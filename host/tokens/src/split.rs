//! A text into the pieces that no token crosses: words with what stands before them, numbers of up
//! to three digits, signs, spaces.

use crate::Encoding;
use regex_automata::meta::Regex;
use regex_automata::{Anchored, Input};
use std::sync::LazyLock;

/// The patterns of an encoding, tried in this order at each place. Those of the encodings end with
/// `\s+(?!\S)|\s+`: white space goes without its last character where a word follows, which that
/// belongs to. Engines that look ahead take a stack or a quadratic time for a megabyte of spaces;
/// here the second pattern takes one character too many, which is given back.
struct Patterns(LazyLock<Regex>);

/// The pattern whose matches have one character too many.
const LOOKS_AHEAD: usize = 1;

static O200K_BASE: Patterns = Patterns(LazyLock::new(|| {
    compile(concat!(
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"|\p{N}{1,3}",
        r"| ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"|\s*[\r\n]+",
        r"|\s+$",
    ))
}));

static CL100K_BASE: Patterns = Patterns(LazyLock::new(|| {
    compile(concat!(
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
        r"|[^\r\n\p{L}\p{N}]?\p{L}+",
        r"|\p{N}{1,3}",
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"|\s*[\r\n]+",
        r"|\s+$",
    ))
}));

fn compile(first: &str) -> Regex {
    Regex::new_many(&[first, r"\s+\s", r"\s+"]).expect("the patterns are constant, and tested")
}

/// The pieces of a text, which make it up.
pub(crate) fn pieces(encoding: Encoding, text: &str) -> impl Iterator<Item = &str> {
    let patterns = match encoding {
        Encoding::O200kBase => &O200K_BASE,
        Encoding::Cl100kBase => &CL100K_BASE,
    };
    Pieces {
        encoding,
        patterns,
        rest: text,
    }
}

struct Pieces<'t> {
    encoding: Encoding,
    patterns: &'static Patterns,
    rest: &'t str,
}

impl Pieces<'_> {
    /// Where the patterns say that the next piece ends.
    fn end(&self) -> usize {
        let input = Input::new(self.rest).anchored(Anchored::Yes);
        // Together the patterns match any character; if none did, the rest would be one piece.
        self.patterns
            .0
            .find(input)
            .map_or(self.rest.len(), |found| {
                if found.pattern().as_usize() != LOOKS_AHEAD {
                    return found.end();
                }
                let matched = self.rest.get(..found.end()).unwrap_or_default();
                let last = matched.chars().next_back().map_or(0, char::len_utf8);
                found.end() - last
            })
    }
}

/// Where the piece ends that a text begins with, if it is one of the usual: letters or signs with a
/// space or nothing before them, or digits, all of ASCII. None where the patterns have to say; they
/// would say the same here, at ten times the price.
fn usual_end(encoding: Encoding, text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let at = |index: usize| bytes.get(index).copied();
    let run = |from: usize, belongs: fn(u8) -> bool| {
        let rest = bytes.get(from..).unwrap_or_default();
        let length = rest.iter().position(|byte| !belongs(*byte));
        from + length.unwrap_or(rest.len())
    };
    let start = usize::from(at(0) == Some(b' '));
    let end = match at(start)? {
        b'0'..=b'9' if start == 0 => {
            // No more are looked at: of a megabyte of them, each piece would look at the rest.
            let digits = bytes.iter().take(DIGITS_MAX);
            digits.take_while(|byte| byte.is_ascii_digit()).count()
        }
        b'a'..=b'z' | b'A'..=b'Z' => match encoding {
            Encoding::O200kBase => {
                let small = run(start, |byte| byte.is_ascii_uppercase());
                run(small, |byte| byte.is_ascii_lowercase())
            }
            Encoding::Cl100kBase => run(start, |byte| byte.is_ascii_alphabetic()),
        },
        // The sign alone may belong to the word after it, and an apostrophe to the one before.
        sign if is_sign(sign)
            && sign != b'\''
            && (start == 1 || at(1).is_none_or(|next| !next.is_ascii_alphabetic())) =>
        {
            let signs = run(start, is_sign);
            match encoding {
                Encoding::O200kBase => run(signs, |byte| matches!(byte, b'\r' | b'\n' | b'/')),
                Encoding::Cl100kBase => run(signs, |byte| matches!(byte, b'\r' | b'\n')),
            }
        }
        _ => return None,
    };
    // What comes next could belong to it.
    let goes_on = at(end).is_some_and(|next| !next.is_ascii() || next == b'\'');
    (!goes_on).then_some(end)
}

/// The most digits of one piece.
const DIGITS_MAX: usize = 3;

/// Neither a letter nor a digit nor white space.
fn is_sign(byte: u8) -> bool {
    byte.is_ascii() && !byte.is_ascii_alphanumeric() && !matches!(byte, b' ' | b'\t'..=b'\r')
}

impl<'t> Iterator for Pieces<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        if self.rest.is_empty() {
            return None;
        }
        let usual = usual_end(self.encoding, self.rest);
        let end = usual.unwrap_or_else(|| self.end());
        let (piece, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        (!piece.is_empty()).then_some(piece)
    }
}

/// Whether a text can be parted between two characters so that the pieces of both parts are those of
/// the whole, whatever comes before and after: no piece goes on from the one to the other, and none
/// looks further ahead than one character, or behind. There are more such places than this knows.
pub(crate) fn is_seam(before: char, after: char) -> bool {
    if after == ' ' {
        return !before.is_whitespace();
    }
    is_surely_letter_or_digit(before) && is_surely_neither(after)
}

/// A letter or a digit of the scripts that are written most.
fn is_surely_letter_or_digit(c: char) -> bool {
    matches!(c,
        'a'..='z' | 'A'..='Z' | '0'..='9'
        // Latin, Greek, Cyrillic, Hebrew, Arabic.
        | 'À'..='Ö' | 'Ø'..='ö' | 'ø'..='ɏ' | 'Α'..='Ρ' | 'Σ'..='ώ' | 'Ѐ'..='ҁ' | 'Ҋ'..='ԯ'
        | 'א'..='ת' | 'ؠ'..='ي'
        // Hiragana, Katakana, Chinese, Hangul.
        | 'ぁ'..='ゖ' | 'ァ'..='ヺ' | '一'..='鿿' | '가'..='힣')
}

/// Neither a letter nor a digit, no mark that changes one, and no apostrophe, which letters may
/// go on from.
fn is_surely_neither(c: char) -> bool {
    match c {
        '\'' => false,
        c if c.is_ascii() => !c.is_ascii_alphanumeric(),
        '、'..='〃' | '〈'..='】' | '！'..='／' | '：'..='＠' => true,
        _ => false,
    }
}
