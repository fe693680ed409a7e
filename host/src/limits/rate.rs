//! How much a minute: of a tier, of a key, of a route.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use super::Config;
use crate::auth::{Caller, Tier};

/// Requests and tokens a minute. A caller who was quiet may use a minute's worth at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// Requests a minute.
    pub requests: NonZeroU32,
    /// Tokens a minute, prompt and answer together.
    pub tokens: NonZeroU32,
}

impl Rate {
    /// A rate; a zero becomes one, which is the least there is.
    #[must_use]
    pub fn new(requests: u32, tokens: u32) -> Self {
        let at_least_one = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Self {
            requests: at_least_one(requests),
            tokens: at_least_one(tokens),
        }
    }

    /// The rate of a tier.
    #[must_use]
    pub fn of_tier(tier: Tier) -> Self {
        let (requests, tokens) = match tier {
            Tier::Free => (60, 10_000),
            Tier::Tier1 => (500, 30_000),
            Tier::Tier2 => (5_000, 450_000),
            Tier::Tier3 => (10_000, 1_000_000),
            Tier::Tier4 => (30_000, 5_000_000),
            Tier::Tier5 => (100_000, 15_000_000),
        };
        Self::new(requests, tokens)
    }

    /// The rate of a caller: the key's own numbers, else those of the key's tier, else those of
    /// the route, else the server's.
    pub(super) fn of_caller(caller: &Caller, route: Option<Self>, config: &Config) -> Self {
        let server = || {
            let tier = Self::of_tier(config.tier);
            Self::new(
                config.rpm.unwrap_or(tier.requests.get()),
                config.tpm.unwrap_or(tier.tokens.get()),
            )
        };
        let own = caller.allowance();
        let fallback = match (own.tier, route) {
            (Some(tier), _) => Self::of_tier(tier),
            (None, Some(route)) => route,
            (None, None) => server(),
        };
        Self::new(
            own.rpm.unwrap_or(fallback.requests.get()),
            own.tpm.unwrap_or(fallback.tokens.get()),
        )
    }
}

/// A route that is counted apart: its template, such as `/v1/embeddings`, and what callers
/// without a tier or numbers of their own get there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteRate {
    /// The route's template, as the router writes it.
    pub route: String,
    /// The rate of the route.
    pub rate: Rate,
}

impl fmt::Display for RouteRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { route, rate } = self;
        write!(f, "{route}={}:{}", rate.requests, rate.tokens)
    }
}

/// The text is not of the form `ROUTE=RPM:TPM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected ROUTE=RPM:TPM, such as /v1/embeddings=1000:500000")]
pub struct InvalidRouteRate;

impl FromStr for RouteRate {
    type Err = InvalidRouteRate;

    fn from_str(text: &str) -> Result<Self, InvalidRouteRate> {
        let read = || {
            let (route, rate) = text.split_once('=')?;
            let (requests, tokens) = rate.split_once(':')?;
            let number = |text: &str| text.trim().parse::<NonZeroU32>().ok();
            let route = route.trim();
            let rate = Rate {
                requests: number(requests)?,
                tokens: number(tokens)?,
            };
            route.starts_with('/').then(|| Self {
                route: route.to_owned(),
                rate,
            })
        };
        read().ok_or(InvalidRouteRate)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn tiers_are_as_documented() {
        let table = Tier::ALL.map(|tier| {
            let rate = Rate::of_tier(tier);
            (tier.name(), rate.requests.get(), rate.tokens.get())
        });
        assert_eq!(
            table,
            [
                ("free", 60, 10_000),
                ("tier-1", 500, 30_000),
                ("tier-2", 5_000, 450_000),
                ("tier-3", 10_000, 1_000_000),
                ("tier-4", 30_000, 5_000_000),
                ("tier-5", 100_000, 15_000_000),
            ]
        );
    }

    #[test]
    fn a_route_has_a_rate_of_its_own() {
        let text = "/v1/embeddings=10:2000";
        let route: RouteRate = text.parse().unwrap();
        assert_eq!(route.rate, Rate::new(10, 2000));
        assert_eq!(route.to_string(), text);
        for bad in ["/v1=1", "/v1=0:1", "/v1=1:0", "v1=1:1", "/v1=1:x", ""] {
            assert!(bad.parse::<RouteRate>().is_err(), "{bad}");
        }
    }
}
