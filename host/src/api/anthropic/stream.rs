//! An answer as server-sent events, framed and in the order in which Anthropic sends them.

use super::answer::{Ending, SIGNATURE, StopDetails, Usage, tool_use_id};
use super::request::Style;
use crate::api::text_body::TextEvents;
use crate::generation::Event;
use crate::http::error::ApiError;
use crate::http::json::write_string;
use crate::inference::TextUsage;
use belljar_sandbox::wit::text::{FinishReason, ToolCallFragment};

/// The events of a streamed message.
pub(crate) struct MessageEvents {
    id: String,
    model: String,
    style: Style,
    /// What has been used before the answer.
    usage: Usage,
    /// The block that is open, and its number.
    open: Option<(Open, u32)>,
    blocks: u32,
    ending: Option<Ending>,
    sequence: Option<String>,
    is_refusal: bool,
}

/// A block that has begun and not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    /// By the number of the call.
    Call(u32),
}

impl MessageEvents {
    /// The events of a message that the caller asked for under the name `model`.
    /// What its prompt has used is estimated where only the model can say.
    pub(super) fn new(id: String, model: String, style: Style, used: &TextUsage) -> Self {
        let mut usage = Usage::new(used, &style);
        if used.prompt_tokens == 0 {
            // What the model says of its prompt comes with its last word.
            usage.input_tokens = style.prompt_tokens_estimate;
        }
        usage.output_tokens = 1;
        Self {
            id,
            model,
            style,
            usage,
            open: None,
            blocks: 0,
            ending: None,
            sequence: None,
            is_refusal: false,
        }
    }

    /// Ends the block that is open, if there is one.
    fn close(&mut self, out: &mut Vec<u8>) {
        let Some((open, index)) = self.open.take() else {
            return;
        };
        if open == Open::Thinking {
            delta(out, index, "signature_delta", "signature", SIGNATURE);
        }
        begin(out, "content_block_stop");
        out.extend_from_slice(b",\"index\":");
        number(out, index);
        end(out);
    }

    /// Begins a block where another one, or none, is open. Gives its number.
    fn open(&mut self, out: &mut Vec<u8>, open: Open, block: impl FnOnce(&mut Vec<u8>)) -> u32 {
        if let Some((now, index)) = self.open
            && now == open
        {
            return index;
        }
        self.close(out);
        let index = self.blocks;
        self.blocks += 1;
        self.open = Some((open, index));
        begin(out, "content_block_start");
        out.extend_from_slice(b",\"index\":");
        number(out, index);
        out.extend_from_slice(b",\"content_block\":");
        block(out);
        end(out);
        if index == 0 {
            begin(out, "ping");
            end(out);
        }
        index
    }

    fn text(&mut self, out: &mut Vec<u8>, text: &str) {
        if text.is_empty() {
            return;
        }
        let index = self.open(out, Open::Text, |out| {
            out.extend_from_slice(br#"{"type":"text","text":""}"#);
        });
        delta(out, index, "text_delta", "text", text);
    }

    fn call(&mut self, out: &mut Vec<u8>, fragment: ToolCallFragment) {
        let ToolCallFragment {
            index,
            id,
            name,
            arguments,
        } = fragment;
        let block = self.open(out, Open::Call(index), |out| {
            out.extend_from_slice(br#"{"type":"tool_use","id":"#);
            write_string(out, &tool_use_id(id, index));
            out.extend_from_slice(br#","name":"#);
            write_string(out, &name.unwrap_or_default());
            out.extend_from_slice(br#","input":{}}"#);
        });
        delta(out, block, "input_json_delta", "partial_json", &arguments);
    }
}

impl TextEvents for MessageEvents {
    fn start(&mut self, out: &mut Vec<u8>) {
        begin(out, "message_start");
        out.extend_from_slice(br#","message":{"id":"#);
        write_string(out, &self.id);
        out.extend_from_slice(br#","type":"message","role":"assistant","model":"#);
        write_string(out, &self.model);
        out.extend_from_slice(br#","content":[],"stop_reason":null,"stop_sequence":null,"usage":"#);
        write_usage(out, self.usage);
        out.push(b'}');
        end(out);
    }

    fn event(&mut self, out: &mut Vec<u8>, _: usize, event: Event) {
        match event {
            Event::Text(fragment) => self.text(out, &fragment.text),
            Event::Refusal(refusal) => {
                self.is_refusal = true;
                self.text(out, &refusal);
            }
            Event::Reasoning(thought) => {
                let index = self.open(out, Open::Thinking, |out| {
                    out.extend_from_slice(br#"{"type":"thinking","thinking":"","signature":""}"#);
                });
                if !self.style.omits_thoughts {
                    delta(out, index, "thinking_delta", "thinking", &thought);
                }
            }
            Event::ToolCall(fragment) => self.call(out, fragment),
            Event::Stopped(stop) => self.sequence = Some(stop),
            Event::Finish(reason) => {
                self.close(out);
                let sequence = self.sequence.take();
                self.ending = Some(Ending::new(reason, sequence, self.is_refusal));
            }
        }
    }

    fn failure(&mut self, out: &mut Vec<u8>, error: &ApiError) {
        out.extend_from_slice(b"event: error\ndata: ");
        out.extend_from_slice(&error.for_anthropic(None));
        out.extend_from_slice(b"\n\n");
    }

    fn end(&mut self, out: &mut Vec<u8>, usage: &TextUsage) {
        self.close(out);
        let ending = self.ending.take();
        let Ending { reason, sequence } =
            ending.unwrap_or_else(|| Ending::new(FinishReason::Stop, None, false));
        begin(out, "message_delta");
        out.extend_from_slice(br#","delta":{"stop_reason":"#);
        write_string(out, reason);
        out.extend_from_slice(br#","stop_sequence":"#);
        match sequence {
            Some(sequence) => write_string(out, &sequence),
            None => out.extend_from_slice(b"null"),
        }
        if StopDetails::of(reason).is_some() {
            out.extend_from_slice(br#","stop_details":{"type":"refusal"}"#);
        }
        out.extend_from_slice(br#"},"usage":"#);
        write_usage(out, Usage::new(usage, &self.style).at_the_end());
        end(out);
        begin(out, "message_stop");
        end(out);
    }
}

/// Writes an event up to the members of its data.
fn begin(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: {\"type\":\"");
    out.extend_from_slice(name.as_bytes());
    out.push(b'"');
}

/// Writes the end of an event.
fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"}\n\n");
}

/// Writes what is new in a block.
fn delta(out: &mut Vec<u8>, index: u32, kind: &str, member: &str, text: &str) {
    begin(out, "content_block_delta");
    out.extend_from_slice(b",\"index\":");
    number(out, index);
    out.extend_from_slice(b",\"delta\":{\"type\":");
    write_string(out, kind);
    out.push(b',');
    write_string(out, member);
    out.push(b':');
    write_string(out, text);
    out.push(b'}');
    end(out);
}

fn number(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn write_usage(out: &mut Vec<u8>, usage: Usage) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, &usage);
}
