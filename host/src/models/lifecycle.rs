//! Takes a stored version from `received` to `ready` or `failed`.
//!
//! What is stored on the way is little: a version is `received` until it is `ready` or `failed`.
//! Killed between, the next start does the work again, and the cache of artefacts makes that
//! cheap where it had been done. A failure that is the model's own is stored; one of the host's
//! is not, so the next start tries again.

use std::collections::VecDeque;
use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;
use std::time::Instant;

use belljar_bundle::{BundleError, ModelId, Payload, Placement, StoredBundle};
use belljar_sandbox::{
    Artefact, AssetFile, CompileError, CompileJob, GuestLine, Inspection, LoadError, Phase,
    Progress, RunLabel, printable,
};
use belljar_testing::recording::{ModelNames, Recording, RecordingError, Replay};

use super::advice::advice;
use super::catalog::{Activation, FILES_DAMAGED, ManifestSummary, Stage};
use super::examine::{ExamineError, Examiner};
use super::live::{LiveModel, RecordedModel, Served, ServedModel};
use super::records::StoredState;
use super::room::Room;
use super::state::{Current, Inner, blocking};
use super::status::Failure;
use super::{ModelError, policy};
use crate::telemetry::metrics;

/// Compilations of one version that may be cut short by the end of the server before the version
/// counts as what ended it. Without a bound, a bundle that brings the host down would do so again
/// at each start.
const ATTEMPTS_MAX: u32 = 5;

/// What the system says where there is no room: on the disk, in a quota, for a file of that size.
/// The compiling process has nothing but words to tell it.
const OUT_OF_SPACE: [&str; 3] = ["(os error 28)", "(os error 122)", "(os error 27)"];

/// Why an activation ended without a model that runs.
enum PrepareError {
    /// The bundle's fault, for ever: stored, and shown to its author.
    Model(Failure),
    /// The host's fault, perhaps not for ever: tried again at the next start.
    Host(String),
    /// Another activation has taken over, or the version is gone.
    Overtaken,
    /// The model was loaded into a sandbox that has been replaced since.
    Stale,
}

/// A model that serves, and the sandbox in which it does.
struct Loaded {
    model: Served,
    generation: u64,
    /// What it takes of memory, until it is seen there.
    room: Option<Room>,
}

impl From<ExamineError> for PrepareError {
    fn from(error: ExamineError) -> Self {
        match error {
            ExamineError::Failed(failure) => Self::Model(failure),
            ExamineError::Host(detail) => Self::Host(detail),
        }
    }
}

impl From<ModelError> for PrepareError {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Host { detail } | ModelError::DiskFull { detail } => Self::Host(detail),
            other => Self::Host(other.to_string()),
        }
    }
}

/// Begins an activation of the version, in the background.
pub(super) fn start(inner: &Arc<Inner>, id: &ModelId) {
    if let Some(activation) = activation(inner, id) {
        inner.tasks.spawn(activation);
    }
}

/// An activation of the version, in place of one that goes on. None if there is no such version.
pub(super) fn activation(
    inner: &Arc<Inner>,
    id: &ModelId,
) -> Option<impl Future<Output = ()> + Send + use<>> {
    let activation = inner.catalog.lock().begin(id, &inner.closing)?;
    let inner = inner.clone();
    Some(async move {
        let ended = match &activation.record.state {
            StoredState::Failed(_) => {
                // Only what its manifest says is still to be found out. If that fails, the
                // reason that is stored says more.
                if let Ok(bundle) = open(&inner, &activation).await {
                    describe(&inner, &activation, &bundle);
                }
                Ok(())
            }
            StoredState::Received | StoredState::Ready => drive(&inner, &activation).await,
        };
        if let Err(error) = ended {
            end(&inner, &activation, error).await;
        }
        if inner.closing.is_cancelled() {
            undo_attempt(&inner, &activation).await;
        } else if activation.cancelled.is_cancelled() {
            // Files that this activation held open were spared by the collection that came with
            // the removal.
            inner.collect_soon();
        }
    })
}

