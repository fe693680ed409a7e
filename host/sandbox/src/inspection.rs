//! What is kept of a model beside its compiled code.

use crate::{Capabilities, Determinism, wit::tensors};
use serde::{Deserialize, Serialize};

/// What was found out about a model when it was compiled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// What it exports.
    pub capabilities: Capabilities,
    /// What its instructions leave to the machine.
    pub determinism: Determinism,
    /// What tensors it takes and gives, where it exports `tensors`. Asked of its first instance,
    /// so that it is missing until there is one.
    pub tensors: Option<tensors::MetadataInfo>,
    /// Linear memories.
    pub memories: u32,
    /// The size that its largest memory begins with, in bytes; after `load`, where it has one.
    pub memory_bytes_initial: u64,
    /// Tables.
    pub tables: u32,
    /// The size that its largest table begins with, in elements.
    pub table_elements_initial: u64,
    /// Whether `load` has run and its memory was kept.
    pub snapshot: bool,
    /// SHA-256 of the component as it is after `load`, in hexadecimal digits, where it has run: the
    /// same on every machine that gave `load` the same bundle and caps.
    pub snapshot_digest: Option<String>,
    /// The use that `load` has made of its caps, where it has run.
    #[serde(default)]
    pub load: Option<LoadCost>,
    /// Size of the compiled file, in bytes.
    pub artefact_bytes: u64,
}

/// The use that `load` has made of its caps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadCost {
    /// Units of wasmtime fuel.
    pub fuel: u64,
    /// Linear memory at the end, in bytes over all memories.
    pub memory_bytes: u64,
}
