//! Finds the code in a text, and takes what is quoted out of what the grammars read.
//!
//! People who talk about code put it between backticks, into fences or indent it. Where the
//! text around such code is prose, the code is quoted, and no grammar sees it: that is what
//! separates a question about an attack from the attack. The price is known: who wants to hide
//! an attack from this screen can wrap it into a conversation.

use crate::lexicon::Classes;
use crate::token::{CODE, INDENTED, Kind, Token};

/// False for most texts without code, at the price of a look at their bytes.
pub(crate) fn may_have_code(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes
        .first()
        .is_some_and(|first| matches!(first, b' ' | b'\t'))
        || memchr::memchr3(b'`', b'~', b'\t', bytes).is_some()
        || memchr::memmem::find(bytes, b"\n ").is_some()
        || memchr::memmem::find(bytes, b"\r ").is_some()
}

/// Between two backticks lie no more tokens than these; more are no code that people quote in
/// a line.
const INLINE_TOKENS_MAX: usize = 4_096;

/// Marks what lies in fences, on indented lines, and between two backticks of one line.
#[derive(Debug, Default)]
pub(crate) struct Marker {
    /// The text is in a fence.
    fenced: bool,
    /// The backtick of this line that may begin code.
    open: Option<usize>,
    /// The next token to look at.
    at: usize,
}

impl Marker {
    /// Looks at all tokens that came since the last time. Gives how many tokens are known to be
    /// code or not.
    pub(crate) fn mark(&mut self, tokens: &mut [Token]) -> usize {
        const FENCE_BYTES: u32 = 3;
        for at in self.at..tokens.len() {
            let Some(token) = tokens.get_mut(at) else {
                break;
            };
            let tick = token.is(b'`');
            let fence = (tick || token.is(b'~'))
                && token.length() >= FENCE_BYTES
                && (self.fenced || token.begins_line());
            self.fenced ^= fence;
            if self.fenced || fence || token.flags & INDENTED != 0 {
                token.flags |= CODE;
            }
            match self.open {
                None if tick && token.flags & CODE == 0 => self.open = Some(at),
                Some(open) if tick => {
                    self.open = None;
                    let code = tokens.get_mut(open..=at).unwrap_or_default();
                    code.iter_mut().for_each(|token| token.flags |= CODE);
                }
                Some(open) if token.begins_line() || at - open > INLINE_TOKENS_MAX => {
                    self.open = None;
                }
                _ => {}
            }
        }
        self.at = tokens.len();
        self.open.unwrap_or(self.at)
    }

    /// The marker of what lies behind text with an odd or even number of fences.
    pub(crate) fn behind(self, odd_fences: bool) -> Self {
        Self {
            fenced: self.fenced ^ odd_fences,
            ..Self::default()
        }
    }

    /// The first `count` tokens are gone.
    pub(crate) fn shift(&mut self, count: usize) {
        self.at -= count;
        self.open = self.open.map(|open| open - count);
    }
}

/// Where quoted code begins and ends, in order, as byte offsets.
#[derive(Debug, Default)]
pub(crate) struct Quotations {
    pub(crate) stretches: Vec<(u32, u32)>,
    open: bool,
}

impl Quotations {
    /// Keeps one token for each stretch of code. True when the token is to be kept.
    pub(crate) fn quote(&mut self, token: &mut Token) -> bool {
        if token.flags & CODE == 0 {
            self.open = false;
            return true;
        }
        if self.open {
            if let Some(last) = self.stretches.last_mut() {
                last.1 = token.end;
            }
            return false;
        }
        self.open = true;
        self.stretches.push((token.start, token.end));
        token.kind = Kind::Quoted;
        token.sign = 0;
        token.classes = Classes::NONE;
        true
    }
}
