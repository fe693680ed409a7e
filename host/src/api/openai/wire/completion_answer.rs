//! `POST /v1/completions`: the answer, in one piece and as a stream.

use super::answer::{Head, UNLIKELY, finish_reason, finite};
use super::completions::{CompletionStyle, Echo, EchoedToken};
use super::usage::Usage;
use crate::api::text_body::TextEvents;
use crate::generation::Event;
use crate::http::error::ApiError;
use crate::inference::TextUsage;
use belljar_sandbox::wit::text::{FinishReason, TextFragment, Token};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Completions of one or more texts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TextCompletion {
    id: String,
    /// `text_completion`.
    object: &'static str,
    created: i64,
    model: String,
    /// The answers to the first prompt, then those to the next.
    choices: Vec<Choice>,
    usage: Usage,
    system_fingerprint: String,
}

/// A chunk of a stream of completions.
#[derive(Serialize)]
struct Chunk<'c> {
    id: &'c str,
    object: &'static str,
    created: i64,
    model: &'c str,
    choices: &'c [Choice],
    system_fingerprint: &'c str,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Usage>>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TextCompletionChoice)]
struct Choice {
    text: String,
    index: usize,
    logprobs: Option<Logprobs>,
    finish_reason: Option<&'static str>,
}

/// The log-probabilities of the tokens of one answer, each list as long as the others.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = TextCompletionLogprobs)]
struct Logprobs {
    tokens: Vec<String>,
    token_logprobs: Vec<Option<f32>>,
    /// For each token the likeliest ones in its place.
    top_logprobs: Vec<Option<BTreeMap<String, f32>>>,
    /// Where each token begins, in characters of the text.
    text_offset: Vec<usize>,
}

impl Logprobs {
    /// Adds tokens that begin `offset` characters into the text.
    fn add(&mut self, tokens: Vec<Token>, mut offset: usize) {
        for token in tokens {
            let text = String::from_utf8_lossy(&token.bytes).into_owned();
            let logprob = token.logprob.map_or(UNLIKELY, finite);
            let mut top: BTreeMap<String, f32> = token
                .alternatives
                .into_iter()
                .map(|alternative| {
                    let text = String::from_utf8_lossy(&alternative.bytes).into_owned();
                    (text, finite(alternative.logprob))
                })
                .collect();
            if !top.is_empty() {
                top.entry(text.clone()).or_insert(logprob);
            }
            self.text_offset.push(offset);
            offset += text.chars().count();
            self.tokens.push(text);
            self.token_logprobs.push(Some(logprob));
            self.top_logprobs.push(Some(top));
        }
    }

    /// Those of a prompt that comes back.
    fn of(echo: &Echo) -> Self {
        let mut all = Self::default();
        let mut offset = 0;
        for EchoedToken { text, logprob } in &echo.tokens {
            all.text_offset.push(offset);
            offset += text.chars().count();
            all.tokens.push(text.clone());
            all.token_logprobs.push(*logprob);
            let top = logprob.map(|logprob| BTreeMap::from([(text.clone(), logprob)]));
            all.top_logprobs.push(top);
        }
        all
    }
}

impl CompletionStyle {
    /// What was used. What is made only because a model makes something is not.
    fn used(&self, usage: &TextUsage) -> Usage {
        let mut usage = *usage;
        if self.is_echo_alone {
            usage.completion_tokens = 0;
            usage.reasoning_tokens = 0;
        }
        Usage::from(&usage)
    }
}

/// One answer, gathered from its events.
struct Answer {
    text: String,
    logprobs: Logprobs,
    reason: FinishReason,
}

impl Answer {
    /// The answer that comes after a prompt.
    fn new(events: Vec<Event>, echo: Option<&Echo>) -> Self {
        let mut answer = Self {
            text: echo.map(|echo| echo.text.clone()).unwrap_or_default(),
            logprobs: echo.map(Logprobs::of).unwrap_or_default(),
            reason: FinishReason::Stop,
        };
        for event in events {
            match event {
                Event::Text(TextFragment { text, tokens }) => {
                    let offset = answer.text.chars().count();
                    answer.logprobs.add(tokens, offset);
                    answer.text.push_str(&text);
                }
                Event::Refusal(refusal) => answer.text.push_str(&refusal),
                // A bare text has no tools, and thoughts are no part of it.
                Event::Reasoning(_) | Event::ToolCall(_) | Event::Stopped(_) => {}
                Event::Finish(reason) => answer.reason = reason,
            }
        }
        answer
    }

    /// How likely it is, by its tokens on average.
    fn likelihood(&self) -> f32 {
        let logprobs = &self.logprobs.token_logprobs;
        if logprobs.is_empty() {
            return UNLIKELY;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "an average, to compare with others"
        )]
        let count = logprobs.len() as f32;
        logprobs.iter().flatten().sum::<f32>() / count
    }
}

