//! What all runs of a sandbox share.

use crate::{
    epoch::EpochTicker, memory_pool::MemoryPool, run_queue::RunQueue, threads::GuestThreads,
};
use std::sync::{Arc, atomic::AtomicU64};
use wasmtime::Engine;

pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) threads: GuestThreads,
    /// The host's queue, behind that of the model.
    pub(crate) queue: RunQueue,
    pub(crate) memory_pool: Arc<MemoryPool>,
    pub(crate) ticker: EpochTicker,
    /// Runs that had to move to the guest threads.
    pub(crate) moved: AtomicU64,
}
