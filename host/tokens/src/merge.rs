//! One piece of a text into its tokens: as if the pairs of tokens that the vocabulary has a merge
//! for were merged until none is left, the oldest merge first.
//!
//! A row of tokens is what merging gives exactly if each two neighbours in it can stand side by
//! side, and there is one such row. So it is searched for from the left: the longest token that
//! fits, a shorter one where that does not fit the one before it, and a step back where none does.
//! No place is stepped back to twice. Merging itself takes quadratic time, or a heap that is many
//! times as large as the text.

use crate::vocabulary::Vocabulary;

/// Bytes of a piece that has room for each of its tokens from the beginning.
const LONG_BYTES: usize = 1 << 16;

/// Finds the tokens of pieces. Keeps its room between them.
pub(crate) struct Merger<'v> {
    vocabulary: &'v Vocabulary,
    tokens: Vec<u32>,
    /// A bit for each place in the piece: whether a row of tokens that ends here may still lead to
    /// the end.
    open: Vec<u64>,
}

impl<'v> Merger<'v> {
    pub(crate) fn new(vocabulary: &'v Vocabulary) -> Self {
        Self {
            vocabulary,
            tokens: Vec::new(),
            open: Vec::new(),
        }
    }

    /// The tokens of one piece.
    pub(crate) fn tokens(&mut self, piece: &[u8]) -> impl Iterator<Item = u32> {
        self.tokens.clear();
        // Of megabytes that are one piece. Room that is not used is no memory; room that doubles is,
        // together with what it is copied from.
        if piece.len() > LONG_BYTES {
            self.tokens.reserve_exact(piece.len());
        }
        self.open.clear();
        self.open.resize(piece.len() / 64 + 1, u64::MAX);
        let mut at = 0;
        let mut next = self.vocabulary.longest(piece);
        while let Some(longest) = next {
            next = match self.fitting(at, longest) {
                Some((token, end)) => {
                    self.tokens.push(token);
                    at = end;
                    self.vocabulary.longest(piece.get(at..).unwrap_or_default())
                }
                None => {
                    self.close(at);
                    // From the place before, what is next shorter than what led here: this place
                    // is closed now.
                    let last = self.tokens.pop();
                    at -= last.map_or(0, |last| self.vocabulary.len(last)).min(at);
                    last
                }
            };
        }
        self.tokens.iter().copied()
    }

    /// The longest token that fits here, among one and those that it begins with; and where it
    /// ends.
    fn fitting(&self, at: usize, longest: u32) -> Option<(u32, usize)> {
        let last = self.tokens.last().copied();
        let mut token = longest;
        loop {
            let end = at + self.vocabulary.len(token);
            let fits = self.is_open(end)
                && last.is_none_or(|last| self.vocabulary.stay_apart(last, token));
            if fits {
                return Some((token, end));
            }
            token = self.vocabulary.shorter(token)?;
        }
    }

    fn is_open(&self, at: usize) -> bool {
        let word = self.open.get(at / 64).copied().unwrap_or_default();
        word >> (at % 64) & 1 == 1
    }

    fn close(&mut self, at: usize) {
        if let Some(word) = self.open.get_mut(at / 64) {
            *word &= !(1 << (at % 64));
        }
    }
}
