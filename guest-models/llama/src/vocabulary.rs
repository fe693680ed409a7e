//! The tokens of a model: what each stands for, and which of them mean something else than text.

use std::collections::HashMap;

use crate::gguf::{Gguf, GgufError};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A piece of text.
    Normal,
    /// What stands for text that no token stands for.
    Unknown,
    /// A mark that no text has, such as the end of a turn.
    Control,
    /// A piece of text that is never cut, whatever stands around it.
    UserDefined,
    /// A number without a meaning.
    Unused,
    /// One byte.
    Byte,
}

/// How texts are cut into tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Pairs of pieces are joined by rank, beginning with bytes.
    BytePairs,
    /// SentencePiece: pieces are joined by score, beginning with characters.
    Pieces,
    /// SentencePiece: the pieces with the greatest sum of scores.
    Unigram,
}

/// The tokens of a model.
#[derive(Debug)]
pub struct Vocabulary {
    pub(crate) algorithm: Algorithm,
    /// The bytes of all tokens, one after the other.
    bytes: Vec<u8>,
    /// Where each token ends in them.
    ends: Vec<usize>,
    kinds: Vec<Kind>,
    /// By SentencePiece, how good a token is; empty where there are none.
    pub(crate) scores: Vec<f32>,
    by_bytes: HashMap<Box<[u8]>, u32>,
    /// Tokens that are found in texts before those are cut, by their first byte, the longest first.
    marks: HashMap<u8, Vec<u32>>,
    /// What begins a text.
    pub begin: Option<u32>,
    /// Whether [`begin`](Self::begin) is put before each prompt.
    pub adds_begin: bool,
    /// What ends a text or a turn, at least one; the first is the usual one.
    pub ends_of_text: Vec<u32>,
    pub(crate) unknown: Option<u32>,
    /// What stands before the text before a gap, before that after it, and before what fills it.
    pub(crate) gap: Option<[u32; 3]>,
}

/// Tokens that end a turn where the metadata does not say so, by their texts.
const ENDS: [&str; 8] = [
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|end|>",
    "<|eot|>",
    "</s>",
];

