//! `POST /v1/completions`: bare texts go on, in the older of OpenAI's two ways.

use super::chat::{TokenLimits, marks, stops};
use super::members::{NamesModel, Others};
use super::sampling::{biases, top_k};
use crate::api::check::{Plain, StringOrList, StringOrStrings, at_most, parameters, within};
use crate::api::prompt::PromptSize;
use crate::generation::OutputLimits;
use crate::http::error::ApiError;
use crate::inference::{CacheUse, Counted, Places, PromptPlace, TextCall};
use belljar_sandbox::wit::text::{self, Prompt, RawPrompt, ResponseFormat, ToolChoice};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use utoipa::ToSchema;

/// Prompts of one request, and token ids of one prompt.
const PROMPTS_MAX: usize = 2_048;
const PROMPT_TOKENS_MAX: usize = 1 << 20;
/// Alternatives to each token.
const LOGPROBS_MAX: u8 = 5;
/// Answers to all prompts.
const ANSWERS_MAX: usize = 256;
/// Answers of which the best are chosen.
const BEST_OF_MAX: u32 = 20;
/// Tokens of an answer where the caller does not say, as with OpenAI.
const TOKENS_DEFAULT: u32 = 16;

/// A request for completions.
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CompletionRequest {
    /// `name`, or `name@version`.
    pub(crate) model: String,
    /// A text, a list of texts, a list of token ids, or a list of such lists.
    #[schema(value_type = Option<PromptDescription>)]
    prompt: Option<Prompts>,
    /// Text that comes after what is to be completed.
    suffix: Option<String>,
    #[schema(minimum = 0)]
    max_tokens: Option<u64>,
    #[schema(minimum = 0, maximum = 2)]
    temperature: Option<f64>,
    #[schema(minimum = 0, maximum = 1)]
    top_p: Option<f64>,
    /// 0 and -1 are for all tokens.
    #[schema(minimum = -1)]
    top_k: Option<i64>,
    #[schema(minimum = 0, maximum = 1)]
    min_p: Option<f64>,
    #[schema(minimum = -2, maximum = 2)]
    frequency_penalty: Option<f64>,
    #[schema(minimum = -2, maximum = 2)]
    presence_penalty: Option<f64>,
    /// From token id to a bias from -100 to 100.
    logit_bias: Option<BTreeMap<String, f64>>,
    /// How many answers to each prompt.
    #[schema(minimum = 1)]
    n: Option<u32>,
    /// How many answers to each prompt are made, of which the likeliest are given.
    #[schema(minimum = 1, maximum = 20)]
    best_of: Option<u32>,
    /// Whether the prompt comes back in front of the answer.
    echo: Option<bool>,
    /// How many alternatives to each token.
    #[schema(minimum = 0, maximum = 5)]
    logprobs: Option<u8>,
    /// A string, or a list of up to 4 of them.
    #[schema(value_type = Option<StringOrStrings>)]
    stop: Option<StringOrList<String>>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    seed: Option<i64>,
    user: Option<String>,
    /// Options that only this model knows: booleans, numbers and strings.
    #[schema(value_type = Option<HashMap<String, crate::api::check::PlainValue>>)]
    parameters: Option<BTreeMap<String, Plain>>,
}

#[derive(Debug, serde::Deserialize, ToSchema)]
#[schema(as = CompletionStreamOptions)]
struct StreamOptions {
    include_usage: Option<bool>,
}

/// A prompt, as it is described.
#[derive(ToSchema)]
#[schema(as = CompletionPrompt)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its description is used")]
enum PromptDescription {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    TokenLists(Vec<Vec<u32>>),
}

/// What is to be completed.
#[derive(Debug)]
enum Prompts {
    Texts(Vec<String>),
    Tokens(Vec<Vec<u32>>),
}

/// One item of a list of prompts.
enum Item {
    Text(String),
    Token(u32),
    Tokens(Vec<u32>),
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemVisitor;
        impl<'de> Visitor<'de> for ItemVisitor {
            type Value = Item;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a token id or a list of token ids")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Item, E> {
                Ok(Item::Text(text.to_owned()))
            }

