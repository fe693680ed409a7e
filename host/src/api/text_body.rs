//! Texts in the making as the body of an answer: server-sent events, in the words of the API that
//! was asked.
//!
//! The body *is* the runs: it holds the texts in the making, and dropping it, as the server does
//! when the caller goes away, ends them.

use crate::generation::Event;
use crate::http::error::ApiError;
use crate::inference::{RequestContext, TextStream, TextUsage};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
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

/// The body of a streamed answer.
pub(crate) struct TextBody<E> {
    texts: TextStream,
    context: RequestContext,
    events: E,
    has_started: bool,
    is_over: bool,
}

impl<E: TextEvents> TextBody<E> {
    /// The body of the answers to one call, written by `events`.
    pub(crate) fn new(texts: TextStream, context: RequestContext, events: E) -> Self {
        Self {
            texts,
            context,
            events,
            has_started: false,
            is_over: false,
        }
    }

    /// Writes what is due, up to a frame; pending where there is more to wait for.
    fn fill(&mut self, context: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<()> {
        if !std::mem::replace(&mut self.has_started, true) {
            self.events.start(out);
        }
        while out.len() < FRAME_BYTES {
            match ready!(self.texts.poll_next(context)) {
                Some(Ok((answer, event))) => self.events.event(out, answer, event),
                Some(Err(error)) => {
                    let error = ApiError::from(error);
                    if let Some(detail) = error.detail() {
                        tracing::error!(request.id = %self.context.id(), "a stream failed: {detail}");
                    }
                    self.events.failure(out, &error);
                    self.is_over = true;
                    break;
                }
                None => {
                    self.events.end(out, self.texts.usage());
                    self.is_over = true;
                    break;
                }
            }
        }
        Poll::Ready(())
    }
}

impl<E: TextEvents> IntoResponse for TextBody<E> {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::new(self));
        let headers = response.headers_mut();
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
