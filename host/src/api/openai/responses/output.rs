//! The output of a response, item by item, and the events that tell of it.

use crate::api::openai::objects::new_id;
use crate::api::openai::wire::Logprobs;
use crate::generation::Event;
use crate::inference::TextUsage;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use belljar_sandbox::wit::text::{FinishReason, TextFragment, ToolCallFragment};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// An item of the output.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Item {
    Reasoning {
        id: String,
        summary: Vec<Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<String>,
    },
    Message {
        id: String,
        status: &'static str,
        role: &'static str,
        content: Vec<Value>,
    },
    FunctionCall {
        id: String,
        status: &'static str,
        call_id: String,
        name: String,
        arguments: String,
    },
    CustomToolCall {
        id: String,
        status: &'static str,
        call_id: String,
        name: String,
        input: String,
    },
}

/// What of a request decides how its output is written.
#[derive(Clone, Debug, Default)]
pub(super) struct OutputStyle {
    /// Whether thoughts are told.
    pub(super) has_summary: bool,
    /// Whether they are left out, item and all.
    pub(super) thinks_silently: bool,
    /// Whether thoughts go with something to be sent back in their place.
    pub(super) encrypts: bool,
    pub(super) logprobs: bool,
    /// The tools whose calls are those of custom tools.
    pub(super) custom_tools: Vec<String>,
}

/// The output in the making.
pub(super) struct Output {
    style: OutputStyle,
    items: Vec<Item>,
    open: Option<Open>,
    text: String,
    logprobs: Vec<Value>,
    reason: FinishReason,
    /// The number of the next event.
    sequence: u64,
}

/// An item that has begun and not ended: the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Thoughts,
    Text,
    Refusal,
    /// By the number of the call.
    Call(u32),
}

/// Writes one event.
fn write_event(out: &mut Vec<u8>, sequence: &mut u64, kind: &str, mut event: Value) {
    if let Some(event) = event.as_object_mut() {
        event.insert("type".to_owned(), kind.into());
        event.insert("sequence_number".to_owned(), (*sequence).into());
    }
    *sequence += 1;
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(&mut *out, &event);
    out.extend_from_slice(b"\n\n");
}

impl Output {
    pub(super) fn new(style: OutputStyle) -> Self {
        Self {
            style,
            items: Vec::new(),
            open: None,
            text: String::new(),
            logprobs: Vec::new(),
            reason: FinishReason::Stop,
            sequence: 0,
        }
    }

    /// The items, all of which have ended.
    pub(super) fn items(&self) -> &[Item] {
        &self.items
    }

    /// Why the output ended.
    pub(super) fn reason(&self) -> FinishReason {
        self.reason
    }

    /// Writes an event with the response as a whole.
    pub(super) fn tell_of(&mut self, out: &mut Vec<u8>, kind: &str, response: &RawValue) {
        let sequence = self.sequence;
        self.sequence += 1;
        let head = format!(
            "event: {kind}\ndata: {{\"type\":\"{kind}\",\"sequence_number\":{sequence},\"response\":"
        );
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(response.get().as_bytes());
        out.extend_from_slice(b"}\n\n");
    }

    fn tell(&mut self, out: &mut Vec<u8>, kind: &str, event: Value) {
        write_event(out, &mut self.sequence, kind, event);
    }

    fn index(&self) -> usize {
        self.items.len().saturating_sub(1)
    }

    fn id(&self) -> &str {
        match self.items.last() {
            Some(
                Item::Reasoning { id, .. }
                | Item::Message { id, .. }
                | Item::FunctionCall { id, .. }
                | Item::CustomToolCall { id, .. },
            ) => id,
            None => "",
        }
    }

    /// An event about the last item.
    fn about(&self, more: Value) -> Value {
        let mut event = json!({"item_id": self.id(), "output_index": self.index()});
        if let (Some(event), Value::Object(more)) = (event.as_object_mut(), more) {
            event.extend(more);
        }
        event
    }

    fn begin(&mut self, out: &mut Vec<u8>, open: Open, item: Item) {
        self.close(out, "completed");
        self.items.push(item);
        self.open = Some(open);
        self.text.clear();
        self.logprobs.clear();
        let event = json!({"output_index": self.index(), "item": self.items.last()});
        self.tell(out, "response.output_item.added", event);
    }

