//! Weights on this machine, and the bundle that a runtime of this program makes of them.

mod chosen;
mod gguf;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use belljar_bundle::pack::{Content, Parts};
use belljar_bundle::{
    AssetName, ByteSize, DurationText, Fuel, ModelName, ModelVersion, RequestedLimits,
};
use clap::Args;
use serde_json::json;

use crate::embedded::{RUNTIMES, Runtime, WeightFiles};
use crate::models::Policy;
pub(super) use chosen::ChosenWeights;
use gguf::Sizes;

/// Tokens of a request, prompt and answer together, unless others are asked for.
const CONTEXT_TOKENS: u64 = 2048;
/// Tokens of a request that can be asked for.
const CONTEXT_TOKENS_MAX: u64 = 1 << 24;
/// Where a runtime reads how its weights are to be run.
const SETTINGS_ASSET: &str = "runtime.json";

/// What is said of weights beside them.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Described {
    /// Name of the model (default: that of the weights)
    #[arg(long, requires = ChosenWeights::GROUP)]
    pub(super) name: Option<ModelName>,
    /// Version of the model (default: 1.0.0)
    #[arg(long, requires = ChosenWeights::GROUP)]
    pub(super) version: Option<ModelVersion>,
    /// Tokens that a request to a language model may have, prompt and answer together (default:
    /// 2048, or what the model sees where that is less)
    #[arg(long, value_name = "TOKENS", requires = ChosenWeights::GROUP,
          value_parser = clap::value_parser!(u64).range(1..=CONTEXT_TOKENS_MAX))]
    pub(super) context: Option<u64>,
    /// License for listings, usually an SPDX expression (default: what the weights say)
    #[arg(long, value_name = "TEXT", requires = ChosenWeights::GROUP)]
    pub(super) license: Option<String>,
    /// Description for listings (default: what the weights say)
    #[arg(long, value_name = "TEXT", requires = ChosenWeights::GROUP)]
    pub(super) description: Option<String>,
}

/// Weights whose files are there, with the runtime that runs them.
#[derive(Debug)]
pub(super) struct Weights {
    runtime: &'static Runtime,
    /// As the command line names them.
    path: PathBuf,
    files: Vec<(AssetName, PathBuf)>,
}

/// A bundle of weights in the making: all but its limits.
#[derive(Debug)]
pub(super) struct WeightsBundle {
    parts: Parts,
    /// Of a model that sees so many tokens and no more.
    pub(super) context: Option<Context>,
    /// What its author should know.
    pub(super) notes: Vec<String>,
}

impl WeightsBundle {
    /// The parts, with these limits.
    ///
    /// # Errors
    ///
    /// Never, as long as the name of the settings is one of an asset.
    pub(super) fn parts(&self, limits: RequestedLimits) -> Result<Parts> {
        let mut parts = self.parts.clone();
        parts.limits = limits;
        if let Some(context) = self.context {
            let settings = json!({"context": context.tokens}).to_string();
            let settings = Content::Bytes(settings.into_bytes());
            parts.assets.push((SETTINGS_ASSET.parse()?, settings));
        }
        Ok(parts)
    }

    /// The parts of weights that nobody has measured, with all that a policy allows. Without what
    /// is for listings, so that weights which were tried are not compiled again to be run.
    ///
    /// # Errors
    ///
    /// As [`parts`](Self::parts).
    pub(super) fn untried(&self, policy: &Policy) -> Result<Parts> {
        let parts = self.parts(RequestedLimits {
            memory: Some(ByteSize::bytes(policy.budget.memory_bytes_max)),
            fuel: Some(Fuel(policy.budget.fuel)),
            load_fuel: Some(Fuel(policy.load_fuel)),
            deadline: Some(DurationText::from(policy.budget.wall_time)),
            output: Some(ByteSize::bytes(policy.budget.output_bytes_max)),
        })?;
        Ok(Parts {
            description: None,
            license: None,
            ..parts
        })
    }
}

/// The tokens of a request, and what they take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Context {
    /// Prompt and answer together.
    pub(super) tokens: u64,
    /// Bytes of memory that each of them takes until the answer is whole.
    pub(super) cache_bytes: u64,
}

impl Weights {
    /// The weights of this runtime that are there.
    ///
    /// # Errors
    ///
    /// When a file that has to be there is not.
    pub(super) fn of(runtime: &'static Runtime, path: &Path) -> Result<Self> {
        let files = match runtime.files {
            WeightFiles::One(asset) => {
                if !path.is_file() {
                    bail!("{} is not a file", path.display());
                }
                vec![(asset.parse()?, path.to_owned())]
            }
            WeightFiles::Folder { needed, optional } => {
                if !path.is_dir() {
                    bail!("{} is not a folder", path.display());
                }
                let there = |name: &str| path.join(name).is_file();
                if let Some(missing) = needed.iter().find(|name| !there(name)) {
                    bail!(
                        "{} has no {missing}: weights of this kind are a folder with {}",
                        path.display(),
                        needed.join(", ")
                    );
                }
                let all = needed.iter().chain(optional).filter(|name| there(name));
                all.map(|name| Ok((name.parse()?, path.join(name))))
                    .collect::<Result<_>>()?
            }
        };
        Ok(Self {
            runtime,
            path: path.to_owned(),
            files,
        })
    }

