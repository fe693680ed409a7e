//! The epoch ticker, by which guests yield: the engine's code looks at the epoch in loops and
//! calls, and gives its thread back when it has moved.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};
use wasmtime::Engine;

/// Ticks without a run after which the ticker stops until the next one.
const IDLE_TICKS: u32 = 100;

/// The thread that counts the engine's epoch up, so that guests yield. It stops while nothing
/// runs, so that an idle server is idle.
pub(crate) struct EpochTicker {
    shared: Arc<TickerState>,
    thread: thread::Thread,
}

struct TickerState {
    active: AtomicU32,
    parked: AtomicBool,
    stopped: AtomicBool,
}

impl EpochTicker {
    /// Starts the thread, which ends with the engine or the ticker.
    pub(crate) fn start(engine: &Engine, tick: Duration) -> std::io::Result<Self> {
        let shared = Arc::new(TickerState {
            active: AtomicU32::new(0),
            parked: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        });
        let (engine, seen) = (engine.weak(), Arc::clone(&shared));
        let handle = thread::Builder::new().name("epoch".into()).spawn(move || {
            let mut idle = 0;
            while !seen.stopped.load(Ordering::Acquire) {
                thread::sleep(tick);
                let Some(engine) = engine.upgrade() else {
                    return;
                };
                engine.increment_epoch();
                idle = if seen.active.load(Ordering::SeqCst) == 0 {
                    idle + 1
                } else {
                    0
                };
                if idle >= IDLE_TICKS {
                    drop(engine);
                    seen.parked.store(true, Ordering::SeqCst);
                    // A run that began between the look above and this line finds `parked`
                    // set and wakes us; one that began before it is seen here.
                    while seen.parked.load(Ordering::SeqCst)
                        && seen.active.load(Ordering::SeqCst) == 0
                        && !seen.stopped.load(Ordering::Acquire)
                    {
                        thread::park();
                    }
                    seen.parked.store(false, Ordering::SeqCst);
                    idle = 0;
                }
            }
        })?;
        Ok(Self {
            shared,
            thread: handle.thread().clone(),
        })
    }

    /// Keeps the ticker going until it is released.
    pub(crate) fn hold(&self) {
        self.shared.active.fetch_add(1, Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst)
            && self.shared.parked.swap(false, Ordering::SeqCst)
        {
            self.thread.unpark();
        }
    }

    /// Undoes one [`hold`](Self::hold).
    pub(crate) fn release(&self) {
        self.shared.active.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for EpochTicker {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        self.thread.unpark();
    }
}
