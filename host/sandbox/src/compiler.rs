//! Compilation, from the host's side: a job goes to a child process of the same program, which
//! has caps on its time and address space, and what comes back is sealed into the cache.
//!
//! Compiling a stranger's code can take any amount of time and memory, and a bug in the
//! compiler is nearer to a stranger's bytes than anything else. In a process of its own both
//! end with the process.

use crate::{
    Artefact, AssetFile, Budget, Cap, CapHit, Capabilities, Capability, CompileError, GuestLine,
    Inspection, LoadBudget, LoadError, MacKey, RunError, RunLabel, RunOrigin, Sandbox, SlotCaps,
    artefact::Cache,
    base::{BaseFacts, BaseWork, Bases, Found, MadeBase},
    config::Codegen,
    conversation::converse,
    engine,
    engine_text::EngineText,
    fault::short,
    inspect, machine,
    staged::Staged,
    state::asset_sizes_agree,
};
use belljar_wall::Hardening;
use serde::{Deserialize, Serialize};
use std::{
    io,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};
use tokio::{process::Command, sync::Semaphore};

/// The hidden command of the program that runs [`compile_child`](crate::compile_child).
pub const COMPILE_COMMAND: &str = "compile-child";
/// All compilations together may have three quarters of the machine's memory: with two at once
/// and a cap of their own they could have had twice of what there is.
const SHARE_DIVIDEND: u64 = 3;
const SHARE_DIVISOR: u64 = 4;
/// What a process says that ends for want of address space: of the allocator, of `mmap`, and of
/// threads whose stacks found no room.
const OUT_OF_MEMORY: [&str; 3] = [
    "memory allocation of",
    "Cannot allocate memory",
    "Resource temporarily unavailable",
];
// The numbers of the signals that a cap on the process ends it with.
const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;
const SIGXCPU: i32 = 24;
const SIGXFSZ: i32 = 25;
/// A system call that the wall around the process forbids.
const SIGSYS: i32 = 31;

/// How components are compiled.
#[derive(Clone, Debug)]
pub struct CompilerConfig {
    /// The executable that answers to [`COMPILE_COMMAND`]: this program itself.
    pub program: PathBuf,
    /// The folder of compiled models.
    pub artefacts: PathBuf,
    /// Compilations at once; further ones wait.
    pub concurrency: usize,
    /// CPU time of one compilation, with `load`: what it may cost.
    pub cpu_time: Duration,
    /// Time on the wall clock of one compilation, with `load`. Far longer than the CPU time: a busy
    /// machine is nobody's fault.
    pub wall_time: Duration,
    /// Address space of the compiling process, in bytes. Its memory is capped at the same, or at
    /// its share of the machine's where that is less.
    pub address_space_bytes_max: u64,
    /// Size of a component, in bytes.
    pub component_bytes_max: u64,
    /// The wall that the compiling process puts up around itself.
    pub hardening: Hardening,
    /// The key of the seals.
    pub mac_key: MacKey,
    /// The artefacts of other processes of the same user, if there are any.
    pub shared: Option<SharedCache>,
}

/// A folder of artefacts beside a compiler's own, sealed with the same key: what a bundle was
/// checked with need not be compiled again where it is served.
#[derive(Clone, Debug)]
pub struct SharedCache {
    /// The folder.
    pub folder: PathBuf,
    /// Whether this compiler adds to it, or only takes from it.
    pub is_filled: bool,
}

impl CompilerConfig {
    /// The file of the key in the folder of [`in_folder`](Self::in_folder).
    pub const KEY_FILE: &str = "artefacts.key";

    /// A configuration that keeps its artefacts and its key in `folder`, and makes the key if
    /// there is none. What else there is has the value that the settings have by default.
    ///
    /// # Errors
    /// When the key cannot be read or made.
    pub fn in_folder(program: PathBuf, folder: &Path) -> io::Result<Self> {
        Ok(Self {
            program,
            artefacts: folder.join("artefacts"),
            concurrency: 2,
            wall_time: Duration::from_secs(900),
            cpu_time: Duration::from_secs(240),
            address_space_bytes_max: 16 << 30,
            component_bytes_max: 64 << 20,
            hardening: Hardening::default(),
            mac_key: MacKey::open(&folder.join(Self::KEY_FILE))?,
            shared: None,
        })
    }
}

