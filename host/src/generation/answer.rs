//! One answer in the making: pulled from the sandbox as fast as it comes, handed over when due.

use super::{End, Event, Plan, Shaper, TimedEvent};
use belljar_sandbox::wit::text;
use belljar_sandbox::{Generation, GenerationEnd, RunError, Spent};
use futures_util::FutureExt as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep};

/// Events that a guest may be ahead of its caller. With less, a guest that simulates latency
/// would keep its sandbox while the caller reads; with more, slow callers would cost memory.
pub const READ_AHEAD_EVENTS: usize = 4_096;

/// Where chunks come from: a sandbox, or a list in a test.
pub trait ChunkSource: Send + 'static {
    /// The next chunk; none after the last.
    fn next(&mut self) -> impl Future<Output = Option<Result<text::Chunk, RunError>>> + Send;

    /// What the run has used; none before its end.
    fn end(&self) -> Option<GenerationEnd>;
}

impl ChunkSource for Generation {
    fn next(&mut self) -> impl Future<Output = Option<Result<text::Chunk, RunError>>> + Send {
        Self::next(self)
    }

    fn end(&self) -> Option<GenerationEnd> {
        Self::end(self).copied()
    }
}

/// An answer in the making. Dropping it ends the run.
pub struct Answer {
    items: mpsc::Receiver<Item>,
    /// The rest of the pulling, where it could not be done at once.
    _pull: Option<AbortOnDrop>,
    /// When the event before was due.
    due: Instant,
    waiting: Option<(Event, Pin<Box<Sleep>>)>,
    /// What was looked at and not given yet.
    first: Option<Item>,
    end: Option<End>,
    meter: TokenMeter,
}

/// Tokens that an answer has so far, for whoever must know when it is cut off. Clones are the
/// same meter.
#[derive(Clone, Debug, Default)]
pub struct TokenMeter(Arc<AtomicU32>);

impl TokenMeter {
    /// As counted by the host: a piece that lists no tokens is one.
    #[must_use]
    pub fn tokens(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

enum Item {
    Event(TimedEvent),
    End(End),
    Failed(RunError),
}

/// A task that does not outlive who waits for it.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Answer {
    /// Begins to pull. Delays count from `since`, the moment when the request came.
    ///
    /// What the guest has ready is taken here and now, without a task: short answers never
    /// leave the thread that serves them.
    pub fn start(source: impl ChunkSource, plan: &Plan, since: Instant) -> Self {
        let (items, receiver) = mpsc::channel(READ_AHEAD_EVENTS);
        let meter = TokenMeter::default();
        let mut pull = Box::pin(pull(source, Shaper::new(plan), items, meter.clone()));
        let rest = match pull.as_mut().now_or_never() {
            Some(()) => None,
            // Polled again in its own task, it wakes that one from then on.
            None => Some(AbortOnDrop(tokio::spawn(pull))),
        };
        Self {
            items: receiver,
            _pull: rest,
            due: since,
            waiting: None,
            first: None,
            end: None,
            meter,
        }
    }

    /// Counts the tokens, also when the answer is gone.
    #[must_use]
    pub fn meter(&self) -> TokenMeter {
        self.meter.clone()
    }

    /// Looks whether the run has failed before it gave anything, while there is still a choice
    /// of how to tell the caller.
    ///
    /// # Errors
    ///
    /// When it has.
    pub fn check_start(&mut self) -> Result<(), RunError> {
        match self.items.try_recv() {
            Ok(Item::Failed(error)) => Err(error),
            first => {
                self.first = first.ok();
                Ok(())
            }
        }
    }

    /// The next event, when it is due; none after the last.
    ///
    /// # Errors
    ///
    /// When the run failed; nothing comes after it.
    pub fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Event, RunError>>> {
        loop {
            if let Some((_, sleep)) = &mut self.waiting {
                ready!(sleep.as_mut().poll(context));
            }
            if let Some((event, _)) = self.waiting.take() {
                return Poll::Ready(Some(Ok(event)));
            }
            let item = match self.first.take() {
                Some(item) => Some(item),
                None => ready!(self.items.poll_recv(context)),
            };
            let timed = match item {
                Some(Item::Event(timed)) => timed,
                Some(Item::Failed(error)) => return Poll::Ready(Some(Err(error))),
                Some(Item::End(end)) => {
                    self.end = Some(end);
                    continue;
                }
                None => return Poll::Ready(None),
            };
            if timed.delay_us > 0 {
                // Due times add up from the start: a timer that is late once makes no later
                // event late, so the pace is exact on average whatever the timer's grain is.
                self.due += Duration::from_micros(timed.delay_us);
                if self.due > Instant::now() {
                    let sleep = Box::pin(tokio::time::sleep_until(self.due));
                    self.waiting = Some((timed.event, sleep));
                    continue;
                }
            }
            return Poll::Ready(Some(Ok(timed.event)));
        }
    }

    /// All events at once, when the last of them is due.
    ///
    /// # Errors
    ///
    /// When the run failed.
    pub async fn collect(mut self) -> Result<(Vec<Event>, Option<End>), RunError> {
        let mut events = Vec::new();
        loop {
            let item = match self.first.take() {
                Some(item) => item,
                None => match self.items.recv().await {
                    Some(item) => item,
                    None => break,
                },
            };
            match item {
                Item::Event(timed) => {
                    self.due += Duration::from_micros(timed.delay_us);
                    events.push(timed.event);
                }
                Item::End(end) => self.end = Some(end),
                Item::Failed(error) => return Err(error),
            }
        }
        if self.due > Instant::now() {
            tokio::time::sleep_until(self.due).await;
        }
        Ok((events, self.end))
    }

    /// What the run has used. Some once the last event has been given.
    #[must_use]
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }
}

