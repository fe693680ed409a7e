//! The tokens of a text that is still being written.

use crate::merge::Merger;
use crate::{Encoding, split};
use std::ops::ControlFlow;

/// Bytes of a text without a seam that are kept until there is one.
const HELD_BYTES_MAX: usize = 1 << 10;
/// Bytes of a token of a text as people write them, or a little less: there is room for so many
/// before it is known how many there are.
const USUAL_TOKEN_BYTES: usize = 4;

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

/// A text that nothing changes any more, and where it is cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cuts {
    /// The text.
    pub text: String,
    /// The numbers of its tokens.
    pub tokens: Vec<u32>,
    /// The places between characters where a token ends, the end of the text included. Each is
    /// further on than the one before in both.
    pub ends: Vec<Cut>,
}

/// A place where a text and the list of its tokens are cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Bytes of the text before it.
    pub text: usize,
    /// Tokens before it: one more than at the cut before, but where a character takes several.
    pub tokens: usize,
}

impl Cuts {
    /// Forgets all of it, but for the room.
    pub fn clear(&mut self) {
        self.text.clear();
        self.tokens.clear();
        self.ends.clear();
    }

    /// Each text between two cuts, with its tokens.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u32])> {
        let mut before = Cut::default();
        self.ends.iter().map(move |end| {
            let text = self.text.get(before.text..end.text);
            let tokens = self.tokens.get(before.tokens..end.tokens);
            before = *end;
            (text.unwrap_or_default(), tokens.unwrap_or_default())
        })
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

    /// Takes the next part of the text, and adds what is certain now.
    pub fn push(&mut self, text: &str, out: &mut Cuts) {
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

    /// The text is over: adds the rest of it.
    pub fn finish(&mut self, out: &mut Cuts) {
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
    fn cut(&mut self, end: usize, most: usize, out: &mut Cuts) {
        let vocabulary = self.encoding.vocabulary();
        let mut merger = Merger::new(vocabulary);
        let before = out.text.len();
        let mut taken = 0;
        let mut is_at_cut = true;
        let text = self.held.get(..end).unwrap_or_default();
        out.text.reserve(text.len());
        out.tokens.reserve(text.len() / USUAL_TOKEN_BYTES + 1);
        out.ends.reserve(text.len() / USUAL_TOKEN_BYTES + 1);
        let mut take = |token: u32| {
            let bytes = vocabulary.len(token);
            if taken > 0 && is_at_cut && taken + bytes > most {
                return ControlFlow::Break(());
            }
            taken += bytes;
            out.tokens.push(token);
            is_at_cut = text.is_char_boundary(taken);
            if is_at_cut {
                out.ends.push(Cut {
                    text: before + taken,
                    tokens: out.tokens.len(),
                });
            }
            ControlFlow::Continue(())
        };
        // Where it breaks off, it does so between characters.
        let _ = split::pieces(self.encoding, text).try_for_each(|piece| {
            match vocabulary.whole(piece.as_bytes()) {
                Some(token) => take(token),
                None => merger.tokens(piece.as_bytes()).try_for_each(&mut take),
            }
        });
        out.text.push_str(text.get(..taken).unwrap_or(text));
        self.held.drain(..taken.min(self.held.len()));
    }
}
