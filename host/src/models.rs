//! Knows the state of each model and hands out those that can run.
//!
//! The place between the routes and the two leaf packages: `belljar_bundle` says whether an
//! archive is sound, `belljar_sandbox` compiles and runs it, and this module keeps what became of
//! it. Requests read a map in memory ([`Registry::ready`]); every change goes to disk before it
//! is acknowledged. Knows no HTTP, and no wasmtime.
//!
//! States of a version: `received` (on disk) → `checking` → `compiling` → `loading` → `ready` or
//! `failed`; `ready` and `active` change into each other, and one version of a name is active.
//!
//! Embedded models are versions like others, installed at the start through the same checks. They
//! cannot be removed, because the next start would bring them back: the settings
//! `embedded.fake` and `embedded.echo` turn them off. They can be deactivated or replaced by an
//! upload, and a start respects both.

mod advice;
mod alias;
mod builds;
mod catalog;
mod comeback;
mod config;
mod dev_errors;
mod error;
mod examine;
mod failures;
mod guest_logs;
mod lifecycle;
mod live;
mod load;
mod log_reader;
mod memory;
mod policy;
mod prefixes;
mod recency;
mod records;
mod registry;
mod remap;
mod room;
mod run_metrics;
mod run_window;
mod startup;
mod state;
mod status;
mod timed_body;
mod upload;
mod well_known;

pub use alias::{AliasError, ModelAlias};
pub use config::{Config, Defaults, Policy};
pub use error::{FailedVersion, ModelError};
pub use examine::{ExamineError, Examiner};
pub use guest_logs::{GuestLogConfig, InvalidLogReaders, LogLine, LogPage, LogQuery, LogReaders};
pub use live::{LiveModel, RecordedModel, Served, ServedModel};
pub use load::ModelLoad;
pub use prefixes::PrefixConfig;
pub use records::{VersionRow, version_row, version_rows};
pub use registry::{Registry, RemovalPause};
pub use run_metrics::{RunMetrics, RunTotals};
pub use run_window::RunCounts;
pub use status::{Failure, Limits, ModelSummary, Readiness, VersionState, VersionStatus};
pub use upload::UploadRequest;
pub use well_known::TokenRules;