/// What to compile.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CompileJob {
    /// What identifies the component and its assets: equal contents share an artefact.
    pub content: [u8; 32],
    /// The component.
    pub component: PathBuf,
    /// What it may read.
    pub assets: Vec<AssetFile>,
    /// What `load` may spend.
    pub load: LoadBudget,
    /// What one run may spend; its caps on memory and the like hold for `load` too.
    pub budget: Budget,
    /// The SHA-256 of the component, where it is a base: one that many models are built on. What is
    /// compiled for one of them is used for all.
    pub base: Option<[u8; 32]>,
}

/// Reported while a job goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Cranelift is at work.
    Compiling,
    /// The guest's `load` is running, or its memory is being kept.
    Loading,
}

/// What is heard of a job while it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It has come to the next phase.
    Phase(Phase),
    /// The guest has written a line in `load`.
    Said(GuestLine),
}

/// What the child is told.
#[derive(Serialize, Deserialize)]
pub(crate) struct CompileRequest {
    pub(crate) job: CompileJob,
    pub(crate) output: PathBuf,
    pub(crate) address_space_bytes_max: u64,
    pub(crate) memory_bytes_max: u64,
    pub(crate) cpu_time_s: u64,
    /// What one slot of the serving pool holds.
    pub(crate) slot: SlotCaps,
    pub(crate) codegen: Codegen,
    pub(crate) hardening: Hardening,
    pub(crate) base: Option<BaseWork>,
}

/// What the child says, a JSON line each.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CompileResponse {
    Phase(Phase),
    Said(GuestLine),
    /// The model is written.
    Done(Box<Inspection>),
    /// What is known of the base whose files are written; none where it comes to nothing.
    Made(Option<Box<BaseFacts>>),
    Failed(CompileError),
}

/// The compiler. Cloning it is cheap and gives the same one.
#[derive(Clone)]
pub struct Compiler {
    config: Arc<CompilerConfig>,
    cache: Arc<Cache>,
    shared: Option<Arc<Cache>>,
    bases: Arc<Bases>,
    turns: Arc<Semaphore>,
}

impl Compiler {
    /// A compiler whose artefacts `sandbox` can map.
    ///
    /// # Errors
    /// When the folder of artefacts cannot be made or cleaned.
    pub fn new(config: CompilerConfig, sandbox: &Sandbox) -> io::Result<Self> {
        let cache = Cache::new(
            config.artefacts.clone(),
            config.mac_key.clone(),
            sandbox.engine(),
        )?;
        let shared = config.shared.as_ref().map(|shared| {
            let (folder, key) = (shared.folder.clone(), config.mac_key.clone());
            Arc::new(Cache::of_others(folder, key, sandbox.engine()))
        });
        let cache = Arc::new(cache);
        Ok(Self {
            bases: Arc::new(Bases::new(Arc::clone(&cache))),
            cache,
            shared,
            turns: Arc::new(Semaphore::new(config.concurrency.max(1))),
            config: Arc::new(config),
        })
    }

    /// The artefact of a job that was done before, if its seal is whole. Reads the whole file:
    /// about a millisecond for four megabytes.
    #[must_use]
    pub fn cached(&self, job: &CompileJob) -> Option<Artefact> {
        asset_sizes_agree(&job.assets).ok()?;
        self.cache
            .open(&job.content, &job.assets)
            .or_else(|| self.taken(job))
    }

    /// The artefact that another process has made of the same job, now among this one's own.
    fn taken(&self, job: &CompileJob) -> Option<Artefact> {
        let theirs = self
            .shared
            .as_ref()?
            .open(&shared_content(job)?, &job.assets)?;
        self.cache.copy_in(&job.content, &theirs).ok()
    }

