//! The models that serve: a map that requests read without a lock. Most of them are in memory and
//! can run at once; those that nobody has asked for may have left it (`room.rs`).
//!
//! The hot path of the server. Every change builds a new map and puts it in place of the old one
//! in one step, so a request sees the registry as it was before a switch or after it, never
//! between. A request that has its [`LiveModel`] keeps it: a switch or a removal does not touch
//! runs in flight.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use belljar_bundle::{Digest, ModelId, StoredBundle};
use belljar_sandbox::{BlockStore, Budget, Capabilities, CompileJob, Inspection, ReadyModel};
use belljar_testing::recording::Replay;
use jiff::Timestamp;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::ids::KeyId;

use super::guest_logs::GuestLog;
use super::prefixes::PrefixCache;
use super::recency::Asked;
use super::run_metrics::RunMetrics;

/// A version that serves: in memory, or out of it until somebody asks. Made by the registry only:
/// who holds one knows that the bundle was checked and compiled within its caps.
///
/// Hold it until the run has ended: the version's files stay on the disk for as long, even if it
/// is removed meanwhile.
pub struct ServedModel {
    /// The version that serves.
    pub id: ModelId,
    /// `name@version`, for logs and metrics.
    pub label: Arc<str>,
    /// What was found out about the component.
    pub inspection: Inspection,
    /// The budget of one request.
    pub budget: Budget,
    /// The time at which the version was acknowledged.
    pub created: Timestamp,
    /// The SHA-256 that stands for its whole content.
    pub digest: Digest,
    /// The counts of its runs.
    pub metrics: Arc<RunMetrics>,
    /// Whether the version came with the server. Such a model leaves it to the server to count
    /// tokens.
    pub is_embedded: bool,
    /// When it was last asked for.
    pub(super) asked: Asked,
    /// The job that the version was compiled by, to map it again.
    pub(super) job: Arc<CompileJob>,
    /// What its guests have written of late.
    pub(super) log: GuestLog,
    /// What its guests have kept of prompts, with that of all others.
    prefixes: PrefixCache,
    /// The hold on the version's files, which keeps them on the disk: runs in flight read assets
    /// from them, also after the version was removed.
    #[expect(dead_code, reason = "it acts as long as it lives")]
    files: StoredBundle,
    /// Cancels [`ServedModel::released`] when the last run has let go of this value.
    #[expect(dead_code, reason = "it acts when it is dropped")]
    in_use: DropGuard,
    /// The signal that no run holds the files any more, for who wants to delete them.
    pub(super) released: CancellationToken,
}

/// A version in memory, which can run. It leaves memory with the last who holds this.
pub struct LiveModel {
    served: Arc<ServedModel>,
    /// The sandbox's side of the version.
    pub model: ReadyModel,
}

/// A version that is a recording: nothing runs, and what a service has answered is said again.
pub struct RecordedModel {
    served: Arc<ServedModel>,
    /// What it answers from.
    pub replay: Replay,
}

/// What answers to a name.
#[derive(Clone, Debug)]
pub enum Served {
    /// A model that can run.
    Live(Arc<LiveModel>),
    /// One that has to come back into memory first.
    Away(Arc<ServedModel>),
    /// A recording, which is always in memory.
    Recorded(Arc<RecordedModel>),
}

impl ServedModel {
    /// A version whose files are in `files`.
    pub(super) fn new(
        inspection: Inspection,
        files: StoredBundle,
        job: Arc<CompileJob>,
        (created, is_embedded): (Timestamp, bool),
        (log, prefixes): (GuestLog, PrefixCache),
    ) -> Self {
        let id = files.manifest().id().clone();
        let label: Arc<str> = id.to_string().into();
        let released = CancellationToken::new();
        Self {
            metrics: Arc::default(),
            label,
            id,
            inspection,
            budget: job.budget,
            created,
            digest: files.digest(),
            is_embedded,
            asked: Asked::default(),
            job,
            log,
            prefixes,
            files,
            in_use: released.clone().drop_guard(),
            released,
        }
    }

    /// What the version has kept of the prompts of a key. None where nothing is kept.
    #[must_use]
    pub fn prefixes(&self, key: &KeyId) -> Option<Box<dyn BlockStore>> {
        self.prefixes.of(self.digest, key)
    }

    /// The capabilities that the component was found to have.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        &self.inspection.capabilities
    }

    /// The file that it is mapped from, by its content, and how many bytes that has.
    pub(super) fn mapped(&self) -> ([u8; 32], u64) {
        (self.job.content, self.inspection.artefact_bytes)
    }
}

impl LiveModel {
    /// A version, in memory.
    pub(super) fn new(served: Arc<ServedModel>, model: ReadyModel) -> Self {
        Self { served, model }
    }

    /// What is known of the version wherever it is.
    pub(super) fn served(&self) -> &Arc<ServedModel> {
        &self.served
    }
}

impl Deref for LiveModel {
    type Target = ServedModel;

    fn deref(&self) -> &ServedModel {
        &self.served
    }
}

impl Served {
    /// What is known of the version wherever it is.
    pub(super) fn served(&self) -> &Arc<ServedModel> {
        match self {
            Self::Live(live) => live.served(),
            Self::Away(served) => served,
            Self::Recorded(recorded) => &recorded.served,
        }
    }
}

impl Deref for Served {
    type Target = ServedModel;

    fn deref(&self) -> &ServedModel {
        self.served()
    }
}

impl RecordedModel {
    /// A version that answers from a recording.
    pub(super) fn new(served: Arc<ServedModel>, replay: Replay) -> Self {
        Self { served, replay }
    }
}

impl std::fmt::Debug for RecordedModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RecordedModel")
            .field(&self.served.label)
            .finish()
    }
}

impl std::fmt::Debug for LiveModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LiveModel").field(&self.label).finish()
    }
}

impl std::fmt::Debug for ServedModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ServedModel").field(&self.label).finish()
    }
}

/// The names that requests may ask for: each version that can run under `name@version` and
/// `name@sha256:…`, and the
/// active ones under their bare `name` as well. No name has an `@` in it, so the two cannot meet.
pub(super) type Names = HashMap<Box<str>, Served>;

/// The current [`Names`].
#[derive(Default)]
pub(super) struct LiveModels {
    names: ArcSwap<Names>,
    has_recordings: AtomicBool,
}

impl LiveModels {
    /// The model that answers to `reference`. No lock, no allocation.
    pub(super) fn find(&self, reference: &str) -> Option<Served> {
        self.names.load().get(reference).cloned()
    }

    /// Puts another map in place, for every request from now on.
    pub(super) fn publish(&self, names: Names) {
        let mut all = names.values();
        let has_recordings = all.any(|served| matches!(served, Served::Recorded(_)));
        self.names.store(Arc::new(names));
        self.has_recordings.store(has_recordings, Ordering::Release);
    }

    /// Whether a recording answers to any name.
    pub(super) fn has_recordings(&self) -> bool {
        self.has_recordings.load(Ordering::Acquire)
    }
}
