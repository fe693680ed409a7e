//! Hands events to whoever wants to hear of them as they are recorded, without waiting.

use std::sync::Arc;

use arc_swap::ArcSwap;
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

/// The kinds of events that somebody wants to hear of, which may change. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct WantedEvents(Arc<ArcSwap<Vec<EventKind>>>);

impl WantedEvents {
    /// Has events of these kinds told from now on, and of no others.
    pub fn set(&self, kinds: Vec<EventKind>) {
        self.0.store(Arc::new(kinds));
    }
}

/// A queue that events of some kinds are put into.
#[derive(Debug)]
pub struct EventListener {
    wanted: WantedEvents,
    queue: mpsc::Sender<Told>,
}

impl EventListener {
    /// A listener for events of these kinds. What the queue has no room for is dropped and
    /// counted.
    #[must_use]
    pub fn new(wanted: WantedEvents, queue: mpsc::Sender<Told>) -> Self {
        Self { wanted, queue }
    }

    pub(super) fn tell(&self, time: Timestamp, event: &Event) {
        if !self.wanted.0.load().contains(&event.kind) {
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
