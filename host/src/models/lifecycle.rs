//! Takes a stored version from `received` to `ready` or `failed`.
//!
//! What is stored on the way is little: a version is `received` until it is `ready` or `failed`.
//! Killed between, the next start does the work again, and the cache of artefacts makes that
//! cheap where it had been done. A failure that is the model's own is stored; one of the host's
//! is not, so the next start tries again.

use std::sync::Arc;
use std::time::Instant;

use belljar_bundle::{BundleError, ModelId, StoredBundle};
use belljar_sandbox::{Artefact, AssetFile, CompileError, CompileJob, LoadError, Phase};

use super::book::{About, FILES_DAMAGED, Run, Stage};
use super::live::LiveModel;
use super::records::StoredState;
use super::state::{Current, Inner, blocking};
use super::status::Failure;
use super::{ModelError, policy};
use crate::telemetry::metrics as telemetry;

/// Compilations of one version that may be cut short by the end of the server before the version
/// counts as what ended it. Without a bound, a bundle that brings the host down would do so again
/// at each start.
const ATTEMPTS_MAX: u32 = 5;

/// Why a pass through the lifecycle ended without a model that runs.
enum Broken {
    /// The bundle's fault, for ever: stored, and shown to its author.
    Model(Failure),
    /// The host's, perhaps not for ever: tried again at the next start.
    Host(String),
    /// Another pass has taken over, or the version is gone.
    Overtaken,
    /// It was loaded into a sandbox that has been replaced since.
    Stale,
}

/// A model that runs, and in which sandbox.
struct Loaded {
    live: LiveModel,
    generation: u64,
}

impl From<ModelError> for Broken {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Host { detail } => Self::Host(detail),
            other => Self::Host(other.to_string()),
        }
    }
}

/// Begins a pass of the version through its lifecycle, in the background.
pub(super) fn start(inner: &Arc<Inner>, id: &ModelId) {
    if let Some(pass) = pass(inner, id) {
        inner.tasks.spawn(pass);
    }
}

/// A pass of the version through its lifecycle, in place of one that goes on. None if there is
/// no such version.
pub(super) fn pass(
    inner: &Arc<Inner>,
    id: &ModelId,
) -> Option<impl Future<Output = ()> + Send + use<>> {
    let run = inner.book.lock().begin(id, &inner.closing)?;
    let inner = inner.clone();
    Some(async move {
        let ended = match &run.record.state {
            StoredState::Failed(_) => {
                // Only what its manifest says is still to be found out. If that fails, the
                // reason that is stored says more.
                if let Ok(bundle) = open(&inner, &run).await {
                    describe(&inner, &run, &bundle);
                }
                Ok(())
            }
            StoredState::Received | StoredState::Ready => walk(&inner, &run).await,
        };
        if let Err(broken) = ended {
            end(&inner, &run, broken).await;
        }
        if inner.closing.is_cancelled() {
            forgive_attempt(&inner, &run).await;
        } else if run.cancelled.is_cancelled() {
            // Files that this pass held open were spared by the collection that came with the
            // removal.
            inner.collect_soon();
        }
    })
}

/// From the first state to `ready`, again if the sandbox was replaced on the way.
async fn walk(inner: &Arc<Inner>, run: &Run) -> Result<(), Broken> {
    loop {
        let loaded = run.cancelled.run_until_cancelled(prepare(inner, run)).await;
        match become_ready(inner, run, loaded.ok_or(Broken::Overtaken)??).await {
            Err(Broken::Stale) => {}
            ended => return ended,
        }
    }
}

/// What is done about a pass that did not end in `ready`.
async fn end(inner: &Arc<Inner>, run: &Run, broken: Broken) {
    match broken {
        Broken::Overtaken | Broken::Stale => {}
        Broken::Model(failure) => {
            let Failure { code, message } = &failure;
            tracing::info!(model.id = %run.id, code, "version failed: {message}");
            become_failed(inner, run, failure).await;
        }
        Broken::Host(detail) => {
            tracing::error!(model.id = %run.id, detail, "the host could not prepare a version");
            let failure = Failure {
                code: "internal_error".to_owned(),
                message:
                    "the host could not prepare this version; it tries again at its next start, \
                          or when the same bundle is uploaded again"
                        .to_owned(),
            };
            inner.change(|book| book.advance(run, Stage::Failed(failure)));
        }
    }
}