            fn visit_u64<E: de::Error>(self, token: u64) -> Result<Item, E> {
                u32::try_from(token)
                    .map(Item::Token)
                    .map_err(|_| E::custom("is too large for a token id"))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Item, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Item::Tokens)
            }
        }
        deserializer.deserialize_any(ItemVisitor)
    }
}

impl<'de> Deserialize<'de> for Prompts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PromptsVisitor;
        impl<'de> Visitor<'de> for PromptsVisitor {
            type Value = Prompts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a list of strings, a list of token ids or a list of those")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Prompts, E> {
                Ok(Prompts::Texts(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Prompts, A::Error> {
                let Some(first) = seq.next_element::<Item>()? else {
                    return Ok(Prompts::Texts(Vec::new()));
                };
                let mixed = || de::Error::custom("all items of the list must be of one kind");
                match first {
                    Item::Text(first) => {
                        let mut texts = vec![first];
                        while let Some(item) = seq.next_element()? {
                            let Item::Text(text) = item else {
                                return Err(mixed());
                            };
                            texts.push(text);
                        }
                        Ok(Prompts::Texts(texts))
                    }
                    Item::Token(first) => {
                        let mut tokens = vec![first];
                        while let Some(item) = seq.next_element()? {
                            let Item::Token(token) = item else {
                                return Err(mixed());
                            };
                            tokens.push(token);
                        }
                        Ok(Prompts::Tokens(vec![tokens]))
                    }
                    Item::Tokens(first) => {
                        let mut lists = vec![first];
                        while let Some(item) = seq.next_element()? {
                            let Item::Tokens(tokens) = item else {
                                return Err(mixed());
                            };
                            lists.push(tokens);
                        }
                        Ok(Prompts::Tokens(lists))
                    }
                }
            }
        }
        deserializer.deserialize_any(PromptsVisitor)
    }
}

/// How the answers are to be written.
#[derive(Clone, Debug)]
pub(crate) struct CompletionStyle {
    /// Whether it is a stream.
    pub(crate) is_stream: bool,
    /// Whether a stream ends with the usage.
    pub(super) include_usage: bool,
    /// Whether log-probabilities are wanted.
    pub(super) logprobs: bool,
    /// How many answers to each prompt are given.
    pub(super) choices: usize,
    /// How many are made.
    pub(super) candidates: usize,
    /// Whether the prompts come back in front of the answers.
    is_echo: bool,
    /// What comes back of each prompt.
    pub(super) echo: Vec<Echo>,
    /// Whether nothing but the prompts is to come back.
    pub(super) is_echo_alone: bool,
}

/// A prompt that comes back.
#[derive(Clone, Debug)]
pub(super) struct Echo {
    pub(super) text: String,
    /// Its tokens, where they are known and asked for.
    pub(super) tokens: Vec<EchoedToken>,
}

/// A token of a prompt.
#[derive(Clone, Debug)]
pub(super) struct EchoedToken {
    pub(super) text: String,
    /// How likely it was after those before it, which nobody says of the first.
    pub(super) logprob: Option<f32>,
}

impl CompletionStyle {
    /// Takes the prompts as the model will get them, where they come back.
    pub(crate) fn take_echo(&mut self, call: &Counted<TextCall>) -> Result<(), ApiError> {
        if !self.is_echo {
            return Ok(());
        }
        for prompt in call.bare_prompts() {
            let Some(text) = prompt else {
                let message = "is only allowed with prompts that are texts";
                return Err(ApiError::invalid_argument("echo", message));
            };
            let cuts = if self.logprobs { call.cut(text) } else { None };
            self.echo.push(Echo {
                text: text.to_owned(),
                tokens: cuts.map_or_else(Vec::new, echoed),
            });
        }
        Ok(())
    }
}

