//! Cuts a decoded text into tokens that all grammars share, and finds quoted code.
//!
//! Tokens are words, numbers and runs of one punctuation character; spaces are a flag on what
//! follows them. A run counts once, so that a megabyte of quotes is one token.
//!
//! People who talk about code put it between backticks, into fences or indent it. Where the
//! text around such code is prose, the code is quoted, and no grammar sees it: that is what
//! separates a question about an attack from the attack. The price is known: who wants to hide
//! an attack from this screen can wrap it into a conversation.

use crate::frame::Frame;
use crate::lexicon::{self, Classes, WORD_BYTES_MAX, WordHash};
use crate::repeats::Repeats;

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
const SPACED: u8 = 1;
/// A line ends before the token.
const NEW_LINE: u8 = 1 << 1;
/// The word has letters that are not ASCII.
const FOREIGN: u8 = 1 << 2;
/// The token lies in code: a fence, backticks or an indented line.
const CODE: u8 = 1 << 3;
/// The line of the token is indented like code.
const INDENTED: u8 = 1 << 4;

/// One piece of the text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    /// Byte offset of the first byte.
    pub(crate) start: u32,
    /// Byte offset after the last byte.
    pub(crate) end: u32,
    pub(crate) classes: Classes,
    /// Of a word, without regard to case; of nothing for other tokens.
    hash: WordHash,
    pub(crate) kind: Kind,
    flags: u8,
}

impl Token {
    /// The same token elsewhere.
    pub(crate) fn moved(self, start: u32, end: u32) -> Self {
        Self { start, end, ..self }
    }

    /// True when the other token reads the same.
    #[inline]
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.hash == other.hash
            && self.flags == other.flags
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

/// The tokens of a text.
#[derive(Debug)]
pub(crate) struct Tokens<'t> {
    pub(crate) text: &'t str,
    /// What the grammars read: quoted code is one [`Kind::Quoted`] token.
    pub(crate) tokens: Vec<Token>,
    /// How the text around the code reads.
    pub(crate) frame: Frame,
    /// Where quoted code begins and ends, in order.
    pub(crate) quoted: Vec<(u32, u32)>,
}

impl<'t> Tokens<'t> {
    pub(crate) fn of(text: &'t str) -> Self {
        let mut tokens = cut(text);
        mark_code(text, &mut tokens);
        let frame = Frame::of(text, &tokens);
        let mut quoted = Vec::new();
        if frame.is_prose() && (frame.block || frame.inline) {
            quoted = quote(&mut tokens);
        }
        Self {
            text,
            tokens,
            frame,
            quoted,
        }
    }

    /// Each token with the one before it and up to `ahead` after it, which bounds the work.
    pub(crate) fn windows(
        &self,
        ahead: usize,
    ) -> impl Iterator<Item = (&Token, Option<&Token>, &[Token])> {
        self.tokens.iter().enumerate().map(move |(at, token)| {
            let before = at.checked_sub(1).and_then(|before| self.tokens.get(before));
            let rest = self.tokens.get(at + 1..).unwrap_or_default();
            (token, before, rest.get(..ahead).unwrap_or(rest))
        })
    }

    pub(crate) fn word(&self, token: &Token) -> &'t str {
        token.text(self.text)
    }
}

fn cut(text: &str) -> Vec<Token> {
    // Of a long text half of its length: what is not used is never touched, and growing would
    // copy all tokens.
    const TOKENS_EXPECTED_MAX: usize = 4_096;
    const LONG_BYTES: usize = 64 << 10;
    let expected = if text.len() < LONG_BYTES {
        (text.len() / 4 + 8).min(TOKENS_EXPECTED_MAX)
    } else {
        text.len() / 2
    };
    let mut cutter = Cutter {
        text,
        bytes: text.as_bytes(),
        at: 0,
        flags: NEW_LINE,
    };
    let mut tokens = Repeats::new(expected);
    while let Some(token) = cutter.next() {
        tokens.push(token);
    }
    tokens.finish()
}

struct Cutter<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    /// Of the next token.
    flags: u8,
}

