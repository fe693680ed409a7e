//! `POST /v1/chat/completions`: the answer in one piece.

use super::audio::{Audio, KEPT_S};
use super::chat::ChatStyle;
use super::usage::Usage;
use crate::api::texts::Answerer;
use crate::generation::Event;
use crate::inference::TextUsage;
use belljar_sandbox::wit::text::{self, FinishReason, Token};
use serde::Serialize;
use utoipa::ToSchema;

/// What all chunks of one answer begin with.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) model: String,
    pub(super) system_fingerprint: String,
}

impl Head {
    /// The head of an answer. `prefix` tells the ids of one kind of answer from others.
    pub(crate) fn new(prefix: &str, answerer: Answerer<'_>) -> Self {
        let Answerer {
            asked,
            model,
            created,
            unique,
            usage: _,
        } = answerer;
        Self {
            id: format!("{prefix}-{}", unique.simple()),
            created: created.as_second(),
            model: asked,
            // The same content gives the same answers to the same seed.
            system_fingerprint: format!("fp_{}", model.digest.short_hex()),
        }
    }
}

/// A chat completion.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Completion {
    id: String,
    /// `chat.completion`.
    object: &'static str,
    created: i64,
    model: String,
    choices: Vec<Choice>,
    usage: Usage,
    service_tier: &'static str,
    system_fingerprint: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CompletionChoice)]
struct Choice {
    index: u32,
    message: Message,
    logprobs: Option<Logprobs>,
    finish_reason: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CompletionMessage)]
struct Message {
    /// `assistant`.
    role: &'static str,
    content: Option<String>,
    refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<Function>,
    /// Always empty.
    annotations: [&'static str; 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    audio: Option<Audio>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CompletionToolCall)]
struct ToolCall {
    id: String,
    /// `function` or `custom`.
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<Function>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom: Option<CustomCall>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CompletionCustomCall)]
struct CustomCall {
    name: String,
    input: String,
}

#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = CompletionFunction)]
struct Function {
    name: String,
    arguments: String,
}

/// The log-probabilities of tokens.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Logprobs {
    content: Vec<TokenLogprob>,
    refusal: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct TokenLogprob {
    token: String,
    logprob: f32,
    bytes: Vec<u8>,
    top_logprobs: Vec<TopLogprob>,
}

#[derive(Debug, Serialize, ToSchema)]
struct TopLogprob {
    token: String,
    logprob: f32,
    bytes: Vec<u8>,
}

/// What OpenAI writes where a token's probability is next to nothing, or not known.
pub(super) const UNLIKELY: f32 = -9_999.0;

impl Logprobs {
    /// The tokens of a text, each as it is written.
    pub(crate) fn list(tokens: Vec<Token>) -> Vec<serde_json::Value> {
        let tokens = tokens.into_iter().map(TokenLogprob::of);
        tokens
            .filter_map(|token| serde_json::to_value(token).ok())
            .collect()
    }

    pub(super) fn of(tokens: Vec<Token>) -> Self {
        Self {
            content: tokens.into_iter().map(TokenLogprob::of).collect(),
            refusal: None,
        }
    }
}

impl TokenLogprob {
    fn of(token: Token) -> Self {
        let top = token
            .alternatives
            .into_iter()
            .map(|alternative| TopLogprob {
                token: String::from_utf8_lossy(&alternative.bytes).into_owned(),
                logprob: finite(alternative.logprob),
                bytes: alternative.bytes,
            });
        Self {
            top_logprobs: top.collect(),
            token: String::from_utf8_lossy(&token.bytes).into_owned(),
            logprob: token.logprob.map_or(UNLIKELY, finite),
            bytes: token.bytes,
        }
    }
}

/// A guest's number is not trusted to be one.
pub(super) fn finite(logprob: f32) -> f32 {
    if logprob.is_finite() {
        logprob.min(0.0)
    } else {
        UNLIKELY
    }
}

/// The id of the sound of one of the answers of a completion.
pub(super) fn audio_id(completion: &str, index: usize) -> String {
    let unique = completion.rsplit('-').next().unwrap_or_default();
    format!("audio_{unique}{index:02x}")
}

/// The name of a finish reason.
pub(super) fn finish_reason(reason: FinishReason, is_legacy: bool) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls if is_legacy => "function_call",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter => "content_filter",
    }
}

