//! The line of a request in the journal of its world: begun when it comes, written when its answer
//! has ended, however that is.

use super::asked;
use crate::inference::RequestContext;
use axum::body::Body;
use axum::response::Response;
use belljar_testing::fault::Fault;
use belljar_testing::journal::{Entry, JournalLimits, Kept, Timings};
use belljar_testing::world::World;
use bytes::Bytes;
use http::request;
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

/// A line that is being written; none where there is no journal.
pub(super) struct Line(Option<Box<Open>>);

struct Open {
    world: Arc<World>,
    limits: JournalLimits,
    since: Instant,
    entry: Entry,
    /// What was sent of the answer, as far as it is kept.
    answer: Vec<u8>,
    answer_bytes: usize,
}

impl Line {
    /// The line of a request that has just come.
    pub(super) fn begin(
        world: &Arc<World>,
        context: &RequestContext,
        parts: &request::Parts,
    ) -> Self {
        let Some(limits) = world.journal_limits() else {
            return Self(None);
        };
        let entry = Entry {
            number: 0,
            request_id: context.id().to_string(),
            at_ms: context.came().unix_ms(),
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            model: None,
            key: context.key_id().map(ToString::to_string),
            headers: asked::headers_of(&parts.headers),
            body: Kept::default(),
            status: 0,
            answer: Kept::default(),
            timings: Timings::default(),
            fault: None,
            rule: None,
            is_complete: false,
        };
        Self(Some(Box::new(Open {
            world: Arc::clone(world),
            limits,
            since: Instant::now(),
            entry,
            answer: Vec::new(),
            answer_bytes: 0,
        })))
    }

    /// Notes what the request says.
    pub(super) fn note_body(&mut self, body: &[u8], model: Option<&str>) {
        if let Some(open) = &mut self.0 {
            let bytes_max = open.limits.body_bytes_max;
            open.entry.body = Kept::of(body, bytes_max);
            open.entry.model = model.map(|model| Kept::of(model.as_bytes(), bytes_max).text);
        }
    }

    /// Notes what goes wrong with it.
    pub(super) fn note_fault(&mut self, fault: &Fault) {
        if let Some(open) = &mut self.0 {
            open.entry.fault = Some(fault.to_string());
        }
    }

    /// Notes the rule that has answered it.
    pub(super) fn note_rule(&mut self, rule: &str) {
        if let Some(open) = &mut self.0 {
            open.entry.rule = Some(rule.to_owned());
        }
    }

    /// The answer, with whose end the line is written.
    pub(super) fn end(mut self, response: Response) -> Response {
        let Some(mut open) = self.0.take() else {
            return response;
        };
        open.entry.status = response.status().as_u16();
        open.entry.timings.head_ms = open.ms();
        response.map(|inner| {
            Body::new(JournaledBody {
                inner,
                line: Self(Some(open)),
            })
        })
    }
}

impl Open {
    fn ms(&self) -> f64 {
        self.since.elapsed().as_secs_f64() * 1e3
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let Some(open) = self.0.take() else {
            return;
        };
        let end_ms = open.ms();
        let Open {
            world,
            mut entry,
            answer,
            answer_bytes,
            ..
        } = *open;
        entry.timings.end_ms = end_ms;
        entry.answer = Kept {
            bytes: answer_bytes,
            ..Kept::of(&answer, usize::MAX)
        };
        world.journal(|journal| journal.write(entry));
    }
}

/// The body of an answer whose line is written when it has ended.
struct JournaledBody {
    inner: Body,
    line: Line,
}

impl http_body::Body for JournaledBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        let is_end = self.inner.is_end_stream();
        let Some(open) = &mut self.line.0 else {
            return Poll::Ready(frame);
        };
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    if open.answer_bytes == 0 {
                        open.entry.timings.first_byte_ms = Some(open.ms());
                    }
                    open.answer_bytes = open.answer_bytes.saturating_add(data.len());
                    let room = open.limits.body_bytes_max.saturating_sub(open.answer.len());
                    let kept = data.get(..room.min(data.len())).unwrap_or_default();
                    open.answer.extend_from_slice(kept);
                }
                // A body of known length is not asked for its end.
                open.entry.is_complete = is_end;
            }
            Some(Err(_)) => {}
            None => open.entry.is_complete = true,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
