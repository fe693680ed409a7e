//! Profiles: latencies of services and machines under a name, as data with its source.

use super::{Latency, LatencyError};
use crate::distribution::{Distribution, DistributionError, Quantity, Recorded};
use crate::quantity;
use crate::scheduler::{Engine, EngineError, StepTime};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

/// Bytes of a file of profiles.
pub const PROFILES_BYTES_MAX: usize = 1 << 20;

/// Those that come with the program.
pub(super) const SHIPPED: [&str; 3] = [
    include_str!("../../profiles/benchmarks.toml"),
    include_str!("../../profiles/machines.toml"),
    include_str!("../../profiles/services.toml"),
];

/// A latency under a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// What it is the latency of.
    pub about: String,
    /// Where its figures stand.
    pub source: String,
    /// How they were made of those of the source; nothing where they are its own.
    pub derived: String,
    /// The latency.
    pub latency: Latency,
}

/// Profiles by their names.
#[derive(Clone, Debug, Default)]
pub struct Profiles(BTreeMap<String, Profile>);

/// What is wrong with a file of profiles.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// It is not TOML, or has keys that no profile has.
    #[error("{0}")]
    Form(String),
    /// Too much of it.
    #[error("more than {PROFILES_BYTES_MAX} bytes")]
    TooLarge,
    /// A distribution in it.
    #[error("profile `{name}`: {source}")]
    Latency {
        /// Whose.
        name: String,
        /// What is wrong with it.
        source: LatencyError,
    },
    /// The server that it simulates.
    #[error("profile `{name}`, `engine`: {source}")]
    Engine {
        /// Whose.
        name: String,
        /// What is wrong with it.
        source: EngineError,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileText {
    about: String,
    source: String,
    #[serde(default)]
    derived: String,
    ttft: Option<String>,
    itl: Option<String>,
    prefill: Option<String>,
    engine: Option<EngineText>,
}

/// The names are those of vLLM's options, where it has them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EngineText {
    step: String,
    #[serde(default = "zero")]
    step_per_prefill_token: String,
    #[serde(default = "zero")]
    step_per_sequence: String,
    #[serde(default = "zero")]
    step_per_thousand_context_tokens: String,
    #[serde(default = "max_num_seqs")]
    max_num_seqs: NonZeroU32,
    #[serde(default = "max_num_batched_tokens")]
    max_num_batched_tokens: NonZeroU32,
    #[serde(default = "block_size")]
    block_size: u32,
    num_gpu_blocks: NonZeroU32,
    #[serde(default = "enable_prefix_caching")]
    enable_prefix_caching: bool,
}

fn zero() -> String {
    "0s".to_owned()
}

/// As vLLM has them where nothing is said.
fn max_num_seqs() -> NonZeroU32 {
    Engine::MAX_NUM_SEQS
}

fn max_num_batched_tokens() -> NonZeroU32 {
    Engine::MAX_NUM_BATCHED_TOKENS
}

fn block_size() -> u32 {
    Engine::BLOCK_SIZE
}

fn enable_prefix_caching() -> bool {
    true
}

impl EngineText {
    fn engine(self) -> Result<Engine, EngineError> {
        let time = |name, text: &str| {
            quantity::time(text).map_err(|source| EngineError::Time { name, source })
        };
        let step = StepTime {
            base: time("step", &self.step)?,
            prefill_token: time("step_per_prefill_token", &self.step_per_prefill_token)?,
            sequence: time("step_per_sequence", &self.step_per_sequence)?,
            thousand_context_tokens: time(
                "step_per_thousand_context_tokens",
                &self.step_per_thousand_context_tokens,
            )?,
        };
        Engine {
            step,
            max_num_seqs: self.max_num_seqs,
            max_num_batched_tokens: self.max_num_batched_tokens,
            block_size: self.block_size,
            num_gpu_blocks: self.num_gpu_blocks,
            enable_prefix_caching: self.enable_prefix_caching,
        }
        .checked()
    }
}

impl ProfileText {
    fn profile(self, recorded: &Recorded) -> Result<Profile, LatencyOrEngine> {
        let read = |member, quantity, text: &Option<String>| {
            let of = text
                .as_ref()
                .map(|text| Distribution::read(text, quantity, recorded));
            let wrong = |source: DistributionError| LatencyError::Distribution { member, source };
            of.transpose().map_err(wrong)
        };
        let latency = Latency {
            ttft: read("ttft", Quantity::Time, &self.ttft)?,
            itl: read("itl", Quantity::Time, &self.itl)?,
            prefill: read("prefill", Quantity::Speed, &self.prefill)?,
            engine: self
                .engine
                .map(EngineText::engine)
                .transpose()?
                .map(Arc::new),
        };
        if latency.engine.is_some() {
            for (member, is_set) in [
                ("itl", latency.itl.is_some()),
                ("prefill", latency.prefill.is_some()),
            ] {
                if is_set {
                    return Err(LatencyError::Engine(member).into());
                }
            }
        }
        Ok(Profile {
            about: self.about,
            source: self.source,
            derived: self.derived,
            latency,
        })
    }
}

/// What can be wrong with one profile.
enum LatencyOrEngine {
    Latency(LatencyError),
    Engine(EngineError),
}

impl From<LatencyError> for LatencyOrEngine {
    fn from(error: LatencyError) -> Self {
        Self::Latency(error)
    }
}

impl From<EngineError> for LatencyOrEngine {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl Profiles {
    /// Those that come with the program.
    #[must_use]
    pub fn shipped() -> Self {
        let mut profiles = Self::default();
        for toml in SHIPPED {
            let added = profiles.add(toml, &Recorded::default());
            debug_assert!(added.is_ok(), "{added:?}");
        }
        profiles
    }

    /// Adds those of a file, a table for each. One of a name that is there takes its place.
    ///
    /// # Errors
    ///
    /// What is wrong with the file first; nothing is added then.
    pub fn add(&mut self, toml: &str, recorded: &Recorded) -> Result<(), ProfileError> {
        if toml.len() > PROFILES_BYTES_MAX {
            return Err(ProfileError::TooLarge);
        }
        let texts: BTreeMap<String, ProfileText> =
            toml::from_str(toml).map_err(|error| ProfileError::Form(error.to_string()))?;
        let read = texts
            .into_iter()
            .map(|(name, text)| match text.profile(recorded) {
                Ok(profile) => Ok((name, profile)),
                Err(LatencyOrEngine::Latency(source)) => {
                    Err(ProfileError::Latency { name, source })
                }
                Err(LatencyOrEngine::Engine(source)) => Err(ProfileError::Engine { name, source }),
            });
        let read = read.collect::<Result<Vec<_>, _>>()?;
        self.0.extend(read);
        Ok(())
    }

    /// One of them.
    #[must_use]
    pub fn profile(&self, name: &str) -> Option<&Profile> {
        self.0.get(name)
    }

    /// The names of all.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Profile)> {
        self.0
            .iter()
            .map(|(name, profile)| (name.as_str(), profile))
    }
}
