//! The models that clients of public APIs ask for, with what those clients know of their tokens.

use belljar_tokens::Encoding;
use belljar_tokens::Encoding::{Cl100kBase, O200kBase};

/// How the tokens of a name are counted, and how many there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenRules {
    /// By which tokens are counted.
    pub encoding: Encoding,
    /// Tokens of a prompt and its answer together.
    pub context: Option<u32>,
    /// Tokens of an answer.
    pub output: Option<u32>,
}

impl Default for TokenRules {
    /// The rules of a name that nobody knows.
    fn default() -> Self {
        Self {
            encoding: O200kBase,
            context: None,
            output: None,
        }
    }
}

/// Names, without the date that some of them end with; the encoding; the tokens of a prompt and its
/// answer together; those of an answer. 0 where clients know of no limit.
const WELL_KNOWN: &[(&str, Encoding, u32, u32)] = &[
    ("babbage-002", Cl100kBase, 16_384, 16_384),
    ("chatgpt-4o-latest", O200kBase, 128_000, 16_384),
    ("claude-3-5-haiku", O200kBase, 200_000, 8_192),
    ("claude-3-5-sonnet", O200kBase, 200_000, 8_192),
    ("claude-3-7-sonnet", O200kBase, 200_000, 64_000),
    ("claude-3-haiku", O200kBase, 200_000, 4_096),
    ("claude-fable-5", O200kBase, 200_000, 0),
    ("claude-fable-5-1", O200kBase, 200_000, 0),
    ("claude-fable-5-2", O200kBase, 200_000, 0),
    ("claude-haiku-4-5", O200kBase, 200_000, 64_000),
    ("claude-haiku-5-5", O200kBase, 200_000, 0),
    ("claude-mythos-5", O200kBase, 200_000, 0),
    ("claude-mythos-5-1", O200kBase, 200_000, 0),
    ("claude-mythos-5-2", O200kBase, 200_000, 0),
    ("claude-mythos-preview", O200kBase, 200_000, 0),
    ("claude-opus-4", O200kBase, 200_000, 32_000),
    ("claude-opus-4-1", O200kBase, 200_000, 32_000),
    ("claude-opus-4-5", O200kBase, 200_000, 64_000),
    ("claude-opus-4-6", O200kBase, 200_000, 0),
    ("claude-opus-4-7", O200kBase, 200_000, 0),
    ("claude-opus-4-8", O200kBase, 200_000, 0),
    ("claude-opus-5", O200kBase, 200_000, 0),
    ("claude-opus-5-5", O200kBase, 200_000, 0),
    ("claude-sonnet-4", O200kBase, 200_000, 64_000),
    ("claude-sonnet-4-5", O200kBase, 200_000, 64_000),
    ("claude-sonnet-4-6", O200kBase, 200_000, 0),
    ("claude-sonnet-5", O200kBase, 200_000, 0),
    ("claude-sonnet-5-5", O200kBase, 200_000, 0),
    ("codex-mini", O200kBase, 200_000, 100_000),
    ("davinci-002", Cl100kBase, 16_384, 16_384),
    ("gpt-3.5-turbo", Cl100kBase, 16_385, 4_096),
    ("gpt-3.5-turbo-0125", Cl100kBase, 16_385, 4_096),
    ("gpt-3.5-turbo-0301", Cl100kBase, 4_096, 4_096),
    ("gpt-3.5-turbo-0613", Cl100kBase, 4_096, 4_096),
    ("gpt-3.5-turbo-1106", Cl100kBase, 16_385, 4_096),
    ("gpt-3.5-turbo-16k", Cl100kBase, 16_385, 4_096),
    ("gpt-3.5-turbo-16k-0613", Cl100kBase, 16_385, 4_096),
    ("gpt-3.5-turbo-instruct", Cl100kBase, 4_096, 4_096),
    ("gpt-4", Cl100kBase, 8_192, 8_192),
    ("gpt-4-0125-preview", Cl100kBase, 128_000, 4_096),
    ("gpt-4-0314", Cl100kBase, 8_192, 8_192),
    ("gpt-4-0613", Cl100kBase, 8_192, 8_192),
    ("gpt-4-1106-preview", Cl100kBase, 128_000, 4_096),
    ("gpt-4-32k", Cl100kBase, 32_768, 32_768),
    ("gpt-4-32k-0314", Cl100kBase, 32_768, 32_768),
    ("gpt-4-32k-0613", Cl100kBase, 32_768, 32_768),
    ("gpt-4-turbo", Cl100kBase, 128_000, 4_096),
    ("gpt-4-turbo-preview", Cl100kBase, 128_000, 4_096),
    ("gpt-4-vision-preview", Cl100kBase, 128_000, 4_096),
    ("gpt-4.1", O200kBase, 1_047_576, 32_768),
    ("gpt-4.1-mini", O200kBase, 1_047_576, 32_768),
    ("gpt-4.1-nano", O200kBase, 1_047_576, 32_768),
    ("gpt-4o", O200kBase, 128_000, 16_384),
    ("gpt-4o-audio-preview", O200kBase, 128_000, 16_384),
    ("gpt-4o-mini", O200kBase, 128_000, 16_384),
    ("gpt-4o-mini-audio-preview", O200kBase, 128_000, 16_384),
    ("gpt-4o-mini-search-preview", O200kBase, 128_000, 16_384),
    ("gpt-4o-search-preview", O200kBase, 128_000, 16_384),
    ("gpt-5", O200kBase, 400_000, 128_000),
    ("gpt-5-chat", O200kBase, 128_000, 16_384),
    ("gpt-5-codex", O200kBase, 400_000, 128_000),
    ("gpt-5-mini", O200kBase, 400_000, 128_000),
    ("gpt-5-nano", O200kBase, 400_000, 128_000),
    ("gpt-5-pro", O200kBase, 400_000, 272_000),
    ("gpt-5.1", O200kBase, 400_000, 128_000),
    ("gpt-5.1-chat", O200kBase, 128_000, 16_384),
    ("gpt-5.1-codex", O200kBase, 400_000, 128_000),
    ("gpt-5.1-codex-max", O200kBase, 400_000, 128_000),
    ("gpt-5.1-mini", O200kBase, 400_000, 128_000),
    ("gpt-5.2", O200kBase, 400_000, 128_000),
    ("gpt-5.2-chat", O200kBase, 128_000, 16_384),
    ("gpt-5.2-pro", O200kBase, 400_000, 128_000),
    ("gpt-5.3-chat", O200kBase, 128_000, 16_384),
    ("gpt-5.4", O200kBase, 1_050_000, 128_000),
    ("gpt-5.4-mini", O200kBase, 400_000, 128_000),
    ("gpt-5.4-nano", O200kBase, 400_000, 128_000),
    ("gpt-5.5", O200kBase, 400_000, 128_000),
    ("gpt-5.5-pro", O200kBase, 400_000, 128_000),
    ("gpt-5.6-cyber", O200kBase, 400_000, 128_000),
    ("gpt-5.6-luna", O200kBase, 400_000, 128_000),
    ("gpt-5.6-sol", O200kBase, 400_000, 128_000),
    ("gpt-5.6-terra", O200kBase, 400_000, 128_000),
    ("gpt-6-astra", O200kBase, 1_050_000, 128_000),
    ("gpt-6-cyber", O200kBase, 1_050_000, 128_000),
    ("gpt-6-luna", O200kBase, 1_050_000, 128_000),
    ("gpt-6-rosalind", O200kBase, 1_050_000, 128_000),
    ("gpt-6-sol", O200kBase, 1_050_000, 128_000),
    ("gpt-6.1-sol", O200kBase, 1_050_000, 128_000),
    ("gpt-6.1-terra", O200kBase, 1_050_000, 128_000),
    ("gpt-6.2-astra", O200kBase, 1_050_000, 128_000),
    ("gpt-6.2-astra-law", O200kBase, 1_050_000, 128_000),
    ("gpt-6.2-sol", O200kBase, 1_050_000, 128_000),
    ("gpt-audio-mini", O200kBase, 128_000, 16_384),
    ("gpt-daybreak-blue", O200kBase, 0, 0),
    ("gpt-daybreak-red", O200kBase, 0, 0),
    ("gpt-rosalind-research", O200kBase, 0, 0),
    ("jina-reranker-v2-base-multilingual", O200kBase, 0, 0),
    ("o1", O200kBase, 200_000, 100_000),
    ("o1-mini", O200kBase, 128_000, 65_536),
    ("o1-preview", O200kBase, 128_000, 32_768),
    ("o1-pro", O200kBase, 200_000, 100_000),
    ("o3", O200kBase, 200_000, 100_000),
    ("o3-deep-research", O200kBase, 200_000, 100_000),
    ("o3-mini", O200kBase, 200_000, 100_000),
    ("o3-pro", O200kBase, 200_000, 100_000),
    ("o4-mini", O200kBase, 200_000, 100_000),
    ("o4-mini-deep-research", O200kBase, 200_000, 100_000),
    ("omni-moderation", O200kBase, 32_768, 0),
    ("omni-moderation-latest", O200kBase, 32_768, 0),
    ("openai/gpt-oss-120b", O200kBase, 131_072, 131_072),
    ("openai/gpt-oss-20b", O200kBase, 131_072, 131_072),
    ("rerank-english-v3.0", O200kBase, 0, 0),
    ("rerank-multilingual-v3.0", O200kBase, 0, 0),
    ("rerank-v3.5", O200kBase, 0, 0),
    ("text-embedding-3-large", Cl100kBase, 8_192, 0),
    ("text-embedding-3-small", Cl100kBase, 8_192, 0),
    ("text-embedding-ada-002", Cl100kBase, 8_191, 0),
    ("text-moderation", Cl100kBase, 32_768, 0),
    ("text-moderation-latest", Cl100kBase, 32_768, 0),
    ("text-moderation-stable", Cl100kBase, 32_768, 0),
];

/// Each name with its rules.
pub(super) fn well_known() -> impl Iterator<Item = (&'static str, TokenRules)> {
    WELL_KNOWN.iter().map(|&(name, encoding, context, output)| {
        let rules = TokenRules {
            encoding,
            context: (context > 0).then_some(context),
            output: (output > 0).then_some(output),
        };
        (name, rules)
    })
}
