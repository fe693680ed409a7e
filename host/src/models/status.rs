//! What the registry tells about a version: plain values, no behaviour.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use belljar_bundle::{Digest, ModelId, ModelName, ModelVersion};
use belljar_sandbox::{Capabilities, Determinism};
use jiff::Timestamp;

use crate::ids::KeyId;

/// The state of a version between its upload and its first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VersionState {
    /// The version is on disk with all its files; nothing has been done with it yet.
    Received,
    /// The version's stored files and its limits are being looked at.
    Checking,
    /// Being compiled, or waiting for its turn to be.
    Compiling,
    /// The component's `load` runs, or its snapshot is being mapped.
    Loading,
    /// Can serve requests that name its version.
    Ready,
    /// Ready, and what requests for the bare name get.
    Active,
    /// Cannot serve; [`VersionStatus::error`] says why.
    Failed,
}

impl VersionState {
    /// Every state, in the order a version meets them.
    pub const ALL: [Self; 7] = [
        Self::Received,
        Self::Checking,
        Self::Compiling,
        Self::Loading,
        Self::Ready,
        Self::Active,
        Self::Failed,
    ];

    /// The state's name in answers, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Checking => "checking",
            Self::Compiling => "compiling",
            Self::Loading => "loading",
            Self::Ready => "ready",
            Self::Active => "active",
            Self::Failed => "failed",
        }
    }

    /// Whether the lifecycle is over: ready, active or failed.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Ready | Self::Active | Self::Failed)
    }
}

impl fmt::Display for VersionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far the models are that requests ask for by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Models that were active are still being loaded.
    Starting,
    /// Every active version runs.
    Ready,
    /// An active version does not run, because it could not be loaded.
    Failed,
}

/// Why a version failed, for its author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Stable and for programs, for example `refused_import`.
    pub code: String,
    /// A message for a person, which says what to change. Holds no detail of the host.
    pub message: String,
}

/// The most that one request of a version may spend: the smaller of what its manifest asks for and
/// what the host's policy allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Units of fuel of one request.
    pub fuel: u64,
    /// Units of fuel of the one `load`.
    pub load_fuel: u64,
    /// Bytes of linear memory, over all memories.
    pub memory_bytes: u64,
    /// Bytes of one answer.
    pub output_bytes: u64,
    /// Wall-clock time of one request.
    pub deadline: Duration,
}

/// One version, as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionStatus {
    /// Name and version.
    pub id: ModelId,
    /// The state that it is in.
    pub state: VersionState,
    /// The SHA-256 that stands for the whole content of its bundle.
    pub digest: Digest,
    /// Bytes of all its files, unpacked.
    pub bytes: u64,
    /// The time at which the version was acknowledged.
    pub created: Timestamp,
    /// The key that uploaded it. None for models that came with the server.
    pub uploaded_by: Option<KeyId>,
    /// Whether the version came with the server.
    pub embedded: bool,
    /// The description in its manifest.
    pub description: Option<String>,
    /// The license in its manifest.
    pub license: Option<String>,
    /// Whether its files, and what is compiled of them, are kept apart from equal ones of other
    /// versions. None where the manifest could not be read.
    pub is_private: Option<bool>,
    /// The base that it is built on.
    pub base: Option<ModelId>,
    /// The digest of its component, where it is a base for others.
    pub offers: Option<Digest>,
    /// Whether it is in memory. None where it does not serve.
    pub is_resident: Option<bool>,
    /// The capabilities that were found. None until the version has been compiled.
    pub capabilities: Option<Capabilities>,
    /// What its instructions leave to the machine. None until the version has been compiled.
    pub determinism: Option<Arc<Determinism>>,
    /// The most that one request may spend. None where the manifest could not be read.
    pub limits: Option<Limits>,
    /// The reason of a failure. Some exactly when the state is [`VersionState::Failed`].
    pub error: Option<Failure>,
    /// What an uploader should know about the archive that was taken. Only the answer to the
    /// upload has it: it is about the archive, not about the version.
    pub notes: Vec<String>,
}

/// One model with all its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelSummary {
    /// The model's name.
    pub name: ModelName,
    /// The version that requests for the bare name get.
    pub active: Option<ModelVersion>,
    /// All versions, oldest first by semantic version. Never empty.
    pub versions: Vec<VersionStatus>,
}

impl ModelSummary {
    /// The status of the active version.
    pub fn active_version(&self) -> Option<&VersionStatus> {
        self.versions
            .iter()
            .find(|version| version.state == VersionState::Active)
    }
}
