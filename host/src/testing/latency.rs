//! What is set of how long texts take: the settings as they are written, and what they mean once
//! the files that they name have been read.

use belljar_testing::distribution::{Recorded, RecordedError};
use belljar_testing::latency::{
    Latency, LatencyError, LatencyRule, LatencyRuleError, PROFILES_BYTES_MAX, ProfileError,
    Profiles,
};
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// Bytes of a file of recorded values.
const RECORDED_BYTES_MAX: u64 = 64 << 20;

/// How long texts take, as it is written.
#[derive(Clone, Debug, Default)]
pub struct LatencyConfig {
    /// Where no rule is for a request.
    pub default: LatencyText,
    /// For some models and keys, the first that is for a request.
    pub rules: Vec<LatencyText>,
    /// Files of profiles besides those that come with the program.
    pub profiles: Vec<PathBuf>,
    /// CSV files of recorded values.
    pub recorded: Vec<PathBuf>,
    /// Names of models that stand for adapters.
    pub adapters: Vec<AdapterName>,
}

/// A name of a model that stands for an adapter (LoRA).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterName(String);

/// A text that is no name of an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected letters, digits and `-_.:/@`, which names of models have")]
pub struct InvalidAdapterName;

impl FromStr for AdapterName {
    type Err = InvalidAdapterName;

    /// Names with other characters could not stand in a label of a metric as they are.
    fn from_str(text: &str) -> Result<Self, InvalidAdapterName> {
        let is_of_names = |c: char| c.is_ascii_alphanumeric() || "-_.:/@".contains(c);
        let is_name = !text.is_empty() && text.chars().all(is_of_names);
        is_name
            .then(|| Self(text.to_owned()))
            .ok_or(InvalidAdapterName)
    }
}

impl fmt::Display for AdapterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A latency or a rule, as it is written. What it means depends on files that are read at the
/// start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatencyText(String);

/// A text that says no latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a latency has no control characters")]
pub struct InvalidLatencyText;

impl Default for LatencyText {
    fn default() -> Self {
        Self("none".to_owned())
    }
}

impl FromStr for LatencyText {
    type Err = InvalidLatencyText;

    /// What it means is found out when the server has read its profiles.
    fn from_str(text: &str) -> Result<Self, InvalidLatencyText> {
        match text.contains(|c: char| c.is_control()) {
            true => Err(InvalidLatencyText),
            false => Ok(Self(text.trim().to_owned())),
        }
    }
}

impl fmt::Display for LatencyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a server does not start with these settings.
#[derive(Debug, thiserror::Error)]
pub enum LatencyConfigError {
    /// A file that cannot be read.
    #[error("`{}` of `{setting}`: {source}", path.display())]
    File {
        /// The setting that names it.
        setting: &'static str,
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
    /// A file that names no values: its name is part of theirs.
    #[error("`{}` of `test.latency_recorded` has no name that values could have", .0.display())]
    Name(PathBuf),
    /// A file of recorded values.
    #[error("`{}` of `test.latency_recorded`: {source}", path.display())]
    Recorded {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        source: RecordedError,
    },
    /// A file of profiles.
    #[error("`{}` of `test.latency_profiles`: {source}", path.display())]
    Profiles {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        source: ProfileError,
    },
    /// The latency where no rule is for a request.
    #[error("`test.latency`: {0}")]
    Default(LatencyError),
    /// A rule.
    #[error("`test.latency_rules`, `{rule}`: {source}")]
    Rule {
        /// As it is written.
        rule: LatencyText,
        /// What is wrong.
        source: LatencyRuleError,
    },
}

/// What is set of how long texts take.
#[derive(Debug, Default)]
pub struct Latencies {
    profiles: Profiles,
    recorded: Recorded,
    default: Option<Arc<Latency>>,
    rules: Vec<LatencyRule>,
    adapters: Vec<AdapterName>,
}

impl Latencies {
    /// What these settings and the files that they name mean.
    ///
    /// # Errors
    ///
    /// The first that means nothing.
    pub fn load(config: &LatencyConfig) -> Result<Self, LatencyConfigError> {
        let mut recorded = Recorded::default();
        for path in &config.recorded {
            let csv = file("test.latency_recorded", path, RECORDED_BYTES_MAX)?;
            let name = path.file_stem().and_then(|name| name.to_str());
            let name = name.ok_or_else(|| LatencyConfigError::Name(path.clone()))?;
            let added = recorded.add(name, &csv);
            added.map_err(|source| LatencyConfigError::Recorded {
                path: path.clone(),
                source,
            })?;
        }
        let mut profiles = Profiles::shipped();
        for path in &config.profiles {
            let toml = file("test.latency_profiles", path, PROFILES_BYTES_MAX as u64)?;
            let toml = String::from_utf8_lossy(&toml);
            let added = profiles.add(&toml, &recorded);
            added.map_err(|source| LatencyConfigError::Profiles {
                path: path.clone(),
                source,
            })?;
        }
        let default = Latency::read(&config.default.0, &profiles, &recorded);
        let default = default.map_err(LatencyConfigError::Default)?;
        let rules = config.rules.iter().map(|rule| {
            let read = LatencyRule::read(&rule.0, &profiles, &recorded);
            read.map_err(|source| LatencyConfigError::Rule {
                rule: rule.clone(),
                source,
            })
        });
        let rules = rules.collect::<Result<_, _>>()?;
        Ok(Self {
            profiles,
            recorded,
            default: default.map(Arc::new),
            rules,
            adapters: config.adapters.clone(),
        })
    }

    /// A latency from what a tester writes; nothing where it is `none`.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn read(&self, text: &str) -> Result<Option<Arc<Latency>>, LatencyError> {
        let read = Latency::read(text, &self.profiles, &self.recorded)?;
        Ok(read.map(Arc::new))
    }

    /// What is set for a model of these names and a key of this id.
    #[must_use]
    pub fn of(&self, models: &[&str], key: Option<&str>) -> Option<Arc<Latency>> {
        let mut rules = self.rules.iter();
        match rules.find(|rule| rule.is_for(models, key)) {
            Some(rule) => rule.latency.clone(),
            None => self.default.clone(),
        }
    }

    /// The adapter that a name of a model stands for.
    #[must_use]
    pub fn adapter(&self, name: &str) -> Option<&str> {
        let mut adapters = self.adapters.iter().map(|adapter| adapter.0.as_str());
        adapters.find(|adapter| *adapter == name)
    }

    /// How many names stand for adapters.
    #[must_use]
    pub fn adapters(&self) -> usize {
        self.adapters.len()
    }
}

fn file(setting: &'static str, path: &Path, bytes_max: u64) -> Result<Vec<u8>, LatencyConfigError> {
    let read = File::open(path).and_then(|file| {
        let mut bytes = Vec::new();
        file.take(bytes_max.saturating_add(1))
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > bytes_max {
            let message = format!("more than {bytes_max} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        Ok(bytes)
    });
    read.map_err(|source| LatencyConfigError::File {
        setting,
        path: path.to_owned(),
        source,
    })
}
