//! How the text around the code reads: as prose or not.

use crate::lexicon::{self, Classes};
use crate::token::{Kind, Token};

/// Figures on the text outside code.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Context {
    /// Words of any kind.
    pub(crate) words: u32,
    /// Words that stand alone between spaces, as in a sentence, and belong to no grammar.
    pub(crate) plain: u32,
    /// The most of them in a row.
    pub(crate) plain_run: u32,
    /// Function words of a natural language.
    pub(crate) stop: u32,
    /// Letters that are not ASCII.
    pub(crate) foreign: u32,
    /// Words of SQL.
    pub(crate) sql: u32,
    /// Punctuation tokens.
    pub(crate) punct: u32,
    /// One of the first words addresses the reader.
    pub(crate) talks: bool,
    /// A question mark ends a word.
    pub(crate) asks: bool,
    /// Lines with more than one token on them.
    pub(crate) lines: u32,
    /// There is code in a fence or on an indented line.
    pub(crate) block: bool,
    /// There is code between backticks.
    pub(crate) inline: bool,
}

impl Context {
    /// True when the text around the code is prose, which makes the code a quotation.
    pub(crate) fn is_prose(&self) -> bool {
        const FOREIGN_MIN: u32 = 4;
        (self.talks && self.plain >= 2)
            || (self.stop >= 2 && self.plain >= 3)
            || self.foreign >= FOREIGN_MIN
            || self.plain_run >= 4
            || (self.block && self.plain >= 2)
            || (self.plain >= 2 && self.stop >= 1)
    }

    /// True when there is code, and the text around it is prose.
    pub(crate) fn quotes(&self) -> bool {
        (self.block || self.inline) && self.is_prose()
    }

    /// Reads more tokens of `text`, which need not follow those read before.
    pub(crate) fn read(&mut self, text: &str, tokens: &[Token]) {
        const FIRST_WORDS: u32 = 6;
        let context = self;
        let mut run = 0;
        let ordered = begins_with_command(tokens);
        for (at, token) in tokens.iter().enumerate() {
            let follows = at.checked_add(1).and_then(|next| tokens.get(next));
            let filled = follows.is_some_and(|next| !next.begins_line());
            context.lines += u32::from(token.begins_line() && filled);
            if token.is_code() {
                let block = token.is_indented() || (token.is_any(b"`~") && token.length() >= 3);
                context.block |= block;
                context.inline |= !block && token.is(b'`');
                run = 0;
                continue;
            }
            if !token.is_word() {
                context.punct += 1;
                run *= u32::from(token.is_any(b",.'-"));
                continue;
            }
            let next = at.checked_add(1).and_then(|next| tokens.get(next));
            context.words += 1;
            context.sql += u32::from(token.has(lexicon::SQL) && !token.has(Classes::STOP));
            if token.is_foreign() {
                let word = token.text(text);
                let letters = word.chars().filter(|letter| !letter.is_ascii()).count();
                context.foreign += u32::try_from(letters).unwrap_or(u32::MAX);
            }
            if !is_plain(at, tokens, token, next) {
                run = 0;
                continue;
            }
            let code = token.has(lexicon::SQL.or(lexicon::COMMAND));
            if token.has(Classes::TALK) && context.words <= FIRST_WORDS {
                // `find the`, but not `find /`.
                let speaks = context.words == 1
                    && next.is_some_and(|next| next.has(Classes::STOP) || next.is(b'$'));
                context.talks |= (!code && !ordered) || speaks;
            }
            context.asks |= next.is_some_and(|next| next.is(b'?') && !next.is_spaced());
            // A word that code uses too says nothing either way.
            if code || (token.length() < 2 && !token.has(Classes::STOP)) {
                continue;
            }
            context.stop += u32::from(token.has(Classes::STOP));
            context.plain += 1;
            run += 1;
            context.plain_run = context.plain_run.max(run);
        }
    }
}

/// `grep …`, `& reg …`: nobody is spoken to.
fn begins_with_command(tokens: &[Token]) -> bool {
    match tokens {
        [first, ..] if first.is_command() => true,
        [sign, command, ..] => sign.is_any(b";|&`$") && command.has(lexicon::COMMAND),
        _ => false,
    }
}

/// True when a word stands alone, as in a sentence: spaces around, or the marks of a sentence.
fn is_plain(at: usize, tokens: &[Token], token: &Token, next: Option<&Token>) -> bool {
    let before = at.checked_sub(1).and_then(|before| tokens.get(before));
    let opened = token.is_spaced()
        || before
            .is_some_and(|mark| mark.is_any(b"\"'([*_") && mark.is_spaced() && mark.length() <= 2);
    let closed = next.is_none_or(|next| {
        next.is_spaced()
            || next.kind == Kind::Punct(b' ')
            || (next.is_any(b".,:;?!)]'*_\"") && next.length() <= 3)
    });
    opened && closed
}