impl Completion {
    /// An answer with no choices yet.
    pub(crate) fn new(head: Head, usage: &TextUsage, style: &ChatStyle) -> Self {
        let Head {
            id,
            created,
            model,
            system_fingerprint,
        } = head;
        Self {
            id,
            object: "chat.completion",
            created,
            model,
            choices: Vec::new(),
            usage: Usage::from(usage),
            service_tier: style.service_tier,
            system_fingerprint,
        }
    }

    /// Adds one answer.
    pub(crate) fn add(&mut self, events: Vec<Event>, style: &ChatStyle) {
        let ChatStyle {
            logprobs,
            is_legacy,
            thinks_silently,
            ..
        } = *style;
        let mut message = Message {
            role: "assistant",
            content: None,
            refusal: None,
            reasoning_content: None,
            tool_calls: Vec::new(),
            function_call: None,
            annotations: [],
            audio: None,
        };
        let mut tokens = Vec::new();
        let mut reason = FinishReason::Stop;
        for event in events {
            match event {
                Event::Text(fragment) => {
                    message
                        .content
                        .get_or_insert_default()
                        .push_str(&fragment.text);
                    if logprobs {
                        tokens.extend(fragment.tokens);
                    }
                }
                Event::Reasoning(_) if thinks_silently => {}
                Event::Reasoning(thought) => {
                    message
                        .reasoning_content
                        .get_or_insert_default()
                        .push_str(&thought);
                }
                Event::Refusal(refusal) => {
                    message.refusal.get_or_insert_default().push_str(&refusal);
                }
                Event::ToolCall(fragment) => message.add_tool_call(fragment, style),
                Event::Stopped(_) => {}
                Event::Finish(finish) => reason = finish,
            }
        }
        // An answer of no tokens is an empty string and not no answer.
        let has_calls = !message.tool_calls.is_empty() || message.function_call.is_some();
        if message.content.is_none() && message.refusal.is_none() && !has_calls {
            message.content = Some(String::new());
        }
        if let Some(speech) = style.speech
            && let Some(transcript) = message.content.take_if(|_| !has_calls)
        {
            message.audio = Some(Audio {
                id: audio_id(&self.id, self.choices.len()),
                data: speech.spoken(&transcript),
                expires_at: self.created.saturating_add(KEPT_S),
                transcript,
            });
        }
        self.choices.push(Choice {
            index: u32::try_from(self.choices.len()).unwrap_or(u32::MAX),
            message,
            logprobs: logprobs.then(|| Logprobs::of(tokens)),
            finish_reason: finish_reason(reason, is_legacy),
        });
    }
}

impl Message {
    fn add_tool_call(&mut self, fragment: text::ToolCallFragment, style: &ChatStyle) {
        let text::ToolCallFragment {
            index,
            id,
            name,
            arguments,
        } = fragment;
        if style.is_legacy {
            // The older way knows one call only.
            if index == 0 {
                let function = self.function_call.get_or_insert_default();
                function.name.push_str(&name.unwrap_or_default());
                function.arguments.push_str(&arguments);
            }
            return;
        }
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        if index == self.tool_calls.len() {
            let name = name.unwrap_or_default();
            let is_custom = style.custom_tools.contains(&name);
            let (r#type, function, custom) = if is_custom {
                let input = arguments;
                ("custom", None, Some(CustomCall { name, input }))
            } else {
                ("function", Some(Function { name, arguments }), None)
            };
            self.tool_calls.push(ToolCall {
                id: id.unwrap_or_default(),
                r#type,
                function,
                custom,
            });
        } else if let Some(call) = self.tool_calls.get_mut(index) {
            match (&mut call.function, &mut call.custom) {
                (Some(function), _) => function.arguments.push_str(&arguments),
                (None, Some(custom)) => custom.input.push_str(&arguments),
                (None, None) => {}
            }
        }
    }
}
