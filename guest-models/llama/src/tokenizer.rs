//! From texts to tokens and back.

mod join;
mod pre;
mod unigram;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use crate::gguf::{Gguf, GgufError};
use crate::vocabulary::{Algorithm, Kind, Vocabulary};

use join::{Joined, Piece, join};
use pre::PreTokenizer;

/// Cuts texts into the tokens of a model.
#[derive(Debug)]
pub struct Tokenizer {
    /// The tokens.
    pub vocabulary: Vocabulary,
    pre: PreTokenizer,
    /// For byte pairs: what two tokens become, and how soon.
    merges: HashMap<(u32, u32), Merge>,
    /// For byte pairs: the token of each byte.
    bytes: Vec<Option<u32>>,
    /// Whether a word that is a token is taken whole, whatever the ranks say.
    takes_words: bool,
    /// Whether a text begins as if a space stood before it.
    adds_space: bool,
}

#[derive(Clone, Copy, Debug)]
struct Merge {
    rank: u32,
    token: u32,
}

/// A text that cannot be cut: its expression went back and forth too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooIntricate;

impl fmt::Display for TooIntricate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text is too intricate to be cut into tokens")
    }
}

impl std::error::Error for TooIntricate {}

/// Which tokens that stand for no text are found in a text by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marks {
    /// All of them.
    Found,
    /// None: their names are text like any other.
    Text,
}

/// Stands in a text where a mark's name would be one otherwise, and is taken out before the text
/// is cut. It is a code point that no text is supposed to have.
pub(crate) const BREAK: char = '\u{fdd0}';

impl Tokenizer {
    /// Reads the tokenizer of a model that has so many tokens.
    ///
    /// # Errors
    ///
    /// [`GgufError::Key`] for what is missing, wrong or not supported.
    pub fn read(file: &Gguf<'_>, count: usize) -> Result<Self, GgufError> {
        let vocabulary = Vocabulary::read(file, count)?;
        let is_pairs = vocabulary.algorithm == Algorithm::BytePairs;
        let name = if is_pairs {
            file.text("tokenizer.ggml.pre")?.unwrap_or("default")
        } else {
            "none"
        };
        let bytes = (0..=255)
            .map(|byte: u8| {
                if is_pairs {
                    vocabulary.find(&[byte])
                } else {
                    byte_tokens(&vocabulary, byte)
                }
            })
            .collect();
        Ok(Self {
            merges: if is_pairs {
                merges(file, &vocabulary)?
            } else {
                HashMap::new()
            },
            takes_words: matches!(name, "llama3" | "llama-v3" | "llama-bpe" | "tekken"),
            adds_space: !is_pairs
                && file
                    .boolean("tokenizer.ggml.add_space_prefix")?
                    .unwrap_or(true),
            pre: PreTokenizer::named(name)?,
            bytes,
            vocabulary,
        })
    }

    /// The tokens of a text.
    ///
    /// # Errors
    ///
    /// [`TooIntricate`] where the expression of the pre-tokenizer gives up.
    pub fn encode(&self, text: &str, marks: Marks) -> Result<Vec<u32>, TooIntricate> {
        let mut tokens = Vec::new();
        let mut start = 0;
        let mut at = 0;
        let bytes = text.as_bytes();
        while let Some(byte) = bytes.get(at) {
            let mark = self.mark_at(bytes, at, *byte, marks);
            let Some((mark, length)) = mark else {
                at += 1;
                continue;
            };
            self.encode_text(
                text.get(start..at).unwrap_or_default(),
                start == 0,
                &mut tokens,
            )?;
            tokens.push(mark);
            at += length;
            start = at;
        }
        self.encode_text(
            text.get(start..).unwrap_or_default(),
            start == 0,
            &mut tokens,
        )?;
        Ok(tokens)
    }

