//! `POST /v1/chat/completions` with `stream`: the answer as server-sent events, framed byte for
//! byte as OpenAI frames them.

use super::answer::{Head, Logprobs, audio_id, finish_reason};
use super::audio::KEPT_S;
use super::chat::ChatStyle;
use super::usage::Usage;
use crate::api::openai::sound::{Speech, SpeechStyle};
use crate::api::text_body::TextEvents;
use crate::generation::Event;
use crate::http::error::ApiError;
use crate::http::json::write_string;
use crate::inference::TextUsage;
use belljar_sandbox::wit::text::{TextFragment, ToolCallFragment};
use serde_json::json;

/// The events of a streamed chat completion.
pub(crate) struct ChatEvents {
    /// Whether a choice has begun, by its index.
    begun: Vec<bool>,
    /// What each chunk begins with, up to the choices.
    head: Vec<u8>,
    style: ChatStyle,
    /// The calls of custom tools that have begun: of which choice, and which of its calls.
    custom_calls: Vec<(usize, u32)>,
    /// The sound of each choice, where answers are spoken.
    spoken: Vec<Speech>,
    id: String,
    created: i64,
}

impl ChatEvents {
    /// The events of answers that begin with `head`.
    pub(crate) fn new(head: &Head, style: ChatStyle) -> Self {
        Self {
            begun: Vec::new(),
            head: write_head(head, style.service_tier),
            style,
            custom_calls: Vec::new(),
            spoken: Vec::new(),
            id: head.id.clone(),
            created: head.created,
        }
    }

