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
/// How many times as often the epoch ticks while runs compute on the guest threads. A tick is how
/// long such a thread may keep a core from one that serves HTTP: the kernel lets it finish its
/// slice, which is longer. While every run is over in microseconds the ticker need not wake often.
const FINE_TICKS: u32 = 4;

/// The thread that counts the engine's epoch up, so that guests yield. It stops while nothing
/// runs, so that an idle server is idle.
pub(crate) struct EpochTicker {
    shared: Arc<TickerState>,
    thread: thread::Thread,
}

struct TickerState {
    active: AtomicU32,
    /// Of those, the ones on the guest threads.
    computing: AtomicU32,
    parked: AtomicBool,
    stopped: AtomicBool,
}

impl EpochTicker {
    /// Starts the thread, which ends with the engine or the ticker.
    pub(crate) fn start(engine: &Engine, tick: Duration) -> std::io::Result<Self> {
        let shared = Arc::new(TickerState {
            active: AtomicU32::new(0),
            computing: AtomicU32::new(0),
            parked: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        });
        let (engine, seen) = (engine.weak(), Arc::clone(&shared));
        let handle = thread::Builder::new().name("epoch".into()).spawn(move || {
            let mut idle = 0;
            while !seen.stopped.load(Ordering::Acquire) {
                let computing = seen.computing.load(Ordering::Relaxed) > 0;
                thread::sleep(if computing { tick / FINE_TICKS } else { tick });
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

    /// Makes ticks short until the guard is dropped. The ticker must be held meanwhile.
    pub(crate) fn tick_finely(&self) -> FineTicks {
        self.shared.computing.fetch_add(1, Ordering::Relaxed);
        FineTicks(Arc::clone(&self.shared))
    }

    /// Undoes one [`hold`](Self::hold).
    pub(crate) fn release(&self) {
        self.shared.active.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Short ticks, for a run on the guest threads.
pub(crate) struct FineTicks(Arc<TickerState>);

impl Drop for FineTicks {
    fn drop(&mut self) {
        self.0.computing.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for EpochTicker {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        self.thread.unpark();
    }
}
