//! What all parts of this module share: the versions, where they are kept, and the few ways in
//! which they change.
//!
//! Every change goes the same way: one at a time, to disk first, to memory next, visible last.
//! The work runs in a task of its own, so a caller that goes away in the middle cannot leave disk
//! and memory apart.

use std::collections::HashSet;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use belljar_bundle::{Digest, ModelName, ModelVersion, Store};
use belljar_sandbox::{Compiler, Sandbox, base_contents};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{RwLock, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ModelError;
use super::alias::ModelAliases;
use super::builds::Builds;
use super::catalog::{Activation, Catalog, Stage};
use super::config::Config;
use super::dev_errors::DevErrors;
use super::examine::Examiner;
use super::guest_logs::GuestLogs;
use super::live::LiveModels;
use super::memory::Memory;
use super::prefixes::PrefixCache;
use super::records::{Pointers, Records};
use crate::clock::Clock;
use crate::db::Db;
use crate::telemetry::metrics;

/// The state that the parts of this module share.
pub(super) struct Inner {
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) records: Records,
    pub(super) store: Store,
    pub(super) compiler: Compiler,
    /// The sandbox that models are loaded into. [`reload_all`](super::Registry::reload_all) replaces it.
    pub(super) sandbox: Mutex<Current>,
    /// Other names of models.
    pub(super) aliases: ArcSwap<ModelAliases>,
    /// The models as requests see them.
    pub(super) live: LiveModels,
    /// Why next versions are not there.
    pub(super) dev_errors: DevErrors,
    /// The facts about every version. Held for moments, never across an await.
    pub(super) catalog: Mutex<Catalog>,
    /// What the logs of all versions have in common.
    pub(super) logs: GuestLogs,
    pub(super) prefixes: PrefixCache,
    /// Held while a change goes to disk and to memory, so that both see the same order.
    pub(super) writes: tokio::sync::Mutex<()>,
    /// Read: somebody is between the files of a bundle and its row. Write: files without a row
    /// are being deleted.
    pub(super) blobs: RwLock<()>,
    /// Held while files without a row are being deleted, and by whoever keeps that from happening.
    /// Not `blobs`, whose waiting writer would hold up uploads.
    pub(super) removals: Arc<tokio::sync::Mutex<()>>,
    /// Places for uploads.
    pub(super) uploads: Arc<Semaphore>,
    /// What models take of memory.
    pub(super) memory: Memory,
    /// The contents that are being compiled.
    pub(super) builds: Builds,
    /// What holds versions to their examples, once it is there.
    pub(super) examiner: watch::Sender<Option<Weak<dyn Examiner>>>,
    /// Places for work that reads and maps artefacts, one a core.
    pub(super) loads: Semaphore,
    /// Set when every active version has been tried after the start.
    pub(super) started: watch::Sender<bool>,
    /// Active versions that do not run. Kept beside the catalog: whether the server is ready is
    /// asked often, and by anybody.
    pub(super) active_down: AtomicUsize,
    pub(super) collecting: AtomicBool,
    pub(super) tasks: TaskTracker,
    pub(super) closing: CancellationToken,
}

/// The sandbox in use, and how many there were before it.
#[derive(Clone)]
pub(super) struct Current {
    pub(super) generation: u64,
    pub(super) sandbox: Sandbox,
}

