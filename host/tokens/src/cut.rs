//! The tokens of a text that is still being written.

use crate::merge::Merger;
use crate::{Encoding, split};
use std::ops::ControlFlow;

/// Bytes of a text without a seam that are kept until there is one.
const HELD_BYTES_MAX: usize = 1 << 10;

/// Cuts a text that comes in pieces into its tokens, each as soon as nothing that comes can change
/// it.
///
/// What is given is the text's encoding as a whole. Only where a kilobyte has no seam, such as a
/// space after a word, it is cut before its end is known, and there two tokens in a thousand
/// may be others than those of the whole.
#[derive(Debug)]
pub struct Cutter {
    encoding: Encoding,
    /// Text that is not cut yet.
    held: String,
    /// Bytes of it in which there is no seam.
    seamless: usize,
}

/// Whole characters, and the tokens that end with them: one, but where a character takes several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The characters.
    pub text: String,
    /// The numbers of the tokens.
    pub tokens: Tokens,
}

/// Numbers of tokens, of which there is nearly always one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    first: Option<u32>,
    more: Vec<u32>,
}

impl Tokens {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        let more = u32::try_from(self.more.len()).unwrap_or(u32::MAX);
        u32::from(self.first.is_some()).saturating_add(more)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.first.iter().chain(&self.more).copied()
    }

    fn push(&mut self, token: u32) {
        if self.first.is_none() {
            self.first = Some(token);
        } else {
            self.more.push(token);
        }
    }
}

impl Cutter {
    /// A cutter of a text that begins.
    #[must_use]
    pub fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            held: String::new(),
            seamless: 0,
        }
    }

    /// Takes the next part of the text, and gives what is certain now.
    pub fn push(&mut self, text: &str, out: &mut Vec<Cut>) {
        self.held.push_str(text);
        let seam = self.last_seam();
        if seam > 0 {
            self.cut(seam, usize::MAX, out);
        }
        while self.held.len() > HELD_BYTES_MAX {
            let before = self.held.len();
            self.cut(before, before / 2, out);
        }
        self.seamless = self.held.len();
    }

    /// The text is over: gives the rest of it.
    pub fn finish(&mut self, out: &mut Vec<Cut>) {
        self.cut(self.held.len(), usize::MAX, out);
        self.seamless = 0;
    }

    /// The last seam in what is held; 0 where there is none.
    fn last_seam(&self) -> usize {
        let mut after = None;
        // From the end to the character before what has been looked at.
        for (at, c) in self.held.char_indices().rev() {
            if let Some((seam, after)) = after
                && split::is_seam(c, after)
            {
                return seam;
            }
            if at < self.seamless {
                break;
            }
            after = Some((at, c));
        }
        0
    }

    /// Cuts the text up to `end`, into tokens of `most` bytes together at most, but one.
    fn cut(&mut self, end: usize, most: usize, out: &mut Vec<Cut>) {
        let vocabulary = self.encoding.vocabulary();
        let mut merger = Merger::new(vocabulary);
        let mut taken = 0;
        // A character whose end is in the next token, with the tokens so far.
        let mut begun: Vec<u8> = Vec::new();
        let mut tokens = Tokens::default();
        let mut take = |token: u32| {
            let bytes = vocabulary.bytes(token).unwrap_or_default();
            if taken > 0 && begun.is_empty() && taken + bytes.len() > most {
                return ControlFlow::Break(());
            }
            taken += bytes.len();
            tokens.push(token);
            let text = if begun.is_empty() {
                std::str::from_utf8(bytes)
            } else {
                begun.extend_from_slice(bytes);
                std::str::from_utf8(&begun)
            };
            match text {
                Ok(text) => {
                    out.push(Cut {
                        text: text.to_owned(),
                        tokens: std::mem::take(&mut tokens),
                    });
                    begun.clear();
                }
                Err(_) if begun.is_empty() => begun.extend_from_slice(bytes),
                Err(_) => {}
            }
            ControlFlow::Continue(())
        };
        let text = self.held.get(..end).unwrap_or_default();
        // Where it breaks off, it does so between characters.
        let _ = split::pieces(self.encoding, text).try_for_each(|piece| {
            match vocabulary.whole(piece.as_bytes()) {
                Some(token) => take(token),
                None => merger.tokens(piece.as_bytes()).try_for_each(&mut take),
            }
        });
        self.held.drain(..taken.min(self.held.len()));
    }
}
