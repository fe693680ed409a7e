//! `POST /v1/chat/completions` with `stream`: the answer as server-sent events, framed byte for
//! byte as OpenAI frames them.
//!
//! The stream *is* the run: it holds the sandboxes' answers, and dropping it, as the server does
//! when the caller goes away, ends them.

use super::answer::{Head, Logprobs, finish_reason};
use super::usage::Usage;
use crate::generation::{Event, GenerationStream};
use crate::http::json::write_string;
use crate::http::layers::Record;
use crate::http::runs;
use crate::http::spending::Spending;
use crate::models::LiveModel;
use belljar_sandbox::wit::text::{TextFragment, ToolCallFragment};
use bytes::Bytes;
use http_body::Frame;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Bytes of events that go out together when they are due together. One write for many tokens
/// is what makes fast models cheap; a slow model's token never waits for it.
const FRAME_BYTES: usize = 16 << 10;

/// The body of a streamed answer.
pub(crate) struct ChatStream {
    model: Arc<LiveModel>,
    record: Record,
    /// Settles when the stream is dropped, at its end or before.
    spending: Spending,
    choices: Vec<Choice>,
    /// What each chunk begins with, up to the choices.
    head: Vec<u8>,
    include_usage: bool,
    logprobs: bool,
    is_legacy: bool,
    usage: Usage,
    /// The choice to look at first, so that none is starved by another that is always ready.
    next: usize,
    is_over: bool,
}

struct Choice {
    answer: GenerationStream,
    has_begun: bool,
    is_over: bool,
}

/// How a stream is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamStyle {
    pub(crate) include_usage: bool,
    pub(crate) logprobs: bool,
    pub(crate) is_legacy: bool,
}

impl ChatStream {
    /// A stream of several answers to one prompt.
    pub(crate) fn new(
        head: &Head,
        answers: Vec<GenerationStream>,
        model: Arc<LiveModel>,
        record: Record,
        spending: Spending,
        style: StreamStyle,
    ) -> Self {
        let StreamStyle {
            include_usage,
            logprobs,
            is_legacy,
        } = style;
        let choice = |answer| Choice {
            answer,
            has_begun: false,
            is_over: false,
        };
        Self {
            model,
            record,
            spending,
            choices: answers.into_iter().map(choice).collect(),
            head: write_head(head),
            include_usage,
            logprobs,
            is_legacy,
            usage: Usage::default(),
            next: 0,
            is_over: false,
        }
    }

