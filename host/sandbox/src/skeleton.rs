//! Signatures, while the real thing is being written.
#![allow(missing_docs, clippy::todo, unused_variables, clippy::unused_async)]
use crate::{Budget, CapHit, RunError, wit::{embeddings, tensors, text}};
use std::{path::{Path, PathBuf}, process::ExitCode, time::Duration};

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CleaningChoice { Auto, PagemapScan, KeepResident }
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleaning { PagemapScan, KeepResident }
impl std::fmt::Display for Cleaning { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("") } }

#[derive(Clone, Debug)]
pub struct SandboxConfig {
    pub guest_threads: usize, pub epoch_tick: Duration, pub slots: u32, pub memory_bytes_max: u64, pub table_elements_max: u32,
    pub runs_max: u32, pub queue_max: u32, pub model_runs_max: u32, pub model_queue_max: u32, pub queue_wait: Duration,
    pub cleaning: CleaningChoice, pub deterministic_simd: bool,
}
impl Default for SandboxConfig { fn default() -> Self { todo!() } }
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub String);
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LoadError(pub String);
#[derive(Clone)]
pub struct Sandbox;
#[derive(Clone, Copy, Debug, Default)]
pub struct SandboxStats { pub running: u32, pub waiting: u32, pub slots: u32 }
impl Sandbox {
    pub fn start(config: SandboxConfig) -> Result<Self, StartError> { todo!() }
    pub fn cleaning(&self) -> Cleaning { todo!() }
    pub fn stats(&self) -> SandboxStats { todo!() }
    /// `label` is for logs and metrics, for example `name@version`.
    pub fn load(&self, artefact: &Artefact, label: &str) -> Result<ReadyModel, LoadError> { todo!() }
}
#[derive(Clone)]
pub struct MacKey;
impl MacKey { /// Reads or creates the key file (0600).
    pub fn open(path: &Path) -> std::io::Result<Self> { todo!() } }
#[derive(Clone)]
pub struct CompilerConfig {
    pub program: PathBuf, pub artefacts: PathBuf, pub concurrency: usize, pub wall_time: Duration, pub cpu_time: Duration,
    pub address_space_bytes_max: u64, pub component_bytes_max: u64, pub mac_key: MacKey,
}
#[derive(Clone)]
pub struct Compiler;
#[derive(Clone, Debug)]
pub struct AssetFile { pub name: String, pub path: PathBuf, pub size: u64 }
#[derive(Clone, Debug)]
pub struct LoadBudget { pub fuel: u64, pub wall_time: Duration }
#[derive(Clone, Debug)]
pub struct CompileJob { pub content: [u8; 32], pub component: PathBuf, pub assets: Vec<AssetFile>, pub load: LoadBudget, pub budget: Budget }
/// Reported while a job goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase { Compiling, Loading }
impl Compiler {
    pub fn new(config: CompilerConfig, sandbox: &Sandbox) -> std::io::Result<Self> { todo!() }
    pub fn cached(&self, job: &CompileJob) -> Option<Artefact> { todo!() }
    pub async fn compile(&self, job: &CompileJob, progress: impl FnMut(Phase) + Send) -> Result<Artefact, CompileError> { todo!() }
    /// Deletes the artefacts of contents that `keep` refuses; returns the bytes freed.
    pub fn retain(&self, keep: impl Fn(&[u8; 32]) -> bool) -> std::io::Result<u64> { todo!() }
}
#[must_use]
pub fn compile_child() -> ExitCode { todo!() }
#[derive(Clone, Debug)]
pub struct Artefact;
impl Artefact { pub fn inspection(&self) -> &Inspection { todo!() } }
#[derive(Clone, Debug)]
pub struct Inspection { pub capabilities: Capabilities, pub tensors: Option<tensors::MetadataInfo>, pub memories: u32, pub memory_bytes_initial: u64, pub tables: u32, pub snapshot: bool, pub artefact_bytes: u64 }
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities { pub lifecycle: bool, pub tensors: bool, pub text: bool, pub embeddings: bool, pub moderation: bool, pub images: bool, pub speech: bool, pub transcription: bool, pub ranking: bool }
impl Capabilities { pub fn names(&self) -> Vec<&'static str> { todo!() } }
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    #[error("imports `{name}`, which the host does not grant")] RefusedImport { name: String },
    #[error("{reason}")] Invalid { reason: String },
    #[error("{reason}")] Unsupported { reason: String },
    #[error("{0}")] Cap(CapHit),
    #[error("{reason}")] TooLargeForPool { reason: String },
    #[error("load failed: {reason}")] LoadFailed { reason: String },
    #[error("the compiler failed")] Host { detail: String },
}
impl CompileError { pub fn code(&self) -> &'static str { todo!() } pub fn is_host_fault(&self) -> bool { todo!() } }
#[derive(Clone)]
pub struct ReadyModel;
/// What the guest's log lines are labelled with.
#[derive(Clone, Debug)]
pub struct RunLabel { pub request_id: std::sync::Arc<str> }
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent { pub fuel: u64, pub memory_bytes: u64, pub output_bytes: u64, pub wall: Duration }
#[derive(Clone, Debug)]
pub struct Completed<T> { pub value: T, pub spent: Spent }
impl ReadyModel {
    pub fn inspection(&self) -> &Inspection { todo!() }
    pub async fn infer(&self, request: tensors::Request, budget: &Budget, label: &RunLabel) -> Result<Completed<tensors::Response>, RunError> { todo!() }
    pub async fn embed(&self, inputs: Vec<embeddings::Input>, dimensions: Option<u32>, budget: &Budget, label: &RunLabel) -> Result<Completed<embeddings::Response>, RunError> { todo!() }
    pub async fn generate(&self, request: text::Request, budget: &Budget, label: &RunLabel) -> Result<Generation, RunError> { todo!() }
}
pub struct Generation;
#[derive(Clone, Copy, Debug)]
pub struct GenerationEnd { pub usage: text::Usage, pub spent: Spent }
impl Generation {
    /// The next chunk. Pacing by `delay_us` is the caller's.
    pub async fn next(&mut self) -> Option<Result<text::Chunk, RunError>> { todo!() }
    /// Some once `next` has returned none or an error.
    pub fn end(&self) -> Option<&GenerationEnd> { todo!() }
}
