//! The guest threads: where a run goes on once it has had its first tick on the thread that
//! serves the request.
//!
//! Tokio's own scheduler is first come, first served, so a hundred endless runs of one model
//! would stand before a run of another at every turn. Here each model has a queue, and the
//! threads take from the queues round robin: a model's share of the guest threads does not grow with
//! the number of its runs. The threads are also niced, so that the kernel lets the threads that
//! serve HTTP go first.

use async_task::{Builder, Runnable, Task};
use parking_lot::{Condvar, Mutex};
use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    thread,
};

/// How much the guest threads yield to the others when both want to run, as a Unix nice value.
const GUEST_THREAD_NICE: i32 = 10;

/// The id of a model's run queue: one for each loaded model.
pub(crate) type ModelQueueId = u64;

/// What the queues know of a run beside its future.
#[derive(Debug, Default)]
struct Tag {
    cancelled: AtomicBool,
}

/// A run that can go on.
type QueuedRun = Runnable<Arc<Tag>>;

/// The runs of one model that can go on.
type ModelQueue = VecDeque<QueuedRun>;

#[derive(Default)]
struct Waiting {
    /// Runs whose owner is gone. They only free what they hold, so they go first.
    cancelled: Vec<QueuedRun>,
    model_queues: HashMap<ModelQueueId, ModelQueue>,
    /// The queues that hold a run, in the order in which they have their turns.
    round_robin: VecDeque<ModelQueueId>,
    closed: bool,
}

#[derive(Default)]
struct Queues {
    waiting: Mutex<Waiting>,
    filled: Condvar,
}

impl Queues {
    fn push(&self, model: ModelQueueId, run: QueuedRun) {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            // Dropping the run outside the lock drops its future, which may hold anything.
            drop(waiting);
            drop(run);
            return;
        }
        if run.metadata().cancelled.load(Ordering::Acquire) {
            waiting.cancelled.push(run);
        } else {
            let queue = waiting.model_queues.entry(model).or_default();
            let was_empty = queue.is_empty();
            queue.push_back(run);
            if was_empty {
                waiting.round_robin.push_back(model);
            }
        }
        drop(waiting);
        self.filled.notify_one();
    }

    /// Moves the cancelled runs of a model to the front, so that a client that went away frees
    /// its slot however long the queue is.
    fn promote_cancelled(&self, model: ModelQueueId) {
        let mut waiting = self.waiting.lock();
        let waiting = &mut *waiting;
        let Some(queue) = waiting.model_queues.get_mut(&model) else {
            return;
        };
        for run in std::mem::take(queue) {
            if run.metadata().cancelled.load(Ordering::Acquire) {
                waiting.cancelled.push(run);
            } else {
                queue.push_back(run);
            }
        }
        if queue.is_empty() {
            waiting.model_queues.remove(&model);
            waiting.round_robin.retain(|next| *next != model);
        }
    }

    /// The next run, or none when the queues are closed.
    fn pop(&self) -> Option<QueuedRun> {
        let mut waiting = self.waiting.lock();
        loop {
            if waiting.closed {
                return None;
            }
            if let Some(run) = waiting.cancelled.pop() {
                return Some(run);
            }
            if let Some(model) = waiting.round_robin.pop_front() {
                let queue = waiting.model_queues.entry(model).or_default();
                let run = queue.pop_front();
                if queue.is_empty() {
                    waiting.model_queues.remove(&model);
                } else {
                    waiting.round_robin.push_back(model);
                }
                if run.is_some() {
                    return run;
                }
                continue;
            }
            self.filled.wait(&mut waiting);
        }
    }

    fn close(&self) {
        let left = {
            let mut waiting = self.waiting.lock();
            waiting.closed = true;
            waiting.round_robin.clear();
            (
                std::mem::take(&mut waiting.model_queues),
                std::mem::take(&mut waiting.cancelled),
            )
        };
        self.filled.notify_all();
        drop(left);
    }
}

/// The threads, ended when the last handle is dropped.
pub(crate) struct GuestThreads {
    queues: Arc<Queues>,
}

impl Drop for GuestThreads {
    fn drop(&mut self) {
        self.queues.close();
    }
}

