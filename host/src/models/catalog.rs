//! The catalog, the registry's memory: each version with where it stands. Mirrors the rows of the
//! embedded store, plus what does not outlive the process. No I/O here.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use belljar_bundle::{Digest, ModelId, ModelName, ModelVersion};
use belljar_sandbox::{Capabilities, Determinism};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::error::FailedVersion;
use super::guest_logs::{GuestLog, LineOrder};
use super::live::{LiveModel, Names, Served, ServedModel};
use super::records::{Pointers, Record, StoredState};
use super::status::{Failure, Limits, ModelSummary, VersionState, VersionStatus};
use crate::ids::KeyId;

/// The code of a failure for which the files of a version are to blame.
pub(super) const FILES_DAMAGED: &str = "files_damaged";

/// All models.
#[derive(Default)]
pub(super) struct Catalog {
    models: BTreeMap<ModelName, Model>,
    activations: u64,
}

/// One model.
#[derive(Default)]
pub(super) struct Model {
    pub(super) pointers: Pointers,
    pub(super) versions: BTreeMap<ModelVersion, Version>,
    /// The order of what its versions write.
    pub(super) order: Arc<LineOrder>,
}

/// One version.
pub(super) struct Version {
    pub(super) record: Record,
    pub(super) stage: Stage,
    pub(super) manifest: Option<ManifestSummary>,
    pub(super) capabilities: Option<Capabilities>,
    pub(super) determinism: Option<Arc<Determinism>>,
    /// What its guests have written of late.
    pub(super) log: GuestLog,
    /// The activation that may move this version. One that was overtaken by a removal or another
    /// upload finds another number here, and changes nothing.
    activation: u64,
    /// The end of that activation.
    cancel: CancellationToken,
    changed: watch::Sender<()>,
}

/// The stage of a version in this process.
#[derive(Clone)]
pub(super) enum Stage {
    Received,
    Checking,
    Compiling,
    Loading,
    Serves(Served),
    Failed(Failure),
}

/// What a version's manifest says about it.
#[derive(Clone, Debug)]
pub(super) struct ManifestSummary {
    pub(super) description: Option<String>,
    pub(super) license: Option<String>,
    pub(super) is_private: bool,
    pub(super) base: Option<ModelId>,
    pub(super) offers: Option<Digest>,
    pub(super) limits: Limits,
}

/// One attempt to take a version through its lifecycle, from its files to a model that runs.
#[derive(Clone)]
pub(super) struct Activation {
    pub(super) id: ModelId,
    pub(super) record: Record,
    pub(super) log: GuestLog,
    pub(super) number: u64,
    pub(super) cancelled: CancellationToken,
}

impl Model {
    /// The version that was uploaded last, where all have failed.
    pub(super) fn newest_failure(&self) -> Option<FailedVersion> {
        let mut newest: Option<(&Version, &Failure)> = None;
        for version in self.versions.values() {
            let Stage::Failed(failure) = &version.stage else {
                return None;
            };
            if newest.is_none_or(|(other, _)| other.record.created <= version.record.created) {
                newest = Some((version, failure));
            }
        }
        newest.map(|(version, failure)| FailedVersion {
            id: version.record.id.clone(),
            code: failure.code.clone(),
        })
    }
}

impl Version {
    fn new(record: Record, order: &Arc<LineOrder>) -> Self {
        let stage = match &record.state {
            StoredState::Received | StoredState::Ready => Stage::Received,
            StoredState::Failed(failure) => Stage::Failed(failure.clone()),
        };
        Self {
            record,
            stage,
            manifest: None,
            capabilities: None,
            determinism: None,
            log: GuestLog::new(order),
            activation: 0,
            cancel: CancellationToken::new(),
            changed: watch::Sender::new(()),
        }
    }

    /// Whether this activation may move the version, or could until it was cancelled.
    pub(super) fn belongs_to(&self, activation: &Activation) -> bool {
        self.activation == activation.number
    }