    /// Leaves a copy of an artefact for other processes.
    fn give(&self, job: &CompileJob, artefact: &Artefact) {
        let is_filled = self.config.shared.as_ref().is_some_and(|it| it.is_filled);
        if let Some(shared) = self.shared.as_ref().filter(|_| is_filled)
            && let Some(content) = shared_content(job)
            && let Err(error) = shared.share(&content, artefact)
        {
            tracing::debug!("the compiled model is not kept for other commands: {error}");
        }
    }

    /// Compiles, runs `load` once and keeps its memory, tries the result in `sandbox`, and
    /// seals it. Does the work also where it was done before: whether it was, tells
    /// [`cached`](Self::cached).
    ///
    /// # Errors
    /// See [`CompileError`].
    pub async fn compile(
        &self,
        job: &CompileJob,
        sandbox: &Sandbox,
        mut progress: impl FnMut(Progress) + Send,
    ) -> Result<Artefact, CompileError> {
        self.check_sizes(job)?;
        // Before the turn: whoever makes the base needs one.
        let base = self.base(job).await?;
        let _turn = self
            .turns
            .acquire()
            .await
            .map_err(|error| CompileError::host("the queue is closed", error))?;
        let base = match base {
            None => None,
            Some(Found::There(work)) => Some(work),
            Some(Found::Missing(files)) => {
                self.make_base(job, sandbox, files, &mut progress).await?
            }
        };
        let output = Staged::new(self.cache.staging_path())
            .map_err(|error| CompileError::host("the file of the compiled model", error))?;
        let response = self
            .in_child(job, sandbox, output.path(), base, &mut progress)
            .await?;
        let CompileResponse::Done(inspection) = response else {
            return Err(CompileError::host("the compiling process", "no model"));
        };
        let artefact = self.tried(job, sandbox, output.path(), *inspection).await?;
        let (compiler, job) = (self.clone(), job.clone());
        tokio::task::spawn_blocking(move || {
            let artefact = compiler.cache.seal(&job.content, artefact)?;
            compiler.give(&job, &artefact);
            io::Result::Ok(artefact)
        })
        .await
        .map_err(|error| CompileError::host("sealing", error))?
        .map_err(|error| CompileError::host("sealing", error))
    }

    /// What is there of the job's base.
    async fn base(&self, job: &CompileJob) -> Result<Option<Found>, CompileError> {
        match &job.base {
            None => Ok(None),
            Some(component) => {
                let room = self.config.address_space_bytes_max;
                self.bases.find(component, room).await
            }
        }
    }

    /// Makes the job's base, in a process that has the component and nothing of the model: what it
    /// writes is used for all models on the base. `None` where it comes to nothing.
    async fn make_base(
        &self,
        job: &CompileJob,
        sandbox: &Sandbox,
        files: MadeBase,
        progress: &mut (impl FnMut(Progress) + Send),
    ) -> Result<Option<BaseWork>, CompileError> {
        let Some(component) = &job.base else {
            return Ok(None);
        };
        let alone = CompileJob {
            assets: Vec::new(),
            ..job.clone()
        };
        let loading = std::path::absolute(files.loading.path())
            .map_err(|error| CompileError::host("a relative path", error))?;
        let (work, mould) = (Some(BaseWork::Make(loading)), files.mould.path());
        // What it says in its own `load` is nothing of the model's.
        let mut progress = |told: Progress| {
            if matches!(told, Progress::Phase(Phase::Compiling)) {
                progress(told);
            }
        };
        match self
            .in_child(&alone, sandbox, mould, work, &mut progress)
            .await
        {
            Ok(CompileResponse::Made(Some(facts))) => {
                self.bases.keep(component, files, facts).await.map(Some)
            }
            Ok(_) => Ok(None),
            Err(error) => {
                // The model is compiled by itself, and has what is wrong with it told.
                tracing::info!("a base cannot be made of a component: {error}");
                Ok(None)
            }
        }
    }

    /// Deletes the artefacts of the contents that `keep` refuses; returns the bytes freed.
    ///
    /// # Errors
    /// When the folder cannot be read or a file cannot be deleted.
    pub fn retain(&self, keep: impl Fn(&[u8; 32]) -> bool) -> io::Result<u64> {
        self.cache.retain(keep)
    }