/// The tokens of a prompt. A model that writes says nothing of how likely it takes what it reads:
/// the numbers are made up, the same for the same text.
fn echoed(cuts: Vec<(String, u32)>) -> Vec<EchoedToken> {
    let mut tokens = Vec::with_capacity(cuts.len());
    let mut before: Option<u32> = None;
    for (text, id) in cuts {
        let mixed = before.map(|before| before.wrapping_mul(31).wrapping_add(id));
        // From -0.05 down to -8.
        let share = |mixed: u32| {
            let byte = mixed.wrapping_mul(0x9e37_79b9) >> 24;
            f32::from(u8::try_from(byte).unwrap_or(0))
        };
        let logprob = mixed.map(|mixed| -0.05 - share(mixed) / 32.0);
        tokens.push(EchoedToken { text, logprob });
        before = Some(id);
    }
    tokens
}

impl NamesModel for CompletionRequest {
    fn name_model(&mut self, model: String) {
        self.model = model;
    }
}

impl CompletionRequest {
    /// Checks every field. `others` are the members that the request has besides.
    pub(crate) fn read(
        self,
        others: Others,
        limits: TokenLimits,
    ) -> Result<(TextCall, CompletionStyle), ApiError> {
        let marks = marks(None, [("user", self.user)]);
        let is_stream = self.stream.unwrap_or(false);
        if self.stream_options.is_some() && !is_stream {
            let message = "is only allowed when `stream` is true";
            return Err(ApiError::invalid_argument("stream_options", message));
        }
        let include_usage = self
            .stream_options
            .is_some_and(|options| options.include_usage.unwrap_or(false));
        let is_echo = self.echo.unwrap_or(false);
        let is_echo_alone = is_echo && self.max_tokens == Some(0);
        let tokens_are_default = self.max_tokens.is_none();
        let max_tokens = if is_echo_alone {
            1
        } else if tokens_are_default {
            TOKENS_DEFAULT.min(limits.max)
        } else {
            limits.tokens("max_tokens", self.max_tokens.unwrap_or_default())?
        };
        let (prompts, sizes) = prompts(self.prompt, self.suffix)?;
        let choices = self.n.unwrap_or(1);
        let candidates = candidates(choices, self.best_of, is_stream)?;
        check_answers(candidates, prompts.len(), self.best_of.is_some(), limits)?;
        if self
            .logprobs
            .is_some_and(|logprobs| logprobs > LOGPROBS_MAX)
        {
            let message = format!("expected a number from 0 to {LOGPROBS_MAX}");
            return Err(ApiError::invalid_argument("logprobs", message));
        }
        // Which answers are the best, the likelihoods of their tokens say.
        let chooses = candidates > choices;
        let stop = stops(self.stop)?;
        let sampling = text::Sampling {
            temperature: within("temperature", self.temperature, 0.0, 2.0)?,
            // Callers write 0 for "the likeliest only"; the contract wants more than nothing.
            top_p: within("top_p", self.top_p, 0.0, 1.0)?.map(|top_p| top_p.max(1e-6)),
            top_k: top_k(self.top_k)?,
            min_p: within("min_p", self.min_p, 0.0, 1.0)?,
            frequency_penalty: within("frequency_penalty", self.frequency_penalty, -2.0, 2.0)?,
            presence_penalty: within("presence_penalty", self.presence_penalty, -2.0, 2.0)?,
            logit_bias: biases(self.logit_bias)?,
            seed: self.seed.map(i64::cast_unsigned),
            logprobs: self.logprobs.or(chooses.then_some(0)),
        };
        let mut prompts = prompts.into_iter();
        let first = prompts
            .next()
            .ok_or_else(|| ApiError::invalid_argument("prompt", "expected at least one prompt"))?;
        let request = text::Request {
            prompt: first,
            max_tokens,
            stop: stop.clone(),
            sampling,
            tools: Vec::new(),
            tool_choice: ToolChoice::Automatic,
            parallel_tool_calls: true,
            response_format: ResponseFormat::Text,
            reasoning_effort: None,
            choice: 0,
            parameters: parameters(self.parameters, others.options)?,
        };
        let largest = |tokens: fn(PromptSize) -> u32| sizes.iter().copied().map(tokens).max();
        let call = TextCall {
            model: self.model,
            request,
            further_prompts: prompts.collect(),
            places: Places {
                prompt: PromptPlace::Prompt,
                ..Places::default()
            },
            limits: OutputLimits {
                max_tokens,
                stop,
                prompt_tokens_max: largest(PromptSize::tokens_max).unwrap_or_default(),
                prompt_tokens_estimate: largest(PromptSize::tokens_estimate).unwrap_or_default(),
                encoding: None,
                bias: None,
            },
            prompt_tokens_estimate: sizes
                .iter()
                .map(|size| size.tokens_estimate())
                .fold(0, u32::saturating_add),
            choices: candidates,
            tokens_are_default,
            names_stop: false,
            truncates: false,
            cache: CacheUse::Automatic,
            few_tokens: Vec::new(),
            marks,
        };
        let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        let style = CompletionStyle {
            is_stream,
            include_usage,
            logprobs: self.logprobs.is_some(),
            choices: count(choices),
            candidates: count(candidates),
            is_echo,
            echo: Vec::new(),
            is_echo_alone,
        };
        Ok((call, style))
    }
}

