//! What the rest of the server asks about models, and asks to be done with them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use belljar_bundle::{ModelId, ModelName, ModelVersion, Store};
use belljar_sandbox::{Compiler, Sandbox};
use tokio::sync::OwnedMutexGuard;

use super::catalog::Catalog;
use super::config::Config;
use super::examine::Examiner;
use super::live::{Served, ServedModel};
use super::records::Pointers;
use super::state::{Inner, aliases};
use super::status::{ModelSummary, Readiness, VersionState, VersionStatus};
use super::well_known::TokenRules;
use super::{ModelError, startup};
use crate::auth::{Caller, Scope};
use crate::clock::Clock;
use crate::db::Db;
use crate::ids::KeyId;

/// All models of this server. Cheap to clone.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

impl Registry {
    /// Reads the registry from the store, takes up what was going on when the server ended, and
    /// installs the models that come with the server. Returns before models are loaded: that
    /// goes on in the background, active versions first, and [`Registry::readiness`] tells when
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
        clock: Clock,
    ) -> Result<Self, ModelError> {
        let inner = Arc::new(Inner::open(db, store, sandbox, compiler, config, clock).await?);
        startup::install_embedded(&inner).await?;
        inner.tasks.spawn(startup::load_all(inner.clone()));
        Ok(Self(inner))
    }

    /// Has new versions examined that say so in their manifests. Until then they wait. It is held
    /// by whoever hands it in: it runs models, and with them holds this registry.
    pub fn examine_with(&self, examiner: &Arc<dyn Examiner>) {
        self.0.examiner.send_replace(Some(Arc::downgrade(examiner)));
    }

    /// The model that answers to `reference`: `name` for its active version, `name@version` or
    /// `name@sha256:…` for that one, or an alias of one of these. A model's own name comes before
    /// an alias. The hot path: no lock, no allocation, no database. One that is not in memory comes
    /// back with [`Registry::in_memory`].
    ///
    /// Whether the caller may run models at all is the route's question; here only whether this
    /// one exists for it.
    ///
    /// # Errors
    ///
    /// When there is no such model, when the caller may not know of it (which reads the same),
    /// and when it cannot serve now.
    pub fn ready(&self, reference: &str, caller: &Caller) -> Result<Served, ModelError> {
        let found = |live: Served| {
            if caller.may_use(live.id.name.as_str()) {
                Ok(live)
            } else {
                Err(ModelError::not_found(reference))
            }
        };
        if let Some(live) = self.0.live.find(reference) {
            return found(live);
        }
        let error = self.why_not(reference, caller);
        let aliases = self.0.aliases.load();
        match (&error, aliases.target(reference)) {
            (ModelError::NotFound { .. }, Some(target)) => match self.0.live.find(target) {
                Some(live) => found(live),
                None => match self.why_not(target, caller) {
                    ModelError::NotFound { .. } => Err(error),
                    why => Err(why),
                },
            },
            _ => Err(error),
        }
    }

    /// Whether a recording answers to any name: where none does, no request need be looked at for it.
    #[must_use]
    pub fn has_recordings(&self) -> bool {
        self.0.live.has_recordings()
    }

    /// How tokens are counted for the model that answers to `reference`, and how many there may
    /// be; none where that is the model's own to say. The same for every caller.
    #[must_use]
    pub fn token_rules(&self, reference: &str) -> Option<TokenRules> {
        let aliases = self.0.aliases.load();
        let own = self.0.live.find(reference);
        let is_own = own.is_some();
        let live = own.or_else(|| self.0.live.find(aliases.target(reference)?))?;
        if is_own {
            return live.is_embedded.then(TokenRules::default);
        }
        aliases.rules(reference, live.is_embedded)
    }

    /// Whether the built-in model answers to a name that is not its own.
    pub fn is_stood_in_for(&self, name: &str) -> bool {
        self.0.live.find(name).is_none() && self.0.aliases.load().is_stood_in_for(name)
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
        let catalog = self.0.catalog.lock();
        let id = if reference.contains('@') {
            reference.parse::<ModelId>().ok()
        } else {
            let pointers = catalog.pointers(&name);
            match pointers.active.or(pointers.pending) {
                Some(version) => Some(ModelId {
                    name: name.clone(),
                    version,
                }),
                None => match catalog.model(&name) {
                    Some(model) => {
                        let failed = model.newest_failure().map(Box::new);
                        return ModelError::NoActiveVersion { name, failed };
                    }
                    None => None,
                },
            }
        };
        match id.and_then(|id| catalog.status(&id)) {
            Some(status) => ModelError::NotReady {
                id: status.id,
                state: status.state,
            },
            None => not_found(),
        }
    }

    /// Takes other aliases from now on; nothing else of the settings.
    pub fn set_aliases(&self, config: &Config) {
        self.0.aliases.store(Arc::new(aliases(config)));
    }

    /// The aliases of models that run and that the caller may know of, by alias, each with what
    /// it stands for.
    #[must_use]
    pub fn aliases(&self, caller: &Caller) -> Vec<(String, Served)> {
        let known = self.0.aliases.load();
        let mut aliases: Vec<_> = known
            .iter()
            .filter(|(alias, _)| self.0.live.find(alias).is_none())
            .filter_map(|(alias, target)| Some((alias.to_owned(), self.0.live.find(target)?)))
            .filter(|(_, live)| caller.may_use(live.id.name.as_str()))
            .collect();
        aliases.sort_by(|(one, _), (other, _)| one.cmp(other));
        aliases
    }

    /// All models that the caller may know of, by name.
    #[must_use]
    pub fn list(&self, caller: &Caller) -> Vec<ModelSummary> {
        let catalog = self.0.catalog.lock();
        catalog
            .summaries()
            .filter(|model| caller.may_use(model.name.as_str()))
            .collect()
    }

    /// One model with all its versions.
    ///
    /// # Errors
    ///
    /// When there is none of that name, or the caller may not know of it.
    pub fn model(&self, name: &ModelName, caller: &Caller) -> Result<ModelSummary, ModelError> {
        let summary = self.0.catalog.lock().summary(name);
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
        let status = self.0.catalog.lock().status(id);
        status
            .filter(|_| caller.may_use(id.name.as_str()))
            .ok_or_else(|| ModelError::not_found(&id.to_string()))
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
                let catalog = self.0.catalog.lock();
                let version = catalog.version(id).ok_or_else(gone)?;
                if version.is_settled() {
                    return catalog.status(id).ok_or_else(gone);
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
                let status = inner.catalog.lock().status(&id).ok_or_else(gone)?;
                if !matches!(status.state, VersionState::Ready | VersionState::Active) {
                    return Err(ModelError::NotReady {
                        id,
                        state: status.state,
                    });
                }
                let pointers = Pointers {
                    active: Some(id.version.clone()),
                    pending: None,
                };
                inner.point(&id.name, pointers).await?;
                inner.catalog.lock().status(&id).ok_or_else(gone)
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
                inner.catalog.lock().model(&name).ok_or_else(gone)?;
                inner.point(&name, Pointers::default()).await?;
                inner.catalog.lock().summary(&name).ok_or_else(gone)
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

    /// Notes why the next version of a model is not there, for the answers of the active one. Gives
    /// back that version, and the line as it is kept.
    ///
    /// # Errors
    ///
    /// When the caller may not, there is no such model, or none of its versions is active.
    pub fn note_dev_error(
        &self,
        name: &ModelName,
        message: &str,
        caller: &Caller,
    ) -> Result<(ModelId, Arc<str>), ModelError> {
        caller.require(Scope::ModelsWrite)?;
        let summary = self.model(name, caller)?;
        let Some(version) = summary.active else {
            return Err(ModelError::NoActiveVersion {
                name: name.clone(),
                failed: None,
            });
        };
        let id = ModelId {
            name: name.clone(),
            version,
        };
        let line = self.0.dev_errors.note(id.clone(), message);
        Ok((id, line))
    }

    /// Forgets it.
    ///
    /// # Errors
    ///
    /// When the caller may not, or there is no such model.
    pub fn forget_dev_error(&self, name: &ModelName, caller: &Caller) -> Result<(), ModelError> {
        caller.require(Scope::ModelsWrite)?;
        self.model(name, caller)?;
        self.0.dev_errors.forget(name);
        Ok(())
    }

    /// What is noted for the answers of a version.
    #[must_use]
    pub fn dev_error(&self, model: &ServedModel) -> Option<Arc<str>> {
        self.0.dev_errors.of(model)
    }

    /// The state that the parts of this module work on.
    pub(super) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    async fn remove(
        &self,
        name: ModelName,
        version: Option<ModelVersion>,
    ) -> Result<(), ModelError> {
        self.0
            .detached(|inner| async move {
                let _turn = inner.writes.lock().await;
                let to_remove = to_remove(&inner.catalog.lock(), &name, version)?;
                inner.forget(&name, &to_remove).await
            })
            .await
    }

    /// How many versions a key has uploaded that are still there, and their bytes together,
    /// unpacked. Versions that came with the server are nobody's.
    #[must_use]
    pub fn stored_by(&self, key: &KeyId) -> (usize, u64) {
        self.0.catalog.lock().size_of(key)
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

    /// Whether requests for the names of all models find one that runs.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        if !*self.0.started.borrow() {
            Readiness::Starting
        } else if self.0.active_down.load(Ordering::Acquire) > 0 {
            Readiness::Failed
        } else {
            Readiness::Ready
        }
    }

    /// All models that serve.
    #[must_use]
    pub fn served(&self) -> Vec<Served> {
        self.0.catalog.lock().served().cloned().collect()
    }

    /// The versions that are active and do not run.
    #[must_use]
    pub fn active_down(&self) -> Vec<ModelId> {
        self.0.catalog.lock().active_down().cloned().collect()
    }

    /// Waits until every version that was active at the start has been loaded or has failed.
    pub async fn started(&self) {
        let mut started = self.0.started.subscribe();
        // The sender lives as long as `self`: no error can come.
        let _ = started.wait_for(|started| *started).await;
    }

    /// Keeps files of models from being deleted while what this gives lives. Removed models are gone
    /// for callers all the same.
    pub async fn pause_removals(&self) -> RemovalPause {
        let removals = Arc::clone(&self.0.removals);
        RemovalPause {
            _turn: removals.lock_owned().await,
        }
    }

    /// Where the files of models are.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Takes no more uploads, ends compilations, and waits until nothing more is written.
    pub async fn close(&self) {
        self.0.closing.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

/// While this lives, no file of a model is deleted.
#[derive(Debug)]
pub struct RemovalPause {
    _turn: OwnedMutexGuard<()>,
}

/// The versions that a removal takes away.
fn to_remove(
    catalog: &Catalog,
    name: &ModelName,
    version: Option<ModelVersion>,
) -> Result<Vec<ModelVersion>, ModelError> {
    let model = catalog
        .model(name)
        .ok_or_else(|| ModelError::not_found(name.as_str()))?;
    let to_remove = match version {
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
    for version in &to_remove {
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
    Ok(to_remove)
}