    /// Writes what is due, up to a frame; says whether there is more to wait for.
    fn fill(&mut self, context: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<()> {
        loop {
            let mut is_idle = true;
            for offset in 0..self.choices.len() {
                let index = (self.next + offset) % self.choices.len();
                let Some(choice) = self.choices.get_mut(index).filter(|choice| !choice.is_over)
                else {
                    continue;
                };
                let Poll::Ready(event) = choice.answer.poll_next(context) else {
                    continue;
                };
                is_idle = false;
                match event {
                    Some(Ok(event)) => self.write_event(out, index, event),
                    Some(Err(error)) => {
                        let error = runs::note_failure(&self.model, &self.record, error);
                        if let Some(detail) = error.detail() {
                            tracing::error!(request.id = %self.record.id(), "a stream failed: {detail}");
                        }
                        out.extend_from_slice(b"data: ");
                        out.extend_from_slice(&error.body());
                        out.extend_from_slice(b"\n\n");
                        self.end();
                        return Poll::Ready(());
                    }
                    None => {
                        choice.is_over = true;
                        if let Some(end) = choice.answer.end() {
                            runs::note_end(&self.model, &end.spent);
                            self.usage.add(end);
                        }
                    }
                }
            }
            self.next = self.next.wrapping_add(1);
            if self.choices.iter().all(|choice| choice.is_over) {
                self.write_end(out);
                let usage = &self.usage;
                self.spending
                    .settle(usage.prompt_tokens(), usage.completion_tokens());
                self.end();
                return Poll::Ready(());
            }
            if is_idle {
                return Poll::Pending;
            }
            if out.len() >= FRAME_BYTES {
                return Poll::Ready(());
            }
        }
    }

    fn end(&mut self) {
        self.is_over = true;
        // Ends what still runs.
        self.choices.clear();
    }

    fn write_event(&mut self, out: &mut Vec<u8>, index: usize, event: Event) {
        let Some(choice) = self.choices.get_mut(index) else {
            return;
        };
        let is_first = !std::mem::replace(&mut choice.has_begun, true);
        if is_first {
            self.begin(out, index);
            out.extend_from_slice(br#"{"role":"assistant","content":"","refusal":null}"#);
            self.finish(out, None, None);
        }
        self.begin(out, index);
        let mut logprobs = None;
        let mut reason = None;
        match event {
            Event::Text(TextFragment { text, tokens }) => {
                out.extend_from_slice(br#"{"content":"#);
                write_string(out, &text);
                out.push(b'}');
                logprobs = (self.logprobs && !tokens.is_empty()).then(|| Logprobs::of(tokens));
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
            Event::ToolCall(fragment) if self.is_legacy => write_function_call(out, &fragment),
            Event::ToolCall(fragment) => write_tool_call(out, &fragment),
            Event::Finish(finish) => {
                out.extend_from_slice(b"{}");
                reason = Some(finish_reason(finish, self.is_legacy));
            }
        }
        self.finish(out, logprobs.as_ref(), reason);
    }

    /// Writes a chunk up to its delta.
    fn begin(&self, out: &mut Vec<u8>, index: usize) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(br#"[{"index":"#);
        out.extend_from_slice(itoa::Buffer::new().format(index).as_bytes());
        out.extend_from_slice(br#","delta":"#);
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
        if self.include_usage {
            out.extend_from_slice(br#","usage":null"#);
        }
        out.extend_from_slice(b"}\n\n");
    }

    fn write_end(&self, out: &mut Vec<u8>) {
        if self.include_usage {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(br#"[],"usage":"#);
            // Writing to memory does not fail.
            let _ = serde_json::to_writer(&mut *out, &self.usage);
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

fn write_head(head: &Head) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(br#"data: {"id":"#);
    write_string(&mut out, &head.id);
    out.extend_from_slice(br#","object":"chat.completion.chunk","created":"#);
    out.extend_from_slice(itoa::Buffer::new().format(head.created).as_bytes());
    out.extend_from_slice(br#","model":"#);
    write_string(&mut out, &head.model);
    out.extend_from_slice(br#","service_tier":"default","system_fingerprint":"#);
    write_string(&mut out, &head.system_fingerprint);
    out.extend_from_slice(br#","choices":"#);
    out
}

/// Writes a delta with a part of a tool call. Only its first part has an id, a type and a name.
fn write_tool_call(out: &mut Vec<u8>, fragment: &ToolCallFragment) {
    out.extend_from_slice(br#"{"tool_calls":[{"index":"#);
    out.extend_from_slice(itoa::Buffer::new().format(fragment.index).as_bytes());
    if let Some(id) = &fragment.id {
        out.extend_from_slice(br#","id":"#);
        write_string(out, id);
        out.extend_from_slice(br#","type":"function""#);
    }
    out.extend_from_slice(br#","function":{"#);
    if let Some(name) = &fragment.name {
        out.extend_from_slice(br#""name":"#);
        write_string(out, name);
        out.push(b',');
    }
    out.extend_from_slice(br#""arguments":"#);
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

impl http_body::Body for ChatStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let mut out = Vec::new();
        match self.fill(context, &mut out) {
            Poll::Pending if out.is_empty() => Poll::Pending,
            _ => Poll::Ready(Some(Ok(Frame::data(out.into())))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }
}
