//! The trace of one request, and a span of it that is going on.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use opentelemetry::trace::SpanId;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{self as message, Status};

use super::buffer::Buffer;
use super::context::{TraceContext, random};
use super::table::{Attribute, SpanRow, attributes, spans};
use crate::clock::time_of_day;

/// The code of the status of a span that failed, as the protocol has it.
const ERROR: i32 = 2;

/// Flags of a span as the protocol has them: it was sampled, it is known whether its parent is
/// another program's, and it is.
const SAMPLED: u32 = 1;
const HAS_IS_REMOTE: u32 = 1 << 8;
const IS_REMOTE: u32 = 1 << 9;

/// The trace of one request, at the span that others go below. Cheap to clone.
#[derive(Clone)]
pub struct Trace {
    request: Arc<RequestTrace>,
    /// The span that those begun here go below.
    parent: SpanId,
}

struct RequestTrace {
    buffer: Arc<Buffer>,
    context: TraceContext,
    /// The caller's own span.
    caller: Option<SpanId>,
    /// The time of day at which it began, in nanoseconds since 1970, and the same moment on a
    /// clock that never goes back.
    began_ns: u64,
    began: Instant,
    /// What the request was for, in the words of the conventions.
    operation: OnceLock<&'static str>,
    has_tokens: AtomicBool,
    input_tokens: AtomicU64,
    output_tokens: AtomicU64,
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.request.context.fmt(f)
    }
}

impl Trace {
    /// The trace of a request that begins now.
    pub(super) fn new(buffer: Arc<Buffer>, context: TraceContext, caller: Option<SpanId>) -> Self {
        let began_ns = u64::try_from(time_of_day().as_nanosecond()).unwrap_or(0);
        Self {
            parent: context.span_id,
            request: Arc::new(RequestTrace {
                buffer,
                context,
                caller,
                began_ns,
                began: Instant::now(),
                operation: OnceLock::new(),
                has_tokens: AtomicBool::new(false),
                input_tokens: AtomicU64::new(0),
                output_tokens: AtomicU64::new(0),
            }),
        }
    }

    /// The span of the request, for whom it calls and for its log.
    #[must_use]
    pub fn context(&self) -> &TraceContext {
        &self.request.context
    }

    /// Begins a span below this one. None where nothing is kept.
    #[must_use]
    pub fn begin(&self, row: &'static SpanRow) -> Option<Span> {
        self.request.context.is_sampled.then(|| {
            Span(Box::new(Open {
                request: Arc::clone(&self.request),
                row,
                name: None,
                id: SpanId::from_bytes(random()),
                parent: Some(self.parent),
                start_ns: self.request.now_ns(),
                attributes: Vec::new(),
                is_failed: false,
            }))
        })
    }

    /// Begins a span below this one, and gives also the trace at it.
    #[must_use]
    pub fn below(&self, row: &'static SpanRow) -> (Self, Option<Span>) {
        let span = self.begin(row);
        let below = Self {
            request: Arc::clone(&self.request),
            parent: span.as_ref().map_or(self.parent, |span| span.0.id),
        };
        (below, span)
    }

    /// The span of the request itself, under this name and with what has been noted. Begun when the
    /// request was.
    #[must_use]
    pub fn request(&self, name: String) -> Option<Span> {
        let request = &self.request;
        if !request.context.is_sampled {
            return None;
        }
        let mut span = Span(Box::new(Open {
            request: Arc::clone(request),
            row: &spans::REQUEST,
            name: Some(name),
            id: request.context.span_id,
            parent: request.caller,
            start_ns: request.began_ns,
            attributes: Vec::new(),
            is_failed: false,
        }));
        if let Some(operation) = request.operation.get() {
            span.set(&attributes::GEN_AI_PROVIDER, "belljar");
            span.set(&attributes::GEN_AI_OPERATION, *operation);
        }
        if request.has_tokens.load(Ordering::Relaxed) {
            let of = |tokens: &AtomicU64| tokens.load(Ordering::Relaxed);
            span.set(&attributes::GEN_AI_INPUT_TOKENS, of(&request.input_tokens));
            span.set(
                &attributes::GEN_AI_OUTPUT_TOKENS,
                of(&request.output_tokens),
            );
        }
        Some(span)
    }