    /// Writes a chunk up to its delta.
    fn begin(&self, out: &mut Vec<u8>, index: usize) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(br#"[{"index":"#);
        out.extend_from_slice(itoa::Buffer::new().format(index).as_bytes());
        out.extend_from_slice(br#","delta":"#);
    }

    /// Writes what is spoken of an event, if it is, and whether that is all of it.
    fn speak(
        &mut self,
        out: &mut Vec<u8>,
        index: usize,
        event: &Event,
        style: SpeechStyle,
    ) -> bool {
        if self.spoken.len() <= index {
            self.spoken.resize(index + 1, style.begin());
        }
        let id = audio_id(&self.id, index);
        let deltas = match event {
            Event::Text(TextFragment { text, .. }) => {
                let sound = self.spoken.get_mut(index).map(|speech| speech.say(text));
                vec![
                    json!({"id": id, "transcript": text}),
                    json!({"id": id, "data": sound}),
                ]
            }
            Event::Finish(_) => vec![json!({"expires_at": self.created.saturating_add(KEPT_S)})],
            _ => return false,
        };
        for audio in deltas {
            self.begin(out, index);
            let delta = json!({"audio": audio});
            // Writing to memory does not fail.
            let _ = serde_json::to_writer(&mut *out, &delta);
            self.finish(out, None, None);
        }
        matches!(event, Event::Text(_))
    }

    /// Writes a chunk from its delta on.
    fn finish(&self, out: &mut Vec<u8>, logprobs: Option<&Logprobs>, reason: Option<&str>) {
        out.extend_from_slice(br#","logprobs":"#);
        // Writing to memory does not fail.
        let _ = serde_json::to_writer(&mut *out, &logprobs);
        out.extend_from_slice(br#","finish_reason":"#);
        match reason {
            Some(reason) => write_string(out, reason),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b"}]");
        if self.style.include_usage {
            out.extend_from_slice(br#","usage":null"#);
        }
        out.extend_from_slice(b"}\n\n");
    }
}

impl TextEvents for ChatEvents {
    fn event(&mut self, out: &mut Vec<u8>, index: usize, event: Event) {
        // OpenAI does not say which string it was, nor what is thought unasked.
        let is_thought = matches!(event, Event::Reasoning(_));
        if matches!(event, Event::Stopped(_)) || is_thought && self.style.thinks_silently {
            return;
        }
        if self.begun.len() <= index {
            self.begun.resize(index + 1, false);
        }
        let begun = self.begun.get_mut(index);
        if begun.is_some_and(|begun| !std::mem::replace(begun, true)) {
            self.begin(out, index);
            out.extend_from_slice(br#"{"role":"assistant","content":"","refusal":null}"#);
            self.finish(out, None, None);
        }
        if let Some(speech) = self.style.speech
            && self.speak(out, index, &event, speech)
        {
            return;
        }
        self.begin(out, index);
        let mut logprobs = None;
        let mut reason = None;
        match event {
            Event::Text(TextFragment { text, tokens }) => {
                out.extend_from_slice(br#"{"content":"#);
                write_string(out, &text);
                out.push(b'}');
                logprobs =
                    (self.style.logprobs && !tokens.is_empty()).then(|| Logprobs::of(tokens));
            }
            Event::Reasoning(thought) => {
                out.extend_from_slice(br#"{"reasoning_content":"#);
                write_string(out, &thought);
                out.push(b'}');
            }
            Event::Refusal(refusal) => {
                out.extend_from_slice(br#"{"refusal":"#);
                write_string(out, &refusal);
                out.push(b'}');
            }
            Event::ToolCall(fragment) if self.style.is_legacy => {
                write_function_call(out, &fragment)
            }
            Event::ToolCall(fragment) => {
                let call = (index, fragment.index);
                let begins_custom = fragment
                    .name
                    .as_ref()
                    .is_some_and(|name| self.style.custom_tools.contains(name));
                if begins_custom {
                    self.custom_calls.push(call);
                }
                let is_custom = self.custom_calls.contains(&call);
                write_tool_call(out, &fragment, is_custom);
            }
            Event::Stopped(_) => out.extend_from_slice(b"{}"),
            Event::Finish(finish) => {
                out.extend_from_slice(b"{}");
                reason = Some(finish_reason(finish, self.style.is_legacy));
            }
        }
        self.finish(out, logprobs.as_ref(), reason);
    }

    fn failure(&mut self, out: &mut Vec<u8>, error: &ApiError) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&error.body());
        out.extend_from_slice(b"\n\n");
    }

    fn end(&mut self, out: &mut Vec<u8>, usage: &TextUsage) {
        if self.style.include_usage {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(br#"[],"usage":"#);
            // Writing to memory does not fail.
            let _ = serde_json::to_writer(&mut *out, &Usage::from(usage));
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

fn write_head(head: &Head, tier: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(br#"data: {"id":"#);
    write_string(&mut out, &head.id);
    out.extend_from_slice(br#","object":"chat.completion.chunk","created":"#);
    out.extend_from_slice(itoa::Buffer::new().format(head.created).as_bytes());
    out.extend_from_slice(br#","model":"#);
    write_string(&mut out, &head.model);
    out.extend_from_slice(br#","service_tier":"#);
    write_string(&mut out, tier);
    out.extend_from_slice(br#","system_fingerprint":"#);
    write_string(&mut out, &head.system_fingerprint);
    out.extend_from_slice(br#","choices":"#);
    out
}

/// Writes a delta with a part of a tool call. Only its first part has an id, a type and a name.
fn write_tool_call(out: &mut Vec<u8>, fragment: &ToolCallFragment, is_custom: bool) {
    let (kind, argument) = if is_custom {
        ("custom", "input")
    } else {
        ("function", "arguments")
    };
    out.extend_from_slice(br#"{"tool_calls":[{"index":"#);
    out.extend_from_slice(itoa::Buffer::new().format(fragment.index).as_bytes());
    if let Some(id) = &fragment.id {
        out.extend_from_slice(br#","id":"#);
        write_string(out, id);
        out.extend_from_slice(br#","type":"#);
        write_string(out, kind);
    }
    out.push(b',');
    write_string(out, kind);
    out.extend_from_slice(b":{");
    if let Some(name) = &fragment.name {
        out.extend_from_slice(br#""name":"#);
        write_string(out, name);
        out.push(b',');
    }
    write_string(out, argument);
    out.push(b':');
    write_string(out, &fragment.arguments);
    out.extend_from_slice(b"}}]}");
}

/// The same in the older way.
fn write_function_call(out: &mut Vec<u8>, fragment: &ToolCallFragment) {
    out.extend_from_slice(br#"{"function_call":{"#);
    if let Some(name) = &fragment.name {
        out.extend_from_slice(br#""name":"#);
        write_string(out, name);
        out.push(b',');
    }
    out.extend_from_slice(br#""arguments":"#);
    write_string(out, &fragment.arguments);
    out.extend_from_slice(b"}}");
}