    /// What a text is written as so that no mark is found in it.
    pub(crate) fn without_marks<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let bytes = text.as_bytes();
        let is_mark = |at: usize, byte: u8| {
            self.mark_at(bytes, at, byte, Marks::Found)
                .is_some_and(|(token, _)| self.vocabulary.kind(token) == Some(Kind::Control))
        };
        let has_any = bytes
            .iter()
            .enumerate()
            .any(|(at, &byte)| is_mark(at, byte));
        if !has_any && !text.contains(BREAK) {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len() + 8);
        for (at, char) in text.char_indices() {
            out.push(if char == BREAK { '\u{fffd}' } else { char });
            if bytes.get(at).is_some_and(|&byte| is_mark(at, byte)) {
                out.push(BREAK);
            }
        }
        Cow::Owned(out)
    }

    /// The mark whose name begins there, and how long that is.
    fn mark_at(&self, bytes: &[u8], at: usize, byte: u8, marks: Marks) -> Option<(u32, usize)> {
        let rest = bytes.get(at..)?;
        let mut candidates = self.vocabulary.marks_from(byte).iter();
        candidates.find_map(|&token| {
            let is_wanted =
                marks == Marks::Found || self.vocabulary.kind(token) == Some(Kind::UserDefined);
            let name = self.vocabulary.bytes(token)?;
            (is_wanted && rest.starts_with(name)).then_some((token, name.len()))
        })
    }

    fn encode_text(
        &self,
        text: &str,
        is_first: bool,
        tokens: &mut Vec<u32>,
    ) -> Result<(), TooIntricate> {
        if text.is_empty() {
            return Ok(());
        }
        let text: Cow<'_, str> = if text.contains(BREAK) {
            Cow::Owned(text.replace(BREAK, ""))
        } else {
            Cow::Borrowed(text)
        };
        match self.vocabulary.algorithm {
            Algorithm::BytePairs => self.pre.each(&text, |word| self.encode_word(word, tokens)),
            Algorithm::Pieces | Algorithm::Unigram => {
                let text = if self.adds_space && is_first {
                    Cow::Owned(format!(" {text}"))
                } else {
                    text
                };
                if self.vocabulary.algorithm == Algorithm::Pieces {
                    self.encode_pieces(&text, tokens);
                } else {
                    unigram::encode(&self.vocabulary, &self.bytes, &text, tokens);
                }
                Ok(())
            }
        }
    }

    fn encode_word(&self, word: &str, tokens: &mut Vec<u32>) {
        if self.takes_words
            && let Some(token) = self.vocabulary.find(word.as_bytes())
        {
            tokens.push(token);
            return;
        }
        let pieces = word.bytes().enumerate().map(|(at, byte)| Piece {
            range: at..at + 1,
            token: self.bytes.get(usize::from(byte)).copied().flatten(),
        });
        let joined = join(pieces, |left, right| {
            let merge = self.merges.get(&(left.token?, right.token?))?;
            Some(Joined {
                priority: f64::from(merge.rank),
                token: merge.token,
            })
        });
        // A byte without a token is left out, or told by the unknown token where there is one.
        tokens.extend(joined.filter_map(|piece| piece.token.or(self.vocabulary.unknown)));
    }

    fn encode_pieces(&self, text: &str, tokens: &mut Vec<u32>) {
        let pieces = text.char_indices().map(|(at, char)| {
            let range = at..at + char.len_utf8();
            Piece {
                token: text
                    .get(range.clone())
                    .and_then(|char| self.vocabulary.find(char.as_bytes())),
                range,
            }
        });
        let joined = join(pieces, |left, right| {
            let bytes = text.as_bytes().get(left.range.start..right.range.end)?;
            let token = self.vocabulary.find(bytes)?;
            let score = self.vocabulary.scores.get(token as usize)?;
            Some(Joined {
                priority: -f64::from(*score),
                token,
            })
        });
        for piece in joined {
            match piece.token {
                Some(token) => tokens.push(token),
                None => {
                    let bytes = text.as_bytes().get(piece.range).unwrap_or_default();
                    spell_bytes(&self.vocabulary, &self.bytes, bytes, tokens);
                }
            }
        }
    }
}

/// Tokens for bytes that no piece stands for.
fn spell_bytes(
    vocabulary: &Vocabulary,
    byte_tokens: &[Option<u32>],
    bytes: &[u8],
    tokens: &mut Vec<u32>,
) {
    let found: Option<Vec<u32>> = bytes
        .iter()
        .map(|&byte| byte_tokens.get(usize::from(byte)).copied().flatten())
        .collect();
    match found {
        Some(found) => tokens.extend(found),
        None => tokens.extend(vocabulary.unknown),
    }
}

/// The token of a byte where those have tokens of their own.
fn byte_tokens(vocabulary: &Vocabulary, byte: u8) -> Option<u32> {
    // They stand near the beginning of the vocabulary, in order.
    (0..vocabulary.len() as u32).take(1024).find(|&token| {
        vocabulary.kind(token) == Some(Kind::Byte) && vocabulary.bytes(token) == Some(&[byte])
    })
}

fn merges(
    file: &Gguf<'_>,
    vocabulary: &Vocabulary,
) -> Result<HashMap<(u32, u32), Merge>, GgufError> {
    const KEY: &str = "tokenizer.ggml.merges";
    let array = file
        .array(KEY)?
        .ok_or_else(|| GgufError::key(KEY, "is missing"))?;
    let texts = array
        .texts()
        .ok_or_else(|| GgufError::key(KEY, "holds no texts"))?;
    let mut merges = HashMap::with_capacity(array.len());
    let mut left = Vec::new();
    for (rank, text) in texts.enumerate() {
        let wrong = |problem: &str| GgufError::key(KEY, format!("has a rule {rank} {problem}"));
        let text = std::str::from_utf8(text).map_err(|_| wrong("that is not UTF-8"))?;
        let (first, second) = text
            .split_once(' ')
            .ok_or_else(|| wrong("without a space"))?;
        let spelled = |text: &str, out: &mut Vec<u8>| {
            out.extend(text.chars().filter_map(crate::vocabulary::byte_of));
        };
        left.clear();
        spelled(first, &mut left);
        let middle = left.len();
        spelled(second, &mut left);
        let (a, b) = left.split_at(middle);
        let found = (
            vocabulary.find(a),
            vocabulary.find(b),
            vocabulary.find(&left),
        );
        // A rule about what is no token can never be used.
        if let (Some(a), Some(b), Some(token)) = found {
            let rank = u32::try_from(rank).unwrap_or(u32::MAX);
            merges.entry((a, b)).or_insert(Merge { rank, token });
        }
    }
    Ok(merges)
}
