//! An answer in one piece: it stays with the run until the run is over.

use super::batch::tokens_of;
use super::{End, Event, OutputFilter, OutputLimits, TimedEvent, Timing, TokenMeter};
use belljar_sandbox::wit::text;
use belljar_sandbox::{ChunkSink, Completed, Generated, RunError};
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::time::Duration;

/// A sink that keeps what a caller sees of one answer.
#[derive(Debug)]
pub struct Collector {
    filter: OutputFilter,
    meter: TokenMeter,
    events: Vec<Event>,
    /// How long after the request the last of them is due, as the model has it.
    delay_us: u64,
    /// Tokens of all of them, as far as due times go.
    tokens: u32,
    /// How long after the request the first of these is due, as the model has it.
    first_us: Option<u64>,
    /// The events of one batch.
    batch: Vec<TimedEvent>,
}

/// An answer in one piece.
#[derive(Debug)]
pub struct Whole {
    /// Its events.
    pub events: Vec<Event>,
    /// What it has used.
    pub end: End,
    /// When it was due.
    pub timing: Timing,
    /// When each of its tokens was, after the request; none where its model says.
    pub token_times: Vec<Duration>,
    /// When its tokens were there, where its model says.
    pub own_times: Option<OwnTimes>,
}

/// The tokens of an answer whose model says when they are due, as far as is known of those of one
/// piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnTimes {
    /// How many there are.
    pub tokens: u32,
    /// When the first was there, after the request.
    pub first: Duration,
    /// When the last was there, after the request.
    pub last: Duration,
}

impl Collector {
    /// A sink for one answer, which is held to `limits` and counted by `meter`.
    #[must_use]
    pub fn new(limits: &OutputLimits, meter: TokenMeter) -> Self {
        Self {
            filter: OutputFilter::new(limits),
            meter,
            events: Vec::new(),
            delay_us: 0,
            tokens: 0,
            first_us: None,
            batch: Vec::new(),
        }
    }

    /// The events of a run that is over and what it has used, when the last event is due: at the
    /// end of the time that a stream of them would take.
    pub async fn whole(run: Completed<Generated<Self>>, mut timing: Timing) -> Whole {
        let Completed {
            value: Generated { mut sink, usage },
            cost,
        } = run;
        sink.filter.finish(&mut sink.batch);
        sink.keep_batch();
        let usage = sink.filter.usage(usage);
        let (begin, made) = (timing.due(), timing.came());
        let mut token_times = Vec::new();
        let mut own_times = None;
        timing.tell_length(sink.tokens);
        if timing.is_paced() {
            token_times.reserve_exact(sink.tokens as usize);
            for _ in 0..sink.tokens {
                let next = poll_fn(|context| timing.poll_next(0, 1, context));
                token_times.push(next.await);
            }
        } else {
            poll_fn(|context| timing.poll_next(sink.delay_us, sink.tokens, context)).await;
            // None was there before the run was over, however early it was due.
            own_times = sink.first_us.map(|first_us| OwnTimes {
                tokens: sink.tokens,
                first: begin
                    .saturating_add(Duration::from_micros(first_us))
                    .max(made),
                last: timing.due().max(made),
            });
        }
        if let Some(due) = timing.due_at()
            && !timing.due().is_zero()
        {
            tokio::time::sleep_until(due).await;
        }
        Whole {
            events: sink.events,
            end: End { usage, cost },
            timing,
            token_times,
            own_times,
        }
    }

    /// Adds a batch to what there is. Pieces of text become one, unless their tokens are listed.
    fn keep_batch(&mut self) {
        for TimedEvent {
            delay_us,
            event,
            cuts,
        } in self.batch.drain(..)
        {
            self.delay_us = self.delay_us.saturating_add(delay_us);
            let tokens = tokens_of(&event, &cuts);
            if tokens > 0 && self.first_us.is_none() {
                self.first_us = Some(self.delay_us);
            }
            self.tokens = self.tokens.saturating_add(tokens);
            match (self.events.last_mut(), event) {
                (Some(Event::Text(last)), Event::Text(next))
                    if last.tokens.is_empty() && next.tokens.is_empty() =>
                {
                    last.text.push_str(&next.text);
                }
                (_, event) => self.events.push(event),
            }
        }
    }
}

impl ChunkSink for Collector {
    fn chunks_max(&self) -> u32 {
        self.filter.chunks_max()
    }

    fn needs_usage(&self) -> bool {
        self.filter.needs_usage()
    }

    async fn take(&mut self, chunks: Vec<text::Chunk>) -> Result<ControlFlow<()>, RunError> {
        let taken = self.filter.take_all(chunks, &mut self.batch);
        self.meter.set(self.filter.tokens());
        self.keep_batch();
        taken
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::stream::script::{self, Then, limits, word};
    use super::*;
    use text::{FinishReason, TextFragment};
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn an_answer_in_one_piece_takes_as_long() {
        let sink = Collector::new(&limits(), TokenMeter::default());
        let chunks = (0..4).map(|_| word("a", 250_000));
        let (run, _) = script::run(sink, chunks, Then::End);
        let start = Instant::now();
        let timing = Timing::of_model(start);
        let whole = Collector::whole(run.await.unwrap(), timing).await;
        let Whole {
            events,
            end,
            own_times,
            ..
        } = whole;
        let quarters = |count: u64| Duration::from_millis(250 * count);
        let times = own_times.map(|OwnTimes { first, last, .. }| (first, last));
        assert_eq!(times, Some((quarters(1), quarters(4))));
        assert_eq!(own_times.map(|times| times.tokens), Some(4));
        let whole = TextFragment {
            text: "aaaa".to_owned(),
            tokens: Vec::new(),
        };
        assert_eq!(
            events,
            [Event::Text(whole), Event::Finish(FinishReason::Stop)]
        );
        assert_eq!(end.usage.completion_tokens, 3);
        assert_eq!(start.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_says_what_it_cost() {
        let limits = OutputLimits {
            stop: vec!["b".to_owned()],
            ..limits()
        };
        let meter = TokenMeter::default();
        let sink = Collector::new(&limits, meter.clone());
        let chunks = ["a", "b", "c"].map(|text| word(text, 0));
        let (run, taken) = script::run(sink, chunks, Then::Silence);
        let timing = Timing::of_model(Instant::now());
        let Whole { events, end, .. } = Collector::whole(run.await.unwrap(), timing).await;
        assert_eq!(events.len(), 3, "a word, what it was cut at, and the end");
        assert_eq!(taken.chunks(), 2, "the guest is not asked again");
        assert_eq!((end.usage.completion_tokens, end.cost.fuel), (2, 7));
        assert_eq!(meter.tokens(), 2);
    }
}
