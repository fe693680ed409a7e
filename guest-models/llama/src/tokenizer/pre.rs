//! The words that a text is cut into before any pieces are joined, by regular expressions. The
//! expressions are those that the tokenizers of the models were trained with.

use fancy_regex::Regex;

use crate::gguf::GgufError;

use super::TooIntricate;

/// Expressions, each of which cuts what the one before it left.
#[derive(Debug)]
pub(super) struct PreTokenizer(Vec<Regex>);

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const DIGIT: &str = r"\p{N}";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// By the name in `tokenizer.ggml.pre`.
const KNOWN: [(&str, &[&str]); 14] = [
    ("none", &[]),
    ("default", &[GPT2]),
    ("gpt-2", &[GPT2]),
    ("gpt2", &[GPT2]),
    ("smollm", &[DIGIT, GPT2]),
    ("starcoder", &[DIGIT, GPT2]),
    ("refact", &[DIGIT, GPT2]),
    ("codeshell", &[DIGIT, GPT2]),
    ("llama3", &[LLAMA3]),
    ("llama-v3", &[LLAMA3]),
    ("llama-bpe", &[LLAMA3]),
    ("qwen2", &[QWEN2]),
    ("deepseek-r1-qwen", &[QWEN2]),
    ("tekken", &[TEKKEN]),
];

impl PreTokenizer {
    pub(super) fn named(name: &str) -> Result<Self, GgufError> {
        const KEY: &str = "tokenizer.ggml.pre";
        let Some((_, expressions)) = KNOWN.iter().find(|(known, _)| *known == name) else {
            let names: Vec<&str> = KNOWN.iter().skip(1).map(|(name, _)| *name).collect();
            return Err(GgufError::key(
                KEY,
                format!(
                    "is `{name}`, which is not supported; these are: {}",
                    names.join(", ")
                ),
            ));
        };
        let compiled = expressions.iter().map(|expression| Regex::new(expression));
        let compiled: Result<Vec<Regex>, _> = compiled.collect();
        compiled
            .map(Self)
            .map_err(|error| GgufError::key(KEY, format!("has no expression here: {error}")))
    }

    /// Hands on each word, in order.
    pub(super) fn each<'t>(
        &self,
        text: &'t str,
        mut take: impl FnMut(&'t str),
    ) -> Result<(), TooIntricate> {
        cut(&self.0, text, &mut take)
    }
}

fn cut<'t>(
    expressions: &[Regex],
    text: &'t str,
    take: &mut impl FnMut(&'t str),
) -> Result<(), TooIntricate> {
    let Some((first, rest)) = expressions.split_first() else {
        if !text.is_empty() {
            take(text);
        }
        return Ok(());
    };
    let mut end = 0;
    for found in first.find_iter(text) {
        let found = found.map_err(|_| TooIntricate)?;
        cut(rest, text.get(end..found.start()).unwrap_or_default(), take)?;
        cut(rest, found.as_str(), take)?;
        end = found.end();
    }
    cut(rest, text.get(end..).unwrap_or_default(), take)
}
