//! Texts as they are made: the events of all answers to one call, each when it is due.

use super::pacing::Observed;
use super::scripted::TextRun;
use super::text_usage::{TextUsage, UsageSum};
use super::{RequestContext, UsageSettlement, failure, meter};
use crate::generation::{Event, GenerationStream, StreamSink, Timing, tokens_of};
use crate::models::LiveModel;
use crate::telemetry::metrics::Present;
use belljar_sandbox::RunError;
use belljar_sandbox::wit::text;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Times after a request, of answers that came at once because time was virtual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulatedTimes {
    /// Of the first token of all answers.
    pub first: Duration,
    /// Of the last event of all answers; none while there are more.
    pub last: Option<Duration>,
}

/// Texts in the making. The stream is the runs: dropping it ends them, and settles what they
/// have used by then.
pub struct TextStream {
    pub(super) model: Arc<LiveModel>,
    pub(super) context: RequestContext,
    pub(super) settlement: UsageSettlement,
    pub(super) answers: Vec<Answer>,
    pub(super) usage: UsageSum,
    /// The answer to look at first, so that none is starved by another that is always ready.
    pub(super) next: usize,
    pub(super) _open: Present,
}

/// One of them.
pub(super) struct Answer {
    pub(super) events: GenerationStream<TextRun<StreamSink>>,
    pub(super) is_over: bool,
    /// None where testers may do nothing.
    pub(super) observed: Option<Observed>,
    /// Why it has ended.
    pub(super) reason: text::FinishReason,
}

impl Answer {
    /// Takes note of an event that a caller gets now.
    fn note(&mut self, event: &Event) {
        if let Event::Finish(reason) = event {
            self.reason = *reason;
        }
        if let Some(observed) = &mut self.observed {
            let timing = self.events.timing();
            observed.tokens(tokens_of(event, &[]), timing.due(), timing.came());
        }
    }
}

impl SimulatedTimes {
    /// The times of so many answers and one more.
    pub(super) fn with(others: Option<Self>, first: Duration, last: Duration) -> Self {
        let last_of = |times: Self| times.last.map_or(last, |other| other.max(last));
        Self {
            first: others.map_or(first, |others| others.first.min(first)),
            last: Some(others.map_or(last, last_of)),
        }
    }
}

impl TextStream {
    /// The model that makes the texts.
    #[must_use]
    pub fn model(&self) -> &Arc<LiveModel> {
        &self.model
    }

    /// What all answers have used. The whole of it once there are no more events.
    #[must_use]
    pub fn usage(&self) -> &TextUsage {
        &self.usage.total
    }

    /// When the first event is due, where nobody waits for it.
    #[must_use]
    pub fn simulated(&self) -> Option<SimulatedTimes> {
        let timings = self.answers.iter().map(|answer| answer.events.timing());
        let due = timings
            .filter(|timing| timing.is_virtual())
            .map(Timing::due);
        due.min().map(|first| SimulatedTimes { first, last: None })
    }

    /// Whether testers say when events are due: nothing comes before the first is.
    #[must_use]
    pub fn is_tested(&self) -> bool {
        let mut timings = self.answers.iter().map(|answer| answer.events.timing());
        timings.any(Timing::is_tested)
    }

    /// When the event that came last from one answer was due, after the request, where nobody
    /// waited for it.
    #[must_use]
    pub fn simulated_at(&self, answer: usize) -> Option<Duration> {
        let timing = self.answers.get(answer)?.events.timing();
        timing.is_virtual().then(|| timing.due())
    }

    /// The next event that is due, and the answer it belongs to; none after the last.
    ///
    /// # Errors
    ///
    /// When a run failed; nothing comes after it, and the others end.
    pub fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<(usize, Event), RunError>>> {
        let count = self.answers.len();
        for offset in 0..count {
            let index = self.next.wrapping_add(offset) % count;
            let answer = self.answers.get_mut(index);
            let Some(answer) = answer.filter(|answer| !answer.is_over) else {
                continue;
            };
            match answer.events.poll_next(context) {
                Poll::Pending => {}
                Poll::Ready(Some(Ok(event))) => {
                    answer.note(&event);
                    self.next = index.wrapping_add(1);
                    return Poll::Ready(Some(Ok((index, event))));
                }
                Poll::Ready(Some(Err(error))) => {
                    failure::note(&self.model, &self.context, &error);
                    self.answers.clear();
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Ready(None) => {
                    answer.is_over = true;
                    if let Some(end) = answer.events.end() {
                        meter::note_end(&self.model, &end.cost);
                        self.usage.add(index, end);
                        if let Some(mut observed) = answer.observed.take() {
                            observed.end(end, answer.reason, answer.events.timing());
                        }
                    }
                }
            }
        }
        if self.answers.iter().any(|answer| !answer.is_over) {
            return Poll::Pending;
        }
        // None are left after a failure, which settles by what was made until then.
        if !self.answers.is_empty() {
            let TextUsage {
                prompt_tokens,
                completion_tokens,
                ..
            } = self.usage.total;
            self.settlement.settle(prompt_tokens, completion_tokens);
        }
        Poll::Ready(None)
    }
}
