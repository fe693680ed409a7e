//! Decides how much a caller may use over time: requests and tokens a minute, requests and
//! uploads at once, stored bytes, fuel a day, and the budgets of a month.
//!
//! A request of a limited route gets a [`RatePermit`] from the [`RateLimiter`] before its body is
//! read; what it takes with it is taken whole or not at all, and what it took too much comes
//! back through its [`Reservation`]. [`Quotas`] keeps what is counted by key alone. Knows no HTTP.

mod admission;
mod bucket;
mod permit;
mod quota;
mod rate;
mod rate_limiter;

pub use admission::{Admission, Admitted, Counts, Entry, LimitError, Limiter, TokenAdmission};
pub use bucket::{RateStatus, Window};
pub use permit::{RateError, RatePermit, Reservation};
pub use quota::{OverQuota, QuotaConfig, Quotas, Slot, StorageQuota};
pub use rate::{InvalidRouteRate, Rate, RouteRate};
pub use rate_limiter::RateLimiter;

use crate::auth::Tier;

/// The settings of the limiter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whether rates are limited.
    pub enabled: bool,
    /// The tier of callers who have no tier or limits of their own.
    pub tier: Tier,
    /// Requests a minute instead of the tier's.
    pub rpm: Option<u32>,
    /// Tokens a minute instead of the tier's.
    pub tpm: Option<u32>,
    /// Routes that are counted apart, each with rates of its own.
    pub routes: Vec<RouteRate>,
    /// Addresses that are remembered at once; where there are more, those not seen for longest
    /// go first. One costs under 200 bytes.
    pub addresses_max: usize,
    /// The form of time in the `x-ratelimit-reset-*` headers.
    pub reset: ResetFormat,
    /// The quotas of keys.
    pub quota: QuotaConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: false,
            tier: Tier::Tier1,
            rpm: None,
            tpm: None,
            routes: Vec::new(),
            addresses_max: 1_000_000,
            reset: ResetFormat::Unix,
            quota: QuotaConfig::default(),
        }
    }
}

/// The form of a moment in the `x-ratelimit-reset-*` headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResetFormat {
    /// Seconds since 1970: `1767225600`.
    #[default]
    Unix,
    /// The time that is left, as OpenAI writes it: `1s`, `6m0s`, `120ms`.
    Duration,
}

impl std::fmt::Display for ResetFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unix => "unix",
            Self::Duration => "duration",
        })
    }
}

/// The text is not the name of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected unix or duration")]
pub struct InvalidResetFormat;

impl std::str::FromStr for ResetFormat {
    type Err = InvalidResetFormat;

    fn from_str(text: &str) -> Result<Self, InvalidResetFormat> {
        match text {
            "unix" => Ok(Self::Unix),
            "duration" => Ok(Self::Duration),
            _ => Err(InvalidResetFormat),
        }
    }
}