/// Checks, compiles and loads the version.
async fn prepare(inner: &Arc<Inner>, run: &Run) -> Result<Loaded, Broken> {
    inner.advance(run, Stage::Checking);
    let bundle = open(inner, run).await?;
    let job = Arc::new(describe(inner, run, &bundle));
    let artefact = match cached(inner, &job).await? {
        Some(artefact) => artefact,
        None => compile(inner, run, &job, &bundle).await?,
    };
    inner.advance(run, Stage::Loading);
    load(inner, run, bundle, job, artefact).await
}

async fn open(inner: &Arc<Inner>, run: &Run) -> Result<StoredBundle, Broken> {
    let store = inner.store.clone();
    let digest = run.record.digest;
    let opened = blocking(move || store.open_bundle(&digest)).await?;
    opened.map_err(|error| damaged(run, error))
}

/// Files that are gone or changed stay so; a disk that fails may work at the next start.
fn damaged(run: &Run, error: BundleError) -> Broken {
    tracing::error!(model.id = %run.id, %error, "a stored bundle cannot be used");
    match error {
        BundleError::BundleUnknown { .. } | BundleError::StoreDamaged { .. } => {
            Broken::Model(Failure {
                code: FILES_DAMAGED.to_owned(),
                message: "files of this version are missing or damaged on the server's disk: \
                          upload the bundle again"
                    .to_owned(),
            })
        }
        error => Broken::Host(error.to_string()),
    }
}

