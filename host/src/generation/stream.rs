//! An answer as a stream: the run passes it on as fast as the guest gives it, and the reader
//! gets each event when it is due.

use super::batch::{EventBatch, tokens_of};
use super::{End, Event, OutputFilter, OutputLimits, Timing, TokenMeter};
use belljar_sandbox::wit::text;
use belljar_sandbox::{ChunkSink, Completed, Generated, RunCost, RunError, RunHandle};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, Sleep};

/// Events that a guest may be ahead of its caller. With less, a guest that simulates latency
/// would keep its sandbox while the caller reads; with more, slow callers would cost memory.
pub const READ_AHEAD_EVENTS: u32 = 4_096;

/// A sink that passes on what a caller sees of one answer.
#[derive(Debug)]
pub struct StreamSink {
    filter: OutputFilter,
    meter: TokenMeter,
    batches: mpsc::UnboundedSender<EventBatch>,
    room: Arc<Semaphore>,
}

/// The queue between a run and its reader: batches of events, bounded by the number of events
/// in them.
#[derive(Debug)]
pub struct StreamQueue {
    batches: mpsc::UnboundedReceiver<EventBatch>,
    /// Events that the run may still send.
    room: Arc<Semaphore>,
}

/// An answer that is read while it is made. Dropping it ends the run.
#[derive(Debug)]
pub struct GenerationStream<R = RunHandle<Generated<StreamSink>>> {
    run: Run<R>,
    queue: StreamQueue,
    /// The batch that is being given, and the room that it takes until it has been.
    batch: EventBatch,
    batch_room: u32,
    /// What the run gave besides, where it was looked through to its end.
    rest: VecDeque<EventBatch>,
    timing: Timing,
    /// The next event, until it is due.
    next: Option<Next>,
    end: Option<End>,
}

/// An event that is not due yet, or of which that is not known.
#[derive(Debug)]
struct Next {
    event: Event,
    delay_us: u64,
    /// When it is due, after the request, where that is known.
    due: Option<Duration>,
    waiting: Option<Pin<Box<Sleep>>>,
}

/// The run behind a stream.
#[derive(Debug)]
enum Run<R> {
    /// It may give more.
    Going(R),
    /// It is over. What it gave comes first, then what the filter still holds.
    Ended {
        filter: Box<OutputFilter>,
        usage: Option<text::Usage>,
        cost: RunCost,
    },
    /// It failed. What it gave comes first.
    Failed(RunError),
    /// Nothing more is to be told.
    Told,
}

impl<R> Run<R> {
    fn over(over: Result<Completed<Generated<StreamSink>>, RunError>) -> Self {
        match over {
            Ok(Completed { value, cost }) => Self::Ended {
                filter: Box::new(value.sink.filter),
                usage: value.usage,
                cost,
            },
            Err(error) => Self::Failed(error),
        }
    }
}

impl StreamSink {
    /// A sink for one answer, which is held to `limits` and counted by `meter`, and the queue
    /// that it fills.
    #[must_use]
    pub fn new(limits: &OutputLimits, meter: TokenMeter) -> (Self, StreamQueue) {
        let (sender, batches) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(READ_AHEAD_EVENTS as usize));
        let sink = Self {
            filter: OutputFilter::new(limits),
            meter,
            batches: sender,
            room: Arc::clone(&room),
        };
        (sink, StreamQueue { batches, room })
    }
}

impl ChunkSink for StreamSink {
    fn chunks_max(&self) -> u32 {
        self.filter.chunks_max()
    }

    fn needs_usage(&self) -> bool {
        self.filter.needs_usage()
    }

    async fn take(&mut self, chunks: Vec<text::Chunk>) -> Result<ControlFlow<()>, RunError> {
        let mut events = Vec::with_capacity(chunks.len());
        let taken = self.filter.take_all(chunks, &mut events);
        self.meter.set(self.filter.tokens());
        if events.is_empty() {
            return taken;
        }
        let batch = EventBatch::new(events);
        // It is never closed: a reader that goes ends the run by dropping its handle.
        if let Ok(room) = self.room.acquire_many(room_of(&batch)).await {
            room.forget();
        }
        if self.batches.send(batch).is_err() {
            return Ok(ControlFlow::Break(()));
        }
        taken
    }
}

/// The room that a batch takes in the queue. One that is larger than the queue must still go
/// through.
fn room_of(batch: &EventBatch) -> u32 {
    u32::try_from(batch.len()).map_or(READ_AHEAD_EVENTS, |events| events.min(READ_AHEAD_EVENTS))
}

