//! How long one answer takes: the time to its first token, the gap before each other, the speed at
//! which the prompt is read, or a simulated server that all answers of a model share.
//!
//! A text says it in members: `ttft=200ms,itl=20ms`, each of them a
//! [`Distribution`]; `profile=NAME` stands for what a [`Profile`] has, and members beside it take
//! the place of its own. `none` sets no latency where another text would.

mod pacer;
mod profile;

pub use pacer::{Pacer, PromptSize, Turn};
pub use profile::{PROFILES_BYTES_MAX, Profile, ProfileError, Profiles};

use crate::distribution::{Distribution, DistributionError, Quantity, Recorded};
use crate::quantity::shown;
use crate::scheduler::Engine;
use std::fmt::{self, Display};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a latency as a text.
pub const TEXT_BYTES_MAX: usize = 1_024;

/// How long answers take.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Latency {
    /// Time to the first token, apart from what the prompt takes; none is no time.
    pub ttft: Option<Distribution>,
    /// The gap between a token and the next; none is no time.
    pub itl: Option<Distribution>,
    /// Speed at which prompts are read, without what is found in the cache; none is at once.
    pub prefill: Option<Distribution>,
    /// The server that is simulated, which then says when each token is there. What `ttft` says is
    /// added to each time, for the way to it.
    pub engine: Option<Arc<Engine>>,
}

/// What is wrong with the text of a latency.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LatencyError {
    /// The distribution of a member.
    #[error("`{member}`: {source}")]
    Distribution {
        /// Its name.
        member: &'static str,
        /// What is wrong with it.
        source: DistributionError,
    },
    /// A member that there is not.
    #[error(
        "there is no member `{0}`: expected `ttft=`, `itl=`, `prefill=` or `profile=`, or `none` alone"
    )]
    Unknown(String),
    /// A member that is there twice.
    #[error("`{0}` is there twice")]
    Twice(&'static str),
    /// A profile that there is not.
    #[error("there is no profile `{name}`{}", nearest(.known, .name))]
    NoProfile {
        /// Its name.
        name: String,
        /// All that there are.
        known: Vec<String>,
    },
    /// A profile that simulates a server, and members that would take its place.
    #[error(
        "`{0}` cannot be set beside a profile that simulates a server, which says when tokens come"
    )]
    Engine(&'static str),
    /// Nothing, or too much.
    #[error("expected 1 to {TEXT_BYTES_MAX} bytes, as in `ttft=200ms,itl=20ms`")]
    Length,
}

fn nearest(known: &[String], name: &str) -> String {
    let shared = |other: &str| {
        let same = other.chars().zip(name.chars());
        same.take_while(|(a, b)| a == b).count()
    };
    match known
        .iter()
        .max_by_key(|other| (shared(other), std::cmp::Reverse(other.len())))
    {
        Some(other) if shared(other) > 1 => format!(": did you mean `{other}`?"),
        _ => format!(": there are `{}`", known.join("`, `")),
    }
}

impl Latency {
    /// A latency from its text; nothing where it is `none`.
    ///
    /// # Errors
    ///
    /// What is wrong with it first.
    pub fn read(
        text: &str,
        profiles: &Profiles,
        recorded: &Recorded,
    ) -> Result<Option<Self>, LatencyError> {
        let text = text.trim();
        if text.is_empty() || text.len() > TEXT_BYTES_MAX {
            return Err(LatencyError::Length);
        }
        if text == "none" {
            return Ok(None);
        }
        let (mut profile, mut own) = (None, Self::default());
        for member in members(text) {
            let (name, value) = member.split_once('=').unwrap_or((member, ""));
            let (name, value) = (name.trim(), value.trim());
            let (name, to, quantity) = match name {
                "ttft" => ("ttft", &mut own.ttft, Quantity::Time),
                "itl" => ("itl", &mut own.itl, Quantity::Time),
                "prefill" => ("prefill", &mut own.prefill, Quantity::Speed),
                "profile" => {
                    let found = profiles.profile(value);
                    let found = found.ok_or_else(|| LatencyError::NoProfile {
                        name: shown(value),
                        known: profiles.names().map(str::to_owned).collect(),
                    })?;
                    if profile.replace(found).is_some() {
                        return Err(LatencyError::Twice("profile"));
                    }
                    continue;
                }
                _ => return Err(LatencyError::Unknown(shown(name))),
            };
            let of = Distribution::read(value, quantity, recorded).map_err(|source| {
                LatencyError::Distribution {
                    member: name,
                    source,
                }
            })?;
            if to.replace(of).is_some() {
                return Err(LatencyError::Twice(name));
            }
        }
        let Some(base) = profile.map(|profile| &profile.latency) else {
            return Ok(Some(own));
        };
        if base.engine.is_some() {
            for (name, is_set) in [
                ("itl", own.itl.is_some()),
                ("prefill", own.prefill.is_some()),
            ] {
                if is_set {
                    return Err(LatencyError::Engine(name));
                }
            }
        }
        let base = base.clone();
        Ok(Some(Self {
            ttft: own.ttft.or(base.ttft),
            itl: own.itl.or(base.itl),
            prefill: own.prefill.or(base.prefill),
            engine: base.engine,
        }))
    }
}