/// Notes what the manifest says, and makes the job for the compiler.
fn describe(inner: &Inner, run: &Run, bundle: &StoredBundle) -> CompileJob {
    let manifest = bundle.manifest();
    let limits = policy::limits(manifest.limits(), &inner.config.policy);
    let (budget, load) = policy::budgets(&limits, &inner.config.policy);
    if let Some(version) = inner.book.lock().moved_by(run) {
        version.about = Some(About {
            description: manifest.description().map(str::to_owned),
            license: manifest.license().map(str::to_owned),
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
        content: *run.record.digest.as_bytes(),
        component: bundle.component_path(),
        assets,
        load,
        budget,
    }
}

async fn cached(inner: &Arc<Inner>, job: &Arc<CompileJob>) -> Result<Option<Artefact>, Broken> {
    let place = inner.loads.acquire().await.map_err(ModelError::host)?;
    let (compiler, job) = (inner.compiler.clone(), job.clone());
    let cached = blocking(move || compiler.cached(&job)).await?;
    drop(place);
    Ok(cached)
}

async fn compile(
    inner: &Arc<Inner>,
    run: &Run,
    job: &CompileJob,
    bundle: &StoredBundle,
) -> Result<Artefact, Broken> {
    note_attempt(inner, run).await?;
    // What is compiled is what was signed and checked, whatever has happened to the disk since.
    let verified = bundle.clone();
    blocking(move || verified.verify())
        .await?
        .map_err(|error| damaged(run, error))?;
    inner.advance(run, Stage::Compiling);
    let started = Instant::now();
    let sandbox = inner.sandbox.lock().sandbox.clone();
    let compiled = inner
        .compiler
        .compile(job, &sandbox, |phase| {
            let stage = match phase {
                Phase::Compiling => Stage::Compiling,
                Phase::Loading => Stage::Loading,
            };
            inner.advance(run, stage);
        })
        .await;
    let outcome = compiled.as_ref().map_or_else(CompileError::code, |_| "ok");
    let spent = started.elapsed();
    metrics::histogram!(telemetry::COMPILE_DURATION, "outcome" => outcome).record(spent);
    let duration_ms = u64::try_from(spent.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(model.id = %run.id, outcome, duration_ms, "compiled a version");
    compiled.map_err(|error| match error {
        CompileError::Host { detail } => Broken::Host(detail),
        error => Broken::Model(Failure {
            code: error.code().to_owned(),
            message: error.to_string(),
        }),
    })
}

/// Stores that a compilation begins, so that one that takes the server down is known by it.
async fn note_attempt(inner: &Arc<Inner>, run: &Run) -> Result<(), Broken> {
    let turn = inner.writes.lock().await;
    let (mut record, pointers) = {
        let mut book = inner.book.lock();
        let pointers = book.pointers(&run.id.name);
        (
            book.moved_by(run).ok_or(Broken::Overtaken)?.record.clone(),
            pointers,
        )
    };
    if record.attempts >= ATTEMPTS_MAX {
        return Err(Broken::Model(Failure {
            code: "interrupted".to_owned(),
            message: format!(
                "the server ended {ATTEMPTS_MAX} times while it compiled this version; upload it \
                 again to have it tried again"
            ),
        }));
    }
    record.attempts += 1;
    inner.records.put(&record, &pointers).await?;
    if let Some(version) = inner.book.lock().moved_by(run) {
        version.record = record;
    }
    drop(turn);
    Ok(())
}

/// Takes back what [`note_attempt`] stored: a clean stop says nothing against the version.
async fn forgive_attempt(inner: &Arc<Inner>, run: &Run) {
    let _turn = inner.writes.lock().await;
    let (record, pointers) = {
        let book = inner.book.lock();
        let version = book
            .version(&run.id)
            .filter(|version| version.belongs_to(run));
        (
            version.map(|version| version.record.clone()),
            book.pointers(&run.id.name),
        )
    };
    let Some(mut record) = record.filter(|record| record.attempts > 0) else {
        return;
    };
    record.attempts -= 1;
    if let Err(error) = inner.records.put(&record, &pointers).await {
        tracing::warn!(model.id = %run.id, ?error, "an interrupted compilation counts against its version");
    }
}

/// Maps the artefact into the sandbox.
async fn load(
    inner: &Arc<Inner>,
    run: &Run,
    bundle: StoredBundle,
    job: Arc<CompileJob>,
    artefact: Artefact,
) -> Result<Loaded, Broken> {
    let place = inner.loads.acquire().await.map_err(ModelError::host)?;
    let Current {
        generation,
        sandbox,
    } = inner.sandbox.lock().clone();
    let label = run.id.to_string();
    let model = blocking(move || sandbox.load(&artefact, &label))
        .await?
        .map_err(|error| match error {
            LoadError::Contract { .. } => Broken::Model(Failure {
                code: "invalid_component".to_owned(),
                message: error.to_string(),
            }),
            error => Broken::Host(error.to_string()),
        })?;
    drop(place);
    let live = LiveModel::new(model, bundle, job, run.record.created);
    Ok(Loaded { live, generation })
}

/// Stores that the version is ready, where that is news, and lets requests see it.
async fn become_ready(inner: &Arc<Inner>, run: &Run, loaded: Loaded) -> Result<(), Broken> {
    let Loaded { live, generation } = loaded;
    let _turn = inner.writes.lock().await;
    if inner.sandbox.lock().generation != generation {
        return Err(Broken::Stale);
    }
    let (mut record, before) = {
        let mut book = inner.book.lock();
        let pointers = book.pointers(&run.id.name);
        (
            book.moved_by(run).ok_or(Broken::Overtaken)?.record.clone(),
            pointers,
        )
    };
    let mut pointers = before.clone();
    if pointers.wanted.as_ref() == Some(&run.id.version) {
        pointers.active = pointers.wanted.take();
    }
    // At an ordinary start nothing changes here, and nothing is written.
    if record.state != StoredState::Ready || record.attempts != 0 || pointers != before {
        record.state = StoredState::Ready;
        record.was_ready = true;
        record.attempts = 0;
        inner.records.put(&record, &pointers).await?;
    }
    inner.change(|book| {
        if let Some(version) = book.moved_by(run) {
            version.record = record;
            version.capabilities = Some(live.model.inspection().capabilities);
            book.point(&run.id.name, pointers);
            book.advance(run, Stage::Live(Arc::new(live)));
        }
    });
    tracing::info!(model.id = %run.id, "version ready");
    Ok(())
}

/// Stores why the version failed.
async fn become_failed(inner: &Arc<Inner>, run: &Run, failure: Failure) {
    let _turn = inner.writes.lock().await;
    let (record, mut pointers) = {
        let mut book = inner.book.lock();
        let pointers = book.pointers(&run.id.name);
        let Some(version) = book.moved_by(run) else {
            return;
        };
        (version.record.clone(), pointers)
    };
    if pointers.wanted.as_ref() == Some(&run.id.version) {
        pointers.wanted = None;
    }
    let mut failed = record;
    failed.state = StoredState::Failed(failure.clone());
    failed.attempts = 0;
    // Not stored, it fails again at the next start: the version cannot be served either way.
    if let Err(error) = inner.records.put(&failed, &pointers).await {
        tracing::error!(model.id = %run.id, ?error, "a failure could not be stored");
    }
    inner.change(|book| {
        if let Some(version) = book.moved_by(run) {
            version.record = failed;
            book.point(&run.id.name, pointers);
            book.advance(run, Stage::Failed(failure));
        }
    });
}