    /// Memory of one compiling process, in bytes.
    fn memory_bytes_max(&self) -> u64 {
        let share = machine::memory_bytes().map(|all| {
            let compilations = u64::try_from(self.config.concurrency.max(1)).unwrap_or(u64::MAX);
            all / SHARE_DIVISOR * SHARE_DIVIDEND / compilations
        });
        let share = share.unwrap_or(u64::MAX);
        self.config.address_space_bytes_max.min(share)
    }

    fn check_sizes(&self, job: &CompileJob) -> Result<(), CompileError> {
        let size = std::fs::metadata(&job.component)
            .map_err(|error| CompileError::host("the component cannot be read", error))?
            .len();
        let limit = self.config.component_bytes_max;
        if size > limit {
            return Err(CompileError::Cap(CapHit {
                cap: Cap::ComponentBytes,
                limit,
                used: size,
            }));
        }
        asset_sizes_agree(&job.assets)
            .map_err(|error| CompileError::host("an asset cannot be read", error))
    }

    async fn in_child(
        &self,
        job: &CompileJob,
        sandbox: &Sandbox,
        output: &Path,
        base: Option<BaseWork>,
        progress: &mut (impl FnMut(Progress) + Send),
    ) -> Result<CompileResponse, CompileError> {
        let config = sandbox.config();
        let request = CompileRequest {
            job: absolute(job).map_err(|error| CompileError::host("a relative path", error))?,
            output: std::path::absolute(output)
                .map_err(|error| CompileError::host("a relative path", error))?,
            address_space_bytes_max: self.config.address_space_bytes_max,
            memory_bytes_max: self.memory_bytes_max(),
            cpu_time_s: self.config.cpu_time.as_secs().max(1),
            slot: config.slot,
            codegen: config.codegen,
            hardening: self.config.hardening,
            base,
        };
        let text = serde_json::to_vec(&request)
            .map_err(|error| CompileError::host("the request", error))?;
        let mut child = Command::new(&self.config.program)
            .arg(COMPILE_COMMAND)
            .env_clear()
            // Which it could not find out behind its wall: what of the cores a cgroup gives is
            // told in files.
            .env(THREADS_VARIABLE, threads().to_string())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| CompileError::host("the compiling process did not start", error))?;
        let wall_time = self.config.wall_time;
        let mut response = None;
        let talk = converse(&mut child, &text, |line| match serde_json::from_str(line) {
            Ok(CompileResponse::Phase(phase)) => progress(Progress::Phase(phase)),
            Ok(CompileResponse::Said(line)) => progress(Progress::Said(line.received())),
            Ok(last) => response = Some(last),
            Err(_) => {}
        });
        let Ok(talked) = tokio::time::timeout(wall_time, talk).await else {
            let hit = CapHit::used_up(Cap::CompileWallTimeMs, millis(wall_time));
            return Err(CompileError::Cap(hit));
        };
        let (stderr, status) =
            talked.map_err(|error| CompileError::host("the compiling process", error))?;
        match response {
            Some(CompileResponse::Failed(error)) => Err(error),
            Some(response) if status.success() => Ok(response),
            _ => Err(self.died(status, &stderr)),
        }
    }

    /// What a process that ended without a response died of.
    fn died(&self, status: ExitStatus, stderr: &str) -> CompileError {
        tracing::warn!(
            "the compiling process ended with {status}: {}",
            short(stderr)
        );
        let cpu_time_ms = millis(self.config.cpu_time);
        let out_of_memory = OUT_OF_MEMORY.iter().any(|words| stderr.contains(words));
        match status.signal() {
            Some(SIGXCPU | SIGKILL) => {
                CompileError::Cap(CapHit::used_up(Cap::CompileTimeMs, cpu_time_ms))
            }
            Some(SIGXFSZ) => CompileError::Host {
                detail: "the compiled model is larger than a file may be (os error 27)".into(),
            },
            Some(SIGABRT) | None if out_of_memory => {
                let limit = self.memory_bytes_max();
                CompileError::Cap(CapHit::used_up(Cap::CompileAddressSpaceBytes, limit))
            }
            Some(SIGSYS) => {
                tracing::error!(
                    "the compiling process made a system call that its wall forbids: whoever sent \
                     this component may have found a hole in the compiler"
                );
                CompileError::Invalid {
                    reason: "the compiler gave up on this component".into(),
                }
            }
            // A panic or a crash of the compiler, on bytes that a stranger sent.
            Some(_) | None => CompileError::Invalid {
                reason: "the compiler gave up on this component".into(),
            },
        }
    }

    /// Maps what the child wrote, makes one instance, and asks for its tensors.
    async fn tried(
        &self,
        job: &CompileJob,
        sandbox: &Sandbox,
        output: &Path,
        mut inspection: Inspection,
    ) -> Result<Artefact, CompileError> {
        inspection.artefact_bytes = tokio::fs::metadata(output)
            .await
            .map_err(|error| CompileError::host("the compiled model is missing", error))?
            .len();
        let artefact =
            Artefact::unsealed(output.to_owned(), inspection.clone(), job.assets.clone());
        let model = sandbox
            .load(&artefact, "new version")
            .map_err(|error| match error {
                LoadError::Contract { .. } | LoadError::Link(_) => CompileError::Invalid {
                    reason: error.to_string(),
                },
                // What the pool says of a component that needs more than a slot has.
                LoadError::Engine(text)
                    if EngineText::read(&text) == EngineText::LargerThanSlot =>
                {
                    CompileError::TooLargeForPool {
                        reason: short(&text),
                    }
                }
                LoadError::Io(_) | LoadError::Changed | LoadError::Engine(_) => {
                    CompileError::host("the compiled model cannot be mapped", error)
                }
            })?;
        let label = RunLabel::of_origin(RunOrigin::of_content(&job.content), "activation");
        model.probe(&job.budget, &label).await.map_err(trial)?;
        if inspection.capabilities.has(Capability::Tensors) {
            inspection.tensors = Some(
                model
                    .metadata(&job.budget, &label)
                    .await
                    .map_err(trial)?
                    .value,
            );
        }
        Ok(Artefact::unsealed(
            output.to_owned(),
            inspection,
            job.assets.clone(),
        ))
    }
}

