//! The usage of a completion, as OpenAI counts it.

use crate::inference::TextUsage;
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

impl From<&TextUsage> for Usage {
    fn from(usage: &TextUsage) -> Self {
        let TextUsage {
            prompt_tokens,
            audio_tokens,
            cached_tokens,
            completion_tokens,
            reasoning_tokens,
            cache_written_tokens: _,
        } = *usage;
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens + completion_tokens,
            prompt_tokens_details: PromptDetails {
                cached_tokens,
                audio_tokens,
            },
            completion_tokens_details: CompletionDetails {
                reasoning_tokens,
                ..CompletionDetails::default()
            },
        }
    }
}