impl Vocabulary {
    /// Reads the tokens of a model that has so many.
    ///
    /// # Errors
    ///
    /// [`GgufError::Key`] for a key that is missing or does not fit the others.
    pub fn read(file: &Gguf<'_>, count: usize) -> Result<Self, GgufError> {
        const MODEL: &str = "tokenizer.ggml.model";
        const TOKENS: &str = "tokenizer.ggml.tokens";
        let algorithm = match file.text(MODEL)? {
            Some("gpt2") => Algorithm::BytePairs,
            Some("llama") => Algorithm::Pieces,
            Some("t5") => Algorithm::Unigram,
            Some(other) => {
                return Err(GgufError::key(
                    MODEL,
                    format!("is `{other}`, which is not supported; `gpt2`, `llama` and `t5` are"),
                ));
            }
            None => return Err(GgufError::key(MODEL, "is missing")),
        };
        let array = file
            .array(TOKENS)?
            .ok_or_else(|| GgufError::key(TOKENS, "is missing"))?;
        if array.len() != count {
            return Err(GgufError::key(
                TOKENS,
                format!("has {} tokens, and the model {count}", array.len()),
            ));
        }
        let texts = array
            .texts()
            .ok_or_else(|| GgufError::key(TOKENS, "holds no texts"))?;
        let kinds = kinds(file, count)?;
        let scores = scores(file, count, algorithm)?;

        let mut bytes = Vec::new();
        let mut ends = Vec::with_capacity(count);
        for (text, kind) in texts.zip(&kinds) {
            spell(text, *kind, algorithm, &mut bytes);
            ends.push(bytes.len());
        }
        let mut vocabulary = Self {
            algorithm,
            bytes,
            ends,
            kinds,
            scores,
            by_bytes: HashMap::with_capacity(count),
            marks: HashMap::new(),
            begin: id(file, "bos", count)?,
            adds_begin: false,
            ends_of_text: Vec::new(),
            unknown: id(file, "unknown", count)?,
            gap: None,
        };
        vocabulary.index();
        vocabulary.find_ends(file, count)?;
        vocabulary.find_gap(file, count)?;
        let is_usual = match algorithm {
            Algorithm::BytePairs => {
                let pre = file.text("tokenizer.ggml.pre")?;
                matches!(pre, Some("llama3" | "llama-v3" | "llama-bpe"))
            }
            Algorithm::Pieces => true,
            Algorithm::Unigram => false,
        };
        let added = file.boolean("tokenizer.ggml.add_bos_token")?;
        vocabulary.adds_begin = added.unwrap_or(is_usual) && vocabulary.begin.is_some();
        Ok(vocabulary)
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes that a token stands for; of a mark, its name. None for no token.
    pub fn bytes(&self, token: u32) -> Option<&[u8]> {
        let index = token as usize;
        let end = *self.ends.get(index)?;
        let start = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.bytes.get(start..end)
    }

    /// What a token is.
    pub fn kind(&self, token: u32) -> Option<Kind> {
        self.kinds.get(token as usize).copied()
    }

    /// What a token adds to a text: nothing where it is a mark.
    pub fn text(&self, token: u32) -> &[u8] {
        match self.kind(token) {
            Some(Kind::Normal | Kind::UserDefined | Kind::Byte) => {
                self.bytes(token).unwrap_or_default()
            }
            _ => &[],
        }
    }

    /// Whether a token ends a text or a turn.
    pub fn ends_text(&self, token: u32) -> bool {
        self.ends_of_text.contains(&token)
    }

    /// The token that stands for exactly these bytes.
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<u32> {
        self.by_bytes.get(bytes).copied()
    }

    /// The name of a token, for templates.
    pub(crate) fn name(&self, token: Option<u32>) -> String {
        let bytes = token.and_then(|token| self.bytes(token));
        String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
    }

    /// Tokens that are found in a text before it is cut, of which it may begin with one here: the
    /// longest first.
    pub(crate) fn marks_from(&self, byte: u8) -> &[u32] {
        self.marks.get(&byte).map_or(&[], Vec::as_slice)
    }

    fn index(&mut self) {
        let mut marks: HashMap<u8, Vec<u32>> = HashMap::new();
        for token in 0..self.len() as u32 {
            let Some(bytes) = self.bytes(token) else {
                continue;
            };
            let Some(&first) = bytes.first() else {
                continue;
            };
            match self.kinds.get(token as usize) {
                Some(Kind::Control | Kind::UserDefined) => {
                    marks.entry(first).or_default().push(token);
                }
                Some(Kind::Normal) => {
                    let bytes = bytes.into();
                    self.by_bytes.entry(bytes).or_insert(token);
                }
                // A byte is found where no piece is.
                _ => {}
            }
        }
        for tokens in marks.values_mut() {
            tokens
                .sort_by_key(|&token| std::cmp::Reverse(self.bytes(token).map_or(0, <[u8]>::len)));
        }
        self.marks = marks;
    }

    fn find_ends(&mut self, file: &Gguf<'_>, count: usize) -> Result<(), GgufError> {
        let mut ends: Vec<u32> = Vec::new();
        let named = ["eos", "eot", "eom"].map(|name| id(file, name, count));
        for token in named {
            ends.extend(token?);
        }
        for name in ENDS {
            let marks = self.marks_from(name.as_bytes().first().copied().unwrap_or_default());
            let mut found = marks.iter().filter(|&&token| {
                self.kind(token) == Some(Kind::Control)
                    && self.bytes(token) == Some(name.as_bytes())
            });
            ends.extend(found.next());
        }
        let mut seen = std::collections::HashSet::new();
        ends.retain(|token| seen.insert(*token));
        if ends.is_empty() {
            return Err(GgufError::key(
                "tokenizer.ggml.eos_token_id",
                "is missing, and no token is known to end a text",
            ));
        }
        self.ends_of_text = ends;
        Ok(())
    }

    fn find_gap(&mut self, file: &Gguf<'_>, count: usize) -> Result<(), GgufError> {
        let [before, after, middle] =
            ["fim_pre", "fim_suf", "fim_mid"].map(|name| id(file, name, count));
        self.gap = match (before?, after?, middle?) {
            (Some(before), Some(after), Some(middle)) => Some([before, after, middle]),
            _ => None,
        };
        Ok(())
    }
}

/// The token that a key names.
fn id(file: &Gguf<'_>, name: &str, count: usize) -> Result<Option<u32>, GgufError> {
    let key = format!("tokenizer.ggml.{name}_token_id");
    // Where there is none, some converters write the greatest number there is.
    if let Some(crate::gguf::Value::Integer(number)) = file.value(&key)
        && (number == -1 || number == i128::from(u32::MAX))
    {
        return Ok(None);
    }
    let found = file.integer(&key, count.saturating_sub(1))?;
    Ok(found.and_then(|token| u32::try_from(token).ok()))
}

fn kinds(file: &Gguf<'_>, count: usize) -> Result<Vec<Kind>, GgufError> {
    const KEY: &str = "tokenizer.ggml.token_type";
    let Some(array) = file.array(KEY)? else {
        return Ok(vec![Kind::Normal; count]);
    };
    let numbers = array
        .numbers()
        .ok_or_else(|| GgufError::key(KEY, "holds no numbers"))?;
    if array.len() != count {
        return Err(GgufError::key(
            KEY,
            format!("has {} kinds for {count} tokens", array.len()),
        ));
    }
    Ok(numbers
        .map(|number| match number as i64 {
            2 => Kind::Unknown,
            3 => Kind::Control,
            4 => Kind::UserDefined,
            5 => Kind::Unused,
            6 => Kind::Byte,
            _ => Kind::Normal,
        })
        .collect())
}

fn scores(file: &Gguf<'_>, count: usize, algorithm: Algorithm) -> Result<Vec<f32>, GgufError> {
    const KEY: &str = "tokenizer.ggml.scores";
    if algorithm == Algorithm::BytePairs {
        return Ok(Vec::new());
    }
    let array = file
        .array(KEY)?
        .ok_or_else(|| GgufError::key(KEY, "is missing"))?;
    let numbers = array
        .numbers()
        .ok_or_else(|| GgufError::key(KEY, "holds no numbers"))?;
    if array.len() != count {
        return Err(GgufError::key(
            KEY,
            format!("has {} scores for {count} tokens", array.len()),
        ));
    }
    Ok(numbers.map(|number| number as f32).collect())
}

/// What SentencePiece writes for a space.
pub(crate) const SPACE: char = '\u{2581}';

/// Writes the bytes that a token stands for.
fn spell(text: &[u8], kind: Kind, algorithm: Algorithm, out: &mut Vec<u8>) {
    let Ok(text) = std::str::from_utf8(text) else {
        out.extend_from_slice(text);
        return;
    };
    match (kind, algorithm) {
        (Kind::Byte, _) => match byte_token(text) {
            Some(byte) => out.push(byte),
            None => out.extend_from_slice(text.as_bytes()),
        },
        (Kind::Normal | Kind::Unused, Algorithm::BytePairs) => {
            let start = out.len();
            for char in text.chars() {
                match byte_of(char) {
                    Some(byte) => out.push(byte),
                    None => {
                        // Not written in the alphabet of bytes: then all of it is plain text.
                        out.truncate(start);
                        out.extend_from_slice(text.as_bytes());
                        return;
                    }
                }
            }
        }
        (Kind::Normal | Kind::Unused, _) => {
            let mut buffer = [0; 4];
            for char in text.chars() {
                let char = if char == SPACE { ' ' } else { char };
                out.extend_from_slice(char.encode_utf8(&mut buffer).as_bytes());
            }
        }
        _ => out.extend_from_slice(text.as_bytes()),
    }
}

/// The byte of a token such as `<0x0A>`.
fn byte_token(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    u8::from_str_radix(digits, 16).ok()
}

/// The byte that a character of the byte-level alphabet stands for: printable ones stand for
/// themselves, and the other bytes, in their order, are the characters from U+0100 on.
pub(crate) fn byte_of(char: char) -> Option<u8> {
    let code = u32::from(char);
    match code {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => u8::try_from(code).ok(),
        0x100..=0x120 => u8::try_from(code - 0x100).ok(),
        0x121..=0x142 => u8::try_from(code - 0x121 + 0x7f).ok(),
        0x143 => Some(0xad),
        _ => None,
    }
}
