//! Admission: how many runs there may be at once, and how many may wait for their turn.
//!
//! Two queues stand one behind the other, one for the model and one for the host, so that a
//! model whose callers flood it fills its own queue and not the host's.

use crate::{RunError, Scope};
use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tokio::sync::{Semaphore, SemaphorePermit, TryAcquireError};

/// What a client that was turned away is told to wait, in seconds. Runs last milliseconds, so
/// the shortest value that `Retry-After` can say is long enough.
const RETRY_AFTER_S: u64 = 1;

/// A bounded number of runs with a bounded queue before it.
#[derive(Debug)]
pub(crate) struct RunQueue {
    scope: Scope,
    runs: Semaphore,
    runs_max: u32,
    waiting: AtomicU32,
    queue_max: u32,
    queue_wait: Duration,
}

/// The right to run. Dropping it lets the next one in.
#[derive(Debug)]
pub(crate) struct RunPermit<'a>(SemaphorePermit<'a>);

impl RunPermit<'_> {
    /// Keeps the right until [`RunQueue::leave`].
    pub(crate) fn keep(self) {
        self.0.forget();
    }
}

impl RunQueue {
    pub(crate) fn new(scope: Scope, runs_max: u32, queue_max: u32, queue_wait: Duration) -> Self {
        Self {
            scope,
            runs: Semaphore::new(runs_max as usize),
            runs_max,
            waiting: AtomicU32::new(0),
            queue_max,
            queue_wait,
        }
    }

    /// A permit at once where one is free; a refusal at once where the queue is full; otherwise a
    /// place in the queue, first come, first served, for as long as `queue_wait`.
    pub(crate) async fn enter(&self) -> Result<RunPermit<'_>, RunError> {
        match self.runs.try_acquire() {
            Ok(permit) => return Ok(RunPermit(permit)),
            Err(TryAcquireError::Closed) => return Err(self.refusal(0)),
            Err(TryAcquireError::NoPermits) => {}
        }
        let before = self.waiting.fetch_add(1, Ordering::AcqRel);
        let place = QueuePlace(&self.waiting);
        if before >= self.queue_max {
            return Err(self.refusal(before));
        }
        let acquired = tokio::time::timeout(self.queue_wait, self.runs.acquire()).await;
        drop(place);
        match acquired {
            Ok(Ok(permit)) => Ok(RunPermit(permit)),
            Ok(Err(_)) | Err(_) => Err(self.refusal(self.waiting())),
        }
    }

    /// Gives back a permit that was kept.
    pub(crate) fn leave(&self) {
        self.runs.add_permits(1);
    }

    /// Runs in the queue.
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Runs that have a permit.
    pub(crate) fn running(&self) -> u32 {
        let free = u32::try_from(self.runs.available_permits()).unwrap_or(u32::MAX);
        self.runs_max.saturating_sub(free)
    }

    fn refusal(&self, waiting: u32) -> RunError {
        RunError::Overloaded {
            scope: self.scope,
            waiting: u64::from(waiting),
            limit: u64::from(self.queue_max),
            retry_after_s: RETRY_AFTER_S,
        }
    }
}

/// A place in the queue, given up however the wait ends.
struct QueuePlace<'a>(&'a AtomicU32);

impl Drop for QueuePlace<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_refuses_at_once_and_a_place_is_freed() {
        let queue = Arc::new(RunQueue::new(Scope::Host, 1, 1, Duration::from_secs(5)));
        let first = queue.enter().await.unwrap();
        let second = tokio::spawn({
            let queue = Arc::clone(&queue);
            async move { queue.enter().await.map(RunPermit::keep) }
        });
        tokio::task::yield_now().await;
        assert_eq!((queue.running(), queue.waiting()), (1, 1));
        let before = tokio::time::Instant::now();
        assert!(matches!(
            queue.enter().await,
            Err(RunError::Overloaded {
                scope: Scope::Host,
                waiting: 1,
                limit: 1,
                retry_after_s: 1
            })
        ));
        assert_eq!(before.elapsed(), Duration::ZERO);
        drop(first);
        assert!(second.await.unwrap().is_ok());
        assert_eq!((queue.running(), queue.waiting()), (1, 0), "it is kept");
        queue.leave();
        assert_eq!(queue.running(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_in_the_queue_is_given_up_after_a_while_or_when_the_caller_leaves() {
        let queue = Arc::new(RunQueue::new(Scope::Model, 1, 1, Duration::from_secs(5)));
        let _held = queue.enter().await.unwrap();
        assert!(queue.enter().await.is_err());
        assert_eq!(queue.waiting(), 0);
        let left = tokio::time::timeout(Duration::from_millis(1), queue.enter()).await;
        assert!(left.is_err());
        assert_eq!(queue.waiting(), 0);
    }
}
