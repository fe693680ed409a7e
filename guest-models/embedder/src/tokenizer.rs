//! From texts to tokens and back, by a `tokenizer.json` whose model is WordPiece (Schuster and
//! Nakajima, 2012), with the normaliser and the marks of BERT.
//!
//! Nothing that somebody writes is a mark: `[SEP]` in a text is text.

mod file;
mod normalizer;
mod vocabulary;

use std::borrow::Cow;

use serde_json::Value;

use crate::error::LoadError;
use crate::json::Object;
use file::Parts;
use normalizer::Normalizer;
pub use vocabulary::Vocabulary;

/// The file that describes it.
pub const FILE: &str = "tokenizer.json";

const WORD_CHARS_USUAL: usize = 100;
const WORD_CHARS_MAX: usize = 1000;

/// A tokenizer.
#[derive(Debug)]
pub struct Tokenizer {
    /// What the tokens are.
    pub vocabulary: Vocabulary,
    normalizer: Normalizer,
    /// What stands before a piece that begins no word.
    prefix: String,
    /// What stands for a word that cannot be cut into pieces.
    unknown: u32,
    /// A longer word is unknown.
    word_chars_max: usize,
    single: Template,
    pair: Template,
}

/// What surrounds a text or two: marks, and which part is which.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    what: What,
    /// The type of the tokens.
    kind: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Marks(Vec<u32>),
    First,
    Second,
}

/// The tokens of a text with its marks, each with the part that it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Into the vocabulary.
    pub tokens: Vec<u32>,
    /// As many as tokens.
    pub kinds: Vec<u32>,
}

impl Tokenizer {
    /// Reads the tokenizer of a bundle, whose tokens have to be below `vocabulary` and whose types
    /// below `types`.
    ///
    /// # Errors
    ///
    /// [`LoadError`] with the name of the part that is wrong or not supported.
    pub fn read(vocabulary: usize, types: usize) -> Result<Self, LoadError> {
        let bytes = file::bytes()?;
        let parts = Parts::read(&bytes)?;
        let words = Vocabulary::read(parts.vocabulary, &parts.added, vocabulary)?;
        let model = Object {
            file: FILE,
            value: &parts.model,
        };
        let unknown = model.text("unk_token")?.unwrap_or("[UNK]");
        let unknown = words.token(unknown).ok_or_else(|| {
            let problem = format!("is `{unknown}`, which the vocabulary does not have");
            model.wrong("model.unk_token", problem)
        })?;
        let (single, pair) = templates(parts.post_processor.as_ref())?;
        for template in [&single, &pair] {
            template.check(&words, types)?;
        }
        Ok(Self {
            normalizer: Normalizer::read(parts.normalizer.as_ref())?,
            prefix: model
                .text("continuing_subword_prefix")?
                .unwrap_or("##")
                .to_owned(),
            unknown,
            word_chars_max: model
                .optional_size("max_input_chars_per_word", 1, WORD_CHARS_MAX)?
                .unwrap_or(WORD_CHARS_USUAL),
            vocabulary: words,
            single,
            pair,
        })
    }

    /// The tokens of a text, without marks.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let text = self.normalizer.normalize(text);
        let mut tokens = Vec::new();
        for word in words(&text) {
            self.cut(word, &mut tokens);
        }
        tokens
    }

    /// How many marks a text has, or two texts together.
    pub fn marks(&self, is_pair: bool) -> usize {
        let template = if is_pair { &self.pair } else { &self.single };
        let marks = template.0.iter().map(|piece| match &piece.what {
            What::Marks(marks) => marks.len(),
            What::First | What::Second => 0,
        });
        marks.sum()
    }

    /// The tokens of a text with its marks.
    pub fn mark(&self, text: &[u32]) -> Encoded {
        self.single.fill(text, &[])
    }

    /// The tokens of two texts with their marks.
    pub fn mark_pair(&self, first: &[u32], second: &[u32]) -> Encoded {
        self.pair.fill(first, second)
    }

    /// The tokens without the marks around them, where they have those of a text.
    pub fn unmark<'a>(&self, tokens: &'a [u32]) -> &'a [u32] {
        let marks = |piece: Option<&Piece>| match piece.map(|piece| &piece.what) {
            Some(What::Marks(marks)) => marks.clone(),
            _ => Vec::new(),
        };
        let (before, after) = (marks(self.single.0.first()), marks(self.single.0.last()));
        tokens
            .strip_prefix(before.as_slice())
            .and_then(|rest| rest.strip_suffix(after.as_slice()))
            .unwrap_or(tokens)
    }

    /// What each token stands for, such that all together are a text: with a space before what
    /// begins a word.
    ///
    /// # Errors
    ///
    /// The first number that is no token.
    pub fn decode(&self, tokens: &[u32]) -> Result<Vec<Vec<u8>>, u32> {
        let mut all = Vec::with_capacity(tokens.len());
        for &token in tokens {
            let text = self.vocabulary.text(token).ok_or(token)?;
            let bytes = match text.strip_prefix(self.prefix.as_str()) {
                Some(rest) if !rest.is_empty() && !self.prefix.is_empty() => Cow::Borrowed(rest),
                _ if all.is_empty() => Cow::Borrowed(text),
                _ => Cow::Owned(format!(" {text}")),
            };
            all.push(bytes.into_owned().into_bytes());
        }
        Ok(all)
    }

    /// Cuts a word into the longest pieces that are tokens, from its beginning.
    fn cut(&self, word: &str, tokens: &mut Vec<u32>) {
        let before = tokens.len();
        let mut rest = word;
        let mut piece = String::new();
        let is_short = word.chars().nth(self.word_chars_max).is_none();
        while is_short && !rest.is_empty() {
            piece.clear();
            if tokens.len() > before {
                piece.push_str(&self.prefix);
            }
            let bare = piece.len();
            // No token is longer than the longest.
            let room = self.vocabulary.longest().saturating_sub(bare);
            let fitting = rest.char_indices().map(|(at, char)| at + char.len_utf8());
            let length = fitting.take_while(|end| *end <= room).last().unwrap_or(0);
            piece.push_str(rest.get(..length).unwrap_or_default());
            let found = loop {
                if piece.len() == bare {
                    break None;
                }
                match self.vocabulary.token(&piece) {
                    Some(token) => break Some(token),
                    None => piece.pop(),
                };
            };
            let Some(token) = found else { break };
            tokens.push(token);
            rest = rest.get(piece.len() - bare..).unwrap_or_default();
        }
        if !is_short || !rest.is_empty() {
            tokens.truncate(before);
            tokens.push(self.unknown);
        }
    }
}