/// The members of a text: what commas or semicolons part that are in no brackets.
fn members(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_u32;
    text.split(move |c| {
        match c {
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && matches!(c, ',' | ';')
    })
}

impl Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("ttft", &self.ttft),
            ("itl", &self.itl),
            ("prefill", &self.prefill),
        ];
        let mut is_first = true;
        for (name, of) in parts {
            if let Some(of) = of {
                let comma = if is_first { "" } else { "," };
                write!(f, "{comma}{name}={of}")?;
                is_first = false;
            }
        }
        match &self.engine {
            Some(engine) => write!(f, "{}{engine}", if is_first { "" } else { ", " }),
            None if is_first => f.write_str("ttft=0s"),
            None => Ok(()),
        }
    }
}

/// A latency for some models and some keys: `MODEL LATENCY`, `MODEL@KEY LATENCY`. A `*` at the end
/// of a name stands for anything that it may go on with.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyRule {
    model: Pattern,
    key: Option<Pattern>,
    /// What they take; none is no latency.
    pub latency: Option<Arc<Latency>>,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    start: String,
    is_whole: bool,
}

impl Pattern {
    fn new(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(start) => Self {
                start: start.to_owned(),
                is_whole: false,
            },
            None => Self {
                start: text.to_owned(),
                is_whole: true,
            },
        }
    }

    fn is_for(&self, name: &str) -> bool {
        match self.is_whole {
            true => self.start == name,
            false => name.starts_with(&self.start),
        }
    }
}

impl LatencyRule {
    /// A rule from its text.
    ///
    /// # Errors
    ///
    /// When it names no model, and when what it sets is no latency.
    pub fn read(
        text: &str,
        profiles: &Profiles,
        recorded: &Recorded,
    ) -> Result<Self, LatencyRuleError> {
        let text = text.trim();
        let whole = || LatencyRuleError::Form(shown(text));
        let (whom, latency) = text.split_once(char::is_whitespace).ok_or_else(whole)?;
        let (model, key) = match whom.split_once('@') {
            Some((model, key)) => (model, Some(key)),
            None => (whom, None),
        };
        if model.is_empty() || key.is_some_and(str::is_empty) {
            return Err(whole());
        }
        Ok(Self {
            model: Pattern::new(model),
            key: key.map(Pattern::new),
            latency: Latency::read(latency, profiles, recorded)?.map(Arc::new),
            text: text.to_owned(),
        })
    }

    /// Whether it is for a request to one of these names of a model, by a key of this id.
    #[must_use]
    pub fn is_for(&self, models: &[&str], key: Option<&str>) -> bool {
        models.iter().any(|model| self.model.is_for(model))
            && match (&self.key, key) {
                (None, _) => true,
                (Some(of), Some(key)) => of.is_for(key),
                (Some(_), None) => false,
            }
    }
}

impl Display for LatencyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LatencyRuleError {
    /// It is none.
    #[error(
        "`{0}` is no rule: expected `MODEL LATENCY` or `MODEL@KEY LATENCY`, as in `gpt-4o* ttft=200ms,itl=20ms`"
    )]
    Form(String),
    /// What it sets.
    #[error(transparent)]
    Latency(#[from] LatencyError),
}

/// A time that was simulated, as headers and events have it: milliseconds with three digits.
#[must_use]
pub fn milliseconds(time: Duration) -> f64 {
    // Exact for years: fewer microseconds than a float has integers.
    let us = time.as_micros() as f64;
    us / 1e3
}

#[cfg(test)]
mod tests;