impl GuestThreads {
    /// Starts `count` threads. Each polls inside `runtime`, whose timers WASI clocks use.
    pub(crate) fn start(count: usize, runtime: &tokio::runtime::Handle) -> std::io::Result<Self> {
        let queues = Arc::new(Queues::default());
        for index in 0..count.max(1) {
            let queues = Arc::clone(&queues);
            let runtime = runtime.clone();
            thread::Builder::new()
                .name(format!("guest-{index}"))
                .spawn(move || {
                    // Linux gives each thread its own nice value. Where it is refused the threads
                    // still work, with less of a head start for HTTP.
                    let _ = rustix::process::nice(GUEST_THREAD_NICE);
                    let _inside = runtime.enter();
                    while let Some(run) = queues.pop() {
                        let is_cancelled = run.metadata().cancelled.load(Ordering::Acquire);
                        run.run();
                        // A niced thread keeps its core until its slice is over, also when a
                        // thread that serves HTTP has woken meanwhile: here it goes first. But
                        // what only frees its slot is over soon, and others may wait for that.
                        if !is_cancelled {
                            thread::yield_now();
                        }
                    }
                })?;
        }
        Ok(Self { queues })
    }

    /// Hands over a future. Dropping the returned handle cancels it at its next yield.
    pub(crate) fn spawn<F>(&self, model: ModelQueueId, future: F) -> GuestTask<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let tag = Arc::new(Tag::default());
        let queues = Arc::clone(&self.queues);
        let (run, task) = Builder::new()
            .metadata(Arc::clone(&tag))
            .propagate_panic(true)
            .spawn(move |_| future, move |run| queues.push(model, run));
        run.schedule();
        GuestTask {
            task: Some(task),
            tag,
            model,
            queues: Arc::clone(&self.queues),
        }
    }
}

/// A run on the guest threads.
pub(crate) struct GuestTask<T> {
    task: Option<Task<T, Arc<Tag>>>,
    tag: Arc<Tag>,
    model: ModelQueueId,
    queues: Arc<Queues>,
}

impl<T> Future for GuestTask<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match &mut self.task {
            Some(task) => {
                let polled = Pin::new(task).poll(cx);
                if polled.is_ready() {
                    self.task = None;
                }
                polled
            }
            None => Poll::Pending,
        }
    }
}

impl<T> Drop for GuestTask<T> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            self.tag.cancelled.store(true, Ordering::Release);
            drop(task);
            self.queues.promote_cancelled(self.model);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Yields a number of times, then says its name.
    struct Yields {
        left: u32,
        name: &'static str,
        out: mpsc::Sender<&'static str>,
    }

    impl Future for Yields {
        type Output = ();
        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            if self.left == 0 {
                let _ = self.out.send(self.name);
                return Poll::Ready(());
            }
            self.left -= 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    }

    /// Queues without threads: the test takes the turns itself.
    fn unmanned() -> GuestThreads {
        GuestThreads {
            queues: Arc::new(Queues::default()),
        }
    }

    fn take_turns(threads: &GuestThreads, count: usize) {
        for _ in 0..count {
            threads.queues.pop().unwrap().run();
        }
    }

    #[test]
    fn a_queue_of_many_does_not_delay_a_queue_of_one() {
        let threads = unmanned();
        let (out, said) = mpsc::channel();
        let crowd: Vec<_> = (0..100)
            .map(|_| {
                threads.spawn(
                    1,
                    Yields {
                        left: 1000,
                        name: "crowd",
                        out: out.clone(),
                    },
                )
            })
            .collect();
        let lone = threads.spawn(
            2,
            Yields {
                left: 9,
                name: "lone",
                out,
            },
        );
        // Ten turns of its own, and as many of the crowd's in between.
        take_turns(&threads, 20);
        assert_eq!(said.try_recv(), Ok("lone"));
        drop((crowd, lone));
    }

    #[test]
    fn a_cancelled_run_is_dropped_at_the_next_turn() {
        struct Noisy(mpsc::Sender<&'static str>);
        impl Drop for Noisy {
            fn drop(&mut self) {
                let _ = self.0.send("dropped");
            }
        }
        let threads = unmanned();
        let (out, said) = mpsc::channel();
        let crowd: Vec<_> = (0..100)
            .map(|_| {
                threads.spawn(
                    1,
                    Yields {
                        left: 1000,
                        name: "crowd",
                        out: out.clone(),
                    },
                )
            })
            .collect();
        let noisy = Noisy(out);
        let last = threads.spawn(1, async move {
            let _held = &noisy;
            std::future::pending::<()>().await;
        });
        drop(last);
        take_turns(&threads, 1);
        assert_eq!(said.try_recv(), Ok("dropped"));
        drop(crowd);
    }

    #[test]
    fn closing_drops_what_waits() {
        let threads = unmanned();
        let (out, said) = mpsc::channel();
        let task = threads.spawn(
            1,
            Yields {
                left: 3,
                name: "never",
                out,
            },
        );
        threads.queues.close();
        assert!(threads.queues.pop().is_none());
        assert!(said.recv().is_err());
        drop(task);
    }
}