    /// The model that answers, if the version has one.
    pub(super) fn served(&self) -> Option<&Served> {
        match &self.stage {
            Stage::Serves(served) => Some(served),
            _ => None,
        }
    }

    /// The same, if it is in memory.
    pub(super) fn live(&self) -> Option<&Arc<LiveModel>> {
        match self.served()? {
            Served::Live(live) => Some(live),
            Served::Away(_) | Served::Recorded(_) => None,
        }
    }

    /// Whether the version's lifecycle is over, one way or the other.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.stage, Stage::Serves(_) | Stage::Failed(_))
    }

    /// Wakes when anything about the version changes; ends with an error when it is removed.
    pub(super) fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(super) fn state(&self, pointers: &Pointers) -> VersionState {
        let active = pointers.active.as_ref() == Some(&self.record.id.version);
        match &self.stage {
            Stage::Received => VersionState::Received,
            Stage::Checking => VersionState::Checking,
            Stage::Compiling => VersionState::Compiling,
            Stage::Loading => VersionState::Loading,
            Stage::Serves(_) if active => VersionState::Active,
            Stage::Serves(_) => VersionState::Ready,
            Stage::Failed(_) => VersionState::Failed,
        }
    }

    fn status(&self, pointers: &Pointers) -> VersionStatus {
        let state = self.state(pointers);
        let error = match &self.stage {
            Stage::Failed(failure) => Some(failure.clone()),
            _ => None,
        };
        VersionStatus {
            id: self.record.id.clone(),
            state,
            digest: self.record.digest,
            bytes: self.record.bytes,
            created: self.record.created,
            uploaded_by: self.record.uploaded_by.clone(),
            embedded: self.record.embedded.is_some(),
            description: self
                .manifest
                .as_ref()
                .and_then(|manifest| manifest.description.clone()),
            license: self
                .manifest
                .as_ref()
                .and_then(|manifest| manifest.license.clone()),
            is_private: self.manifest.as_ref().map(|manifest| manifest.is_private),
            base: self
                .manifest
                .as_ref()
                .and_then(|manifest| manifest.base.clone()),
            offers: self.manifest.as_ref().and_then(|manifest| manifest.offers),
            is_resident: self
                .served()
                .map(|served| !matches!(served, Served::Away(_))),
            capabilities: self.capabilities,
            determinism: self.determinism.clone(),
            limits: self
                .manifest
                .as_ref()
                .map(|manifest| manifest.limits.clone()),
            error,
            notes: Vec::new(),
        }
    }
}

impl Catalog {
    /// The catalog as the rows tell it.
    pub(super) fn from_rows(models: Vec<(ModelName, Pointers)>, records: Vec<Record>) -> Self {
        let mut catalog = Self::default();
        for (name, pointers) in models {
            catalog.models.insert(
                name,
                Model {
                    pointers,
                    ..Model::default()
                },
            );
        }
        for record in records {
            let model = catalog.models.entry(record.id.name.clone()).or_default();
            let number = record.id.version.clone();
            let version = Version::new(record, &model.order);
            model.versions.insert(number, version);
        }
        catalog
    }

    /// Each model with its name.
    pub(super) fn models(&self) -> impl Iterator<Item = (&ModelName, &Model)> {
        self.models.iter()
    }

    pub(super) fn model(&self, name: &ModelName) -> Option<&Model> {
        self.models.get(name)
    }

    pub(super) fn version(&self, id: &ModelId) -> Option<&Version> {
        self.models.get(&id.name)?.versions.get(&id.version)
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.versions().map(|(_, version)| &version.record)
    }

    /// Each version with its model's pointers.
    pub(super) fn versions(&self) -> impl Iterator<Item = (&Pointers, &Version)> {
        self.models.values().flat_map(|model| {
            model
                .versions
                .values()
                .map(|version| (&model.pointers, version))
        })
    }

