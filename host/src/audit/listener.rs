//! Hands events to whoever wants to hear of them as they are recorded, without waiting.

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::{Event, EventKind};
use crate::telemetry::metrics;

/// An event and its time.
#[derive(Clone, Debug)]
pub struct Told {
    /// When it happened.
    pub time: Timestamp,
    /// What happened.
    pub event: Event,
}

/// A queue that events of some kinds are put into.
#[derive(Debug)]
pub struct EventListener {
    kinds: Vec<EventKind>,
    queue: mpsc::Sender<Told>,
}

impl EventListener {
    /// A listener for events of these kinds. What the queue has no room for is dropped and
    /// counted.
    #[must_use]
    pub fn new(kinds: Vec<EventKind>, queue: mpsc::Sender<Told>) -> Self {
        Self { kinds, queue }
    }

    pub(super) fn tell(&self, time: Timestamp, event: &Event) {
        if !self.kinds.contains(&event.kind) {
            return;
        }
        let event = event.clone();
        if self.queue.try_send(Told { time, event }).is_err() {
            metrics::WEBHOOK_MESSAGES
                .with([("outcome", "dropped".into())])
                .increment(1);
        }
    }
}