async fn pull(
    mut source: impl ChunkSource,
    mut shaper: Shaper,
    items: mpsc::Sender<Item>,
    meter: TokenMeter,
) {
    let mut events = Vec::new();
    loop {
        let mut guest_is_done = false;
        let failed = match source.next().await {
            Some(Ok(chunk)) => {
                guest_is_done = matches!(chunk.content, text::Content::Finish(_));
                shaper.take(chunk, &mut events).err()
            }
            Some(Err(error)) => Some(error),
            None => {
                shaper.finish(&mut events);
                None
            }
        };
        meter.0.store(shaper.tokens(), Ordering::Relaxed);
        for event in events.drain(..) {
            if items.send(Item::Event(event)).await.is_err() {
                return;
            }
        }
        if let Some(error) = failed {
            // Nobody listens where this fails, and then it does not matter.
            let _ = items.send(Item::Failed(error)).await;
            return;
        }
        if shaper.is_finished() {
            if guest_is_done {
                // What a run has used is known once it has nothing more to give.
                source.next().await;
            }
            break;
        }
    }
    let end = source.end();
    // The sandbox is free before the caller has read the last event.
    drop(source);
    let usage = shaper.usage(end.map(|end| end.usage));
    let spent = end.map_or_else(Spent::default, |end| end.spent);
    let _ = items.send(Item::End(End { usage, spent })).await;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::VecDeque;
    use std::future::{pending, poll_fn};
    use text::{Content, FinishReason};

    /// Chunks from a list; after them an end, an error, or silence.
    struct Script {
        chunks: VecDeque<text::Chunk>,
        then: Then,
        /// How many chunks have been taken, and a million more once it is dropped.
        taken: Arc<AtomicU32>,
        ended: bool,
    }

    enum Then {
        End,
        Fail,
        Silence,
    }

    const DROPPED: u32 = 1_000_000;

    impl ChunkSource for Script {
        async fn next(&mut self) -> Option<Result<text::Chunk, RunError>> {
            if let Some(chunk) = self.chunks.pop_front() {
                self.taken.fetch_add(1, Ordering::SeqCst);
                return Some(Ok(chunk));
            }
            match self.then {
                Then::End => {
                    self.ended = true;
                    None
                }
                Then::Fail => Some(Err(RunError::Trap {
                    reason: "test".to_owned(),
                })),
                Then::Silence => pending().await,
            }
        }

        fn end(&self) -> Option<GenerationEnd> {
            let usage = text::Usage {
                prompt_tokens: 2,
                completion_tokens: 3,
                reasoning_tokens: 0,
                cached_tokens: 0,
            };
            let spent = Spent {
                fuel: 7,
                ..Spent::default()
            };
            self.ended.then_some(GenerationEnd { usage, spent })
        }
    }

    impl Drop for Script {
        fn drop(&mut self) {
            self.taken.fetch_add(DROPPED, Ordering::SeqCst);
        }
    }

    fn word(word: &str, delay_us: u64) -> text::Chunk {
        let fragment = text::TextFragment {
            text: word.to_owned(),
            tokens: Vec::new(),
        };
        text::Chunk {
            content: Content::Text(fragment),
            delay_us,
        }
    }

    fn script(
        chunks: impl IntoIterator<Item = text::Chunk>,
        then: Then,
    ) -> (Script, Arc<AtomicU32>) {
        let taken = Arc::new(AtomicU32::new(0));
        let chunks = chunks.into_iter().collect();
        (
            Script {
                chunks,
                then,
                taken: Arc::clone(&taken),
                ended: false,
            },
            taken,
        )
    }

    fn plan() -> Plan {
        Plan {
            max_tokens: 100_000,
            stop: Vec::new(),
            prompt_tokens_max: 100,
            prompt_tokens_estimate: 5,
        }
    }

    async fn next(answer: &mut Answer) -> Option<Result<Event, RunError>> {
        poll_fn(|context| answer.poll_next(context)).await
    }

    #[tokio::test(start_paused = true)]
    async fn the_pace_is_exact_on_average() {
        let (source, taken) = script((0..10).map(|_| word("a", 1_500)), Then::End);
        let start = Instant::now();
        let mut answer = Answer::start(source, &plan(), start);
        assert_eq!(
            taken.load(Ordering::SeqCst),
            10 + DROPPED,
            "the sandbox is free at once"
        );
        for count in 1..=10 {
            next(&mut answer).await.unwrap().unwrap();
            let due = Duration::from_micros(1_500 * count);
            let late = start.elapsed().checked_sub(due).unwrap();
            assert!(late <= Duration::from_millis(1), "{late:?}");
        }
        assert!(matches!(
            next(&mut answer).await,
            Some(Ok(Event::Finish(FinishReason::Stop)))
        ));
        assert!(next(&mut answer).await.is_none());
        let end = answer.end().unwrap();
        assert_eq!((end.usage.completion_tokens, end.spent.fuel), (3, 7));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_in_one_piece_takes_as_long() {
        let (source, _) = script((0..4).map(|_| word("a", 250_000)), Then::End);
        let start = Instant::now();
        let (events, end) = Answer::start(source, &plan(), start)
            .collect()
            .await
            .unwrap();
        assert_eq!(events.len(), 5);
        assert!(end.is_some());
        assert_eq!(start.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test]
    async fn dropping_the_answer_ends_the_run() {
        let (source, taken) = script([word("a", 0)], Then::Silence);
        let mut answer = Answer::start(source, &plan(), Instant::now());
        next(&mut answer).await.unwrap().unwrap();
        assert_eq!(taken.load(Ordering::SeqCst), 1);
        drop(answer);
        tokio::time::timeout(Duration::from_secs(5), async {
            while taken.load(Ordering::SeqCst) < DROPPED {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn a_guest_is_not_read_further_than_the_buffer() {
        let chunks = (0..READ_AHEAD_EVENTS * 2).map(|_| word("a", 0));
        let (source, taken) = script(chunks, Then::End);
        let answer = Answer::start(source, &plan(), Instant::now());
        tokio::task::yield_now().await;
        let taken = usize::try_from(taken.load(Ordering::SeqCst)).unwrap();
        assert!(taken <= READ_AHEAD_EVENTS + 1, "{taken}");
        let (events, _) = answer.collect().await.unwrap();
        assert_eq!(events.len(), READ_AHEAD_EVENTS * 2 + 1);
    }

    #[tokio::test]
    async fn failures_come_after_what_was_said() {
        let (source, _) = script([word("a", 0)], Then::Fail);
        let mut answer = Answer::start(source, &plan(), Instant::now());
        answer.check_start().unwrap();
        assert!(matches!(next(&mut answer).await, Some(Ok(Event::Text(_)))));
        assert!(matches!(
            next(&mut answer).await,
            Some(Err(RunError::Trap { .. }))
        ));

        let (source, _) = script([], Then::Fail);
        let mut answer = Answer::start(source, &plan(), Instant::now());
        assert!(
            answer.check_start().is_err(),
            "while the status can still be chosen"
        );
    }
}