    /// How many versions there are, and their bytes together, without the broken ones.
    pub(super) fn size(&self) -> (usize, u64) {
        let kept = self.records().filter(|record| !record.is_broken());
        kept.fold((0, 0), |(count, bytes), record| {
            (count + 1, record.bytes.saturating_add(bytes))
        })
    }

    /// How many versions a key has uploaded, and their bytes together, without the broken ones.
    pub(super) fn size_of(&self, owner: &KeyId) -> (usize, u64) {
        let owned = self
            .records()
            .filter(|record| record.uploaded_by.as_ref() == Some(owner) && !record.is_broken());
        owned.fold((0, 0), |(count, bytes), record| {
            (count + 1, record.bytes.saturating_add(bytes))
        })
    }

    /// The digests whose files are wanted. Files that were found damaged are not among them: they
    /// are of no use, and the store deletes nothing while it is told to keep what it cannot read.
    pub(super) fn digests(&self) -> HashSet<Digest> {
        let damaged = |record: &Record| match &record.state {
            StoredState::Failed(failure) => failure.code == FILES_DAMAGED,
            StoredState::Received | StoredState::Ready => false,
        };
        let kept = self.records().filter(|record| !damaged(record));
        kept.map(|record| record.digest).collect()
    }

    pub(super) fn pointers(&self, name: &ModelName) -> Pointers {
        self.models
            .get(name)
            .map(|model| model.pointers.clone())
            .unwrap_or_default()
    }

    pub(super) fn status(&self, id: &ModelId) -> Option<VersionStatus> {
        let model = self.models.get(&id.name)?;
        Some(model.versions.get(&id.version)?.status(&model.pointers))
    }

    pub(super) fn summary(&self, name: &ModelName) -> Option<ModelSummary> {
        let model = self.models.get(name)?;
        Some(summary(name, model))
    }

    pub(super) fn summaries(&self) -> impl Iterator<Item = ModelSummary> {
        self.models.iter().map(|(name, model)| summary(name, model))
    }

    /// The names that requests can ask for.
    pub(super) fn names(&self) -> Names {
        let mut names = Names::new();
        for (pointers, version) in self.versions() {
            if let Stage::Serves(live) = &version.stage {
                names.insert(live.label.as_ref().into(), live.clone());
                let by_digest = format!("{}@sha256:{}", live.id.name, live.digest.hex());
                names.insert(by_digest.into(), live.clone());
                if pointers.active.as_ref() == Some(&live.id.version) {
                    names.insert(live.id.name.as_str().into(), live.clone());
                }
            }
        }
        names
    }

    /// The models that serve.
    pub(super) fn served(&self) -> impl Iterator<Item = &Served> {
        self.versions().filter_map(|(_, version)| version.served())
    }

    /// Those of them that are in memory.
    pub(super) fn live(&self) -> impl Iterator<Item = &Arc<LiveModel>> {
        self.versions().filter_map(|(_, version)| version.live())
    }

    /// Takes all versions of a content out of memory, and gives what whoever still runs them has.
    pub(super) fn let_go(&mut self, content: [u8; 32]) -> Vec<Arc<LiveModel>> {
        let mut left = Vec::new();
        let models = self.models.values_mut();
        for version in models.flat_map(|model| model.versions.values_mut()) {
            if let Some(live) = version.live()
                && live.mapped().0 == content
            {
                let live = live.clone();
                version.stage = Stage::Serves(Served::Away(live.served().clone()));
                left.push(live);
            }
        }
        left
    }

    /// The versions that are active and do not run.
    pub(super) fn active_down(&self) -> impl Iterator<Item = &ModelId> {
        self.versions()
            .filter(|(pointers, version)| {
                pointers.active.as_ref() == Some(&version.record.id.version)
                    && version.served().is_none()
            })
            .map(|(_, version)| &version.record.id)
    }