    /// The weights at a path that could be a bundle or a project folder as well; none where it is.
    ///
    /// # Errors
    ///
    /// As [`of`](Self::of).
    pub(super) fn found_at(path: &Path) -> Result<Option<Self>> {
        let found = RUNTIMES.iter().find(|runtime| match runtime.files {
            WeightFiles::One(asset) => {
                let ending = Path::new(asset).extension();
                path.extension() == ending && path.is_file()
            }
            WeightFiles::Folder { needed, .. } => {
                let is_project = path.join(belljar_bundle::MANIFEST_PATH).exists();
                !is_project && needed.iter().all(|name| path.join(name).is_file())
            }
        });
        found.map(|runtime| Self::of(runtime, path)).transpose()
    }

    /// The bundle, without limits.
    ///
    /// # Errors
    ///
    /// When the weights give no name, and none was said.
    pub(super) fn bundle(&self, described: &Described) -> Result<WeightsBundle> {
        let sizes = self.sizes();
        let name = match &described.name {
            Some(name) => name.clone(),
            None => self.own_name()?,
        };
        let version = match &described.version {
            Some(version) => version.clone(),
            None => "1.0.0".parse()?,
        };
        let component = self.runtime.component();
        let component = component.context("this program is damaged: a runtime in it is torn")?;
        let mut parts = Parts::new(name, version, Content::Bytes(component));
        let files = self.files.iter();
        parts.assets = files
            .map(|(name, path)| (name.clone(), Content::File(path.clone())))
            .collect();
        let told = sizes.as_ref();
        let description = told.and_then(|sizes| sizes.name.clone());
        parts.description = described.description.clone().or(description);
        let license = told.and_then(|sizes| sizes.license.clone());
        parts.license = described.license.clone().or(license);

        let mut notes = Vec::new();
        let context = sizes.map(|sizes| {
            let asked = described.context.unwrap_or(CONTEXT_TOKENS);
            if described.context.is_some_and(|asked| asked > sizes.context) {
                notes.push(format!("the model sees {} tokens at most", sizes.context));
            }
            Context {
                tokens: asked.min(sizes.context),
                cache_bytes: sizes.cache_bytes,
            }
        });
        if context.is_none() && described.context.is_some() {
            bail!(
                "--context is for language models, and {} is none",
                self.path.display()
            );
        }
        Ok(WeightsBundle {
            parts,
            context,
            notes,
        })
    }

    /// The sizes that a file says it has. What cannot be read is for the runtime to refuse, in
    /// words and in its sandbox.
    fn sizes(&self) -> Option<Sizes> {
        let (_, path) = self
            .files
            .first()
            .filter(|_| self.runtime.weights == "gguf")?;
        Sizes::read(path)
    }

    /// The name of the file or folder, as a model can be called.
    fn own_name(&self) -> Result<ModelName> {
        let full = std::fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let name = match self.runtime.files {
            WeightFiles::One(_) => self.path.file_stem(),
            WeightFiles::Folder { .. } => full.file_name(),
        };
        let name = name.unwrap_or_default().to_string_lossy().to_lowercase();
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let name: String = name
            .chars()
            .map(|c| if known(c) { c } else { '-' })
            .collect();
        let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let end = name.len().min(ModelName::BYTES_MAX);
        let name = name.get(..end).unwrap_or_default();
        name.parse()
            .map_err(|_| anyhow!("{} gives no name: use --name", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[track_caller]
    fn check(file: &str, expect: Option<&str>) {
        let runtime = Runtime::of("gguf").unwrap();
        let weights = Weights {
            runtime,
            path: PathBuf::from(file),
            files: Vec::new(),
        };
        let name = weights.own_name().ok();
        assert_eq!(name.as_ref().map(ModelName::as_str), expect, "{file}");
    }

    #[test]
    fn a_model_is_called_as_its_file() {
        check("w/SmolLM2-135M.Q4_1.gguf", Some("smollm2-135m.q4_1"));
        check("a b.gguf", Some("a-b"));
        check("__x.gguf", Some("x"));
        check("über.gguf", Some("ber"));
        check("…….gguf", None);
        let long = "a".repeat(100);
        check(&format!("{long}.gguf"), Some(&"a".repeat(64)));
    }
}
