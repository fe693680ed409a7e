//! When a fault happens: to the next so many requests, to a share of them by a seed, or to all; of
//! those that are like this.

use super::{Fault, FaultError};
use crate::matching::{Facts, Pattern, PatternError};
use crate::quantity::shown;
use regex::Regex;
use serde::Deserialize;
use std::str::FromStr;

/// Which of the requests that match have the fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// All.
    Always,
    /// The next so many, and none after them.
    Next(u32),
    /// A share, chosen by a seed and the number of the request among those that match.
    Rate {
        /// From 0 to 1.
        share: f64,
        /// The seed.
        seed: u64,
    },
}

/// A fault, and the requests that have it.
#[derive(Clone, Debug)]
pub struct FaultRule {
    /// What goes wrong.
    pub fault: Fault,
    /// With which of them.
    pub when: When,
    /// What they are like.
    pub pattern: Pattern,
    /// Requests that matched.
    matched: u64,
    /// Requests that have had it.
    given: u64,
}

/// A rule as it is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The fault, as a text.
    pub fault: String,
    /// How many requests have it.
    #[serde(default)]
    pub next: Option<u32>,
    /// The share of requests that have it.
    #[serde(default)]
    pub rate: Option<f64>,
    /// What the share is chosen by.
    #[serde(default)]
    pub seed: Option<u64>,
    /// The model that is asked for, with `*` for anything.
    #[serde(default)]
    pub model: Option<String>,
    /// The path, with `*` for anything.
    #[serde(default)]
    pub path: Option<String>,
    /// The id of the key.
    #[serde(default)]
    pub key: Option<String>,
    /// A header, `name` or `name: value`, with `*` for anything.
    #[serde(default)]
    pub header: Option<String>,
    /// A regular expression that is found in the body.
    #[serde(default)]
    pub content: Option<String>,
}

/// Why there is no such rule.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FaultRuleError {
    /// No such fault.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// No such pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// Both a number and a share.
    #[error("`next` and `rate` exclude one another")]
    Both,
    /// Not a share.
    #[error("`rate` must be from 0 to 1")]
    Rate,
    /// A seed of nothing.
    #[error("`seed` goes with `rate`, which is not there")]
    Seed,
    /// A member that there is not, or a number that is none.
    #[error(
        "`{0}` is not understood: expected `next`, `rate`, `seed`, `model`, `path`, `key`, `header` or `content`, and `=`"
    )]
    Member(String),
}

impl TryFrom<Asked> for FaultRule {
    type Error = FaultRuleError;

    fn try_from(asked: Asked) -> Result<Self, FaultRuleError> {
        let Asked {
            fault,
            next,
            rate,
            seed,
            model,
            path,
            key,
            header,
            content,
        } = asked;
        let when = match (next, rate) {
            (Some(_), Some(_)) => return Err(FaultRuleError::Both),
            (None, Some(share)) if (0.0..=1.0).contains(&share) => When::Rate {
                share,
                seed: seed.unwrap_or_default(),
            },
            (None, Some(_)) => return Err(FaultRuleError::Rate),
            (_, None) if seed.is_some() => return Err(FaultRuleError::Seed),
            (Some(next), None) => When::Next(next),
            (None, None) => When::Always,
        };
        Ok(Self {
            fault: fault.parse()?,
            when,
            pattern: Pattern::new(model, path, key, header.as_deref(), content.as_deref())?,
            matched: 0,
            given: 0,
        })
    }
}

impl FromStr for FaultRule {
    type Err = FaultRuleError;

    /// A rule in one line, as settings have it: the fault, then `next=2`, `rate=0.1`,
    /// `path=/v1/*` and so on, each behind a space.
    fn from_str(text: &str) -> Result<Self, FaultRuleError> {
        let mut words = text.split_whitespace();
        let mut asked = Asked {
            fault: words.next().unwrap_or_default().to_owned(),
            ..Asked::default()
        };
        for word in words {
            let wrong = || FaultRuleError::Member(shown(word));
            let (name, value) = word.split_once('=').ok_or_else(wrong)?;
            let text = || Some(value.to_owned());
            match name {
                "next" => asked.next = Some(value.parse().map_err(|_| wrong())?),
                "rate" => asked.rate = Some(value.parse().map_err(|_| wrong())?),
                "seed" => asked.seed = Some(value.parse().map_err(|_| wrong())?),
                "model" => asked.model = text(),
                "path" => asked.path = text(),
                "key" => asked.key = text(),
                "header" => asked.header = text(),
                "content" => asked.content = text(),
                _ => return Err(wrong()),
            }
        }
        asked.try_into()
    }
}

impl FaultRule {
    /// The fault of a request, where it has it.
    pub fn of(&mut self, facts: &Facts<'_>) -> Option<Fault> {
        if self.is_used_up() || !self.pattern.matches(facts) {
            return None;
        }
        let number = self.matched;
        self.matched += 1;
        let is_given = match self.when {
            When::Always | When::Next(_) => true,
            When::Rate { share, seed } => chance(seed, number) < share,
        };
        if !is_given {
            return None;
        }
        self.given += 1;
        Some(self.fault.clone())
    }

    /// Requests that have had the fault.
    #[must_use]
    pub fn given(&self) -> u64 {
        self.given
    }

    /// How many requests will still have it; none where that is not bounded.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        match self.when {
            When::Next(next) => Some(u64::from(next).saturating_sub(self.given)),
            When::Always | When::Rate { .. } => None,
        }
    }

    /// Whether no request will have it any more.
    #[must_use]
    pub fn is_used_up(&self) -> bool {
        self.left() == Some(0)
    }

    /// The pattern of the body that has to be read for it.
    #[must_use]
    pub fn content(&self) -> Option<&Regex> {
        self.pattern.content()
    }
}

/// A number from 0 to 1 for the request of this number: the finalizer of SplitMix64 (Steele, Lea and
/// Flood, 2014), whose outputs for successive states are independent as far as tests can tell.
#[must_use]
pub(crate) fn chance(seed: u64, number: u64) -> f64 {
    const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut z = seed.wrapping_add(GAMMA.wrapping_mul(number.wrapping_add(1)));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    // The 53 bits that a double holds.
    #[allow(clippy::cast_precision_loss)]
    let fraction = (z >> 11) as f64;
    fraction / (1_u64 << 53) as f64
}