impl Cutter<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn next(&mut self) -> Option<Token> {
        self.skip_spaces();
        let first = *self.bytes.get(self.at)?;
        let start = self.at;
        // No text a request can carry is that long; what lies behind is not screened.
        let start_offset = u32::try_from(start).ok()?;
        let mut hash = WordHash::NONE;
        let kind = match first {
            b'0' if matches!(self.peek(1), b'x' | b'X') && self.peek(2).is_ascii_hexdigit() => {
                self.at += 2;
                self.skip_while(|byte| byte.is_ascii_hexdigit());
                Kind::Hex
            }
            b'0'..=b'9' => {
                self.skip_number();
                Kind::Number
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                hash = self.skip_word();
                Kind::Word
            }
            0x80.. if self.foreign_letter().is_some() => {
                hash = self.skip_word();
                Kind::Word
            }
            0x80.. => {
                self.at += self.char_length();
                Kind::Punct(b' ')
            }
            b'/' if self.peek(1) == b'*' && self.skip_comment() => Kind::Comment,
            punct => {
                self.skip_while(|byte| byte == punct);
                Kind::Punct(punct)
            }
        };
        let end = u32::try_from(self.at).ok()?;
        let flags = self.flags;
        self.flags = flags & INDENTED;
        let classes = if kind == Kind::Word {
            lexicon::classes(hash)
        } else {
            Classes::NONE
        };
        Some(Token {
            start: start_offset,
            end,
            classes,
            hash,
            kind,
            flags,
        })
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

/// False for most texts without code, at the price of a look at their bytes.
fn may_have_code(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes
        .first()
        .is_some_and(|first| matches!(first, b' ' | b'\t'))
        || memchr::memchr3(b'`', b'~', b'\t', bytes).is_some()
        || memchr::memmem::find(bytes, b"\n ").is_some()
        || memchr::memmem::find(bytes, b"\r ").is_some()
}

/// Marks what lies in fences, between backticks and on indented lines.
fn mark_code(text: &str, tokens: &mut [Token]) {
    const FENCE_BYTES: u32 = 3;
    if !may_have_code(text) {
        return;
    }
    let mut fenced = false;
    for token in tokens.iter_mut() {
        let fence =
            token.length() >= FENCE_BYTES && token.is_any(b"`~") && (fenced || token.begins_line());
        if fence {
            fenced = !fenced;
        }
        if fenced || fence || token.flags & INDENTED != 0 {
            token.flags |= CODE;
        }
    }
    mark_inline(tokens);
}

/// Marks what lies between two backticks of one line.
fn mark_inline(tokens: &mut [Token]) {
    let mut rest = tokens;
    while let Some(open) = rest
        .iter()
        .position(|token| token.is(b'`') && token.flags & CODE == 0)
    {
        let (_, tail) = rest.split_at_mut(open);
        let Some((_, body)) = tail.split_first_mut() else {
            return;
        };
        let end = body
            .iter()
            .position(|token| token.is(b'`') || token.begins_line());
        let Some(end) = end else { return };
        let closes = body.get(end).is_some_and(|token| token.is(b'`'));
        if closes
            && let Some((open, body)) = tail.get_mut(..end + 2).and_then(<[_]>::split_first_mut)
        {
            open.flags |= CODE;
            body.iter_mut().for_each(|token| token.flags |= CODE);
        }
        rest = tail
            .get_mut(end + 1 + usize::from(closes)..)
            .unwrap_or_default();
    }
}

/// Puts one token for each stretch of code; gives the stretches.
fn quote(tokens: &mut Vec<Token>) -> Vec<(u32, u32)> {
    let mut quoted: Vec<(u32, u32)> = Vec::new();
    let mut open = false;
    tokens.retain_mut(|token| {
        if token.flags & CODE == 0 {
            open = false;
            return true;
        }
        if open {
            if let Some(last) = quoted.last_mut() {
                last.1 = token.end;
            }
            return false;
        }
        open = true;
        quoted.push((token.start, token.end));
        token.kind = Kind::Quoted;
        token.classes = Classes::NONE;
        true
    });
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        Tokens::of(text)
            .tokens
            .iter()
            .map(|token| token.text(text))
            .collect()
    }

    #[test]
    fn words_numbers_and_runs_are_cut() {
        assert_eq!(
            words("-1union  select 0x41,'a'--"),
            [
                "-", "1", "union", "select", "0x41", ",", "'", "a", "'", "--"
            ]
        );
        assert_eq!(
            words("apt-get a-1 1.5e3"),
            ["apt-get", "a", "-", "1", "1.5e3"]
        );
        assert_eq!(
            words("DROP/*x*/t /*!50000union*/"),
            [
                "DROP", "/*x*/", "t", "/", "*", "!", "50000", "union", "*", "/"
            ]
        );
    }

    #[test]
    fn code_is_quoted_where_people_talk() {
        let text = "What does `; rm -rf /` do?\n\n```sql\nselect 1\n```\nThanks for the help.";
        let tokens = Tokens::of(text);
        assert_eq!(tokens.quoted.len(), 2);
        assert!(!tokens.tokens.iter().any(|token| token.has(Classes::SELECT)));
    }

    #[test]
    fn code_without_talk_is_not_quoted() {
        assert!(Tokens::of(";`id`").quoted.is_empty());
        assert!(Tokens::of("```\n; rm -rf /\n```").quoted.is_empty());
        assert!(Tokens::of("    <iframe src=x>").quoted.is_empty());
    }

    #[test]
    fn prose_is_told_from_code() {
        let frame = Tokens::of("Please tell me about the weather in Paris, will you?").frame;
        assert!(frame.talks && frame.asks && frame.plain >= 7, "{frame:?}");
        let frame = Tokens::of("1' union select user,password from users where 'a'='a").frame;
        assert!(!frame.talks && frame.plain <= 2, "{frame:?}");
    }
}