    /// How many versions are in each state, in the order of [`VersionState::ALL`].
    pub(super) fn counts(&self) -> impl Iterator<Item = (VersionState, usize)> {
        let mut counts = VersionState::ALL.map(|state| (state, 0));
        for (pointers, version) in self.versions() {
            let state = version.state(pointers);
            for (counted, count) in &mut counts {
                *count += usize::from(*counted == state);
            }
        }
        counts.into_iter()
    }

    /// Takes in a version that has been stored, in place of one of the same id, and its model's
    /// pointers.
    pub(super) fn put(&mut self, record: Record, pointers: Pointers) {
        let model = self.models.entry(record.id.name.clone()).or_default();
        model.pointers = pointers;
        let number = record.id.version.clone();
        // With a log of its own: what another's content wrote is none of the new uploader's.
        let fresh = Version::new(record, &model.order);
        match model.versions.get_mut(&number) {
            Some(version) => {
                version.cancel.cancel();
                // Who waits for the version to settle waits on for its new content.
                let changed = std::mem::replace(version, fresh).changed;
                version.changed = changed;
                version.changed.send_replace(());
            }
            None => {
                model.versions.insert(number, fresh);
            }
        }
    }

    /// Sets which version of a model is active, and which is to be.
    pub(super) fn point(&mut self, name: &ModelName, pointers: Pointers) {
        if let Some(model) = self.models.get_mut(name) {
            model.pointers = pointers;
            for version in model.versions.values() {
                version.changed.send_replace(());
            }
        }
    }

    /// Forgets versions; ends what is being done with them.
    pub(super) fn remove(
        &mut self,
        name: &ModelName,
        versions: &[ModelVersion],
        left: Option<Pointers>,
    ) {
        if let Some(model) = self.models.get_mut(name) {
            for version in versions {
                if let Some(version) = model.versions.remove(version) {
                    version.cancel.cancel();
                }
            }
            match left {
                Some(pointers) => model.pointers = pointers,
                None => {
                    self.models.remove(name);
                }
            }
        }
    }

    /// Begins an activation, and ends the one before it.
    pub(super) fn begin(
        &mut self,
        id: &ModelId,
        closing: &CancellationToken,
    ) -> Option<Activation> {
        self.activations += 1;
        let number = self.activations;
        let version = self
            .models
            .get_mut(&id.name)?
            .versions
            .get_mut(&id.version)?;
        version.cancel.cancel();
        version.cancel = closing.child_token();
        version.activation = number;
        Some(Activation {
            id: id.clone(),
            record: version.record.clone(),
            log: version.log.clone(),
            number,
            cancelled: version.cancel.clone(),
        })
    }

    /// The version, as long as this activation may move it.
    pub(super) fn moved_by(&mut self, activation: &Activation) -> Option<&mut Version> {
        let version = self
            .models
            .get_mut(&activation.id.name)?
            .versions
            .get_mut(&activation.id.version)?;
        (version.activation == activation.number && !activation.cancelled.is_cancelled())
            .then_some(version)
    }

    /// Puts something else in the place of a model that serves, unless it has left that place.
    pub(super) fn replace(&mut self, old: &Arc<ServedModel>, stage: Stage) {
        let model = self.models.get_mut(&old.id.name);
        if let Some(version) = model.and_then(|model| model.versions.get_mut(&old.id.version))
            && version
                .served()
                .is_some_and(|served| Arc::ptr_eq(served.served(), old))
        {
            version.stage = stage;
            version.changed.send_replace(());
        }
    }

    /// Moves the version to another stage, as long as this activation may.
    pub(super) fn advance(&mut self, activation: &Activation, stage: Stage) {
        if let Some(version) = self.moved_by(activation) {
            version.stage = stage;
            version.changed.send_replace(());
        }
    }
}

fn summary(name: &ModelName, model: &Model) -> ModelSummary {
    ModelSummary {
        name: name.clone(),
        active: model.pointers.active.clone(),
        versions: model
            .versions
            .values()
            .map(|version| version.status(&model.pointers))
            .collect(),
    }
}
