//! What models may take of memory, and what is on its way there.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use belljar_bundle::Digest;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

use super::config::Config;
use super::live::LiveModel;
use super::recency::Eras;

/// What models take of memory, and what they may.
pub(super) struct Memory {
    /// Bytes; 0 is no bound.
    budget: AtomicU64,
    pub(super) eras: Eras,
    pub(super) coming: Mutex<Coming>,
    /// Places for models that come back: some cores are left to those that serve.
    pub(super) places: Semaphore,
}

/// A model that comes back, for those that wait for it.
pub(super) type Awaited = watch::Receiver<Option<Arc<LiveModel>>>;

/// What is on its way into memory.
#[derive(Default)]
pub(super) struct Coming {
    /// By the digest of the version's bundle.
    pub(super) back: HashMap<Digest, Awaited>,
    /// By content, with its bytes and by how many versions it is expected.
    pub(super) room: HashMap<[u8; 32], (u64, usize)>,
}

impl Memory {
    pub(super) fn new(config: &Config, cores: usize) -> Self {
        Self {
            budget: AtomicU64::new(config.memory_budget_bytes.unwrap_or(0)),
            eras: Eras::default(),
            coming: Mutex::default(),
            places: Semaphore::new((cores / 2).max(1)),
        }
    }

    /// The bytes that models may take, if there is a bound.
    pub(super) fn budget(&self) -> Option<u64> {
        Some(self.budget.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0)
    }

    /// Takes another bound from now on.
    pub(super) fn set_budget(&self, bytes: Option<u64>) {
        self.budget.store(bytes.unwrap_or(0), Ordering::Relaxed);
    }
}
