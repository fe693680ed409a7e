//! The tokens and their numbers, held close together: a snapshot has them in each model.

use std::fmt;

use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::FILE;
use crate::error::LoadError;
use crate::shape::VOCABULARY_MAX;

/// Bytes of a token.
const TOKEN_BYTES_MAX: usize = 4096;

/// The tokens of a model.
#[derive(Debug, Default)]
pub struct Vocabulary {
    /// All tokens, one after the other, in the order of their bytes.
    texts: String,
    /// Where each token of `texts` ends, and its number.
    sorted: Vec<(u32, u32)>,
    /// By its number, where a token is in `sorted`.
    places: Vec<Option<u32>>,
    longest: usize,
}

impl Vocabulary {
    /// Reads the tokens, whose numbers have to be below `rows`.
    pub(super) fn read(
        json: &RawValue,
        added: &[(String, u64)],
        rows: usize,
    ) -> Result<Self, LoadError> {
        let wrong = |problem: String| LoadError::member(FILE, "model.vocab", problem);
        let mut reader = serde_json::Deserializer::from_str(json.get());
        let mut tokens = reader
            .deserialize_map(Tokens)
            .map_err(|error| wrong(format!("cannot be read: {error}")))?;
        tokens.extend(added.iter().cloned());
        tokens.sort_unstable();
        // A mark is often in the vocabulary as well.
        tokens.dedup();
        let mut vocabulary = Self::default();
        vocabulary.places.resize(rows, None);
        for (text, id) in tokens {
            let of = |problem: &str| wrong(format!("has the token `{text}`, {problem}"));
            let place = usize::try_from(id)
                .ok()
                .and_then(|id| vocabulary.places.get_mut(id))
                .ok_or_else(|| {
                    of(&format!(
                        "whose number {id} is not below the {rows} of the model"
                    ))
                })?;
            let index = vocabulary.sorted.len() as u32;
            if place.replace(index).is_some() {
                return Err(of(&format!("and another with its number {id}")));
            }
            let is_same = index
                .checked_sub(1)
                .and_then(|before| vocabulary.at(before))
                .is_some_and(|before| before == text);
            if is_same {
                return Err(of("and the same with another number"));
            }
            vocabulary.texts.push_str(&text);
            vocabulary.longest = vocabulary.longest.max(text.len());
            // Numbers are below `rows`, and the file has fewer bytes than 2^32.
            let end = vocabulary.texts.len() as u32;
            vocabulary.sorted.push((end, id as u32));
        }
        Ok(vocabulary)
    }

    /// The number of a token.
    pub fn token(&self, text: &str) -> Option<u32> {
        let (mut low, mut high) = (0, self.sorted.len() as u32);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.at(middle)?.cmp(text) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    return self.sorted.get(middle as usize).map(|(_, id)| *id);
                }
            }
        }
        None
    }

    /// What a token is called.
    pub fn text(&self, token: u32) -> Option<&str> {
        self.at((*self.places.get(token as usize)?)?)
    }

    /// Bytes of the longest token.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// A token by its place in the order of bytes.
    fn at(&self, index: u32) -> Option<&str> {
        let (end, _) = *self.sorted.get(index as usize)?;
        let start = match index.checked_sub(1) {
            None => 0,
            Some(before) => self.sorted.get(before as usize)?.0,
        };
        self.texts.get(start as usize..end as usize)
    }
}

/// Tokens and their numbers, one after the other.
struct Tokens;

impl<'de> Visitor<'de> for Tokens {
    type Value = Vec<(String, u64)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of tokens and their numbers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut tokens = Vec::new();
        while let Some((text, id)) = map.next_entry::<String, u64>()? {
            if text.len() > TOKEN_BYTES_MAX {
                return Err(A::Error::custom("a token is too long"));
            }
            if tokens.len() == VOCABULARY_MAX {
                let problem = format!("there are more than {VOCABULARY_MAX} tokens");
                return Err(A::Error::custom(problem));
            }
            tokens.push((text, id));
        }
        Ok(tokens)
    }
}
