//! A response in the making: the runs of its model, the events that tell of them, and what is
//! kept of it at the end.

use super::kept::Keeper;
use super::object::{Draft, Stage};
use super::output::{Output, OutputStyle};
use super::request::Echo;
use crate::api::openai::objects::raw;
use crate::api::simulated;
use crate::clock::Clock;
use crate::http::error::ApiError;
use crate::inference::{RequestContext, TextStream, TextUsage};
use bytes::Bytes;
use http_body::Frame;
use serde_json::value::RawValue;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Bytes of events that go out together when they are due together.
const FRAME_BYTES: usize = 16 << 10;

/// A response that has been asked for.
pub(super) struct Making {
    draft: Draft,
    output: Output,
    clock: Clock,
    keeper: Option<Keeper>,
}

impl Making {
    pub(super) fn new(id: String, echo: Echo, style: OutputStyle, clock: Clock) -> Self {
        let created = clock.now().as_second();
        Self {
            draft: Draft { id, created, echo },
            output: Output::new(style),
            clock,
            keeper: None,
        }
    }

    /// The same, kept at its end.
    pub(super) fn kept_by(self, keeper: Option<Keeper>) -> Self {
        Self { keeper, ..self }
    }

    /// Takes all events of an answer in one piece, and gives the response when it is kept.
    pub(super) async fn whole(
        mut self,
        events: Vec<crate::generation::Event>,
        usage: &TextUsage,
    ) -> Result<Box<RawValue>, ApiError> {
        let mut unsent = Vec::new();
        for event in events {
            self.output.take(&mut unsent, event);
            unsent.clear();
        }
        let at = self.clock.now().as_second();
        let response = self
            .draft
            .at(&self.output, Stage::Ended { usage, at })
            .raw();
        if let Some(keeper) = self.keeper {
            let output = self.output.items().iter().map(raw).collect();
            keeper.keep(self.draft.id, &response, output).await?;
        }
        Ok(response)
    }

    /// Writes an event about the response as a whole.
    fn tell(&mut self, out: &mut Vec<u8>, stage: Stage<'_>) -> Box<RawValue> {
        let (kind, response) = {
            let response = self.draft.at(&self.output, stage);
            (format!("response.{}", response.status()), response.raw())
        };
        self.output.tell_of(out, &kind, &response);
        response
    }
}

type Keeping = Pin<Box<dyn Future<Output = Result<(), ApiError>> + Send>>;

/// A response as events. Dropping it ends the runs.
pub(super) struct ResponseEvents {
    texts: TextStream,
    context: RequestContext,
    making: Making,
    state: State,
}

enum State {
    Begin,
    Running,
    /// What is kept is being written; then the last event is told.
    Keeping(Keeping, Vec<u8>),
    Over,
}

impl ResponseEvents {
    pub(super) fn new(texts: TextStream, context: RequestContext, making: Making) -> Self {
        Self {
            texts,
            context,
            making,
            state: State::Begin,
        }
    }

    /// The id of the response, and how it is before its model has said anything.
    pub(super) fn queued(&self) -> (String, Box<RawValue>) {
        let Making { draft, output, .. } = &self.making;
        (draft.id.clone(), draft.at(output, Stage::Queued).raw())
    }

    /// Keeps the response at its end.
    pub(super) fn keep_by(&mut self, keeper: Keeper) {
        self.making.keeper = Some(keeper);
    }

    /// Writes what is due, up to a frame. False when nothing comes any more.
    pub(super) fn poll_fill(&mut self, context: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<bool> {
        loop {
            match &mut self.state {
                State::Over => return Poll::Ready(false),
                State::Begin => {
                    let response = {
                        let making = &self.making;
                        making.draft.at(&making.output, Stage::InProgress).raw()
                    };
                    let output = &mut self.making.output;
                    output.tell_of(out, "response.created", &response);
                    output.tell_of(out, "response.in_progress", &response);
                    self.state = State::Running;
                }
                State::Running => {
                    if out.len() >= FRAME_BYTES {
                        return Poll::Ready(true);
                    }
                    match ready!(self.texts.poll_next(context)) {
                        Some(Ok((answer, event))) => {
                            let from = out.len();
                            self.making.output.take(out, event);
                            if let Some(at) = self.texts.simulated_at(answer) {
                                simulated::tell_in_events(out, from, at);
                            }
                        }
                        Some(Err(error)) => self.fail(out, &ApiError::from(error)),
                        None => self.finish(out),
                    }
                }
                State::Keeping(keeping, last) => {
                    let kept = ready!(keeping.as_mut().poll(context));
                    let last = std::mem::take(last);
                    match kept {
                        Ok(()) => {
                            out.extend_from_slice(&last);
                            self.state = State::Over;
                        }
                        Err(error) => self.fail(out, &error),
                    }
                }
            }
        }
    }

    /// Ends the response, when it is kept.
    fn finish(&mut self, out: &mut Vec<u8>) {
        let usage = *self.texts.usage();
        let at = self.making.clock.now().as_second();
        let mut last = Vec::new();
        let response = self
            .making
            .tell(&mut last, Stage::Ended { usage: &usage, at });
        self.keep(out, &response, last);
    }

    fn keep(&mut self, out: &mut Vec<u8>, response: &RawValue, last: Vec<u8>) {
        match self.making.keeper.take() {
            Some(keeper) => {
                let response = response.to_owned();
                let output = self.making.output.items().iter().map(raw).collect();
                let id = self.making.draft.id.clone();
                let keeping = async move { keeper.keep(id, &response, output).await };
                self.state = State::Keeping(Box::pin(keeping), last);
            }
            None => {
                out.extend_from_slice(&last);
                self.state = State::Over;
            }
        }
    }

    /// Ends the response with a failure, which is kept as well.
    fn fail(&mut self, out: &mut Vec<u8>, error: &ApiError) {
        if let Some(detail) = error.detail() {
            tracing::error!(request.id = %self.context.id(), "a stream failed: {detail}");
        }
        let mut last = Vec::new();
        let response = self.making.tell(&mut last, Stage::Failed(error));
        self.keep(out, &response, last);
    }

    /// Whether it has ended by itself, and is being kept.
    pub(super) fn is_being_kept(&self) -> bool {
        matches!(self.state, State::Keeping(..))
    }

    /// Ends the response because its caller wants no more of it. Gives it, to be kept.
    pub(super) fn cancel(mut self, out: &mut Vec<u8>) -> (String, Box<RawValue>, Option<Keeper>) {
        let response = self.making.tell(out, Stage::Cancelled);
        (self.making.draft.id, response, self.making.keeper.take())
    }
}

impl http_body::Body for ResponseEvents {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut out = Vec::new();
        match self.poll_fill(context, &mut out) {
            Poll::Pending if out.is_empty() => Poll::Pending,
            Poll::Ready(false) if out.is_empty() => Poll::Ready(None),
            _ => Poll::Ready(Some(Ok(Frame::data(out.into())))),
        }
    }
}
