//! Why a component cannot be served, and whose fault that is.

use crate::{Cap, CapHit, Capabilities};
use serde::{Deserialize, Serialize};

/// Why a component cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompileError {
    /// It imports what nobody gets.
    #[error(
        "the component imports `{name}`, which this host does not grant{}",
        instead(name)
    )]
    RefusedImport {
        /// The import, as written in the component.
        name: String,
    },
    /// It is broken, or breaks the contract.
    #[error("{reason}")]
    Invalid {
        /// What is wrong.
        reason: String,
    },
    /// No route of this host asks for what it exports.
    #[error(
        "the component exports nothing but {capabilities}, which no route of this host asks for yet; this host serves {}",
        Capabilities::served()
    )]
    NotServed {
        /// What it exports, `lifecycle` apart.
        capabilities: Capabilities,
    },
    /// It holds components in components in components.
    #[error("the component has components inside one another, more than {limit} deep")]
    TooDeep {
        /// The most that may be inside one another.
        limit: u32,
    },
    /// It uses features that are not enabled.
    #[error("{reason}")]
    Unsupported {
        /// Which.
        reason: String,
    },
    /// It met a cap while it was compiled or loaded.
    #[error("{0}")]
    Cap(CapHit),
    /// It needs more than one slot has.
    #[error("{reason}")]
    TooLargeForPool {
        /// What it needs and what there is.
        reason: String,
    },
    /// Its `load` trapped or returned an error.
    #[error("`load` failed: {reason}")]
    LoadFailed {
        /// What it said.
        reason: String,
    },
    /// The host's own fault.
    #[error("the host could not compile the component")]
    Host {
        /// For the log.
        detail: String,
    },
}

/// The option of a toolchain that leaves an import out which it adds unasked.
fn instead(import: &str) -> &'static str {
    if import.starts_with("wasi:http/") {
        "; `jco componentize` leaves it out with `-d http -d fetch-event`"
    } else {
        ""
    }
}

impl CompileError {
    /// A code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::RefusedImport { .. } => "refused_import",
            Self::Invalid { .. } => "invalid_component",
            Self::NotServed { .. } => "capability_not_served",
            Self::TooDeep { .. } => "component_too_deep",
            Self::Unsupported { .. } => "unsupported_feature",
            Self::Cap(hit) => match hit.cap {
                Cap::ComponentBytes
                | Cap::CompileTimeMs
                | Cap::CompileWallTimeMs
                | Cap::CompileAddressSpaceBytes => hit.cap.code(),
                _ => "load_budget_exceeded",
            },
            Self::TooLargeForPool { .. } => "component_too_large_for_pool",
            Self::LoadFailed { .. } => "load_failed",
            Self::Host { .. } => "internal_error",
        }
    }

    /// Whether trying again later can help.
    #[must_use]
    pub fn is_host_fault(&self) -> bool {
        matches!(self, Self::Host { .. })
    }

    pub(crate) fn host(what: &str, error: impl std::fmt::Display) -> Self {
        Self::Host {
            detail: format!("{what}: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_that_a_toolchain_adds_unasked_is_refused_with_its_option() {
        let told = |name: &str| {
            let name = name.to_owned();
            CompileError::RefusedImport { name }.to_string()
        };
        assert!(told("wasi:http/types@0.2.10").ends_with("`-d http -d fetch-event`"));
        assert!(told("wasi:nn/tensor").ends_with("does not grant"));
    }
}
