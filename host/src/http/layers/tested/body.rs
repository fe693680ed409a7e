//! The body of an answer with a fault: what its editor says, done.

use crate::http::severance::{Severance, Severed};
use axum::body::Body;
use belljar_testing::fault::{Editor, Ending, Fault, Form, Step};
use belljar_testing::world::WorldClock;
use bytes::Bytes;
use http_body::{Body as _, Frame};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// How long what was sent before a reset has to arrive: the reset, of a connection or a stream,
/// takes back what is still on its way.
const BEFORE_RESET: Duration = Duration::from_millis(20);

/// The body of an answer with a fault.
pub(super) struct FaultedBody {
    /// The body without it; none once it is of no more use, which ends its run.
    inner: Option<Body>,
    editor: Editor,
    steps: VecDeque<Step>,
    sleep: Option<Pin<Box<Sleep>>>,
    clock: WorldClock,
    /// None where only this body is to end.
    severance: Option<Arc<Severance>>,
    /// How the connection is to be ended, after the pause before it.
    ending: Option<Severed>,
    is_over: bool,
}

impl FaultedBody {
    pub(super) fn new(
        inner: Body,
        fault: &Fault,
        form: Form,
        clock: WorldClock,
        severance: Option<Arc<Severance>>,
    ) -> Self {
        let mut editor = Editor::new(fault, form);
        let mut steps = Vec::new();
        // A body may end before its first byte.
        editor.push(&[], &mut steps);
        Self {
            inner: (!editor.is_over()).then_some(inner),
            editor,
            steps: steps.into(),
            sleep: None,
            clock,
            severance,
            ending: None,
            is_over: false,
        }
    }

    /// Takes more of the body that there would be.
    fn poll_inner(&mut self, context: &mut Context<'_>) -> Poll<Result<(), axum::Error>> {
        let mut steps = Vec::new();
        match &mut self.inner {
            None => self.is_over = true,
            Some(inner) => match ready!(Pin::new(inner).poll_frame(context)).transpose()? {
                None => {
                    self.editor.finish(&mut steps);
                    self.inner = None;
                }
                Some(frame) => {
                    if let Ok(data) = frame.into_data() {
                        self.editor.push(&data, &mut steps);
                    }
                    if self.editor.is_over() {
                        self.inner = None;
                    }
                }
            },
        }
        self.steps.extend(steps);
        Poll::Ready(Ok(()))
    }

    fn end(&mut self, ending: Ending) {
        let how = match ending {
            Ending::Cut => {
                self.is_over = true;
                return;
            }
            Ending::Reset => Severed::Reset,
            Ending::HalfClose => Severed::HalfClosed,
        };
        self.ending = Some(how);
        self.sleep = Some(Box::pin(tokio::time::sleep(BEFORE_RESET)));
    }
}

impl http_body::Body for FaultedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                ready!(sleep.as_mut().poll(context));
                self.sleep = None;
            }
            if let Some(how) = self.ending {
                if let Some(severance) = &self.severance {
                    // Whoever drives the connection drops this body.
                    severance.sever(how);
                    return Poll::Pending;
                }
                (self.ending, self.is_over) = (None, true);
                let error = io::Error::from(io::ErrorKind::ConnectionReset);
                return Poll::Ready(Some(Err(axum::Error::new(error))));
            }
            if self.is_over {
                return Poll::Ready(None);
            }
            match self.steps.pop_front() {
                Some(Step::Bytes(bytes)) if bytes.is_empty() => {}
                Some(Step::Bytes(bytes)) => {
                    return Poll::Ready(Some(Ok(Frame::data(bytes.into()))));
                }
                Some(Step::Wait(time)) => {
                    if self.clock == WorldClock::Real {
                        self.sleep = Some(Box::pin(tokio::time::sleep(time)));
                    }
                }
                Some(Step::Slow(mut slow)) => {
                    if let Some((wait, piece)) = slow.next() {
                        self.steps.push_front(Step::Slow(slow));
                        self.steps.push_front(Step::Bytes(piece));
                        self.steps.push_front(Step::Wait(wait));
                    }
                }
                Some(Step::End(ending)) => self.end(ending),
                None => ready!(self.poll_inner(context))?,
            }
        }
    }
}
