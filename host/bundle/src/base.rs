//! Bases: bundles whose component others are built on. A bundle that names one has no component in
//! its archive, and in the store the base's.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::digest::Digest;
use crate::names::{ModelId, ModelName, ModelVersion, NameError};

/// A base as a project names it: `name`, or `name@version`. Which version a name alone stands for is
/// decided when the project is packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseName {
    /// Which model.
    pub name: ModelName,
    /// Which version of it, where the project says so.
    pub version: Option<ModelVersion>,
}

impl BaseName {
    /// Name and version, where both are said.
    pub(crate) fn id(&self) -> Option<ModelId> {
        self.version.as_ref().map(|version| ModelId {
            name: self.name.clone(),
            version: version.clone(),
        })
    }
}

impl FromStr for BaseName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.contains('@') {
            return Ok(text.parse::<ModelId>()?.into());
        }
        Ok(Self {
            name: text.parse()?,
            version: None,
        })
    }
}

impl From<ModelId> for BaseName {
    fn from(id: ModelId) -> Self {
        Self {
            name: id.name,
            version: Some(id.version),
        }
    }
}

impl fmt::Display for BaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{}@{version}", self.name),
            None => self.name.fmt(f),
        }
    }
}

/// A base that a project is packed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// Name and version.
    pub id: ModelId,
    /// The digest of its component.
    pub component: Digest,
}

/// Why a bundle cannot be built on the base that it names.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BaseError {
    /// The base is not here.
    #[error(
        "it is built on {base}, and there is no such base here: push the base first, or name \
         another one in model.toml"
    )]
    Unknown {
        /// As the manifest names it.
        base: ModelId,
    },
    /// A bundle that does not offer itself.
    #[error(
        "it is built on {base}, which is no base: its model.toml does not have `is_base = true`"
    )]
    NotOffered {
        /// As the manifest names it.
        base: ModelId,
    },
    /// The base has another component.
    #[error(
        "it is built on {base} with the component {expected}, and that of {base} here is {got}: \
         pack it for this server"
    )]
    Differs {
        /// As the manifest names it.
        base: ModelId,
        /// By the manifest.
        expected: Digest,
        /// By the base.
        got: Digest,
    },
}

impl BaseError {
    /// A stable name of the failure for programs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "base_unknown",
            Self::NotOffered { .. } => "base_not_offered",
            Self::Differs { .. } => "base_differs",
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_base_is_named_with_or_without_its_version() {
        for good in ["python-text", "python-text@1.0.0"] {
            assert_eq!(good.parse::<BaseName>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "@1.0.0",
            "python@",
            "python@1",
            "Python",
            "a@1.0.0@2.0.0",
        ] {
            assert!(bad.parse::<BaseName>().is_err(), "{bad:?}");
        }
    }
}