/// The words of a text: what is between spaces, cut at each sign.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().flat_map(|part| {
        let mut rest = part;
        std::iter::from_fn(move || {
            let first = rest.chars().next()?;
            let end = if normalizer::is_sign(first) {
                first.len_utf8()
            } else {
                rest.find(normalizer::is_sign).unwrap_or(rest.len())
            };
            let (word, after) = rest.split_at_checked(end)?;
            rest = after;
            Some(word)
        })
    })
}

impl Template {
    fn fill(&self, first: &[u32], second: &[u32]) -> Encoded {
        let mut encoded = Encoded::default();
        for Piece { what, kind } in &self.0 {
            let tokens = match what {
                What::Marks(marks) => marks,
                What::First => first,
                What::Second => second,
            };
            encoded.tokens.extend_from_slice(tokens);
            encoded.kinds.resize(encoded.tokens.len(), *kind);
        }
        encoded
    }

    fn check(&self, words: &Vocabulary, types: usize) -> Result<(), LoadError> {
        let wrong = |problem| Err(LoadError::member(FILE, "post_processor", problem));
        for Piece { what, kind } in &self.0 {
            if let What::Marks(marks) = what
                && let Some(mark) = marks.iter().find(|mark| words.text(**mark).is_none())
            {
                return wrong(format!("has the mark {mark}, which is no token"));
            }
            // Where types are not told apart they are not looked at.
            if types > 0 && *kind as usize >= types {
                return wrong(format!("has the type {kind}, and the model has {types}"));
            }
        }
        Ok(())
    }
}

/// What surrounds a text, and two.
fn templates(part: Option<&Value>) -> Result<(Template, Template), LoadError> {
    let plain = |what, kind| Piece { what, kind };
    let Some(value) = part else {
        return Ok((
            Template(vec![plain(What::First, 0)]),
            Template(vec![plain(What::First, 0), plain(What::Second, 1)]),
        ));
    };
    let part = Object { file: FILE, value };
    match part.text("type")? {
        Some("TemplateProcessing") => Ok((
            template(part, "single", false)?,
            template(part, "pair", true)?,
        )),
        Some("BertProcessing") => {
            let mark = |name: &str, kind| {
                let id = part.value(name).and_then(|pair| pair.get(1)?.as_u64());
                match id.and_then(|id| u32::try_from(id).ok()) {
                    Some(id) => Ok(plain(What::Marks(vec![id]), kind)),
                    None => Err(part.wrong(&format!("post_processor.{name}"), "has no number")),
                }
            };
            let single = vec![mark("cls", 0)?, plain(What::First, 0), mark("sep", 0)?];
            let mut pair = single.clone();
            pair.extend([plain(What::Second, 1), mark("sep", 1)?]);
            Ok((Template(single), Template(pair)))
        }
        other => {
            let other = other.unwrap_or_default();
            let problem = format!(
                "is `{other}`, which is not supported; TemplateProcessing, BertProcessing are"
            );
            Err(part.wrong("post_processor.type", problem))
        }
    }
}

fn template(part: Object<'_>, name: &str, is_pair: bool) -> Result<Template, LoadError> {
    let wrong = |problem: &str| part.wrong(&format!("post_processor.{name}"), problem);
    let list = part.value(name).and_then(Value::as_array);
    let list = list.ok_or_else(|| wrong("is no list"))?;
    let mut pieces = Vec::new();
    for entry in list {
        let kind =
            |inner: &Value| -> Option<u32> { inner.get("type_id")?.as_u64()?.try_into().ok() };
        let piece = if let Some(inner) = entry.get("SpecialToken") {
            let marks = inner
                .get("id")
                .and_then(Value::as_str)
                .and_then(|id| {
                    part.value("special_tokens")?
                        .get(id)?
                        .get("ids")?
                        .as_array()
                })
                .and_then(|ids| ids.iter().map(|id| id.as_u64()?.try_into().ok()).collect());
            kind(inner).zip(marks).map(|(kind, marks)| Piece {
                what: What::Marks(marks),
                kind,
            })
        } else {
            let inner = entry.get("Sequence");
            let what = match inner.and_then(|inner| inner.get("id")?.as_str()) {
                Some("A") => Some(What::First),
                Some("B") => Some(What::Second),
                _ => None,
            };
            inner
                .and_then(kind)
                .zip(what)
                .map(|(kind, what)| Piece { what, kind })
        };
        pieces.push(piece.ok_or_else(|| wrong("has a piece that is neither mark nor text"))?);
    }
    let count = |what: What| pieces.iter().filter(|piece| piece.what == what).count();
    if count(What::First) != 1 || count(What::Second) != usize::from(is_pair) {
        return Err(wrong("does not have each text once"));
    }
    Ok(Template(pieces))
}
