//! The usage of a completion, as OpenAI counts it.

use crate::generation::End;
use belljar_sandbox::wit::text;
use serde::Serialize;
use utoipa::ToSchema;

/// Tokens used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
struct PromptDetails {
    cached_tokens: u64,
    audio_tokens: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
struct CompletionDetails {
    reasoning_tokens: u64,
    audio_tokens: u64,
    accepted_prediction_tokens: u64,
    rejected_prediction_tokens: u64,
}

impl Usage {
    /// Of the prompt.
    pub(crate) fn prompt_tokens(&self) -> u64 {
        self.prompt_tokens
    }

    /// Of all answers.
    pub(crate) fn completion_tokens(&self) -> u64 {
        self.completion_tokens
    }

    /// Adds one of several answers to the same prompt. The prompt is paid for once.
    pub(super) fn add(&mut self, end: &End) {
        let text::Usage {
            prompt_tokens,
            completion_tokens,
            reasoning_tokens,
            cached_tokens,
        } = end.usage;
        self.prompt_tokens = self.prompt_tokens.max(prompt_tokens.into());
        self.prompt_tokens_details.cached_tokens = self
            .prompt_tokens_details
            .cached_tokens
            .max(cached_tokens.into());
        self.completion_tokens += u64::from(completion_tokens);
        self.completion_tokens_details.reasoning_tokens += u64::from(reasoning_tokens);
        self.total_tokens = self.prompt_tokens + self.completion_tokens;
    }
}
