//! Texts in the making as the body of an answer: server-sent events, in the words of the API that
//! was asked.
//!
//! The body *is* the runs: it holds the texts in the making, and dropping it, as the server does
//! when the caller goes away, ends them.

use super::simulated;
use crate::generation::Event;
use crate::http::error::ApiError;
use crate::inference::{RequestContext, TextStream, TextUsage};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue, header};
use http_body::Frame;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Bytes of events that go out together when they are due together. One write for many tokens
/// is what makes fast models cheap; a slow model's token never waits for it.
const FRAME_BYTES: usize = 16 << 10;

/// The words of one API for what becomes of a text.
pub(crate) trait TextEvents: Send + Unpin + 'static {
    /// Writes what comes before everything else.
    fn start(&mut self, _out: &mut Vec<u8>) {}

    /// Writes an event of one answer.
    fn event(&mut self, out: &mut Vec<u8>, answer: usize, event: Event);

    /// Writes a failure, after which nothing comes.
    fn failure(&mut self, out: &mut Vec<u8>, error: &ApiError);

    /// Writes what comes after the last event of the last answer.
    fn end(&mut self, out: &mut Vec<u8>, usage: &TextUsage);
}

/// Keeps answers that are complete.
pub(crate) type Keep =
    Box<dyn FnOnce(Vec<Vec<Event>>, TextUsage) -> BoxFuture<'static, Result<(), ApiError>> + Send>;

/// What is kept of a stream.
enum Keeping {
    /// Nothing, or nothing any more.
    Nothing,
    /// The answers so far, to be kept when they are complete.
    Collecting(Vec<Vec<Event>>, Keep),
    /// They are being written; until then the stream is not over.
    Writing(BoxFuture<'static, Result<(), ApiError>>),
}

impl Keeping {
    fn note(&mut self, answer: usize, event: &Event) {
        if let Self::Collecting(answers, _) = self {
            if answers.len() <= answer {
                answers.resize(answer + 1, Vec::new());
            }
            if let Some(answer) = answers.get_mut(answer) {
                answer.push(event.clone());
            }
        }
    }

    /// Whether what was to be kept is kept, once there are no more events.
    fn poll_end(
        &mut self,
        usage: &TextUsage,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), ApiError>> {
        loop {
            match std::mem::replace(self, Self::Nothing) {
                Self::Nothing => return Poll::Ready(Ok(())),
                Self::Collecting(answers, keep) => *self = Self::Writing(keep(answers, *usage)),
                Self::Writing(mut writing) => match writing.as_mut().poll(context) {
                    Poll::Ready(kept) => return Poll::Ready(kept),
                    Poll::Pending => {
                        *self = Self::Writing(writing);
                        return Poll::Pending;
                    }
                },
            }
        }
    }
}

/// The body of a streamed answer.
pub(crate) struct TextBody<E> {
    texts: TextStream,
    context: RequestContext,
    events: E,
    keeping: Keeping,
    has_started: bool,
    is_ended: bool,
    is_over: bool,
}

impl<E: TextEvents> TextBody<E> {
    /// The body of the answers to one call, written by `events`.
    pub(crate) fn new(texts: TextStream, context: RequestContext, events: E) -> Self {
        Self {
            texts,
            context,
            events,
            keeping: Keeping::Nothing,
            has_started: false,
            is_ended: false,
            is_over: false,
        }
    }

    /// The same, whose answers are kept before its end is told.
    pub(crate) fn kept_by(self, keep: Option<Keep>) -> Self {
        let keeping = keep.map_or(Keeping::Nothing, |keep| {
            Keeping::Collecting(Vec::new(), keep)
        });
        Self { keeping, ..self }
    }

    /// Writes what is due, up to a frame; pending where there is more to wait for.
    fn fill(&mut self, context: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<()> {
        // Where testers say when the first event is due, nothing comes before it.
        if !self.has_started && !self.texts.is_tested() {
            self.start(out);
        }
        while out.len() < FRAME_BYTES {
            if self.is_ended {
                match ready!(self.keeping.poll_end(self.texts.usage(), context)) {
                    Ok(()) => self.events.end(out, self.texts.usage()),
                    Err(error) => self.fail(out, &error),
                }
                self.is_over = true;
                break;
            }
            let next = ready!(self.texts.poll_next(context));
            let from = out.len();
            if !self.has_started {
                self.start(out);
            }
            match next {
                Some(Ok((answer, event))) => {
                    self.keeping.note(answer, &event);
                    self.events.event(out, answer, event);
                    if let Some(at) = self.texts.simulated_at(answer) {
                        simulated::tell_in_events(out, from, at);
                    }
                }
                Some(Err(error)) => {
                    self.fail(out, &ApiError::from(error));
                    self.is_over = true;
                    break;
                }
                None => self.is_ended = true,
            }
        }
        Poll::Ready(())
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        self.has_started = true;
        self.events.start(out);
    }

    fn fail(&mut self, out: &mut Vec<u8>, error: &ApiError) {
        if let Some(detail) = error.detail() {
            let trace_id = self.context.trace_id().map(tracing::field::display);
            tracing::error!(request.id = %self.context.id(), trace_id, "a stream failed: {detail}");
        }
        self.events.failure(out, error);
    }
}

impl<E: TextEvents> IntoResponse for TextBody<E> {
    fn into_response(self) -> Response {
        let simulated = self.texts.simulated();
        let mut response = Response::new(Body::new(self));
        let headers = response.headers_mut();
        simulated::tell(headers, simulated);
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream; charset=utf-8"),
        );
        // Reverse proxies would otherwise collect the events.
        headers.insert(
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        );
        response
    }
}

impl<E: TextEvents> http_body::Body for TextBody<E> {
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