impl Inner {
    /// The shared state over what the store tells, before anything has been loaded.
    pub(super) async fn open(
        db: Db,
        store: Store,
        sandbox: Sandbox,
        compiler: Compiler,
        config: Config,
        clock: Clock,
    ) -> Result<Self, ModelError> {
        let records = Records::new(db);
        let (models, versions) = records.all().await?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            records,
            store,
            compiler,
            sandbox: Mutex::new(Current {
                generation: 0,
                sandbox,
            }),
            aliases: ArcSwap::from_pointee(aliases(&config)),
            live: LiveModels::default(),
            dev_errors: DevErrors::default(),
            catalog: Mutex::new(Catalog::from_rows(models, versions)),
            logs: GuestLogs::new(config.logs.clone(), clock.clone()),
            prefixes: PrefixCache::new(config.prefixes.clone(), clock.clone()),
            writes: tokio::sync::Mutex::new(()),
            blobs: RwLock::new(()),
            removals: Arc::default(),
            uploads: Arc::new(Semaphore::new(config.uploads_max)),
            memory: Memory::new(&config, cores),
            builds: Builds::default(),
            examiner: watch::Sender::new(None),
            loads: Semaphore::new(cores),
            started: watch::Sender::new(false),
            active_down: AtomicUsize::new(0),
            collecting: AtomicBool::new(false),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            config,
            clock,
        })
    }

    /// The time of day as exactly as the store keeps it, so that an answer reads the same before
    /// and after a restart.
    pub(super) fn now(&self) -> Timestamp {
        let now = self.clock.now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }

    /// Runs a change in a task of its own. Dropping the returned future does not stop it, so it
    /// never stops between the disk and the memory.
    pub(super) async fn detached<T, F>(
        self: &Arc<Self>,
        work: impl FnOnce(Arc<Self>) -> F,
    ) -> Result<T, ModelError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ModelError>> + Send + 'static,
    {
        if self.closing.is_cancelled() {
            return Err(ModelError::Closing);
        }
        self.tasks
            .spawn(work(self.clone()))
            .await
            .map_err(ModelError::host)?
    }

    /// Changes the catalog and shows requests the outcome, in one step.
    pub(super) fn change(&self, change: impl FnOnce(&mut Catalog)) {
        let mut catalog = self.catalog.lock();
        change(&mut catalog);
        // Under the lock, so that maps are published in the order of the changes.
        self.live.publish(catalog.names());
        self.dev_errors
            .retain(|name, version| catalog.pointers(name).active.as_ref() == Some(version));
        self.count(&catalog);
    }

    /// Moves a version between states that requests do not see and the disk does not keep.
    pub(super) fn advance(&self, activation: &Activation, stage: Stage) {
        let mut catalog = self.catalog.lock();
        catalog.advance(activation, stage);
        self.count(&catalog);
    }

    /// Notes how many versions are in each state, and how many of the active ones do not run.
    fn count(&self, catalog: &Catalog) {
        count_states(catalog);
        let down = catalog.active_down().count();
        self.active_down.store(down, Ordering::Release);
    }

    /// Stores and shows which version is active. The caller holds `writes`.
    pub(super) async fn point(
        &self,
        name: &ModelName,
        pointers: Pointers,
    ) -> Result<(), ModelError> {
        if self.catalog.lock().pointers(name) == pointers {
            return Ok(());
        }
        self.records.point(name, &pointers).await?;
        self.change(|catalog| catalog.point(name, pointers));
        Ok(())
    }

    /// Forgets versions on disk and in memory. The caller holds `writes`.
    pub(super) async fn forget(
        self: &Arc<Self>,
        name: &ModelName,
        to_remove: &[ModelVersion],
    ) -> Result<(), ModelError> {
        let left = {
            let catalog = self.catalog.lock();
            let pointers = catalog.pointers(name);
            let keep = |version: Option<ModelVersion>| version.filter(|it| !to_remove.contains(it));
            let versions = catalog.model(name).map_or(0, |model| model.versions.len());
            (versions > to_remove.len()).then(|| Pointers {
                active: keep(pointers.active),
                pending: keep(pointers.pending),
            })
        };
        self.records.remove(name, to_remove, left.as_ref()).await?;
        let running = self.running(name, to_remove);
        self.change(|catalog| catalog.remove(name, to_remove, left));
        self.collect_soon();
        if !running.is_empty() {
            // What runs in flight still read is spared by the collection above.
            let inner = self.clone();
            self.tasks.spawn(async move {
                for released in running {
                    inner
                        .closing
                        .run_until_cancelled(released.cancelled())
                        .await;
                }
                inner.collect_soon();
            });
        }
        Ok(())
    }

    /// Deletes the files that no version refers to, in the background.
    pub(super) fn collect_soon(self: &Arc<Self>) {
        // One collection that has not begun sees everything removed until it begins.
        if !self.collecting.swap(true, Ordering::AcqRel) {
            let inner = self.clone();
            self.tasks.spawn(async move { inner.collect().await });
        }
    }

    async fn collect(&self) {
        let _turn = self.removals.lock().await;
        let _alone = self.blobs.write().await;
        self.collecting.store(false, Ordering::Release);
        let keep = self.catalog.lock().digests();
        let (store, compiler) = (self.store.clone(), self.compiler.clone());
        let freed = blocking(move || {
            let blobs = store
                .remove_unreferenced(&keep)
                .map_err(ModelError::Bundle)?;
            // One is wanted as long as any version is compiled to it.
            let wanted = store.compiled_of(&keep).map_err(ModelError::Bundle)?;
            let of_bases: HashSet<[u8; 32]> = wanted
                .base_components
                .iter()
                .flat_map(|component| base_contents(component.as_bytes()))
                .collect();
            let artefacts = compiler
                .retain(|content| {
                    of_bases.contains(content)
                        || wanted.builds.contains(&Digest::from_bytes(*content))
                })
                .map_err(ModelError::host)?;
            Ok::<_, ModelError>(blobs + artefacts)
        })
        .await;
        match freed {
            Ok(Ok(0)) => {}
            Ok(Ok(bytes)) => tracing::info!(bytes, "deleted files of removed models"),
            Ok(Err(error)) | Err(error) => {
                // They are found again at the next collection.
                tracing::error!(?error, "files of removed models could not be deleted");
            }
        }
    }

    /// What tells of each of these versions that runs when its last run has ended.
    fn running(&self, name: &ModelName, versions: &[ModelVersion]) -> Vec<CancellationToken> {
        let catalog = self.catalog.lock();
        let Some(model) = catalog.model(name) else {
            return Vec::new();
        };
        let live = versions
            .iter()
            .filter_map(|version| model.versions.get(version)?.served());
        live.map(|served| served.released.clone()).collect()
    }
}

/// The other names of models as the settings have them.
pub(super) fn aliases(config: &Config) -> ModelAliases {
    ModelAliases::new(&config.aliases, config.well_known_aliases, config.any_model)
}

fn count_states(catalog: &Catalog) {
    for (state, count) in catalog.counts() {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        metrics::MODEL_VERSIONS
            .with([("state", state.as_str().into())])
            .set(count);
    }
}

/// Runs what waits for a disk on a thread that may wait.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ModelError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(ModelError::host)
}
