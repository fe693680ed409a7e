//! When the events of an answer are due: as its model asks, as a tester has set it, or as a
//! simulated server has its tokens; on the clock, or at once where time is virtual.

use super::simulated::Seat;
use belljar_testing::latency::Pacer;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// Who says when events are due.
#[derive(Debug)]
pub enum Pace {
    /// The model, by the delays between its events.
    Model,
    /// A tester, by distributions. The delays of the model are passed over.
    Set(Box<Pacer>),
    /// A simulated server. The delays of the model are passed over.
    Simulated(Box<Seat>),
}

/// The due times of one answer.
#[derive(Debug)]
pub struct Timing {
    since: Instant,
    pace: Pace,
    is_virtual: bool,
    /// How much later everything is due.
    delay: Duration,
    due: Duration,
    /// Tokens that the event which is being looked at still has before it is due.
    tokens_left: Option<u32>,
}

impl Timing {
    /// The times of an answer to a request that came at this moment. Where time is virtual, nobody
    /// waits for them.
    #[must_use]
    pub fn new(since: Instant, pace: Pace, is_virtual: bool) -> Self {
        Self {
            since,
            pace,
            is_virtual,
            delay: Duration::ZERO,
            due: Duration::ZERO,
            tokens_left: None,
        }
    }

    /// The same times, all of them so much later.
    #[must_use]
    pub fn delayed(self, delay: Duration) -> Self {
        Self {
            delay,
            due: delay,
            ..self
        }
    }

    /// The times that the model asks for.
    #[must_use]
    pub fn of_model(since: Instant) -> Self {
        Self::new(since, Pace::Model, false)
    }

    /// Whether somebody other than the model says when events are due, or nobody waits for them.
    #[must_use]
    pub fn is_tested(&self) -> bool {
        self.is_virtual || !matches!(self.pace, Pace::Model)
    }

    /// Whether somebody other than the model says when tokens are due.
    pub(super) fn is_paced(&self) -> bool {
        !matches!(self.pace, Pace::Model)
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_virtual(&self) -> bool {
        self.is_virtual
    }

    /// When the last event was due, after the request.
    #[must_use]
    pub fn due(&self) -> Duration {
        self.due
    }

    /// When the last event has come, after the request: as it is now, or as it was simulated.
    #[must_use]
    pub fn came(&self) -> Duration {
        match self.is_virtual {
            true => self.due,
            false => self.since.elapsed(),
        }
    }

    /// When the answer had waited for its place in a simulated server, after the request, as that
    /// has it; at once where it is in none.
    #[must_use]
    pub fn began(&self) -> Duration {
        let began = match &self.pace {
            Pace::Simulated(seat) => seat.began(),
            Pace::Model | Pace::Set(_) => Duration::ZERO,
        };
        self.delay.saturating_add(began)
    }

    /// When the next event is due, after the request. It has so many tokens, and so many
    /// microseconds are between it and the one before as the model has it. Pending until a
    /// simulated server has got so far.
    pub(super) fn poll_next(
        &mut self,
        delay_us: u64,
        tokens: u32,
        context: &mut Context<'_>,
    ) -> Poll<Duration> {
        match &mut self.pace {
            Pace::Model => {
                // Due times add up from the start: a timer that is late once makes no later event
                // late, so the pace is exact on average whatever the timer's grain is.
                self.due = self.due.saturating_add(Duration::from_micros(delay_us));
            }
            Pace::Set(pacer) => {
                for _ in 0..tokens {
                    self.due = self.delay.saturating_add(pacer.next_token());
                }
            }
            Pace::Simulated(seat) => {
                // An event is asked about again until it is due.
                let left = self.tokens_left.get_or_insert(tokens);
                while *left > 0 {
                    let token = ready!(seat.poll_token(context));
                    self.due = self.delay.saturating_add(token);
                    *left -= 1;
                }
                self.tokens_left = None;
            }
        }
        Poll::Ready(self.due)
    }

    /// The moment at which the last event is due; none where nobody waits for it. Where the clock
    /// cannot say when, it is due at once.
    pub(super) fn due_at(&self) -> Option<Instant> {
        match self.is_virtual {
            true => None,
            false => Some(self.since.checked_add(self.due).unwrap_or(self.since)),
        }
    }

    /// Whether it matters how many tokens the answer has before they are all given.
    pub(super) fn asks_for_length(&self) -> bool {
        matches!(&self.pace, Pace::Simulated(seat) if !seat.is_told())
    }

    /// Says how many tokens the answer has that are still to come.
    pub(super) fn tell_length(&mut self, tokens_left: u32) {
        if let Pace::Simulated(seat) = &mut self.pace {
            seat.tell_length(tokens_left.saturating_add(self.tokens_left.unwrap_or(0)));
        }
    }
}
