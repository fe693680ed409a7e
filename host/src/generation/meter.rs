//! The count of tokens that outlives the answer it counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Tokens that an answer has so far, for whoever must know when it is cut off. Clones are the
/// same meter.
#[derive(Clone, Debug, Default)]
pub struct TokenMeter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicBool,
    tokens: AtomicU32,
}

impl TokenMeter {
    /// Whether the model has said anything: from then on the prompt is paid for.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.0.begun.load(Ordering::Relaxed)
    }

    /// As counted by the host: a piece that lists no tokens is one.
    #[must_use]
    pub fn tokens(&self) -> u32 {
        self.0.tokens.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, tokens: u32) {
        self.0.begun.store(true, Ordering::Relaxed);
        self.0.tokens.store(tokens, Ordering::Relaxed);
    }
}
