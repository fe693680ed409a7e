//! Whether there is a wall, and whether there must be one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Whether a process puts up a wall around itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hardening {
    /// As much of it as the kernel has.
    #[default]
    Auto,
    /// All of it, or the process does not go on.
    Required,
    /// None.
    Off,
}

/// The text names none of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected auto, required or off")]
pub struct InvalidHardening;

impl FromStr for Hardening {
    type Err = InvalidHardening;

    fn from_str(text: &str) -> Result<Self, InvalidHardening> {
        match text {
            "auto" => Ok(Self::Auto),
            "required" => Ok(Self::Required),
            "off" => Ok(Self::Off),
            _ => Err(InvalidHardening),
        }
    }
}

impl fmt::Display for Hardening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Required => "required",
            Self::Off => "off",
        })
    }
}