/// Takes the version from its first state to `ready`, again if the sandbox was replaced on the
/// way.
async fn drive(inner: &Arc<Inner>, activation: &Activation) -> Result<(), PrepareError> {
    loop {
        let loaded = activation
            .cancelled
            .run_until_cancelled(prepare(inner, activation))
            .await;
        match become_ready(inner, activation, loaded.ok_or(PrepareError::Overtaken)??).await {
            Err(PrepareError::Stale) => {}
            ended => return ended,
        }
    }
}

/// Deals with an activation that did not end in `ready`.
async fn end(inner: &Arc<Inner>, activation: &Activation, error: PrepareError) {
    match error {
        PrepareError::Overtaken | PrepareError::Stale => {}
        PrepareError::Model(failure) => {
            let Failure { code, message } = &failure;
            // What it wrote before has lines of its own.
            let message = message.lines().next().unwrap_or_default();
            tracing::info!(model.id = %activation.id, code, "version failed: {message}");
            become_failed(inner, activation, failure).await;
        }
        PrepareError::Host(detail) => {
            tracing::error!(model.id = %activation.id, detail, "the host could not prepare a version");
            let is_full = OUT_OF_SPACE.iter().any(|words| detail.contains(words));
            let (code, what) = if is_full {
                ("disk_full", "the server's disk is full")
            } else {
                ("internal_error", "the host could not prepare this version")
            };
            let failure = Failure {
                code: code.to_owned(),
                message: format!(
                    "{what}; it tries again at its next start, or when the same bundle is uploaded \
                     again"
                ),
            };
            inner.change(|catalog| catalog.advance(activation, Stage::Failed(failure)));
        }
    }
}

/// Checks, compiles and loads the version.
async fn prepare(inner: &Arc<Inner>, activation: &Activation) -> Result<Loaded, PrepareError> {
    inner.advance(activation, Stage::Checking);
    let bundle = open(inner, activation).await?;
    let job = Arc::new(describe(inner, activation, &bundle));
    if let Payload::Recording(_) = bundle.manifest().payload() {
        return recording(inner, activation, bundle, job).await;
    }
    let artefact = match cached(inner, &job).await? {
        Some(artefact) => artefact,
        None => build(inner, activation, &job, &bundle).await?,
    };
    inner.advance(activation, Stage::Loading);
    load(inner, activation, bundle, job, artefact).await
}

async fn open(inner: &Arc<Inner>, activation: &Activation) -> Result<StoredBundle, PrepareError> {
    let store = inner.store.clone();
    let digest = activation.record.digest;
    let opened = blocking(move || store.open_bundle(&digest)).await?;
    opened.map_err(|error| damaged(activation, error))
}

/// The failure of a version whose files cannot be read. Files that are gone or changed stay so; a
/// disk that fails may work at the next start.
fn damaged(activation: &Activation, error: BundleError) -> PrepareError {
    tracing::error!(model.id = %activation.id, %error, "a stored bundle cannot be used");
    match error {
        BundleError::BundleUnknown { .. } | BundleError::StoreDamaged { .. } => {
            PrepareError::Model(Failure {
                code: FILES_DAMAGED.to_owned(),
                message: "files of this version are missing or damaged on the server's disk: \
                          upload the bundle again"
                    .to_owned(),
            })
        }
        error => PrepareError::Host(error.to_string()),
    }
}

/// Notes what the manifest says, and makes the job for the compiler.
fn describe(inner: &Inner, activation: &Activation, bundle: &StoredBundle) -> CompileJob {
    let manifest = bundle.manifest();
    let limits = policy::limits(manifest.limits(), &inner.config.policy);
    let (budget, load) = policy::budgets(&limits, &inner.config.policy);
    if let Some(version) = inner.catalog.lock().moved_by(activation) {
        version.manifest = Some(ManifestSummary {
            description: manifest.description().map(str::to_owned),
            license: manifest.license().map(str::to_owned),
            is_private: bundle.placement() == Placement::Apart,
            base: manifest.base().cloned(),
            offers: manifest.is_base().then(|| manifest.payload_digest()),
            limits,
        });
    }
    let assets = bundle
        .assets()
        .map(|file| AssetFile {
            name: file.name.to_string(),
            path: file.path.clone(),
            size: file.bytes,
        })
        .collect();
    CompileJob {
        content: *bundle.build_digest().as_bytes(),
        component: bundle.payload_path(),
        assets,
        load,
        budget,
        base: bundle
            .manifest()
            .base_component()
            .map(|digest| *digest.as_bytes()),
    }
}

