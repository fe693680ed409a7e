//! When the tokens of one answer are due, where no simulated server decides.

use super::Latency;
use chacha20::ChaCha20Rng;
use rand::SeedableRng as _;
use std::sync::Arc;
use std::time::Duration;

/// Which answer it is: the same one takes the same times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The seed of the world, or of the server.
    pub seed: u64,
    /// The number of the request in it, from 0.
    pub request: u64,
    /// The number of the answer among those of the request, from 0.
    pub answer: u32,
}

impl Turn {
    /// A generator that no other turn has.
    #[must_use]
    pub fn generator(self) -> ChaCha20Rng {
        let mut seed = [0; 32];
        let parts = [
            self.seed.to_le_bytes(),
            self.request.to_le_bytes(),
            u64::from(self.answer).to_le_bytes(),
        ];
        for (to, from) in seed.iter_mut().zip(parts.as_flattened()) {
            *to = *from;
        }
        ChaCha20Rng::from_seed(seed)
    }
}

/// Tokens of a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PromptSize {
    /// All of them.
    pub tokens: u32,
    /// Those that are in the cache and are not read again.
    pub cached: u32,
}

/// The due times of one answer's tokens, after the request.
#[derive(Debug)]
pub struct Pacer {
    latency: Arc<Latency>,
    generator: ChaCha20Rng,
    prompt: PromptSize,
    due: Duration,
    has_begun: bool,
}

impl Pacer {
    /// The times of the answer of this turn, to this prompt.
    #[must_use]
    pub fn new(latency: Arc<Latency>, turn: Turn, prompt: PromptSize) -> Self {
        Self {
            latency,
            generator: turn.generator(),
            prompt,
            due: Duration::ZERO,
            has_begun: false,
        }
    }

    /// When the next token is due, after the request. What is no token (the end of an answer, say)
    /// comes with the one before.
    pub fn next_token(&mut self) -> Duration {
        let generator = &mut self.generator;
        let wait = if self.has_begun {
            let gap = self.latency.itl.as_ref();
            gap.map_or(Duration::ZERO, |gap| gap.sample_time(generator))
        } else {
            self.has_begun = true;
            let first = self.latency.ttft.as_ref();
            let first = first.map_or(Duration::ZERO, |first| first.sample_time(generator));
            let speed = self.latency.prefill.as_ref();
            let read = speed.map_or(Duration::ZERO, |speed| {
                let tokens = self.prompt.tokens.saturating_sub(self.prompt.cached);
                let us = f64::from(tokens) / speed.sample(generator) * 1e6;
                Duration::from_micros(us.round() as u64)
            });
            first.saturating_add(read)
        };
        self.due = self.due.saturating_add(wait);
        self.due
    }

    /// When the token before was due; at once before the first.
    #[must_use]
    pub fn due(&self) -> Duration {
        self.due
    }
}
