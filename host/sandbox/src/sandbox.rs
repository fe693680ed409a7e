//! The running sandbox: the serving engine with its pool, the guest threads, the clock that
//! makes guests yield, and the gate in front of them all.

use crate::{
    Artefact, Cleaning, CleaningChoice, LoadError, ReadyModel, artefact,
    cleaning::SwapEvidence,
    engine::{self, PoolShape},
    gate::Gate,
    imports,
    model::Loaded,
    pot::Pot,
    state::{GuestState, ModelFacts},
    threads::{GuestThreads, Lane},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};
use wasmtime::{Engine, component::Linker};

/// Ticks without a run after which the clock stops until the next one.
const IDLE_TICKS: u32 = 100;

/// How the sandbox is built. Numbers of the whole host, where [`Budget`](crate::Budget) has
/// those of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxConfig {
    /// Threads for runs that take longer than a tick. 0: one for each core.
    pub guest_threads: usize,
    /// How often guests are made to yield.
    pub epoch_tick: Duration,
    /// The biggest sum of linear memory that a policy may allow one run, in bytes.
    pub memory_bytes_max: u64,
    /// Linear memory of all runs together, in bytes. 0: half of what the process may use.
    pub memory_total_bytes_max: u64,
    /// Elements of one table.
    pub table_elements_max: u32,
    /// Core instances of one component.
    pub instances_max: u32,
    /// Linear memories of one component.
    pub memories_max: u32,
    /// Tables of one component.
    pub tables_max: u32,
    /// Runs at once on the host; each holds a slot of the pool.
    pub runs_max: u32,
    /// Runs that wait for one of these.
    pub queue_max: u32,
    /// Runs at once of one model.
    pub model_runs_max: u32,
    /// Runs that wait for one of these.
    pub model_queue_max: u32,
    /// How long a run waits for its turn before it is refused.
    pub queue_wait: Duration,
    /// How slots are made clean between two runs.
    pub cleaning: CleaningChoice,
    /// Where it is read whether the process can be swapped.
    pub swap_evidence: SwapEvidence,
    /// Whether relaxed SIMD gives the same bits on every machine, at the price of speed.
    pub deterministic_simd: bool,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            guest_threads: 0,
            epoch_tick: Duration::from_millis(1),
            memory_bytes_max: 1 << 30,
            memory_total_bytes_max: 0,
            table_elements_max: 100_000,
            instances_max: 64,
            memories_max: 8,
            tables_max: 32,
            runs_max: 512,
            queue_max: 1024,
            model_runs_max: 256,
            model_queue_max: 512,
            queue_wait: Duration::from_secs(5),
            cleaning: CleaningChoice::Auto,
            swap_evidence: SwapEvidence::default(),
            deterministic_simd: false,
        }
    }
}

/// Why the sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The page-map scan was asked for where it would show one tenant's bytes to the next.
    #[error(
        "the page-map scan was asked for, but this process can be swapped: turn swap off, set the cgroup's memory.swap.max to 0, or choose `keep-resident`"
    )]
    SwapPossible,
    /// The kernel gave no page-map scan, no address space or no threads.
    #[error("the sandbox could not start: {0}")]
    Engine(String),
}

/// Numbers of this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SandboxStats {
    /// Runs that hold a slot.
    pub running: u32,
    /// Runs that wait for one.
    pub waiting: u32,
    /// Slots in all.
    pub slots: u32,
    /// Linear memory of all runs, in bytes.
    pub memory_bytes: u64,
    /// Since the start: runs that had to move to the guest threads.
    pub moved: u64,
}

/// The sandbox. Cloning it is cheap and gives the same one.
#[derive(Clone)]
pub struct Sandbox(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) engine: Engine,
    pub(crate) config: SandboxConfig,
    linker: Linker<GuestState>,
    cleaning: Cleaning,
    pub(crate) threads: GuestThreads,
    pub(crate) gate: Gate,
    pub(crate) pot: Arc<Pot>,
    pub(crate) clock: Clock,
    pub(crate) moved: AtomicU64,
    lanes: AtomicU64,
}