/// Reads a recording, of which nothing is compiled and which is in memory as long as it serves.
async fn recording(
    inner: &Arc<Inner>,
    activation: &Activation,
    bundle: StoredBundle,
    job: Arc<CompileJob>,
) -> Result<Loaded, PrepareError> {
    let place = inner.loads.acquire().await.map_err(ModelError::host)?;
    inner.advance(activation, Stage::Loading);
    let verified = bundle.clone();
    blocking(move || verified.verify())
        .await?
        .map_err(|error| damaged(activation, error))?;
    let path = bundle.payload_path();
    let read = blocking(move || {
        let file = File::open(path)?;
        Recording::read(BufReader::new(file), ModelNames::Any)
    });
    let recording = read.await?.map_err(|error| match error {
        RecordingError::Io(error) => PrepareError::Host(error.to_string()),
        error => PrepareError::Model(Failure {
            code: "invalid_recording".to_owned(),
            message: format!("its recording cannot be used: {error}"),
        }),
    })?;
    drop(place);
    let record = &activation.record;
    let origin = (record.created, record.embedded.is_some());
    let kept = (activation.log.clone(), inner.prefixes.clone());
    let served = ServedModel::new(Inspection::default(), bundle, job, origin, kept);
    let recorded = RecordedModel::new(Arc::new(served), Replay::new(recording));
    Ok(Loaded {
        model: Served::Recorded(Arc::new(recorded)),
        generation: inner.sandbox.lock().generation,
        room: None,
    })
}

async fn cached(
    inner: &Arc<Inner>,
    job: &Arc<CompileJob>,
) -> Result<Option<Artefact>, PrepareError> {
    let place = inner.loads.acquire().await.map_err(ModelError::host)?;
    let (compiler, job) = (inner.compiler.clone(), job.clone());
    let cached = blocking(move || compiler.cached(&job)).await?;
    drop(place);
    Ok(cached)
}

/// Compiles the version, unless another one with the same content does so first.
async fn build(
    inner: &Arc<Inner>,
    activation: &Activation,
    job: &Arc<CompileJob>,
    bundle: &StoredBundle,
) -> Result<Artefact, PrepareError> {
    let _alone = inner.builds.alone(job.content).await;
    match cached(inner, job).await? {
        Some(artefact) => Ok(artefact),
        None => compile(inner, activation, job, bundle).await,
    }
}

