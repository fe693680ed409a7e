//! One answer in the making: pulled from the sandbox as fast as it comes, handed over when due.

use super::{End, Event, Plan, Shaper, TimedEvent};
use belljar_sandbox::wit::text;
use belljar_sandbox::{Generation, GenerationEnd, RunError, Spent};
use futures_util::FutureExt as _;
use std::future::Future;
use std::pin::Pin;
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
        let mut pull = Box::pin(pull(source, Shaper::new(plan), items));
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
        }
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

async fn pull(mut source: impl ChunkSource, mut shaper: Shaper, items: mpsc::Sender<Item>) {
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
