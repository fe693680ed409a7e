//! The registry itself: what the rest of the server asks about models, and the one place where
//! they change.
//!
//! Every change goes the same way: one at a time, to disk first, to memory next, visible last.
//! The work runs in a task of its own, so a caller that goes away in the middle cannot leave disk
//! and memory apart.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use belljar_bundle::{Digest, ModelId, ModelName, ModelVersion, Store};
use belljar_sandbox::{Compiler, Sandbox};
use parking_lot::Mutex;
use tokio::io::AsyncRead;
use tokio::sync::{RwLock, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::book::{Book, Run, Stage};
use super::config::Config;
use super::live::{LiveModel, LiveModels};
use super::records::{Pointers, Records};
use super::status::{ModelSummary, VersionState, VersionStatus};
use super::upload::{self, Received};
use super::{ModelError, startup};
use crate::auth::{Caller, Scope};
use crate::db::Db;
use crate::ids::KeyId;
use crate::telemetry::metrics as telemetry;

/// All models of this server. Cheap to clone.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

pub(super) struct Inner {
    pub(super) config: Config,
    pub(super) records: Records,
    pub(super) store: Store,
    pub(super) compiler: Compiler,
    /// Where models are loaded into. Replaced by [`Registry::reload_all`].
    pub(super) sandbox: Mutex<Current>,
    /// What requests see.
    pub(super) live: LiveModels,
    /// What is known of every version. Held for moments, never across an await.
    pub(super) book: Mutex<Book>,
    /// Held while a change goes to disk and to memory, so that both see the same order.
    pub(super) writes: tokio::sync::Mutex<()>,
    /// Read: somebody is between the files of a bundle and its row. Write: files without a row
    /// are being deleted.
    pub(super) blobs: RwLock<()>,
    /// Places for uploads.
    pub(super) uploads: Arc<Semaphore>,
    /// Places for work that reads and maps artefacts, one a core.
    pub(super) loads: Semaphore,
    /// Set when every active version has been tried after the start.
    pub(super) started: watch::Sender<bool>,
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

impl Registry {
    /// Reads the registry from the store, takes up what was going on when the server ended, and
    /// installs the models that come with the server. Returns before models are loaded: that
    /// goes on in the background, active versions first, and [`Registry::is_ready`] tells when
    /// those are done.
    ///
    /// # Errors
    ///
    /// When the database or the disk fails.
    pub async fn open(
        db: Db,
        store: Store,
        sandbox: Sandbox,
        compiler: Compiler,
        config: Config,
    ) -> Result<Self, ModelError> {
        let records = Records::new(db);
        let (models, versions) = records.all().await?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let inner = Arc::new(Inner {
            records,
            store,
            compiler,
            sandbox: Mutex::new(Current {
                generation: 0,
                sandbox,
            }),
            live: LiveModels::default(),
            book: Mutex::new(Book::from_rows(models, versions)),
            writes: tokio::sync::Mutex::new(()),
            blobs: RwLock::new(()),
            uploads: Arc::new(Semaphore::new(config.uploads_max)),
            loads: Semaphore::new(cores),
            started: watch::Sender::new(false),
            collecting: AtomicBool::new(false),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            config,
        });
        startup::install_embedded(&inner).await?;
        inner.tasks.spawn(startup::load_all(inner.clone()));
        Ok(Self(inner))
    }

    /// The model that answers to `reference`: `name` for its active version, `name@version` for
    /// that one. The hot path: no lock, no allocation, no database.
    ///
    /// Whether the caller may run models at all is the route's question; here only whether this
    /// one exists for it.
    ///
    /// # Errors
    ///
    /// When there is no such model, when the caller may not know of it (which reads the same),
    /// and when it cannot serve now.
    pub fn ready(&self, reference: &str, caller: &Caller) -> Result<Arc<LiveModel>, ModelError> {
        match self.0.live.find(reference) {
            Some(live) if caller.may_use(live.id.name.as_str()) => Ok(live),
            Some(_) => Err(ModelError::not_found(reference)),
            None => Err(self.why_not(reference, caller)),
        }
    }

    /// Why nothing that runs answers to `reference`.
    fn why_not(&self, reference: &str, caller: &Caller) -> ModelError {
        let not_found = || ModelError::not_found(reference);
        let name = reference
            .split_once('@')
            .map_or(reference, |(name, _)| name);
        let Ok(name) = name.parse::<ModelName>() else {
            return not_found();
        };
        if !caller.may_use(name.as_str()) {
            return not_found();
        }
        let book = self.0.book.lock();
        let id = if reference.contains('@') {
            reference.parse::<ModelId>().ok()
        } else {
            let pointers = book.pointers(&name);
            match pointers.active.or(pointers.wanted) {
                Some(version) => Some(ModelId {
                    name: name.clone(),
                    version,
                }),
                None if book.model(&name).is_some() => return ModelError::NoActiveVersion { name },
                None => None,
            }
        };
        match id.and_then(|id| book.status(&id)) {
            Some(status) => ModelError::NotReady {
                id: status.id,
                state: status.state,
            },
            None => not_found(),
        }
    }

    /// All models that the caller may know of, by name.
    #[must_use]
    pub fn list(&self, caller: &Caller) -> Vec<ModelSummary> {
        let book = self.0.book.lock();
        book.summaries()
            .filter(|model| caller.may_use(model.name.as_str()))
            .collect()
    }

    /// One model with all its versions.
    ///
    /// # Errors
    ///
    /// When there is none of that name, or the caller may not know of it.
    pub fn model(&self, name: &ModelName, caller: &Caller) -> Result<ModelSummary, ModelError> {
        let summary = self.0.book.lock().summary(name);
        summary
            .filter(|_| caller.may_use(name.as_str()))
            .ok_or_else(|| ModelError::not_found(name.as_str()))
    }

    /// One version.
    ///
    /// # Errors
    ///
    /// When there is none of that id, or the caller may not know of it.
    pub fn version(&self, id: &ModelId, caller: &Caller) -> Result<VersionStatus, ModelError> {
        let status = self.0.book.lock().status(id);
        status
            .filter(|_| caller.may_use(id.name.as_str()))
            .ok_or_else(|| ModelError::not_found(&id.to_string()))
    }

    /// Takes in a bundle: a tar archive, plain or compressed. When it returns, the version is on
    /// disk and survives whatever happens to the process; checking the component, compiling and
    /// loading it go on in the background ([`Registry::settled`]).
    ///
    /// The same content under the same id again is no error: the answer is where it stands. A
    /// version that failed is tried again; content that failed and was never ready may be
    /// replaced by other content.
    ///
    /// Dropping the future before the body has arrived ends the upload and keeps nothing of it.
    ///
    /// # Errors
    ///
    /// When the caller may not, the bundle is not acceptable, the id stands for other content,
    /// a bound of the server is reached, or the disk fails.
    pub async fn receive(
        &self,
        body: impl AsyncRead + Send + Unpin + 'static,
        received: Received,
    ) -> Result<VersionStatus, ModelError> {
        upload::receive(&self.0, body, received).await
    }

    /// Waits until a version is ready, active or failed.
    ///
    /// # Errors
    ///
    /// When there is no such version, or it is removed meanwhile, or the server stops.
    pub async fn settled(&self, id: &ModelId) -> Result<VersionStatus, ModelError> {
        let gone = || ModelError::not_found(&id.to_string());
        loop {
            let mut changes = {
                let book = self.0.book.lock();
                let version = book.version(id).ok_or_else(gone)?;
                if version.is_settled() {
                    return book.status(id).ok_or_else(gone);
                }
                version.watch()
            };
            let changed = self.0.closing.run_until_cancelled(changes.changed()).await;
            // An error says that the version was removed, which the next look tells as well.
            let Some(_) = changed else {
                return Err(ModelError::Closing);
            };
        }
    }

    /// Makes a ready version the one that requests for the bare name get. Requests in flight
    /// finish on the old one.
    ///
    /// # Errors
    ///
    /// When there is no such version, the caller may not, the version is not ready, or the disk
    /// fails.
    pub async fn activate(
        &self,
        id: &ModelId,
        caller: &Caller,
    ) -> Result<VersionStatus, ModelError> {
        caller.require(Scope::ModelsWrite)?;
        self.version(id, caller)?;
        let id = id.clone();
        self.0
            .detached(|inner| async move {
                let _turn = inner.writes.lock().await;
                let gone = || ModelError::not_found(&id.to_string());
                let status = inner.book.lock().status(&id).ok_or_else(gone)?;
                if !matches!(status.state, VersionState::Ready | VersionState::Active) {
                    return Err(ModelError::NotReady {
                        id,
                        state: status.state,
                    });
                }
                let pointers = Pointers {
                    active: Some(id.version.clone()),
                    wanted: None,
                };
                inner.point(&id.name, pointers).await?;
                inner.book.lock().status(&id).ok_or_else(gone)
            })
            .await
    }

    /// Leaves a model without an active version. Its versions can still be asked for by id.
    ///
    /// # Errors
    ///
    /// When there is no such model, the caller may not, or the disk fails.
    pub async fn deactivate(
        &self,
        name: &ModelName,
        caller: &Caller,
    ) -> Result<ModelSummary, ModelError> {
        caller.require(Scope::ModelsWrite)?;
        self.model(name, caller)?;
        let name = name.clone();
        self.0
            .detached(|inner| async move {
                let _turn = inner.writes.lock().await;
                let gone = || ModelError::not_found(name.as_str());
                inner.book.lock().model(&name).ok_or_else(gone)?;
                inner.point(&name, Pointers::default()).await?;
                inner.book.lock().summary(&name).ok_or_else(gone)
            })
            .await
    }

    /// Removes a version, active or not. It is gone for new requests when this returns; those in
    /// flight finish. Its files are deleted in the background.
    ///
    /// # Errors
    ///
    /// When there is no such version, the caller may not, it came with the server, or the disk
    /// fails.
    pub async fn remove_version(&self, id: &ModelId, caller: &Caller) -> Result<(), ModelError> {
        caller.require(Scope::ModelsWrite)?;
        self.version(id, caller)?;
        self.remove(id.name.clone(), Some(id.version.clone())).await
    }

    /// Removes a model with all its versions, as [`Registry::remove_version`] does.
    ///
    /// # Errors
    ///
    /// When there is no such model, the caller may not, one of its versions came with the server,
    /// or the disk fails.
    pub async fn remove_model(&self, name: &ModelName, caller: &Caller) -> Result<(), ModelError> {
        caller.require(Scope::ModelsWrite)?;
        self.model(name, caller)?;
        self.remove(name.clone(), None).await
    }

    async fn remove(
        &self,
        name: ModelName,
        version: Option<ModelVersion>,
    ) -> Result<(), ModelError> {
        self.0
            .detached(|inner| async move {
                let _turn = inner.writes.lock().await;
                let doomed = doomed(&inner.book.lock(), &name, version)?;
                inner.forget(&name, &doomed).await
            })
            .await
    }

    /// How many versions a key has uploaded that are still there, and their bytes together,
    /// unpacked. Versions that came with the server are nobody's.
    #[must_use]
    pub fn stored_by(&self, key: &KeyId) -> (usize, u64) {
        self.0.book.lock().size_of(key)
    }

    /// The sandbox in use. [`Registry::reload_all`] replaces it.
    #[must_use]
    pub fn sandbox(&self) -> Sandbox {
        self.0.sandbox.lock().sandbox.clone()
    }

    /// Maps every model that runs into another sandbox, and has requests use that one from then
    /// on. For when the way in which instance slots are cleaned must change. Runs in flight
    /// finish in the old one.
    ///
    /// # Errors
    ///
    /// When the server is stopping. A model that cannot be mapped is failed, not kept in the old
    /// sandbox, which the caller has a reason to leave.
    pub async fn reload_all(&self, sandbox: Sandbox) -> Result<(), ModelError> {
        self.0
            .detached(|inner| async move { startup::reload_all(&inner, sandbox).await })
            .await
    }

    /// Whether every version that was active at the start has been loaded or has failed.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.0.started.borrow()
    }

    /// Waits until [`Registry::is_ready`].
    pub async fn started(&self) {
        let mut started = self.0.started.subscribe();
        // The sender lives as long as `self`: no error can come.
        let _ = started.wait_for(|started| *started).await;
    }

    /// Takes no more uploads, ends compilations, and waits until nothing more is written.
    pub async fn close(&self) {
        self.0.closing.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

/// What a removal takes away.
fn doomed(
    book: &Book,
    name: &ModelName,
    version: Option<ModelVersion>,
) -> Result<Vec<ModelVersion>, ModelError> {
    let model = book
        .model(name)
        .ok_or_else(|| ModelError::not_found(name.as_str()))?;
    let doomed = match version {
        None => model.versions.keys().cloned().collect(),
        Some(version) if model.versions.contains_key(&version) => vec![version],
        Some(version) => {
            let id = ModelId {
                name: name.clone(),
                version,
            };
            return Err(ModelError::not_found(&id.to_string()));
        }
    };
    for version in &doomed {
        if model
            .versions
            .get(version)
            .is_some_and(|version| version.record.embedded.is_some())
        {
            return Err(ModelError::Embedded {
                id: ModelId {
                    name: name.clone(),
                    version: version.clone(),
                },
            });
        }
    }
    Ok(doomed)
}

impl Inner {
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

    /// Changes the book and shows requests the outcome, in one step.
    pub(super) fn change(&self, change: impl FnOnce(&mut Book)) {
        let mut book = self.book.lock();
        change(&mut book);
        // Under the lock, so that maps are published in the order of the changes.
        self.live.publish(book.names());
        count_states(&book);
    }

    /// Moves a version between states that requests do not see and the disk does not keep.
    pub(super) fn advance(&self, run: &Run, stage: Stage) {
        let mut book = self.book.lock();
        book.advance(run, stage);
        count_states(&book);
    }

    /// Stores and shows which version is active. The caller holds `writes`.
    pub(super) async fn point(
        &self,
        name: &ModelName,
        pointers: Pointers,
    ) -> Result<(), ModelError> {
        if self.book.lock().pointers(name) == pointers {
            return Ok(());
        }
        self.records.point(name, &pointers).await?;
        self.change(|book| book.point(name, pointers));
        Ok(())
    }

    /// Forgets versions on disk and in memory. The caller holds `writes`.
    pub(super) async fn forget(
        self: &Arc<Self>,
        name: &ModelName,
        doomed: &[ModelVersion],
    ) -> Result<(), ModelError> {
        let left = {
            let book = self.book.lock();
            let pointers = book.pointers(name);
            let keep = |version: Option<ModelVersion>| version.filter(|it| !doomed.contains(it));
            let versions = book.model(name).map_or(0, |model| model.versions.len());
            (versions > doomed.len()).then(|| Pointers {
                active: keep(pointers.active),
                wanted: keep(pointers.wanted),
            })
        };
        self.records.remove(name, doomed, left.as_ref()).await?;
        let running = self.running(name, doomed);
        self.change(|book| book.remove(name, doomed, left));
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
        let _alone = self.blobs.write().await;
        self.collecting.store(false, Ordering::Release);
        let keep = self.book.lock().digests();
        let (store, compiler) = (self.store.clone(), self.compiler.clone());
        let freed = blocking(move || {
            let blobs = store
                .remove_unreferenced(&keep)
                .map_err(ModelError::Bundle)?;
            let artefacts = compiler
                .retain(|content| keep.contains(&Digest::from_bytes(*content)))
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
        let book = self.book.lock();
        let Some(model) = book.model(name) else {
            return Vec::new();
        };
        let live = versions
            .iter()
            .filter_map(|version| model.versions.get(version)?.live());
        live.map(|live| live.released.clone()).collect()
    }
}

fn count_states(book: &Book) {
    for (state, count) in book.counts() {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        metrics::gauge!(telemetry::MODEL_VERSIONS, "state" => state.as_str()).set(count);
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