async fn compile(
    inner: &Arc<Inner>,
    activation: &Activation,
    job: &CompileJob,
    bundle: &StoredBundle,
) -> Result<Artefact, PrepareError> {
    note_attempt(inner, activation).await?;
    // What is compiled is what was signed and checked, whatever has happened to the disk since.
    let verified = bundle.clone();
    blocking(move || verified.verify())
        .await?
        .map_err(|error| damaged(activation, error))?;
    inner.advance(activation, Stage::Compiling);
    let started = Instant::now();
    let label = activation.id.to_string();
    let mut said = SaidInLoad::default();
    let sandbox = inner.sandbox.lock().sandbox.clone();
    let compiled = inner
        .compiler
        .compile(job, &sandbox, |progress| match progress {
            Progress::Phase(Phase::Compiling) => inner.advance(activation, Stage::Compiling),
            Progress::Phase(Phase::Loading) => inner.advance(activation, Stage::Loading),
            Progress::Said(line) => {
                line.log(&label, &RunLabel::new("load"));
                inner.logs.add(&activation.log, &line, "load");
                said.add(line);
            }
        })
        .await;
    let outcome = compiled.as_ref().map_or_else(CompileError::code, |_| "ok");
    let spent = started.elapsed();
    metrics::COMPILE_DURATION
        .with([("outcome", outcome.into())])
        .record(spent);
    let duration_ms = u64::try_from(spent.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(model.id = %activation.id, outcome, duration_ms, "compiled a version");
    compiled.map_err(|error| match error {
        CompileError::Host { detail } => PrepareError::Host(detail),
        error => {
            let advice = advice(&error, job, &inner.config.policy);
            PrepareError::Model(Failure {
                code: error.code().to_owned(),
                message: said.after(&format!("{error}{}", advice.unwrap_or_default())),
            })
        }
    })
}

/// Lines of `load` that its author reads with a failure: the last ones, because a panic or a
/// traceback comes at the end.
#[derive(Default)]
struct SaidInLoad(VecDeque<String>);

/// Lines that are kept.
const SAID_LINES_MAX: usize = 40;
/// Bytes of one of them.
const SAID_LINE_BYTES_MAX: usize = 400;

impl SaidInLoad {
    fn add(&mut self, line: GuestLine) {
        if self.0.len() == SAID_LINES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(printable(&line.text, SAID_LINE_BYTES_MAX));
    }

    /// The message of a failure, followed by what the guest said before it, a line each.
    fn after(&self, message: &str) -> String {
        let mut text = message.to_owned();
        if !self.0.is_empty() {
            text.push_str("\nIn `load` it wrote:");
        }
        for line in &self.0 {
            text.push_str("\n  ");
            text.push_str(line);
        }
        text
    }
}

/// Stores that a compilation begins, so that one that takes the server down is known by it.
async fn note_attempt(inner: &Arc<Inner>, activation: &Activation) -> Result<(), PrepareError> {
    let turn = inner.writes.lock().await;
    let (mut record, pointers) = {
        let mut catalog = inner.catalog.lock();
        let pointers = catalog.pointers(&activation.id.name);
        (
            catalog
                .moved_by(activation)
                .ok_or(PrepareError::Overtaken)?
                .record
                .clone(),
            pointers,
        )
    };
    if record.attempts >= ATTEMPTS_MAX {
        return Err(PrepareError::Model(Failure {
            code: "interrupted".to_owned(),
            message: format!(
                "the server ended {ATTEMPTS_MAX} times while it compiled this version; upload it \
                 again to have it tried again"
            ),
        }));
    }
    record.attempts += 1;
    inner.records.put(&record, &pointers).await?;
    if let Some(version) = inner.catalog.lock().moved_by(activation) {
        version.record = record;
    }
    drop(turn);
    Ok(())
}

/// Takes back what [`note_attempt`] stored: a clean stop says nothing against the version.
async fn undo_attempt(inner: &Arc<Inner>, activation: &Activation) {
    let _turn = inner.writes.lock().await;
    let (record, pointers) = {
        let catalog = inner.catalog.lock();
        let version = catalog
            .version(&activation.id)
            .filter(|version| version.belongs_to(activation));
        (
            version.map(|version| version.record.clone()),
            catalog.pointers(&activation.id.name),
        )
    };
    let Some(mut record) = record.filter(|record| record.attempts > 0) else {
        return;
    };
    record.attempts -= 1;
    if let Err(error) = inner.records.put(&record, &pointers).await {
        tracing::warn!(model.id = %activation.id, ?error, "an interrupted compilation counts against its version");
    }
}

/// Maps the artefact into the sandbox.
async fn load(
    inner: &Arc<Inner>,
    activation: &Activation,
    bundle: StoredBundle,
    job: Arc<CompileJob>,
    artefact: Artefact,
) -> Result<Loaded, PrepareError> {
    let place = inner.loads.acquire().await.map_err(ModelError::host)?;
    let Current {
        generation,
        sandbox,
    } = inner.sandbox.lock().clone();
    let record = &activation.record;
    let origin = (record.created, record.embedded.is_some());
    let kept = (activation.log.clone(), inner.prefixes.clone());
    let inspection = artefact.inspection().clone();
    // What was ready before has been examined then.
    let is_examined = inner.config.examines
        && bundle.manifest().requires_examples()
        && record.state != StoredState::Ready;
    let examined = is_examined.then(|| bundle.clone());
    let served = Arc::new(ServedModel::new(inspection, bundle, job, origin, kept));
    // What is new is about to be asked for. What was there at the start waits until it is, where
    // there is no room for all.
    let room = if record.state == StoredState::Ready && record.embedded.is_none() {
        let Some(room) = inner.room_left_for(&served) else {
            return Ok(Loaded {
                model: Served::Away(served),
                generation,
                room: None,
            });
        };
        room
    } else {
        let room = inner.room_for(&served);
        inner.make_room(false).await;
        room
    };
    let label = activation.id.to_string();
    let ear = inner.logs.ear(&activation.log);
    let model = blocking(move || sandbox.load_heard_by(&artefact, &label, ear))
        .await?
        .map_err(|error| match error {
            LoadError::Contract { .. } => PrepareError::Model(Failure {
                code: "invalid_component".to_owned(),
                message: error.to_string(),
            }),
            error => PrepareError::Host(error.to_string()),
        })?;
    drop(place);
    served.asked.note(inner.memory.eras.now());
    let live = Arc::new(LiveModel::new(served, model));
    if let Some(bundle) = examined {
        examiner(inner).await?.examine(live.clone(), bundle).await?;
    }
    Ok(Loaded {
        model: Served::Live(live),
        generation,
        room: Some(room),
    })
}

/// What holds versions to their examples. At a start it comes a moment after the models.
async fn examiner(inner: &Inner) -> Result<Arc<dyn Examiner>, PrepareError> {
    let mut examiner = inner.examiner.subscribe();
    let there = examiner.wait_for(Option::is_some).await;
    let examiner = there.ok().and_then(|examiner| examiner.as_ref()?.upgrade());
    examiner.ok_or(PrepareError::Overtaken)
}

/// Stores that the version is ready, where that is news, and lets requests see it.
async fn become_ready(
    inner: &Arc<Inner>,
    activation: &Activation,
    loaded: Loaded,
) -> Result<(), PrepareError> {
    let Loaded {
        model,
        generation,
        room,
    } = loaded;
    let _turn = inner.writes.lock().await;
    if inner.sandbox.lock().generation != generation {
        return Err(PrepareError::Stale);
    }
    let (mut record, before) = {
        let mut catalog = inner.catalog.lock();
        let pointers = catalog.pointers(&activation.id.name);
        (
            catalog
                .moved_by(activation)
                .ok_or(PrepareError::Overtaken)?
                .record
                .clone(),
            pointers,
        )
    };
    let mut pointers = before.clone();
    if pointers.pending.as_ref() == Some(&activation.id.version) {
        pointers.active = pointers.pending.take();
    }
    // At an ordinary start nothing changes here, and nothing is written.
    if record.state != StoredState::Ready || record.attempts != 0 || pointers != before {
        record.state = StoredState::Ready;
        record.was_ready = true;
        record.attempts = 0;
        inner.records.put(&record, &pointers).await?;
    }
    inner.change(|catalog| {
        if let Some(version) = catalog.moved_by(activation) {
            version.record = record;
            version.capabilities = Some(model.inspection.capabilities);
            version.determinism = Some(Arc::new(model.inspection.determinism.clone()));
            catalog.point(&activation.id.name, pointers);
            catalog.advance(activation, Stage::Serves(model));
        }
    });
    drop(room);
    tracing::info!(model.id = %activation.id, "version ready");
    Ok(())
}

/// Stores why the version failed.
async fn become_failed(inner: &Arc<Inner>, activation: &Activation, failure: Failure) {
    let _turn = inner.writes.lock().await;
    let (record, mut pointers) = {
        let mut catalog = inner.catalog.lock();
        let pointers = catalog.pointers(&activation.id.name);
        let Some(version) = catalog.moved_by(activation) else {
            return;
        };
        (version.record.clone(), pointers)
    };
    if pointers.pending.as_ref() == Some(&activation.id.version) {
        pointers.pending = None;
    }
    let mut failed = record;
    failed.state = StoredState::Failed(failure.clone());
    failed.attempts = 0;
    // Not stored, it fails again at the next start: the version cannot be served either way.
    if let Err(error) = inner.records.put(&failed, &pointers).await {
        tracing::error!(model.id = %activation.id, ?error, "a failure could not be stored");
    }
    inner.change(|catalog| {
        if let Some(version) = catalog.moved_by(activation) {
            version.record = failed;
            catalog.point(&activation.id.name, pointers);
            catalog.advance(activation, Stage::Failed(failure));
        }
    });
}