    /// The part of a message or of thoughts that is open, with its text.
    fn part(&self, open: Open) -> Value {
        match open {
            Open::Refusal => json!({"type": "refusal", "refusal": self.text}),
            Open::Thoughts => json!({"type": "summary_text", "text": self.text}),
            Open::Text | Open::Call(_) => json!({
                "type": "output_text",
                "annotations": [],
                "logprobs": self.logprobs,
                "text": self.text,
            }),
        }
    }

    /// Ends the item that is open.
    fn close(&mut self, out: &mut Vec<u8>, status: &'static str) {
        let Some(open) = self.open.take() else {
            return;
        };
        let part = self.part(open);
        let text = self.text.clone();
        match open {
            Open::Thoughts if self.style.has_summary => {
                let done = self.about(json!({"summary_index": 0, "text": text}));
                self.tell(out, "response.reasoning_summary_text.done", done);
                let done = self.about(json!({"summary_index": 0, "part": part.clone()}));
                self.tell(out, "response.reasoning_summary_part.done", done);
            }
            Open::Thoughts => {}
            Open::Text => {
                let done = json!({"content_index": 0, "text": text, "logprobs": self.logprobs});
                let done = self.about(done);
                self.tell(out, "response.output_text.done", done);
                let done = self.about(json!({"content_index": 0, "part": part.clone()}));
                self.tell(out, "response.content_part.done", done);
            }
            Open::Refusal => {
                let done = self.about(json!({"content_index": 0, "refusal": text}));
                self.tell(out, "response.refusal.done", done);
                let done = self.about(json!({"content_index": 0, "part": part.clone()}));
                self.tell(out, "response.content_part.done", done);
            }
            Open::Call(_) => match self.items.last() {
                Some(Item::CustomToolCall { input, .. }) => {
                    let done = self.about(json!({"input": input}));
                    self.tell(out, "response.custom_tool_call_input.done", done);
                }
                Some(Item::FunctionCall {
                    name, arguments, ..
                }) => {
                    let done = self.about(json!({"name": name, "arguments": arguments}));
                    self.tell(out, "response.function_call_arguments.done", done);
                }
                _ => {}
            },
        }
        let OutputStyle {
            has_summary,
            encrypts,
            ..
        } = self.style;
        match self.items.last_mut() {
            Some(Item::Reasoning {
                id,
                summary,
                encrypted_content,
            }) => {
                if has_summary {
                    summary.push(part);
                }
                // Nothing is hidden in it: what a model thought has no part in its next turn.
                *encrypted_content = encrypts.then(|| STANDARD.encode(id));
            }
            None => {}
            Some(Item::Message {
                status: own,
                content,
                ..
            }) => {
                *own = status;
                content.push(part);
            }
            Some(
                Item::FunctionCall { status: own, .. } | Item::CustomToolCall { status: own, .. },
            ) => *own = status,
        }
        let event = json!({"output_index": self.index(), "item": self.items.last()});
        self.tell(out, "response.output_item.done", event);
    }

    /// Takes an event of the model's and writes what is to be told of it.
    pub(super) fn take(&mut self, out: &mut Vec<u8>, event: Event) {
        match event {
            Event::Text(TextFragment { text, tokens }) => {
                self.begin_message(out, Open::Text);
                let logprobs: Vec<Value> = if self.style.logprobs {
                    Logprobs::list(tokens)
                } else {
                    Vec::new()
                };
                let delta = json!({"content_index": 0, "delta": text, "logprobs": logprobs});
                self.logprobs.extend(logprobs);
                self.text.push_str(&text);
                let delta = self.about(delta);
                self.tell(out, "response.output_text.delta", delta);
            }
            Event::Refusal(refusal) => {
                self.begin_message(out, Open::Refusal);
                let delta = self.about(json!({"content_index": 0, "delta": refusal}));
                self.text.push_str(&refusal);
                self.tell(out, "response.refusal.delta", delta);
            }
            Event::Reasoning(_) if self.style.thinks_silently => {}
            Event::Reasoning(thought) => self.think(out, &thought),
            Event::ToolCall(fragment) => self.call(out, fragment),
            Event::Stopped(_) => {}
            Event::Finish(reason) => {
                self.reason = reason;
                let status = if reason == FinishReason::Length {
                    "incomplete"
                } else {
                    "completed"
                };
                if self.items.is_empty() {
                    // An answer of no tokens is an empty message and not no answer.
                    self.begin_message(out, Open::Text);
                }
                self.close(out, status);
            }
        }
    }

