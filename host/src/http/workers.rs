//! Threads for the work that large bodies make, so that it holds up no other request.
//!
//! To check, read and write megabytes of JSON takes milliseconds. On a thread that serves HTTP
//! that is time in which no other request of that thread moves, not even a health check. So
//! bodies over [`INLINE_BYTES_MAX`] are worked on here; small ones stay where they are, because
//! handing them over would cost more than reading them.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{LazyLock, mpsc};
use std::thread;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Bytes of a body that are worked on where the request is served. Checking and reading this
/// much JSON takes about a tenth of a millisecond.
pub(crate) const INLINE_BYTES_MAX: usize = 32 << 10;

/// How much these threads yield to those that serve HTTP when both want to run, as a Unix nice
/// value.
const WORKER_NICE: i32 = 5;

type Job = Box<dyn FnOnce() + Send>;

/// The queue of the threads: first come, first served. It is as long as there are open requests
/// at most, each of which waits for one job at a time.
static JOBS: LazyLock<mpsc::Sender<Job>> = LazyLock::new(start);

fn start() -> mpsc::Sender<Job> {
    let (sender, jobs) = mpsc::channel::<Job>();
    let jobs = std::sync::Arc::new(Mutex::new(jobs));
    let cores = thread::available_parallelism().map_or(1, usize::from);
    for index in 0..cores {
        let jobs = std::sync::Arc::clone(&jobs);
        let started = thread::Builder::new()
            .name(format!("body-{index}"))
            .spawn(move || {
                // Linux gives each thread its own nice value. Where it is refused the threads
                // still work, with less of a head start for HTTP.
                let _ = rustix::process::nice(WORKER_NICE);
                loop {
                    // The lock is held while one of the threads waits for a job, and let go
                    // before the job runs.
                    let job = jobs.lock().recv();
                    let Ok(job) = job else { return };
                    job();
                }
            });
        if let Err(error) = started {
            tracing::error!("a thread for large bodies could not be started: {error}");
        }
    }
    sender
}

/// Does the work that a body of `bytes` makes: here if it is small, else on one of the threads.
///
/// A panic of the work is one of the request. Where there are no threads, the work is done here.
pub(crate) async fn run<T, F>(bytes: usize, work: F) -> T
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    if bytes <= INLINE_BYTES_MAX {
        return work();
    }
    let (sender, done) = oneshot::channel::<Result<T, Box<dyn Any + Send>>>();
    let job = move || {
        // Nobody waits any more where the caller has gone: then there is nothing to do.
        if !sender.is_closed() {
            let outcome = catch_unwind(AssertUnwindSafe(work));
            let _ = sender.send(outcome);
        }
    };
    if let Err(mpsc::SendError(job)) = JOBS.send(Box::new(job)) {
        job();
    }
    match done.await {
        Ok(Ok(value)) => value,
        Ok(Err(panic)) => resume_unwind(panic),
        // The sender is dropped unused only with the request itself.
        Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> Option<String> {
        thread::current().name().map(str::to_owned)
    }

    #[tokio::test]
    async fn small_bodies_stay_and_large_ones_leave_the_thread() {
        let here = name();
        assert_eq!(run(INLINE_BYTES_MAX, name).await, here);
        let there = run(INLINE_BYTES_MAX + 1, name).await;
        assert!(there.is_some_and(|name| name.starts_with("body-")));
    }

    #[tokio::test]
    async fn a_panic_of_the_work_is_one_of_the_request_and_the_threads_go_on() {
        for _ in 0..64 {
            let work = || -> () { resume_unwind(Box::new("the reason")) };
            let task = tokio::spawn(run(usize::MAX, work)).await;
            assert!(task.is_err_and(|error| error.is_panic()));
        }
        assert_eq!(run(usize::MAX, || 7).await, 7);
    }
}