impl<R> GenerationStream<R>
where
    R: Future<Output = Result<Completed<Generated<StreamSink>>, RunError>> + Unpin,
{
    /// Waits until there is something to read and, where time is virtual, until it is known when
    /// that is due.
    ///
    /// # Errors
    ///
    /// When the run fails before it has given anything, while there is still a choice of how to
    /// tell the caller.
    pub async fn open(run: R, queue: StreamQueue, timing: Timing) -> Result<Self, RunError> {
        let mut stream = Self {
            run: Run::Going(run),
            queue,
            batch: EventBatch::default(),
            batch_room: 0,
            rest: VecDeque::new(),
            timing,
            next: None,
            end: None,
        };
        if stream.timing.is_virtual() {
            poll_fn(|context| stream.poll_due(context)).await?;
        } else {
            poll_fn(|context| stream.poll_batch(context)).await?;
        }
        Ok(stream)
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
        let due = match ready!(self.poll_due(context)) {
            Ok(Some(due)) => due,
            Ok(None) => return Poll::Ready(None),
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        if let Some(next) = &mut self.next {
            if let Some(at) = self.timing.due_at()
                && !due.is_zero()
                && next.waiting.is_none()
                && at > Instant::now()
            {
                next.waiting = Some(Box::pin(tokio::time::sleep_until(at)));
            }
            if let Some(sleep) = &mut next.waiting {
                ready!(sleep.as_mut().poll(context));
            }
        }
        Poll::Ready(self.next.take().map(|next| Ok(next.event)))
    }

    /// When the next event is due, after the request; none after the last.
    fn poll_due(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Duration>, RunError>> {
        loop {
            if let Some(next) = &mut self.next {
                if let Some(due) = next.due {
                    return Poll::Ready(Ok(Some(due)));
                }
                let tokens = tokens_of(&next.event, &[]);
                match self.timing.poll_next(next.delay_us, tokens, context) {
                    Poll::Ready(due) => next.due = Some(due),
                    Poll::Pending => {
                        self.look_through(context);
                        return Poll::Pending;
                    }
                }
                continue;
            }
            match self.batch.next() {
                Some((delay_us, event)) => {
                    self.next = Some(Next {
                        event,
                        delay_us,
                        due: None,
                        waiting: None,
                    });
                }
                None => match ready!(self.poll_batch(context)) {
                    Ok(true) => {}
                    Ok(false) => return Poll::Ready(Ok(None)),
                    Err(error) => return Poll::Ready(Err(error)),
                },
            }
        }
    }

    /// The times of its events.
    #[must_use]
    pub fn timing(&self) -> &Timing {
        &self.timing
    }

    /// Takes the next batch; says whether there was one.
    fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<Result<bool, RunError>> {
        let given = std::mem::take(&mut self.batch_room);
        self.queue.room.add_permits(given as usize);
        if let Some(batch) = self.rest.pop_front() {
            self.batch_room = room_of(&batch);
            self.batch = batch;
            return Poll::Ready(Ok(true));
        }
        loop {
            let is_empty = match self.queue.batches.poll_recv(context) {
                Poll::Ready(Some(batch)) => {
                    self.batch_room = room_of(&batch);
                    self.batch = batch;
                    return Poll::Ready(Ok(true));
                }
                Poll::Ready(None) => true,
                Poll::Pending => false,
            };
            if let Run::Going(run) = &mut self.run {
                // What it gave between the look at the queue and this one is still there, so
                // the queue is looked at again. The end comes with the sink, which is dropped
                // here: the queue is closed then.
                self.run = Run::over(ready!(Pin::new(run).poll(context)));
                continue;
            }
            if !is_empty {
                return Poll::Pending;
            }
            return Poll::Ready(match std::mem::replace(&mut self.run, Run::Told) {
                Run::Ended {
                    filter,
                    usage,
                    cost,
                } => {
                    self.batch = self.finish(*filter, usage, cost);
                    // In virtual time nobody has looked for the end before.
                    if self.timing.asks_for_length() {
                        self.timing.tell_length(self.batch.tokens());
                    }
                    Ok(self.batch.len() > 0)
                }
                Run::Failed(error) => Err(error),
                Run::Going(_) | Run::Told => Ok(false),
            });
        }
    }

    /// Notes what a run has used that is over. Gives what its filter still holds.
    fn finish(
        &mut self,
        mut filter: OutputFilter,
        usage: Option<text::Usage>,
        cost: RunCost,
    ) -> EventBatch {
        let mut events = Vec::new();
        filter.finish(&mut events);
        let usage = filter.usage(usage);
        self.end = Some(End { usage, cost });
        EventBatch::new(events)
    }

    /// Looks through to the end of a run that is over: how many tokens it has given is to be known
    /// to a simulated server before that has come so far.
    fn look_through(&mut self, context: &mut Context<'_>) {
        if !self.timing.asks_for_length() {
            return;
        }
        if let Run::Going(run) = &mut self.run {
            match Pin::new(run).poll(context) {
                Poll::Ready(over) => self.run = Run::over(over),
                Poll::Pending => return,
            }
        }
        // All that it gave is there: the queue ends with the sink.
        while let Poll::Ready(Some(batch)) = self.queue.batches.poll_recv(context) {
            self.rest.push_back(batch);
        }
        match std::mem::replace(&mut self.run, Run::Told) {
            Run::Ended {
                filter,
                usage,
                cost,
            } => {
                let last = self.finish(*filter, usage, cost);
                if last.len() > 0 {
                    self.rest.push_back(last);
                }
            }
            other => self.run = other,
        }
        let rest = self.rest.iter().map(EventBatch::tokens);
        let tokens = rest.fold(self.batch.tokens(), u32::saturating_add);
        self.timing.tell_length(tokens);
    }

    /// What the run has used. Some once there are no more events.
    #[must_use]
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }
}

/// A run without a sandbox: the chunks that its guest gives, and how it ends.
#[cfg(test)]
pub(super) mod script {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::future::pending;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use tokio::task::JoinHandle;

    pub(in crate::generation) enum Then {
        End,
        Fail,
        Silence,
    }

    /// What has become of the run.
    #[derive(Clone, Default)]
    pub(in crate::generation) struct Taken(Arc<(AtomicUsize, AtomicBool)>);

    impl Taken {
        /// Chunks that the sink has been given.
        pub(in crate::generation) fn chunks(&self) -> usize {
            self.0.0.load(Ordering::SeqCst)
        }

        /// Whether the sandbox is free.
        pub(in crate::generation) fn is_free(&self) -> bool {
            self.0.1.load(Ordering::SeqCst)
        }
    }

    struct Sandbox(Taken);

    impl Drop for Sandbox {
        fn drop(&mut self) {
            self.0.0.1.store(true, Ordering::SeqCst);
        }
    }

    /// A handle that ends its run when it is dropped, as that of the sandbox does.
    pub(in crate::generation) struct Handle<T>(JoinHandle<T>);

    impl<T> Future for Handle<T> {
        type Output = T;

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
            Pin::new(&mut self.0).poll(context).map(Result::unwrap)
        }
    }

    impl<T> Drop for Handle<T> {
        fn drop(&mut self) {
            self.0.abort();
        }
    }

    /// How such a run ends.
    pub(in crate::generation) type Outcome<S> = Result<Completed<Generated<S>>, RunError>;

    /// A run that gives its chunks one at a time.
    pub(in crate::generation) fn run<S: ChunkSink>(
        mut sink: S,
        chunks: impl IntoIterator<Item = text::Chunk>,
        then: Then,
    ) -> (Handle<Outcome<S>>, Taken) {
        let taken = Taken::default();
        let sandbox = Sandbox(taken.clone());
        let chunks: Vec<_> = chunks.into_iter().collect();
        let run = tokio::spawn(async move {
            let sandbox = sandbox;
            let mut usage = None;
            let mut is_cut = false;
            for chunk in chunks {
                sandbox.0.0.0.fetch_add(1, Ordering::SeqCst);
                if sink.take(vec![chunk]).await?.is_break() {
                    is_cut = true;
                    break;
                }
            }
            if !is_cut {
                match then {
                    Then::End => usage = Some(USAGE),
                    Then::Fail => {
                        return Err(RunError::Trap {
                            reason: "test".to_owned(),
                        });
                    }
                    Then::Silence => pending().await,
                }
            }
            let cost = RunCost {
                fuel: 7,
                ..RunCost::default()
            };
            let value = Generated { sink, usage };
            Ok(Completed { value, cost })
        });
        (Handle(run), taken)
    }

    const USAGE: text::Usage = text::Usage {
        prompt_tokens: 2,
        completion_tokens: 3,
        reasoning_tokens: 0,
        cached_tokens: 0,
    };

    pub(in crate::generation) fn word(word: &str, delay_us: u64) -> text::Chunk {
        let fragment = text::TextFragment {
            text: word.to_owned(),
            tokens: Vec::new(),
        };
        text::Chunk {
            content: text::Content::Text(fragment),
            delay_us,
        }
    }

    pub(in crate::generation) fn limits() -> OutputLimits {
        OutputLimits {
            max_tokens: 100_000,
            stop: Vec::new(),
            prompt_tokens_max: 100,
            prompt_tokens_estimate: 5,
            encoding: None,
            bias: None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::script::{Handle, Taken, Then, limits, run, word};
    use super::*;
    use text::FinishReason;

    type Stream = GenerationStream<Handle<Result<Completed<Generated<StreamSink>>, RunError>>>;

    /// A stream of these chunks that began at this moment.
    async fn open(
        chunks: impl IntoIterator<Item = text::Chunk>,
        then: Then,
        since: Instant,
    ) -> (Result<Stream, RunError>, Taken) {
        open_timed(chunks, then, Timing::of_model(since)).await
    }

    async fn open_timed(
        chunks: impl IntoIterator<Item = text::Chunk>,
        then: Then,
        timing: Timing,
    ) -> (Result<Stream, RunError>, Taken) {
        let (sink, queue) = StreamSink::new(&limits(), TokenMeter::default());
        let (run, taken) = run(sink, chunks, then);
        (GenerationStream::open(run, queue, timing).await, taken)
    }

    async fn next(stream: &mut Stream) -> Option<Result<Event, RunError>> {
        poll_fn(|context| stream.poll_next(context)).await
    }

    #[tokio::test(start_paused = true)]
    async fn the_pace_is_exact_on_average() {
        let start = Instant::now();
        let (stream, taken) = open((0..10).map(|_| word("a", 1_500)), Then::End, start).await;
        let mut stream = stream.unwrap();
        assert_eq!(taken.chunks(), 10);
        assert!(taken.is_free(), "the sandbox is free at once");
        for count in 1..=10 {
            next(&mut stream).await.unwrap().unwrap();
            let due = Duration::from_micros(1_500 * count);
            let late = start.elapsed().checked_sub(due).unwrap();
            assert!(late <= Duration::from_millis(1), "{late:?}");
        }
        assert!(matches!(
            next(&mut stream).await,
            Some(Ok(Event::Finish(FinishReason::Stop)))
        ));
        assert!(next(&mut stream).await.is_none());
        let end = stream.end().unwrap();
        assert_eq!((end.usage.completion_tokens, end.cost.fuel), (3, 7));
    }

    #[tokio::test]
    async fn dropping_the_stream_ends_the_run() {
        let (stream, taken) = open([word("a", 0)], Then::Silence, Instant::now()).await;
        let mut stream = stream.unwrap();
        next(&mut stream).await.unwrap().unwrap();
        assert_eq!((taken.chunks(), taken.is_free()), (1, false));
        drop(stream);
        tokio::time::timeout(Duration::from_secs(5), async {
            while !taken.is_free() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn a_guest_is_not_read_further_than_the_buffer() {
        let ahead = READ_AHEAD_EVENTS as usize;
        let chunks = (0..ahead * 2).map(|_| word("a", 0));
        let (stream, taken) = open(chunks, Then::End, Instant::now()).await;
        let mut stream = stream.unwrap();
        for _ in 0..ahead {
            tokio::task::yield_now().await;
        }
        assert_eq!(taken.chunks(), ahead + 1, "all that there is room for");
        let all = async {
            let mut count = 0;
            while let Some(event) = next(&mut stream).await {
                event.unwrap();
                count += 1;
            }
            count
        };
        let count = tokio::time::timeout(Duration::from_secs(60), all).await;
        assert_eq!(count.unwrap(), ahead * 2 + 1);
    }

    #[tokio::test]
    async fn failures_come_after_what_was_said() {
        let (stream, _) = open([word("a", 0)], Then::Fail, Instant::now()).await;
        let mut stream = stream.unwrap();
        assert!(matches!(next(&mut stream).await, Some(Ok(Event::Text(_)))));
        assert!(matches!(
            next(&mut stream).await,
            Some(Err(RunError::Trap { .. }))
        ));
        assert!(next(&mut stream).await.is_none(), "a failure is told once");

        let (stream, _) = open([], Then::Fail, Instant::now()).await;
        assert!(stream.is_err(), "while the status can still be chosen");
    }
}
