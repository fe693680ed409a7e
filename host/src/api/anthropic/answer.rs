//! An answer in one piece.

use super::request::Style;
use crate::generation::Event;
use crate::inference::TextUsage;
use belljar_sandbox::wit::text::{FinishReason, ToolCallFragment};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// What stands for the signature of thoughts. Clients send it back with them; nothing here reads
/// it.
pub(super) const SIGNATURE: &str = "YmVsbGphcg==";

/// A message of the model.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Message {
    id: String,
    /// `message`.
    r#type: &'static str,
    /// `assistant`.
    role: &'static str,
    model: String,
    #[schema(value_type = Vec<BlockDescription>)]
    content: Vec<Block>,
    /// `end_turn`, `max_tokens`, `stop_sequence`, `tool_use` or `refusal`.
    stop_reason: Option<&'static str>,
    stop_sequence: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_details: Option<StopDetails>,
    usage: Usage,
}

/// What is said of a refusal.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StopDetails {
    /// `refusal`.
    r#type: &'static str,
}

impl StopDetails {
    /// The details of an answer that ended for this reason, if there are any.
    pub(super) fn of(reason: &str) -> Option<Self> {
        (reason == "refusal").then_some(Self { r#type: "refusal" })
    }
}

/// Tokens used.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = MessageUsage)]
pub(super) struct Usage {
    /// Of the prompt, without those that were read from the cache or written to it.
    pub(super) input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    /// Of those that were written to the cache, how many for how long.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_creation: Option<CacheCreation>,
    pub(super) output_tokens: u64,
    output_tokens_details: OutputTokensDetails,
    /// `standard`.
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
struct CacheCreation {
    ephemeral_5m_input_tokens: u64,
    ephemeral_1h_input_tokens: u64,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
struct OutputTokensDetails {
    /// Of the output, tokens of thoughts.
    thinking_tokens: u64,
}

impl Usage {
    /// What a call has used.
    pub(super) fn new(usage: &TextUsage, style: &Style) -> Self {
        let written = usage.cache_written_tokens;
        let (short, long) = if style.caches_for_an_hour {
            (0, written)
        } else {
            (written, 0)
        };
        Self {
            input_tokens: usage
                .prompt_tokens
                .saturating_sub(usage.cached_tokens)
                .saturating_sub(written),
            cache_creation_input_tokens: written,
            cache_read_input_tokens: usage.cached_tokens,
            cache_creation: Some(CacheCreation {
                ephemeral_5m_input_tokens: short,
                ephemeral_1h_input_tokens: long,
            }),
            output_tokens: usage.completion_tokens,
            output_tokens_details: OutputTokensDetails {
                thinking_tokens: usage.reasoning_tokens,
            },
            service_tier: Some("standard"),
        }
    }

    /// The members that the end of a stream repeats.
    pub(super) fn at_the_end(self) -> Self {
        Self {
            cache_creation: None,
            service_tier: None,
            ..self
        }
    }
}

/// A block of an answer.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        text: String,
    },
    Thinking {
        thinking: String,
        signature: &'static str,
    },
    ToolUse {
        id: String,
        name: String,
        input: Box<RawValue>,
    },
}

/// A block of an answer, as it is described: each kind has a name, which makers of clients need.
#[derive(ToSchema)]
#[schema(as = AnswerBlock)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its description is used")]
enum BlockDescription {
    Text(TextBlock),
    Thinking(ThinkingBlock),
    ToolUse(ToolUseBlock),
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
struct TextBlock {
    /// `text`.
    r#type: String,
    text: String,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
struct ThinkingBlock {
    /// `thinking`.
    r#type: String,
    thinking: String,
    signature: String,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
struct ToolUseBlock {
    /// `tool_use`.
    r#type: String,
    id: String,
    name: String,
    #[schema(value_type = Object)]
    input: Box<RawValue>,
}

/// Why an answer ended.
pub(super) struct Ending {
    pub(super) reason: &'static str,
    pub(super) sequence: Option<String>,
}

impl Ending {
    /// The ending of an answer that said this reason, after a stop string or a refusal if any.
    pub(super) fn new(reason: FinishReason, sequence: Option<String>, is_refusal: bool) -> Self {
        let reason = match reason {
            _ if is_refusal => "refusal",
            _ if sequence.is_some() => "stop_sequence",
            FinishReason::Stop => "end_turn",
            FinishReason::Length => "max_tokens",
            FinishReason::ToolCalls => "tool_use",
            FinishReason::ContentFilter => "refusal",
        };
        Self { reason, sequence }
    }
}

/// The id of a call, which the model may have left out or named in another API's way.
pub(super) fn tool_use_id(id: Option<String>, index: u32) -> String {
    match id {
        Some(id) => match id.strip_prefix("call_") {
            Some(rest) => format!("toolu_{rest}"),
            None => id,
        },
        None => format!("toolu_{index}"),
    }
}

/// The arguments of a call, which are an object whatever the model wrote.
fn object(arguments: String) -> Box<RawValue> {
    let is_object = arguments.trim_start().starts_with('{');
    let raw = is_object
        .then(|| RawValue::from_string(arguments).ok())
        .flatten();
    raw.unwrap_or_else(|| RawValue::from_string("{}".to_owned()).unwrap_or_default())
}

impl Message {
    /// The message that the events of one answer make up.
    pub(super) fn new(
        (id, model): (String, String),
        events: Vec<Event>,
        usage: &TextUsage,
        style: &Style,
    ) -> Self {
        let mut content: Vec<Block> = Vec::new();
        let mut calls: Vec<(String, String, String)> = Vec::new();
        let mut sequence = None;
        let mut reason = FinishReason::Stop;
        let mut is_refusal = false;
        for event in events {
            match event {
                Event::Text(fragment) => match content.last_mut() {
                    Some(Block::Text { text }) => text.push_str(&fragment.text),
                    _ => content.push(Block::Text {
                        text: fragment.text,
                    }),
                },
                Event::Refusal(refusal) => {
                    is_refusal = true;
                    content.push(Block::Text { text: refusal });
                }
                Event::Reasoning(thought) => match content.last_mut() {
                    Some(Block::Thinking { thinking, .. }) => thinking.push_str(&thought),
                    _ => content.push(Block::Thinking {
                        thinking: thought,
                        signature: SIGNATURE,
                    }),
                },
                Event::ToolCall(ToolCallFragment {
                    index,
                    id,
                    name,
                    arguments,
                }) => {
                    let place = usize::try_from(index).unwrap_or(usize::MAX);
                    match calls.get_mut(place) {
                        Some((_, _, all)) => all.push_str(&arguments),
                        None => {
                            let id = tool_use_id(id, index);
                            calls.push((id, name.unwrap_or_default(), arguments));
                        }
                    }
                }
                Event::Stopped(stop) => sequence = Some(stop),
                Event::Finish(finish) => reason = finish,
            }
        }
        content.retain(|block| !matches!(block, Block::Text { text } if text.is_empty()));
        content.extend(
            calls
                .into_iter()
                .map(|(id, name, arguments)| Block::ToolUse {
                    id,
                    name,
                    input: object(arguments),
                }),
        );
        if style.omits_thoughts {
            for block in &mut content {
                if let Block::Thinking { thinking, .. } = block {
                    thinking.clear();
                }
            }
        }
        let Ending { reason, sequence } = Ending::new(reason, sequence, is_refusal);
        Self {
            id,
            r#type: "message",
            role: "assistant",
            model,
            content,
            stop_reason: Some(reason),
            stop_sequence: sequence,
            stop_details: StopDetails::of(reason),
            usage: Usage::new(usage, style),
        }
    }
}