    fn begin_message(&mut self, out: &mut Vec<u8>, open: Open) {
        if self.open == Some(open) {
            return;
        }
        let item = Item::Message {
            id: new_id("message"),
            status: "in_progress",
            role: "assistant",
            content: Vec::new(),
        };
        self.begin(out, open, item);
        let part = self.part(open);
        let added = self.about(json!({"content_index": 0, "part": part}));
        self.tell(out, "response.content_part.added", added);
    }

    fn think(&mut self, out: &mut Vec<u8>, thought: &str) {
        if self.open != Some(Open::Thoughts) {
            let item = Item::Reasoning {
                id: new_id("reasoning"),
                summary: Vec::new(),
                encrypted_content: None,
            };
            self.begin(out, Open::Thoughts, item);
            if self.style.has_summary {
                let part = self.part(Open::Thoughts);
                let added = self.about(json!({"summary_index": 0, "part": part}));
                self.tell(out, "response.reasoning_summary_part.added", added);
            }
        }
        if self.style.has_summary {
            self.text.push_str(thought);
            let delta = self.about(json!({"summary_index": 0, "delta": thought}));
            self.tell(out, "response.reasoning_summary_text.delta", delta);
        }
    }

    fn call(&mut self, out: &mut Vec<u8>, fragment: ToolCallFragment) {
        let ToolCallFragment {
            index,
            id,
            name,
            arguments: more,
        } = fragment;
        if self.open != Some(Open::Call(index)) {
            let name = name.unwrap_or_default();
            let call_id = id.unwrap_or_else(|| new_id("call"));
            let status = "in_progress";
            let item = if self.style.custom_tools.contains(&name) {
                Item::CustomToolCall {
                    id: new_id("custom_tool_call"),
                    status,
                    call_id,
                    name,
                    input: String::new(),
                }
            } else {
                Item::FunctionCall {
                    id: new_id("function_call"),
                    status,
                    call_id,
                    name,
                    arguments: String::new(),
                }
            };
            self.begin(out, Open::Call(index), item);
        }
        if more.is_empty() {
            return;
        }
        let kind = match self.items.last_mut() {
            Some(Item::FunctionCall { arguments, .. }) => {
                arguments.push_str(&more);
                "response.function_call_arguments.delta"
            }
            Some(Item::CustomToolCall { input, .. }) => {
                input.push_str(&more);
                "response.custom_tool_call_input.delta"
            }
            _ => return,
        };
        let delta = self.about(json!({"delta": more}));
        self.tell(out, kind, delta);
    }
}

/// The events of a response that is whole, each text in one piece.
pub(super) fn told(response: &RawValue) -> Option<Vec<u8>> {
    let whole: Value = serde_json::from_str(response.get()).ok()?;
    let status = whole.get("status")?.as_str()?.to_owned();
    let mut output = Output::new(OutputStyle::default());
    let mut out = Vec::new();
    let mut begun = whole.as_object()?.clone();
    begun.insert("status".to_owned(), json!("in_progress"));
    begun.insert("output".to_owned(), json!([]));
    begun.insert("usage".to_owned(), Value::Null);
    let begun = serde_json::value::to_raw_value(&begun).ok()?;
    output.tell_of(&mut out, "response.created", &begun);
    output.tell_of(&mut out, "response.in_progress", &begun);
    let items = whole.get("output")?.as_array()?;
    for (index, item) in items.iter().enumerate() {
        let event = json!({"output_index": index, "item": item});
        output.tell(&mut out, "response.output_item.added", event.clone());
        output.tell(&mut out, "response.output_item.done", event);
    }
    output.tell_of(&mut out, &format!("response.{status}"), response);
    Some(out)
}

/// Tokens used, as responses count them.
pub(super) fn usage(usage: &TextUsage) -> Value {
    json!({
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            // What is read again is not written down anywhere.
            "cache_write_tokens": 0,
        },
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    })
}