/// Refuses more answers than there may be, to one prompt and to all.
fn check_answers(
    candidates: u32,
    prompts: usize,
    has_best_of: bool,
    limits: TokenLimits,
) -> Result<(), ApiError> {
    if !(1..=limits.choices_max).contains(&candidates) {
        let param = if has_best_of { "best_of" } else { "n" };
        let message = format!("expected a number from 1 to {}", limits.choices_max);
        return Err(ApiError::invalid_argument(param, message));
    }
    let answers = prompts.saturating_mul(usize::try_from(candidates).unwrap_or(usize::MAX));
    at_most("prompt", answers, ANSWERS_MAX, "answers to all prompts")
}

/// How many answers to each prompt are made.
fn candidates(choices: u32, best_of: Option<u32>, is_stream: bool) -> Result<u32, ApiError> {
    let Some(best_of) = best_of else {
        return Ok(choices);
    };
    if best_of > BEST_OF_MAX {
        let message = format!("expected a number from 1 to {BEST_OF_MAX}");
        return Err(ApiError::invalid_argument("best_of", message));
    }
    if best_of < choices {
        let message = "expected a number that is not less than `n`";
        return Err(ApiError::invalid_argument("best_of", message));
    }
    if is_stream && best_of > choices {
        let message = "more answers than `n` cannot be streamed";
        return Err(ApiError::invalid_argument("best_of", message));
    }
    Ok(best_of)
}

/// Each prompt for the model, and how large it is.
type ReadPrompts = (Vec<Prompt>, Vec<PromptSize>);

fn prompts(prompts: Option<Prompts>, suffix: Option<String>) -> Result<ReadPrompts, ApiError> {
    // Without a prompt a text begins from nothing.
    match prompts.unwrap_or_else(|| Prompts::Texts(vec![String::new()])) {
        Prompts::Texts(texts) => {
            at_most("prompt", texts.len(), PROMPTS_MAX, "prompts")?;
            let read = texts.into_iter().map(|text| {
                let mut size = PromptSize::default();
                size.add_text(&text);
                size.add_text(suffix.as_deref().unwrap_or_default());
                let suffix = suffix.clone();
                (Prompt::Text(RawPrompt { text, suffix }), size)
            });
            Ok(read.unzip())
        }
        Prompts::Tokens(lists) => {
            at_most("prompt", lists.len(), PROMPTS_MAX, "prompts")?;
            if suffix.is_some() {
                let message = "is only allowed with prompts that are texts";
                return Err(ApiError::invalid_argument("suffix", message));
            }
            let mut read = Vec::with_capacity(lists.len());
            for (index, tokens) in lists.into_iter().enumerate() {
                let place = format!("prompt[{index}]");
                at_most(&place, tokens.len(), PROMPT_TOKENS_MAX, "token ids")?;
                if tokens.is_empty() {
                    return Err(ApiError::invalid_argument(place, "expected token ids"));
                }
                let mut size = PromptSize::default();
                size.add_tokens(tokens.len());
                read.push((Prompt::Tokens(tokens), size));
            }
            Ok(read.into_iter().unzip())
        }
    }
}