    /// Notes what the request is for, in the words of the conventions.
    pub fn note_operation(&self, name: &'static str) {
        // Several requests of one stream are for the same.
        let _ = self.request.operation.set(name);
    }

    /// Whether the request is for texts or vectors.
    #[must_use]
    pub fn is_of_texts(&self) -> bool {
        self.request.operation.get().is_some()
    }

    /// Adds tokens of a prompt and of the answers to it.
    pub fn add_tokens(&self, input: u64, output: u64) {
        let request = &self.request;
        request.input_tokens.fetch_add(input, Ordering::Relaxed);
        request.output_tokens.fetch_add(output, Ordering::Relaxed);
        request.has_tokens.store(true, Ordering::Relaxed);
    }
}

impl RequestTrace {
    fn now_ns(&self) -> u64 {
        let since = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.began_ns.saturating_add(since)
    }
}

/// A span that is going on. It ends when it is dropped. Behind a box, so that whoever may have one
/// has room for a pointer and no more where there is none.
pub struct Span(Box<Open>);

struct Open {
    request: Arc<RequestTrace>,
    row: &'static SpanRow,
    /// None where the row has it.
    name: Option<String>,
    id: SpanId,
    parent: Option<SpanId>,
    start_ns: u64,
    attributes: Vec<KeyValue>,
    is_failed: bool,
}

/// What an attribute says.
pub struct AttributeValue(Value);

impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        Self(Value::StringValue(text.to_owned()))
    }
}

impl From<u64> for AttributeValue {
    fn from(number: u64) -> Self {
        Self(Value::IntValue(i64::try_from(number).unwrap_or(i64::MAX)))
    }
}

impl Span {
    /// Says something of it.
    pub fn set(&mut self, attribute: &'static Attribute, value: impl Into<AttributeValue>) {
        debug_assert!(attribute.is_of(self.0.row), "{attribute:?}");
        let AttributeValue(value) = value.into();
        self.0.attributes.push(attribute_of(attribute.name, value));
    }

    /// Says that it failed, with the code of what went wrong.
    pub fn fail(&mut self, code: &str) {
        self.0.is_failed = true;
        self.set(&attributes::ERROR_TYPE, code);
    }

    /// Ends it well. One that is dropped without this was refused or cut short.
    pub fn pass(mut self) {
        self.set(&attributes::OUTCOME, "ok");
    }

    /// Ends one well, where there is one.
    pub fn pass_any(span: Option<Self>) {
        if let Some(span) = span {
            span.pass();
        }
    }
}

/// An attribute in the form of the protocol.
pub(super) fn attribute_of(name: &str, value: Value) -> KeyValue {
    KeyValue {
        key: name.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let end_time_unix_nano = self.request.now_ns();
        let mut attributes = std::mem::take(&mut self.attributes);
        let outcome = attributes::OUTCOME.name;
        if attributes::OUTCOME.is_of(self.row) && !attributes.iter().any(|it| it.key == outcome) {
            let stopped = Value::StringValue("stopped".to_owned());
            attributes.push(attribute_of(outcome, stopped));
        }
        let context = &self.request.context;
        let is_remote = self.id == context.span_id && self.parent.is_some();
        let bytes = |id: SpanId| id.to_bytes().to_vec();
        let name = self.name.take();
        self.request.buffer.push(message::Span {
            trace_id: context.trace_id.to_bytes().to_vec(),
            span_id: bytes(self.id),
            trace_state: context.state.as_deref().unwrap_or_default().to_owned(),
            parent_span_id: self.parent.map(bytes).unwrap_or_default(),
            flags: SAMPLED | HAS_IS_REMOTE | if is_remote { IS_REMOTE } else { 0 },
            name: name.unwrap_or_else(|| self.row.name.to_owned()),
            kind: self.row.kind.into(),
            start_time_unix_nano: self.start_ns,
            end_time_unix_nano,
            attributes,
            status: self.is_failed.then(|| Status {
                code: ERROR,
                ..Status::default()
            }),
            ..message::Span::default()
        });
    }
}
