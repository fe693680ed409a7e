//! What the texts of one call have used, in tokens.

use super::scripted::Script;
use crate::generation::End;
use belljar_sandbox::wit::text;
use belljar_testing::rules::SaidUsage;

/// Tokens of the prompts of one call and of all answers to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextUsage {
    /// Tokens of the prompts, each of which is paid for once.
    pub prompt_tokens: u64,
    /// Of those, tokens of sound, where the server counts them.
    pub audio_tokens: u64,
    /// Of those, tokens that were in the cache.
    pub cached_tokens: u64,
    /// Of those, tokens that are in the cache from now on because the caller asked for it.
    pub cache_written_tokens: u64,
    /// Tokens of all answers.
    pub completion_tokens: u64,
    /// Of those, tokens of reasoning.
    pub reasoning_tokens: u64,
}

/// The sum of what the answers have used, each prompt counted once.
#[derive(Debug)]
pub(super) struct UsageSum {
    pub(super) total: TextUsage,
    /// How many answers each prompt gets.
    choices: usize,
    /// Tokens of each prompt, and those of them that were cached, as the model says. None where
    /// they have been counted.
    prompts: Vec<(u64, u64)>,
    /// What a rule has the answers say that they used.
    said: SaidUsage,
}

impl UsageSum {
    /// A sum of nothing but the prompts, where those have been counted.
    pub(super) fn new(
        choices: u32,
        answers: usize,
        counted: Option<TextUsage>,
        script: Option<&Script>,
    ) -> Self {
        let choices = usize::try_from(choices).unwrap_or(usize::MAX).max(1);
        let prompts = match counted {
            Some(_) => Vec::new(),
            None => vec![(0, 0); answers.div_ceil(choices)],
        };
        let mut sum = Self {
            total: counted.unwrap_or_default(),
            choices,
            prompts,
            said: match script {
                Some(Script::Said(said)) => said.usage,
                Some(Script::Vector(_)) | None => SaidUsage::default(),
            },
        };
        sum.say();
        sum
    }

    /// Puts what a rule says in the place of what is counted, as far as it says anything.
    fn say(&mut self) {
        let SaidUsage {
            prompt_tokens,
            completion_tokens,
            reasoning_tokens,
            cached_tokens,
        } = self.said;
        let total = &mut self.total;
        for (tokens, said) in [
            (&mut total.prompt_tokens, prompt_tokens),
            (&mut total.completion_tokens, completion_tokens),
            (&mut total.reasoning_tokens, reasoning_tokens),
            (&mut total.cached_tokens, cached_tokens),
        ] {
            if let Some(said) = said {
                *tokens = said.into();
            }
        }
    }

    /// Adds an answer, by its place among all.
    pub(super) fn add(&mut self, answer: usize, end: &End) {
        let text::Usage {
            prompt_tokens,
            completion_tokens,
            reasoning_tokens,
            cached_tokens,
        } = end.usage;
        if let Some((prompt, cached)) = self.prompts.get_mut(answer / self.choices) {
            *prompt = u64::from(prompt_tokens).max(*prompt);
            *cached = u64::from(cached_tokens).max(*cached);
            self.total.prompt_tokens = self.prompts.iter().map(|(prompt, _)| prompt).sum();
            self.total.cached_tokens = self.prompts.iter().map(|(_, cached)| cached).sum();
        }
        self.total.completion_tokens += u64::from(completion_tokens);
        self.total.reasoning_tokens += u64::from(reasoning_tokens);
        self.say();
    }
}
