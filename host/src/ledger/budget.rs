//! What a key may use in a calendar month.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::{Day, Month};

/// The amounts that one key may use in a calendar month, UTC; none is without bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Units of fuel.
    pub fuel: Option<u64>,
    /// Tokens, prompts and answers together.
    pub tokens: Option<u64>,
    /// Requests.
    pub requests: Option<u64>,
}

/// What a budget is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Units of fuel.
    Fuel,
    /// Tokens.
    Tokens,
    /// Requests.
    Requests,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Fuel, Self::Tokens, Self::Requests];

    /// The name in metrics and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fuel => "fuel",
            Self::Tokens => "tokens",
            Self::Requests => "requests",
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fuel => "units of fuel",
            Self::Tokens => "tokens",
            Self::Requests => "requests",
        })
    }
}

/// What a key has used in a month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Units of fuel.
    pub fuel: u64,
    /// Tokens, prompts and answers together.
    pub tokens: u64,
    /// Requests that were admitted.
    pub requests: u64,
}

impl Spent {
    /// One of them.
    #[must_use]
    pub fn of(&self, measure: Measure) -> u64 {
        match measure {
            Measure::Fuel => self.fuel,
            Measure::Tokens => self.tokens,
            Measure::Requests => self.requests,
        }
    }
}

/// A budget of a key is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this key may use {limit} {measure} a month, and it has used {used}; its budget renews on {} \
     (UTC)",
    Day::of(*renews)
)]
pub struct OverBudget {
    /// What of.
    pub measure: Measure,
    /// A month.
    pub limit: u64,
    /// In this month.
    pub used: u64,
    /// The beginning of the next month.
    pub renews: Timestamp,
    /// The time until then.
    pub wait: Duration,
}

impl Budget {
    /// Whether nothing is bounded.
    #[must_use]
    pub fn is_unbounded(&self) -> bool {
        *self == Self::default()
    }

    /// The bound on one of them.
    #[must_use]
    pub fn of(&self, measure: Measure) -> Option<u64> {
        match measure {
            Measure::Fuel => self.fuel,
            Measure::Tokens => self.tokens,
            Measure::Requests => self.requests,
        }
    }

    /// Whether a key that has used so much may have one more request.
    pub(super) fn check(
        &self,
        used: Spent,
        month: Month,
        now: Timestamp,
    ) -> Result<(), OverBudget> {
        let over = Measure::ALL.into_iter().find_map(|measure| {
            let (limit, used) = (self.of(measure)?, used.of(measure));
            (used >= limit).then_some((measure, limit, used))
        });
        over.map_or(Ok(()), |over| Err(OverBudget::new(over, month, now)))
    }
}

impl OverBudget {
    /// A key has used as much as it may in that month.
    pub(super) fn new(
        (measure, limit, used): (Measure, u64, u64),
        month: Month,
        now: Timestamp,
    ) -> Self {
        let renews = month.end();
        Self {
            measure,
            limit,
            used,
            renews,
            wait: Duration::try_from(renews.duration_since(now)).unwrap_or_default(),
        }
    }
}
