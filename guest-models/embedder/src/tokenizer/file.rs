//! The parts of a `tokenizer.json`. The vocabulary, which is nearly all of it, is left as it lies.

use serde_json::Value;
use serde_json::value::RawValue;

use super::FILE;
use crate::error::LoadError;
use crate::json::{self, Object};

/// Bytes of the file. Those of a hundred languages have up to twenty megabytes.
const BYTES_MAX: u64 = 32 << 20;

/// The parts that a tokenizer is made of.
pub(super) struct Parts<'a> {
    pub(super) vocabulary: &'a RawValue,
    /// The model without its vocabulary.
    pub(super) model: Value,
    /// Names and numbers of marks, which may be in the vocabulary as well.
    pub(super) added: Vec<(String, u64)>,
    pub(super) normalizer: Option<Value>,
    pub(super) post_processor: Option<Value>,
}

/// The bytes of the file.
pub(super) fn bytes() -> Result<Vec<u8>, LoadError> {
    json::file(FILE, BYTES_MAX)?.ok_or_else(|| LoadError::file(FILE, "is missing in this bundle"))
}

impl<'a> Parts<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, LoadError> {
        let unreadable = |error| LoadError::file(FILE, format!("cannot be read: {error}"));
        let names = [
            "added_tokens",
            "normalizer",
            "pre_tokenizer",
            "post_processor",
            "model",
        ];
        let [added, normalizer, pre_tokenizer, post_processor, model] =
            json::members(bytes, names).map_err(unreadable)?;
        let model = model.ok_or_else(|| LoadError::member(FILE, "model", "is missing"))?;
        let names = [
            "type",
            "vocab",
            "unk_token",
            "continuing_subword_prefix",
            "max_input_chars_per_word",
        ];
        let found = json::members(model.get().as_bytes(), names).map_err(|error| {
            LoadError::member(FILE, "model", format!("cannot be read: {error}"))
        })?;
        let [kind, vocabulary, ..] = found;
        let kind = json::part(FILE, "model.type", kind)?;
        match kind.as_ref().and_then(Value::as_str) {
            Some("WordPiece") => {}
            other => {
                let other = other.unwrap_or_default();
                let problem = format!("is `{other}`, which is not supported; WordPiece is");
                return Err(LoadError::member(FILE, "model.type", problem));
            }
        }
        let mut values = serde_json::Map::new();
        for (name, json) in names.iter().zip(found).skip(2) {
            if let Some(value) = json::part(FILE, name, json)? {
                values.insert((*name).to_owned(), value);
            }
        }
        let pre_tokenizer = json::part(FILE, "pre_tokenizer", pre_tokenizer)?;
        check_pre_tokenizer(pre_tokenizer.as_ref())?;
        Ok(Self {
            vocabulary: vocabulary
                .ok_or_else(|| LoadError::member(FILE, "model.vocab", "is missing"))?,
            model: Value::Object(values),
            added: added_tokens(json::part(FILE, "added_tokens", added)?.as_ref())?,
            normalizer: json::part(FILE, "normalizer", normalizer)?,
            post_processor: json::part(FILE, "post_processor", post_processor)?,
        })
    }
}

fn check_pre_tokenizer(part: Option<&Value>) -> Result<(), LoadError> {
    let kind = part.and_then(|part| part.get("type")?.as_str());
    if kind == Some("BertPreTokenizer") {
        return Ok(());
    }
    let kind = kind.unwrap_or_default();
    let problem = format!("is `{kind}`, which is not supported; BertPreTokenizer is");
    Err(LoadError::member(FILE, "pre_tokenizer.type", problem))
}

/// Tokens beside the vocabulary. Those that are marks are never looked for in texts.
fn added_tokens(part: Option<&Value>) -> Result<Vec<(String, u64)>, LoadError> {
    let Some(value) = part else {
        return Ok(Vec::new());
    };
    let list = value.as_array();
    let list = list.ok_or_else(|| LoadError::member(FILE, "added_tokens", "is no list"))?;
    let mut tokens = Vec::new();
    for (index, value) in list.iter().enumerate() {
        let entry = Object { file: FILE, value };
        let name = format!("added_tokens.{index}");
        let (Some(text), Some(id)) = (
            entry.text("content")?,
            entry.value("id").and_then(Value::as_u64),
        ) else {
            return Err(entry.wrong(&name, "has no text and number"));
        };
        if !entry.flag("special")? {
            let problem = format!("is `{text}`, which is no mark: words are not added here");
            return Err(entry.wrong(&name, problem));
        }
        tokens.push((text.to_owned(), id));
    }
    Ok(tokens)
}