/// What identifies a job for other processes, whose caps may be others: what was compiled within
/// wider ones must not come to where they are narrower.
fn shared_content(job: &CompileJob) -> Option<[u8; 32]> {
    let caps = serde_json::to_vec(&(&job.load, &job.budget)).ok()?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&job.content).update(&caps);
    Some(*hasher.finalize().as_bytes())
}

/// The first instance of a new version failed.
fn trial(error: RunError) -> CompileError {
    match error {
        RunError::Cap(hit) => CompileError::Cap(hit),
        RunError::Host { detail } => CompileError::Host { detail },
        RunError::Overloaded { .. } => CompileError::host("the trial run", error),
        RunError::Trap { .. }
        | RunError::InvalidOutput { .. }
        | RunError::Guest(_)
        | RunError::NoCapability { .. } => CompileError::Invalid {
            reason: format!("the first instance failed: {error}"),
        },
    }
}

/// The variable by which the threads of the compiler are counted.
const THREADS_VARIABLE: &str = "RAYON_NUM_THREADS";

/// How many threads a compilation uses: one for each core that this process may use.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The same job for a process that works in another folder.
fn absolute(job: &CompileJob) -> io::Result<CompileJob> {
    let mut job = job.clone();
    job.component = std::path::absolute(&job.component)?;
    for asset in &mut job.assets {
        asset.path = std::path::absolute(&asset.path)?;
    }
    Ok(job)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The checks that need no compilation, for whoever wants an early answer.
///
/// # Errors
/// [`CompileError::RefusedImport`], [`CompileError::Unsupported`] or [`CompileError::Invalid`].
pub fn inspect_component(component: &[u8]) -> Result<Capabilities, CompileError> {
    inspect::inspect(component, engine::FEATURES)
}
