//! The table of packages whose weights are known to run.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use belljar_bundle::{AssetName, ByteSize, Digest, ModelName, ModelVersion};
use serde::Deserialize;

use crate::embedded::{Runtime, WeightFiles};

/// The table of this program.
const OWN: &str = include_str!("catalog.toml");
/// Bytes of a table.
const TABLE_BYTES_MAX: u64 = 1 << 20;
/// Bytes of a package, and of a file in one.
const BYTES_MAX: u64 = 16 << 30;

/// Packages whose weights are known to run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Catalog {
    #[serde(rename = "model")]
    pub(super) models: Vec<Known>,
}

/// A package with weights.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Known {
    /// The name of the model.
    pub(super) name: ModelName,
    /// For listings, a sentence.
    pub(super) about: String,
    /// An SPDX expression.
    pub(super) license: String,
    /// The form of the weights, as the option of `belljar pack` is called.
    pub(super) weights: String,
    /// The project in the index.
    pub(super) package: String,
    /// The version of the project, and of the model.
    pub(super) version: ModelVersion,
    /// The name of the file in the index.
    pub(super) file: AssetName,
    pub(super) bytes: ByteSize,
    pub(super) digest: Digest,
    /// The files in it that the weights are made of.
    pub(super) takes: Vec<Member>,
}

/// A file in a package.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Member {
    /// Its place in the package.
    pub(super) path: AssetName,
    /// Its place in the folder of the weights: its own name, unless this says otherwise.
    #[serde(rename = "as")]
    place: Option<AssetName>,
    pub(super) bytes: ByteSize,
    pub(super) digest: Digest,
}

impl Member {
    pub(super) fn place(&self) -> &str {
        match &self.place {
            Some(place) => place.as_str(),
            None => self.path.as_str().rsplit('/').next().unwrap_or_default(),
        }
    }
}

impl Catalog {
    /// The table of this program, or the one in a file.
    ///
    /// # Errors
    ///
    /// When the file is no such table.
    pub(super) fn read(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else {
            return Self::parse(OWN);
        };
        let shown = path.display();
        let bytes = fs::metadata(path).with_context(|| format!("{shown} cannot be read"))?;
        if bytes.len() > TABLE_BYTES_MAX {
            bail!("{shown} has more than {TABLE_BYTES_MAX} bytes");
        }
        let text = fs::read_to_string(path).with_context(|| format!("{shown} cannot be read"))?;
        Self::parse(&text).with_context(|| format!("{shown} is no catalogue"))
    }

    fn parse(text: &str) -> Result<Self> {
        let catalog: Self = toml::from_str(text)?;
        for known in &catalog.models {
            known.check()?;
        }
        Ok(catalog)
    }

    /// The package of this name.
    ///
    /// # Errors
    ///
    /// When there is none, with the names that there are.
    pub(super) fn find(&self, name: &ModelName) -> Result<&Known> {
        let found = self.models.iter().find(|known| known.name == *name);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.models.iter().map(|it| it.name.as_str()).collect();
            anyhow!("there is no `{name}`; there are: {}", names.join(", "))
        })
    }
}

impl Known {
    fn check(&self) -> Result<()> {
        let name = &self.name;
        let runtime = self.runtime()?;
        if self.takes.is_empty() {
            bail!("{name} takes no file of its package");
        }
        if matches!(runtime.files, WeightFiles::One(_)) && self.takes.len() != 1 {
            bail!("{name} takes several files, and its weights are one");
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if self.package.is_empty() || !self.package.chars().all(is_plain) {
            bail!("{name}: `{}` is no name of a project", self.package);
        }
        if self.file.as_str().contains('/') {
            bail!("{name}: `{}` is no name of a file", self.file);
        }
        let members = self.takes.iter().map(|member| member.bytes);
        if members
            .chain([self.bytes])
            .any(|bytes| bytes.as_u64() > BYTES_MAX)
        {
            bail!("{name} has more than {BYTES_MAX} bytes");
        }
        Ok(())
    }

    /// What runs the weights.
    ///
    /// # Errors
    ///
    /// When this program has nothing that does.
    pub(super) fn runtime(&self) -> Result<&'static Runtime> {
        Runtime::of(&self.weights)
            .ok_or_else(|| anyhow!("{}: nothing here runs `{}`", self.name, self.weights))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_own_table_is_sound_and_has_each_name_once() {
        let catalog = Catalog::read(None).unwrap();
        let mut names: Vec<&str> = catalog.models.iter().map(|it| it.name.as_str()).collect();
        assert!(names.contains(&"smollm2"));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        let told = catalog.find(&"smollm3".parse().unwrap()).unwrap_err();
        assert!(told.to_string().contains("smollm2"), "{told}");
    }

    #[test]
    fn a_table_that_cannot_be_meant_is_refused() {
        for (from, to) in [
            ("\"gguf\"", "\"ggml\""),
            ("about =", "abuot ="),
            ("package = \"llm-", "package = \"../llm-"),
            ("file = \"llm", "file = \"x/llm"),
            ("path = \"llm", "path = \"../llm"),
            ("bytes = 9", "bytes = 92_871_040_000_009"),
            ("sha256:bcc", "sha256:bc"),
        ] {
            let text = OWN.replacen(from, to, 1);
            assert_ne!(text, OWN, "{from}");
            assert!(Catalog::parse(&text).is_err(), "{to}");
        }
    }
}