impl Sandbox {
    /// Starts the sandbox inside the current tokio runtime.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(config: SandboxConfig) -> Result<Self, StartError> {
        let engine_error = |error: wasmtime::Error| StartError::Engine(format!("{error:#}"));
        let shape = |cleaning| PoolShape {
            slots: config.runs_max.max(1),
            memory_bytes_max: config.memory_bytes_max,
            table_elements_max: config.table_elements_max,
            instances_max: config.instances_max,
            memories_max: config.memories_max,
            tables_max: config.tables_max,
            cleaning,
        };
        let scan = || engine::serving(&shape(Cleaning::PagemapScan), config.deterministic_simd);
        let keep = || engine::serving(&shape(Cleaning::KeepResident), config.deterministic_simd);
        let can_swap = || config.swap_evidence.swap_is_possible();
        let (engine, cleaning) = match config.cleaning {
            CleaningChoice::KeepResident => (keep().map_err(engine_error)?, Cleaning::KeepResident),
            CleaningChoice::PagemapScan if can_swap() => {
                return Err(StartError::SwapPossible);
            }
            CleaningChoice::PagemapScan => (scan().map_err(engine_error)?, Cleaning::PagemapScan),
            CleaningChoice::Auto if can_swap() => {
                (keep().map_err(engine_error)?, Cleaning::KeepResident)
            }
            // Kernels before 6.7 refuse the scan when the engine is made.
            CleaningChoice::Auto => match scan() {
                Ok(engine) => (engine, Cleaning::PagemapScan),
                Err(_) => (keep().map_err(engine_error)?, Cleaning::KeepResident),
            },
        };
        let mut linker = Linker::new(&engine);
        imports::link(&mut linker).map_err(engine_error)?;
        let io_error = |error: std::io::Error| StartError::Engine(error.to_string());
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|error| StartError::Engine(error.to_string()))?;
        let threads = match config.guest_threads {
            0 => thread::available_parallelism().map_or(1, usize::from),
            count => count,
        };
        Ok(Self(Arc::new(Inner {
            clock: Clock::start(&engine, config.epoch_tick).map_err(io_error)?,
            threads: GuestThreads::start(threads, &runtime).map_err(io_error)?,
            gate: Gate::new("host", config.runs_max, config.queue_max, config.queue_wait),
            pot: Pot::new(config.memory_total_bytes_max),
            moved: AtomicU64::new(0),
            lanes: AtomicU64::new(0),
            engine,
            config,
            linker,
            cleaning,
        })))
    }

    /// How slots are made clean.
    #[must_use]
    pub fn cleaning(&self) -> Cleaning {
        self.0.cleaning
    }

    /// Whether the way of cleaning in use has stopped being safe, because swap has appeared
    /// since the start. The host then starts another sandbox and loads its models there.
    #[must_use]
    pub fn cleaning_has_become_unsafe(&self) -> bool {
        self.0.cleaning == Cleaning::PagemapScan && self.0.config.swap_evidence.swap_is_possible()
    }

    /// The configuration it was started with.
    #[must_use]
    pub fn config(&self) -> &SandboxConfig {
        &self.0.config
    }

    /// Numbers of this moment.
    #[must_use]
    pub fn stats(&self) -> SandboxStats {
        SandboxStats {
            running: self.0.gate.running(),
            waiting: self.0.gate.waiting(),
            slots: self.0.config.runs_max,
            memory_bytes: self.0.pot.taken(),
            moved: self.0.moved.load(Ordering::Relaxed),
        }
    }

    /// Maps a compiled model. `label` names it in the log, for example `name@version`.
    ///
    /// # Errors
    /// When the artefact is missing or was changed, or when it does not fit the linker or the
    /// pool.
    pub fn load(&self, artefact: &Artefact, label: &str) -> Result<ReadyModel, LoadError> {
        let component = artefact::map(&self.0.engine, artefact)?;
        let pre = self
            .0
            .linker
            .instantiate_pre(&component)
            .map_err(|error| LoadError::Link(format!("{error:#}")))?;
        let lane: Lane = self.0.lanes.fetch_add(1, Ordering::Relaxed);
        let config = &self.0.config;
        let gate = Gate::new(
            "model",
            config.model_runs_max,
            config.model_queue_max,
            config.queue_wait,
        );
        let facts = Arc::new(ModelFacts {
            label: label.into(),
            assets: artefact.assets().to_vec(),
            quick: AtomicBool::new(true),
        });
        Loaded::new(
            self.clone(),
            pre,
            artefact.inspection().clone(),
            facts,
            gate,
            lane,
        )
    }
}

/// The thread that counts the engine's epoch up, so that guests yield. It stops while nothing
/// runs, so that an idle server is idle.
pub(crate) struct Clock {
    shared: Arc<ClockShared>,
    thread: thread::Thread,
}

struct ClockShared {
    active: AtomicU32,
    parked: AtomicBool,
    stopped: AtomicBool,
}

impl Clock {
    fn start(engine: &Engine, tick: Duration) -> std::io::Result<Self> {
        let shared = Arc::new(ClockShared {
            active: AtomicU32::new(0),
            parked: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        });
        let (engine, seen) = (engine.weak(), Arc::clone(&shared));
        let handle = thread::Builder::new().name("epoch".into()).spawn(move || {
            let mut idle = 0;
            while !seen.stopped.load(Ordering::Acquire) {
                thread::sleep(tick);
                let Some(engine) = engine.upgrade() else {
                    return;
                };
                engine.increment_epoch();
                idle = if seen.active.load(Ordering::SeqCst) == 0 {
                    idle + 1
                } else {
                    0
                };
                if idle >= IDLE_TICKS {
                    drop(engine);
                    seen.parked.store(true, Ordering::SeqCst);
                    // A run that began between the look above and this line finds `parked`
                    // set and wakes us; one that began before it is seen here.
                    while seen.parked.load(Ordering::SeqCst)
                        && seen.active.load(Ordering::SeqCst) == 0
                        && !seen.stopped.load(Ordering::Acquire)
                    {
                        thread::park();
                    }
                    seen.parked.store(false, Ordering::SeqCst);
                    idle = 0;
                }
            }
        })?;
        Ok(Self {
            shared,
            thread: handle.thread().clone(),
        })
    }

    /// Keeps the clock going for as long as the returned value lives.
    pub(crate) fn run(self: &Clock) -> Ticking {
        self.shared.active.fetch_add(1, Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst)
            && self.shared.parked.swap(false, Ordering::SeqCst)
        {
            self.thread.unpark();
        }
        Ticking(Arc::clone(&self.shared))
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Proof that the clock is going.
pub(crate) struct Ticking(Arc<ClockShared>);

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::SeqCst);
    }
}
