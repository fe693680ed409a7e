//! Text that waits until it is known to be text: of whole characters, and no beginning of what
//! ends it.

use belljar_guest::text::Token;

/// Tokens whose text has not been handed on.
#[derive(Debug, Default)]
pub(crate) struct Held {
    bytes: Vec<u8>,
    /// Where the text of each token ends in `bytes`, and the token where somebody wants it.
    tokens: Vec<(usize, Option<Token>)>,
}

/// A piece of text that is one.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Released {
    pub(crate) text: String,
    /// How many tokens make it up.
    pub(crate) count: usize,
    /// Those of them that somebody wants.
    pub(crate) tokens: Vec<Token>,
}

impl Held {
    /// Adds a token and its text.
    pub(crate) fn push(&mut self, bytes: &[u8], token: Option<Token>) {
        self.bytes.extend_from_slice(bytes);
        self.tokens.push((self.bytes.len(), token));
    }

    /// The bytes that wait.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The first place where one of these begins, and which.
    pub(crate) fn find<'m>(&self, marks: &'m [String]) -> Option<(usize, &'m str)> {
        let places = marks
            .iter()
            .filter(|mark| !mark.is_empty())
            .filter_map(|mark| {
                let mut windows = self.bytes.windows(mark.len());
                let at = windows.position(|window| window == mark.as_bytes())?;
                Some((at, mark.as_str()))
            });
        places.min_by_key(|(at, mark)| (*at, std::cmp::Reverse(mark.len())))
    }

    /// How many bytes at the end could be the beginning of one of these.
    pub(crate) fn open<'m>(&self, marks: impl Iterator<Item = &'m str>) -> usize {
        marks
            .map(|mark| beginning(&self.bytes, mark.as_bytes()))
            .max()
            .unwrap_or(0)
    }

    /// Takes the text of whole tokens, but for that many bytes at the end and for what is no whole
    /// character.
    pub(crate) fn release(&mut self, kept: usize) -> Released {
        let safe = self.bytes.len() - kept.min(self.bytes.len());
        let is_whole =
            |end: usize| end <= safe && unfinished(self.bytes.get(..end).unwrap_or_default()) == 0;
        let count = self
            .tokens
            .iter()
            .rposition(|(end, _)| is_whole(*end))
            .map_or(0, |last| last + 1);
        let end = count
            .checked_sub(1)
            .and_then(|last| self.tokens.get(last))
            .map_or(0, |(end, _)| *end);
        self.take(end, count)
    }

    /// Takes the text before that place, with the tokens that begin in it.
    pub(crate) fn take_before(&mut self, end: usize) -> Released {
        let before = self.tokens.iter().filter(|(token_end, _)| *token_end < end);
        let count = (before.count() + 1).min(self.tokens.len());
        self.take(end, if end == 0 { 0 } else { count })
    }

    /// Takes all there is.
    pub(crate) fn take_all(&mut self) -> Released {
        self.take(self.bytes.len(), self.tokens.len())
    }

    /// Drops the first bytes, and the tokens that end in them.
    pub(crate) fn skip(&mut self, count: usize) {
        let tokens = self.tokens.iter().filter(|(end, _)| *end <= count).count();
        self.take(count, tokens);
    }

    fn take(&mut self, end: usize, count: usize) -> Released {
        let end = end.min(self.bytes.len());
        let text: Vec<u8> = self.bytes.drain(..end).collect();
        let tokens = self.tokens.drain(..count.min(self.tokens.len()));
        let tokens: Vec<Token> = tokens.filter_map(|(_, token)| token).collect();
        for (token_end, _) in &mut self.tokens {
            *token_end = token_end.saturating_sub(end);
        }
        Released {
            text: String::from_utf8_lossy(&text).into_owned(),
            count,
            tokens,
        }
    }
}

/// The longest end of `text` that is a beginning of `mark`, but not all of it.
pub(crate) fn beginning(text: &[u8], mark: &[u8]) -> usize {
    let longest = mark.len().saturating_sub(1).min(text.len());
    (1..=longest)
        .rev()
        .find(|&length| {
            let end = text.get(text.len() - length..).unwrap_or_default();
            mark.starts_with(end)
        })
        .unwrap_or(0)
}

/// How many bytes at the end are a character that has only begun.
fn unfinished(bytes: &[u8]) -> usize {
    let last = bytes
        .get(bytes.len().saturating_sub(3)..)
        .unwrap_or_default();
    for start in 0..last.len() {
        let end = last.get(start..).unwrap_or_default();
        if end.first().is_some_and(|&byte| byte >= 0xc2)
            && let Err(error) = std::str::from_utf8(end)
            && error.valid_up_to() == 0
            && error.error_len().is_none()
        {
            return end.len();
        }
    }
    0
}

#[cfg(test)]
mod tests;
