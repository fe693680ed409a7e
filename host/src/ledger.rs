//! The ledger: what was used by day, key and model, and what a month's budget leaves of it.
//!
//! A request that is admitted gets a [`RequestUse`], and what it uses goes on one [`Line`], in the
//! day on which it was admitted. Lines are atomics in memory, found without a lock where their key
//! and model have been seen before on that day. [`LedgerStore`] adds what is new to the database
//! every few seconds, and reads it for reports. Knows no HTTP.

mod budget;
mod calendar;
mod counts;
mod error;
mod month;
mod period;
mod report;
mod request_use;
mod store;

pub use budget::{Budget, Measure, OverBudget, Spent};
pub use calendar::{Day, InvalidDay, Month};
pub use counts::{Amounts, Line};
pub use error::LedgerError;
pub use report::{Cursor, Dimension, Query, Report, Row, Value};
pub use request_use::{Opening, RequestUse};
pub use store::LedgerStore;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::ids::KeyId;
use month::MonthCounts;
use period::Period;

/// How long and how finely use is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// How long rows are kept after their day.
    pub retention: Duration,
    /// Rows of one day. What is used beyond them goes on one row together.
    pub rows_per_day_max: usize,
}

/// The shortest retention: budgets of a month are resumed from its rows.
pub const RETENTION_MIN: Duration = Duration::from_secs(31 * SECONDS_PER_DAY);
/// The longest retention, which bounds the number of rows.
pub const RETENTION_MAX: Duration = Duration::from_secs(3_660 * SECONDS_PER_DAY);

const SECONDS_PER_DAY: u64 = 86_400;

impl Default for Config {
    fn default() -> Self {
        Self {
            retention: Duration::from_secs(400 * SECONDS_PER_DAY),
            rows_per_day_max: 20_000,
        }
    }
}

/// What is being used, in memory. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledger(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    config: Config,
    current: ArcSwap<Period>,
    /// Days that are over, until the requests that began in them are.
    past: Mutex<Vec<Arc<Period>>>,
}

/// What a key has used in the month that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonthUse {
    /// The month.
    pub month: Month,
    /// What was used in it so far.
    pub used: Spent,
}

impl Ledger {
    /// A ledger in which nothing is written yet.
    #[must_use]
    pub fn new(config: Config, clock: Clock) -> Self {
        let day = Day::of(clock.now());
        let month = Arc::new(MonthCounts::new(day.month()));
        let period = Period::new(day, month, config.rows_per_day_max);
        Self(Arc::new(Inner {
            clock,
            config,
            current: ArcSwap::from_pointee(period),
            past: Mutex::default(),
        }))
    }

    /// Looks whether a key's month has room for one more request; none for a caller without a key,
    /// who has no budget. Nothing is taken yet.
    ///
    /// # Errors
    ///
    /// When a budget is used up.
    pub fn open(&self, key: Option<&KeyId>, budget: Budget) -> Result<Opening, OverBudget> {
        Opening::new(self.period(), key, budget, &self.0.clock)
    }

    /// What a key has used in the month that it is.
    #[must_use]
    pub fn month_of(&self, key: &KeyId) -> MonthUse {
        let period = self.period();
        MonthUse {
            month: period.month(),
            used: period.spent(key.as_str()).now(),
        }
    }

    /// The day that it is.
    #[must_use]
    pub fn today(&self) -> Day {
        Day::of(self.0.clock.now())
    }

    fn period(&self) -> Arc<Period> {
        let today = self.today();
        let current = self.0.current.load();
        if current.day() == today {
            return Arc::clone(&current);
        }
        drop(current);
        self.turn_over(today)
    }

    /// Opens another day: the next one, or whichever it is where somebody has set the clock. A day
    /// that is still being written goes on.
    fn turn_over(&self, today: Day) -> Arc<Period> {
        let mut past = self.0.past.lock();
        let current = self.0.current.load_full();
        if current.day() == today {
            return current;
        }
        let month = today.month();
        let known = past.iter().position(|period| period.day() == today);
        let next = if let Some(index) = known {
            past.swap_remove(index)
        } else {
            let mut open = past.iter().chain([&current]);
            let counts = open.find(|period| period.month() == month);
            let counts = counts.map_or_else(
                || Arc::new(MonthCounts::new(month)),
                |period| Arc::clone(period.month_counts()),
            );
            Arc::new(Period::new(today, counts, self.0.config.rows_per_day_max))
        };
        past.push(current);
        self.0.current.store(Arc::clone(&next));
        next
    }

    /// All days that can have something new, those that are over first.
    fn open_periods(&self) -> Vec<Arc<Period>> {
        let past = self.0.past.lock();
        let current = self.0.current.load_full();
        past.iter().cloned().chain([current]).collect()
    }

    /// Whether a day is over, and so is every request that began in it.
    fn is_over(&self, period: &Arc<Period>) -> bool {
        /// The list of past days, and `period` itself.
        const HOLDERS: usize = 2;
        let past = self.0.past.lock();
        past.iter().any(|other| Arc::ptr_eq(other, period))
            && Arc::strong_count(period) == HOLDERS
            && period.is_idle()
    }

    /// Lets go of a day that is over and written.
    fn forget(&self, period: &Arc<Period>) {
        self.0
            .past
            .lock()
            .retain(|other| !Arc::ptr_eq(other, period));
    }
}

#[cfg(test)]
mod tests;
