//! How many tokens a prompt and its answer may have, by what the name of their model promises.

use super::TextCall;
use super::counting::Tokens;
use super::prompt_place::PromptPlace;
use super::prompt_tokens::PromptTokens;
use crate::generation::Bias;
use crate::models::TokenRules;
use belljar_sandbox::wit::text::{Prompt, ResponseFormat, Role};
use belljar_tokens::Encoding;
use std::sync::Arc;

/// More tokens than the model has room for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooManyTokens {
    /// The prompt alone is too long.
    #[error("{tokens} tokens are more than the {context} that there is room for")]
    Prompt {
        /// Whose words are to be used.
        place: PromptPlace,
        /// The place in the request.
        field: String,
        /// Tokens of the prompt.
        tokens: u32,
        /// Tokens that there is room for.
        context: u32,
    },
    /// The prompt leaves no room for the answer that is asked for.
    #[error("{tokens} tokens and {answer} more are more than the {context} that there is room for")]
    Sum {
        /// Whose words are to be used.
        place: PromptPlace,
        /// The member that says how long the answer may be.
        field: &'static str,
        /// Tokens of the prompt.
        tokens: u32,
        /// Tokens of the answer.
        answer: u32,
        /// Tokens that there is room for.
        context: u32,
    },
    /// The answer that is asked for is longer than this model's are.
    #[error("an answer of {answer} tokens is longer than {output}")]
    Answer {
        /// Whose words are to be used.
        place: PromptPlace,
        /// The member that says how long the answer may be.
        field: &'static str,
        /// The name of the model, as asked for.
        model: String,
        /// Tokens of the answer.
        answer: u32,
        /// The most tokens of an answer.
        output: u32,
    },
}

impl TextCall {
    /// Holds the call to the rules of its name, and takes the counts for what it has estimated.
    pub(super) fn hold_to(
        &mut self,
        tokens: &mut Tokens<Vec<PromptTokens>>,
    ) -> Result<(), TooManyTokens> {
        let Tokens { rules, counts } = tokens;
        if self.truncates
            && let Some(prompt) = counts.first_mut()
        {
            self.leave_out_oldest(*rules, prompt);
        }
        let longest = counts.iter().map(|prompt| prompt.count).max();
        let longest = longest.unwrap_or_default();
        self.limits.encoding = Some(rules.encoding);
        self.limits.bias = self.bias(rules.encoding);
        self.limits.prompt_tokens_max = longest;
        self.limits.prompt_tokens_estimate = longest;
        let all = counts.iter().map(|prompt| prompt.count);
        self.prompt_tokens_estimate = all.fold(0, u32::saturating_add);
        let asked = self.limits.max_tokens;
        let answer = if self.tokens_are_default {
            fitting(*rules, asked, longest)
        } else {
            asked
        };
        self.limits.max_tokens = answer;
        let place = self.places.prompt;
        if let Some(output) = rules.output.filter(|output| answer > *output) {
            return Err(TooManyTokens::Answer {
                place,
                field: self.places.max_tokens,
                model: self.model.clone(),
                answer,
                output,
            });
        }
        let Some(context) = rules.context else {
            return Ok(());
        };
        if longest > context {
            return Err(TooManyTokens::Prompt {
                place,
                field: place.field().to_owned(),
                tokens: longest,
                context,
            });
        }
        if longest.saturating_add(answer) > context {
            return Err(TooManyTokens::Sum {
                place,
                field: self.places.max_tokens,
                tokens: longest,
                answer,
                context,
            });
        }
        Ok(())
    }
}

impl TextCall {
    /// What the caller wants more or less of.
    fn bias(&self, encoding: Encoding) -> Option<Arc<Bias>> {
        let is_json = self.request.response_format != ResponseFormat::Text;
        Bias::new(encoding, &self.request.sampling, is_json).map(Arc::new)
    }

    /// Leaves out the oldest messages, but for those of the system and the last one, until there is
    /// room for the prompt and its answer. What tools have answered goes with the call.
    fn leave_out_oldest(&mut self, rules: TokenRules, tokens: &mut PromptTokens) {
        let Prompt::Messages(messages) = &mut self.request.prompt else {
            return;
        };
        let answer = if self.tokens_are_default {
            1
        } else {
            self.limits.max_tokens
        };
        let room = rules.context.unwrap_or(u32::MAX).saturating_sub(answer);
        let mut ends = tokens.ends.windows(2).map(|ends| match ends {
            [(start, _), (end, _)] => end.saturating_sub(*start),
            _ => 0,
        });
        let sizes: Vec<u32> = messages.iter().map(|_| ends.next().unwrap_or(0)).collect();
        let last = messages.len().saturating_sub(1);
        let mut left_out = vec![false; messages.len()];
        let mut count = tokens.count;
        let mut is_open = false;
        let all = messages.iter().zip(&sizes).zip(&mut left_out);
        for ((message, size), left_out) in all.take(last) {
            let goes_along = is_open && message.role == Role::Tool;
            if matches!(message.role, Role::System | Role::Developer)
                || (count <= room && !goes_along)
            {
                is_open = false;
                continue;
            }
            is_open = true;
            *left_out = true;
            count = count.saturating_sub(*size);
        }
        if count == tokens.count {
            return;
        }
        let mut left_out = left_out.into_iter();
        messages.retain(|_| !left_out.next().unwrap_or(false));
        // What is left begins like nothing that was sent before.
        *tokens = PromptTokens {
            count,
            ..PromptTokens::default()
        };
    }
}

/// The answer that nobody has asked to be as long or as short: as long as there is room for.
fn fitting(rules: TokenRules, asked: u32, prompt: u32) -> u32 {
    let output = rules.output.unwrap_or(u32::MAX);
    let room = rules
        .context
        .map_or(u32::MAX, |context| context.saturating_sub(prompt));
    asked.min(output).min(room).max(1)
}
