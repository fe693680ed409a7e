//! A text into the tokens of the encodings that clients know, whole or as it comes.
//!
//! - `vocabulary`: the tokens of an encoding, and the search for the longest that a text begins
//!   with
//! - `split`: a text into the pieces that no token crosses
//! - `merge`: one piece into its tokens
//! - `cut`: the tokens of a text that is still being written
//!
//! All of it takes time and memory in proportion to the text, whatever the text is: no repeated
//! letter, no run of spaces and no made-up word costs more than another of its length.

#![forbid(unsafe_code)]

mod cut;
mod merge;
mod split;
mod vocabulary;

pub use cut::{Cut, Cuts, Cutter};
use merge::Merger;
use std::fmt;
use vocabulary::Vocabulary;

/// An encoding: a vocabulary, and how texts are cut into its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// That of OpenAI's models since GPT-4o.
    O200kBase,
    /// That of GPT-3.5, GPT-4 and the embedding models.
    Cl100kBase,
}

/// A number that stands for no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownToken {
    /// Which of the list.
    pub index: usize,
    /// The number.
    pub id: u32,
}

impl fmt::Display for UnknownToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is no token", self.id)
    }
}

impl std::error::Error for UnknownToken {}

impl Encoding {
    /// Every encoding.
    pub const ALL: [Self; 2] = [Self::O200kBase, Self::Cl100kBase];

    /// Its name, for example `o200k_base`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::O200kBase => "o200k_base",
            Self::Cl100kBase => "cl100k_base",
        }
    }

    /// The encoding of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|each| each.name() == name)
    }

    /// How many tokens a text is. Names of special tokens are texts like any other.
    #[must_use]
    pub fn count(self, text: &str) -> usize {
        let mut count = 0;
        self.each(text, |_| count += 1);
        count
    }

    /// The tokens of a text.
    #[must_use]
    pub fn encode(self, text: &str) -> Vec<u32> {
        let mut tokens = Vec::with_capacity(text.len() / 4 + 1);
        self.each(text, |token| tokens.push(token));
        tokens
    }

    /// Shows each token of a text to `see`, in order.
    pub fn each(self, text: &str, mut see: impl FnMut(u32)) {
        let vocabulary = self.vocabulary();
        let mut merger = Merger::new(vocabulary);
        for piece in split::pieces(self, text) {
            match vocabulary.whole(piece.as_bytes()) {
                Some(token) => see(token),
                None => merger.tokens(piece.as_bytes()).for_each(&mut see),
            }
        }
    }

    /// What a token stands for, which need not be whole characters; none for a number that stands
    /// for no token. Special tokens stand for their names.
    #[must_use]
    pub fn bytes(self, token: u32) -> Option<&'static [u8]> {
        self.vocabulary().bytes(token).or_else(|| {
            let mut special = self.special().iter();
            special
                .find(|(id, _)| *id == token)
                .map(|(_, name)| name.as_bytes())
        })
    }

    /// Whether a token stands for a text, or for a part of one: special ones do not.
    #[must_use]
    pub fn is_text(self, token: u32) -> bool {
        self.vocabulary().bytes(token).is_some()
    }

    /// What tokens stand for together.
    ///
    /// # Errors
    ///
    /// The first number that stands for no token.
    pub fn decode(self, tokens: &[u32]) -> Result<Vec<u8>, UnknownToken> {
        let mut bytes = Vec::with_capacity(tokens.len().saturating_mul(4));
        for (index, id) in tokens.iter().enumerate() {
            let token = self.bytes(*id).ok_or(UnknownToken { index, id: *id })?;
            bytes.extend_from_slice(token);
        }
        Ok(bytes)
    }

    /// The special token of a name, for example `<|im_start|>`; none where there is none.
    #[must_use]
    pub fn special_token(self, name: &str) -> Option<u32> {
        let mut special = self.special().iter();
        special.find(|(_, other)| *other == name).map(|(id, _)| *id)
    }

    /// One more than the largest number of a token.
    #[must_use]
    pub fn tokens(self) -> u32 {
        let special = self.special().iter().map(|(id, _)| id + 1).max();
        self.vocabulary().tokens().max(special.unwrap_or(0))
    }

    /// Tokens that no text has.
    const fn special(self) -> &'static [(u32, &'static str)] {
        match self {
            Self::O200kBase => &[
                (199_999, "<|endoftext|>"),
                (200_018, "<|endofprompt|>"),
                (200_264, "<|im_start|>"),
                (200_265, "<|im_end|>"),
                (200_266, "<|im_sep|>"),
            ],
            Self::Cl100kBase => &[
                (100_257, "<|endoftext|>"),
                (100_258, "<|fim_prefix|>"),
                (100_259, "<|fim_middle|>"),
                (100_260, "<|fim_suffix|>"),
                (100_264, "<|im_start|>"),
                (100_265, "<|im_end|>"),
                (100_266, "<|im_sep|>"),
                (100_276, "<|endofprompt|>"),
            ],
        }
    }

    const fn vocabulary(self) -> &'static Vocabulary {
        match self {
            Self::O200kBase => &vocabulary::O200K_BASE,
            Self::Cl100kBase => &vocabulary::CL100K_BASE,
        }
    }
}

#[cfg(test)]
mod tests;
