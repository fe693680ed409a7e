//! The right of one request to take from its caller's minute.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::bucket::{Bucket, RateStatus, Shortage};
use crate::clock::Clock;

/// The buckets of one caller, held by the table and by the permits of its requests in flight.
pub(super) type SharedBucket = Arc<Mutex<Bucket>>;

/// The reason why a request is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// The caller made too many requests.
    #[error("over the limit of {limit} requests a minute")]
    Requests {
        /// Requests a minute.
        limit: u32,
        /// The time after which the next one is let through.
        wait: Duration,
    },
    /// The request needs more tokens than the caller has left.
    #[error("over the limit of {limit} tokens a minute: {asked} were asked for")]
    Tokens {
        /// Tokens a minute.
        limit: u32,
        /// Prompt and answer of this request.
        asked: u32,
        /// The time after which as many are there.
        wait: Duration,
    },
    /// The request asks for more than a minute's worth: it can never be let through.
    #[error("{asked} tokens are asked for, and no request can have more than {limit}")]
    NeverFits {
        /// Tokens a minute.
        limit: u32,
        /// Prompt and answer of this request.
        asked: u32,
    },
    /// The host: tokens are asked for once the request has been counted without them. Dropping
    /// such a reservation would give back what was never taken.
    #[error("tokens are asked for a request that has been counted without them")]
    AlreadyCounted,
}

/// The right of one request to take from its caller's minute. Clones are the same permit.
#[derive(Clone)]
pub struct RatePermit(Arc<Shared>);

struct Shared {
    bucket: SharedBucket,
    clock: Clock,
    /// Whether the request has been counted.
    taken: AtomicBool,
}

impl RatePermit {
    /// The permit of a request that has not been counted yet.
    pub(super) fn new(bucket: SharedBucket, clock: Clock) -> Self {
        Self(Arc::new(Shared {
            bucket,
            clock,
            taken: AtomicBool::new(false),
        }))
    }

    /// Refuses early what would be refused later: looks whether the caller has a request left,
    /// and takes nothing.
    ///
    /// # Errors
    ///
    /// When there is none left.
    pub fn check(&self) -> Result<(), RateError> {
        let bucket = self.0.bucket.lock();
        bucket
            .check_request(self.0.clock.elapsed())
            .map_err(|shortage| refusal(shortage, &bucket, 0))
    }

    /// Takes one request, and no tokens. A second call for the same request takes nothing.
    ///
    /// # Errors
    ///
    /// When there is none left.
    pub fn take_request(&self) -> Result<(), RateError> {
        if self.begin() { self.take(0) } else { Ok(()) }
    }

    /// Takes one request and as many tokens as it may use at most, or nothing.
    ///
    /// # Errors
    ///
    /// When one of the two is short, the request could never be let through, or it has been
    /// counted before.
    pub fn reserve(&self, tokens: u32) -> Result<Reservation, RateError> {
        let limit = self.0.bucket.lock().rate().tokens.get();
        if tokens > limit {
            return Err(RateError::NeverFits {
                limit,
                asked: tokens,
            });
        }
        if !self.begin() {
            return Err(RateError::AlreadyCounted);
        }
        self.take(tokens)?;
        Ok(Reservation {
            shared: Arc::clone(&self.0),
            reserved: tokens,
            used: tokens,
        })
    }

    /// Whether this is the first attempt to count the request. One that was refused is not
    /// counted again on its way out.
    fn begin(&self) -> bool {
        !self.0.taken.swap(true, Ordering::AcqRel)
    }

    fn take(&self, tokens: u32) -> Result<(), RateError> {
        let mut bucket = self.0.bucket.lock();
        bucket
            .take(tokens, self.0.clock.elapsed())
            .map_err(|shortage| refusal(shortage, &bucket, tokens))
    }

    /// Tokens that one request can have at most.
    #[must_use]
    pub fn tokens_max(&self) -> u32 {
        self.0.bucket.lock().rate().tokens.get()
    }

    /// The remainder of the caller's minute.
    #[must_use]
    pub fn status(&self) -> RateStatus {
        self.0.bucket.lock().status(self.0.clock.elapsed())
    }
}

fn refusal(shortage: Shortage, bucket: &Bucket, asked: u32) -> RateError {
    match shortage {
        Shortage::Requests(wait) => RateError::Requests {
            limit: bucket.rate().requests.get(),
            wait,
        },
        Shortage::Tokens(wait) => RateError::Tokens {
            limit: bucket.rate().tokens.get(),
            asked,
            wait,
        },
    }
}

/// Tokens that were taken in advance. When it is dropped, what was not used goes back: after an
/// answer, and also when a stream is cut or a run fails.
#[must_use]
pub struct Reservation {
    shared: Arc<Shared>,
    reserved: u32,
    used: u32,
}

impl Reservation {
    /// Notes what has really been used so far; without a call, it is what was reserved.
    pub fn set_used(&mut self, tokens: u32) {
        self.used = tokens;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let Shared { bucket, clock, .. } = &*self.shared;
        let now = clock.elapsed();
        bucket.lock().settle(self.reserved, self.used, now);
    }
}
