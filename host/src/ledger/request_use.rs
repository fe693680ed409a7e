//! One request on the books.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::month::SpentCounts;
use super::period::Period;
use super::{Budget, Line, Measure, OverBudget};
use crate::clock::Clock;
use crate::ids::KeyId;

/// A request for which there is room in its key's month, and that has not been admitted yet.
pub struct Opening {
    period: Arc<Period>,
    key: Option<KeyId>,
    /// What a budget is held against.
    bounded: Option<(Budget, Arc<SpentCounts>, Clock)>,
}

impl Opening {
    pub(super) fn new(
        period: Arc<Period>,
        key: Option<&KeyId>,
        budget: Budget,
        clock: &Clock,
    ) -> Result<Self, OverBudget> {
        let bounded = match key {
            Some(key) if !budget.is_unbounded() => {
                let spent = period.spent(key.as_str());
                budget.check(spent.now(), period.month(), clock.now())?;
                Some((budget, spent, clock.clone()))
            }
            _ => None,
        };
        Ok(Self {
            period,
            key: key.cloned(),
            bounded,
        })
    }

    /// Counts the request, in the key's month at once and on its line when it is over.
    ///
    /// # Errors
    ///
    /// When others have taken the last requests of the month meanwhile.
    pub fn admit(self) -> Result<RequestUse, OverBudget> {
        let Self {
            period,
            key,
            bounded,
        } = self;
        let mut is_taken = false;
        if let Some((budget, spent, clock)) = bounded
            && let Some(limit) = budget.requests
        {
            if !spent.take_request(limit) {
                let over = (Measure::Requests, limit, limit);
                return Err(OverBudget::new(over, period.month(), clock.now()));
            }
            is_taken = true;
        }
        Ok(RequestUse {
            period,
            key,
            is_taken,
            line: OnceLock::new(),
            has_failed: AtomicBool::new(false),
        })
    }
}

/// What one admitted request uses. Dropped when the request is over, however it ends, which counts
/// it on its line.
#[derive(Debug)]
pub struct RequestUse {
    /// The day on which it was admitted: all of its use is of that day, however long it takes.
    period: Arc<Period>,
    key: Option<KeyId>,
    /// Whether the month has the request already.
    is_taken: bool,
    line: OnceLock<Line>,
    has_failed: AtomicBool,
}

impl RequestUse {
    /// The line that its use goes on from now on, by the model that runs. The first one named
    /// holds.
    pub fn runs_on(&self, model: &str) -> &Line {
        self.line.get_or_init(|| {
            let key = self.key.as_ref().map_or("", KeyId::as_str);
            self.period.line(key, model)
        })
    }

    /// The line, once a model has been found.
    #[must_use]
    pub fn line(&self) -> Option<&Line> {
        self.line.get()
    }

    /// Notes that it was answered with an error, or broken off by one.
    pub fn note_failure(&self) {
        self.has_failed.store(true, Ordering::Relaxed);
    }
}

impl Drop for RequestUse {
    fn drop(&mut self) {
        let has_failed = self.has_failed.load(Ordering::Relaxed);
        let line = self.runs_on("");
        line.counts.add_request(has_failed);
        if !self.is_taken {
            line.spent.add_request();
        }
    }
}