impl TextCompletion {
    /// The answers to all prompts, of which the likeliest to each are given.
    pub(crate) fn new(
        head: Head,
        answers: Vec<Vec<Event>>,
        usage: &TextUsage,
        style: &CompletionStyle,
    ) -> Self {
        let mut choices = Vec::new();
        let mut answers = answers.into_iter();
        let prompts = answers.len().div_ceil(style.candidates.max(1));
        for prompt in 0..prompts {
            let echo = style.echo.get(prompt);
            let mut candidates: Vec<_> = answers
                .by_ref()
                .take(style.candidates)
                .map(|events| Answer::new(events, echo))
                .collect();
            if style.candidates > style.choices {
                candidates.sort_by(|one, other| other.likelihood().total_cmp(&one.likelihood()));
                candidates.truncate(style.choices);
            }
            for answer in candidates {
                let is_alone = style.is_echo_alone;
                let alone = echo.filter(|_| is_alone);
                let logprobs = alone.map_or(answer.logprobs, Logprobs::of);
                choices.push(Choice {
                    text: alone.map_or(answer.text, |echo| echo.text.clone()),
                    index: choices.len(),
                    logprobs: style.logprobs.then_some(logprobs),
                    finish_reason: Some(if is_alone {
                        "length"
                    } else {
                        finish_reason(answer.reason, false)
                    }),
                });
            }
        }
        let Head {
            id,
            created,
            model,
            system_fingerprint,
        } = head;
        Self {
            id,
            object: "text_completion",
            created,
            model,
            choices,
            usage: style.used(usage),
            system_fingerprint,
        }
    }
}

/// The events of streamed completions.
pub(crate) struct CompletionEvents {
    head: Head,
    style: CompletionStyle,
    /// Characters of each answer so far; none where it has not begun.
    shown: Vec<Option<usize>>,
}

impl CompletionEvents {
    /// The events of answers that begin with `head`.
    pub(crate) fn new(head: Head, style: CompletionStyle) -> Self {
        Self {
            head,
            style,
            shown: Vec::new(),
        }
    }

    /// Writes a chunk with the choices and, at the very end, the usage.
    fn chunk(&self, out: &mut Vec<u8>, choices: &[Choice], usage: Option<Usage>) {
        let chunk = Chunk {
            id: &self.head.id,
            object: "text_completion",
            created: self.head.created,
            model: &self.head.model,
            choices,
            system_fingerprint: &self.head.system_fingerprint,
            usage: self.style.include_usage.then_some(usage),
        };
        out.extend_from_slice(b"data: ");
        // Writing to memory does not fail.
        let _ = serde_json::to_writer(&mut *out, &chunk);
        out.extend_from_slice(b"\n\n");
    }

    /// Characters of an answer so far. The first time it writes the prompt, where that comes back.
    fn shown(&mut self, out: &mut Vec<u8>, answer: usize) -> usize {
        if self.shown.len() <= answer {
            self.shown.resize(answer + 1, None);
        }
        if let Some(shown) = self.shown.get(answer).copied().flatten() {
            return shown;
        }
        let echo = self.style.echo.get(answer / self.style.candidates.max(1));
        let Some(echo) = echo.filter(|echo| !echo.text.is_empty()) else {
            return 0;
        };
        let choice = Choice {
            text: echo.text.clone(),
            index: answer,
            logprobs: self.style.logprobs.then(|| Logprobs::of(echo)),
            finish_reason: None,
        };
        let length = echo.text.chars().count();
        self.chunk(out, &[choice], None);
        length
    }
}

impl TextEvents for CompletionEvents {
    fn event(&mut self, out: &mut Vec<u8>, answer: usize, event: Event) {
        let offset = self.shown(out, answer);
        let mut choice = Choice {
            text: String::new(),
            index: answer,
            logprobs: None,
            finish_reason: None,
        };
        match event {
            Event::Text(_) | Event::Refusal(_) if self.style.is_echo_alone => return,
            Event::Text(TextFragment { text, tokens }) => {
                if self.style.logprobs {
                    let mut logprobs = Logprobs::default();
                    logprobs.add(tokens, offset);
                    choice.logprobs = Some(logprobs);
                }
                choice.text = text;
            }
            Event::Refusal(refusal) => choice.text = refusal,
            Event::Reasoning(_) | Event::ToolCall(_) | Event::Stopped(_) => return,
            Event::Finish(_) if self.style.is_echo_alone => choice.finish_reason = Some("length"),
            Event::Finish(reason) => choice.finish_reason = Some(finish_reason(reason, false)),
        }
        if let Some(shown) = self.shown.get_mut(answer) {
            *shown = Some(offset + choice.text.chars().count());
        }
        self.chunk(out, &[choice], None);
    }

    fn failure(&mut self, out: &mut Vec<u8>, error: &ApiError) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&error.body());
        out.extend_from_slice(b"\n\n");
    }

    fn end(&mut self, out: &mut Vec<u8>, usage: &TextUsage) {
        if self.style.include_usage {
            self.chunk(out, &[], Some(self.style.used(usage)));
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}
