//! Spans that wait to be sent, up to a number.

use std::collections::VecDeque;

use opentelemetry_proto::tonic::trace::v1::Span;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::telemetry::metrics::{self, Counter};

/// The buffer between requests and the task that sends. A lock around it is held for a push or
/// for taking a batch out; a channel would wake the task for each span.
pub(super) struct Buffer {
    spans: Mutex<VecDeque<Span>>,
    spans_max: usize,
    batch_max: usize,
    /// Told when there is a first span, and when there is a batch.
    news: Notify,
    dropped: Counter,
}

impl Buffer {
    /// A buffer of `spans_max` spans, of which `batch_max` are sent at once.
    pub(super) fn new(spans_max: usize, batch_max: usize) -> Self {
        Self {
            spans: Mutex::default(),
            spans_max,
            batch_max,
            news: Notify::new(),
            dropped: metrics::TRACE_SPANS.with([("outcome", "dropped".into())]),
        }
    }

    /// Adds a span. Where there is no room it is dropped and counted: the oldest stay, because
    /// they are of requests that are further along.
    pub(super) fn push(&self, span: Span) {
        let count = {
            let mut spans = self.spans.lock();
            if spans.len() >= self.spans_max {
                drop(spans);
                self.dropped.increment(1);
                return;
            }
            spans.push_back(span);
            spans.len()
        };
        if count == 1 || count == self.batch_max {
            self.news.notify_one();
        }
    }

    /// Waits until there is a span, or with `whole` until there is a batch.
    pub(super) async fn wait(&self, whole: bool) {
        let enough = if whole { self.batch_max } else { 1 };
        while self.len() < enough {
            self.news.notified().await;
        }
    }

    /// Takes out what one message carries.
    pub(super) fn take(&self) -> Vec<Span> {
        let mut spans = self.spans.lock();
        let count = spans.len().min(self.batch_max);
        spans.drain(..count).collect()
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.spans.lock().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_has_no_room_is_dropped_and_the_rest_goes_in_batches() {
        let buffer = Buffer::new(5, 2);
        for number in 0..9 {
            buffer.push(Span {
                name: number.to_string(),
                ..Span::default()
            });
        }
        buffer.wait(true).await;
        let mut batches = Vec::new();
        while buffer.len() > 0 {
            let names = buffer.take().into_iter().map(|span| span.name);
            batches.push(names.collect::<Vec<_>>().concat());
        }
        assert_eq!(batches, ["01", "23", "4"]);
    }
}
