//! The running sandbox: the serving engine with its pool, the guest threads, the ticker that
//! makes guests yield, and the queue in front of them all.

use crate::{
    Artefact, GuestEar, LoadError, ReadyModel, Scope, SlotReset, SlotResetChoice,
    config::{SandboxConfig, StartError},
    engine,
    epoch::EpochTicker,
    guest_log::LogShare,
    imports,
    loaded::Loaded,
    mapped::Mappings,
    memory_pool::MemoryPool,
    pace::Pace,
    run_queue::RunQueue,
    shared::Shared,
    state::{GuestState, ModelFacts},
    threads::{GuestThreads, ModelQueueId},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};
use wasmtime::{Engine, component::Linker};

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
    /// The most that it may come to.
    pub memory_bytes_max: u64,
    /// Since the start: runs that had to move to the guest threads.
    pub moved: u64,
    /// Bytes of the compiled models that are mapped, each file once.
    pub mapped_bytes: u64,
}

/// The sandbox. Cloning it is cheap and gives the same one.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    config: SandboxConfig,
    linker: Linker<GuestState>,
    slot_reset: SlotReset,
    models: AtomicU64,
    mappings: Mappings,
}

impl Sandbox {
    /// Starts the sandbox inside the current tokio runtime.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(config: SandboxConfig) -> Result<Self, StartError> {
        let engine_error = |error: wasmtime::Error| StartError::Engine(format!("{error:#}"));
        let scan = || engine::serving(&config, SlotReset::PagemapScan);
        let keep = || engine::serving(&config, SlotReset::KeepResident);
        let can_swap = || config.swap_evidence.swap_is_possible();
        let (engine, slot_reset) = match config.slot_reset {
            SlotResetChoice::KeepResident => {
                (keep().map_err(engine_error)?, SlotReset::KeepResident)
            }
            SlotResetChoice::PagemapScan if can_swap() => {
                return Err(StartError::SwapPossible);
            }
            SlotResetChoice::PagemapScan => (scan().map_err(engine_error)?, SlotReset::PagemapScan),
            SlotResetChoice::Auto if can_swap() => {
                (keep().map_err(engine_error)?, SlotReset::KeepResident)
            }
            // Kernels before 6.7 refuse the scan when the engine is made.
            SlotResetChoice::Auto => match scan() {
                Ok(engine) => (engine, SlotReset::PagemapScan),
                Err(_) => (keep().map_err(engine_error)?, SlotReset::KeepResident),
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
        let shared = Shared {
            ticker: EpochTicker::start(&engine, config.epoch_tick).map_err(io_error)?,
            threads: GuestThreads::start(threads, &runtime).map_err(io_error)?,
            queue: RunQueue::new(
                Scope::Host,
                config.runs_max,
                config.queue_max,
                config.queue_wait,
            ),
            memory_pool: MemoryPool::new(config.memory_total_bytes_max),
            moved: AtomicU64::new(0),
            engine,
        };
        Ok(Self(Arc::new(Inner {
            shared: Arc::new(shared),
            config,
            linker,
            slot_reset,
            models: AtomicU64::new(0),
            mappings: Mappings::default(),
        })))
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.shared.engine
    }

    /// How slots are made clean.
    #[must_use]
    pub fn slot_reset(&self) -> SlotReset {
        self.0.slot_reset
    }

    /// Whether the way of cleaning in use has stopped being safe, because swap has appeared
    /// since the start. The host then starts another sandbox and loads its models there.
    #[must_use]
    pub fn slot_reset_has_become_unsafe(&self) -> bool {
        self.0.slot_reset == SlotReset::PagemapScan
            && self.0.config.swap_evidence.swap_is_possible()
    }

    /// The configuration it was started with.
    #[must_use]
    pub fn config(&self) -> &SandboxConfig {
        &self.0.config
    }

    /// Numbers of this moment.
    #[must_use]
    pub fn stats(&self) -> SandboxStats {
        let Inner {
            shared,
            config,
            mappings,
            ..
        } = &*self.0;
        SandboxStats {
            running: shared.queue.running(),
            waiting: shared.queue.waiting(),
            slots: config.runs_max,
            memory_bytes: shared.memory_pool.taken(),
            memory_bytes_max: shared.memory_pool.limit(),
            moved: shared.moved.load(Ordering::Relaxed),
            mapped_bytes: mappings.bytes(),
        }
    }

    /// Maps a compiled model. `label` names it in the log, for example `name@version`.
    ///
    /// # Errors
    /// When the artefact is missing or was changed, or when it does not fit the linker or the
    /// pool.
    pub fn load(&self, artefact: &Artefact, label: &str) -> Result<ReadyModel, LoadError> {
        self.load_heard_by(artefact, label, None)
    }

    /// [`Sandbox::load`], with somebody who hears what the model's guests write.
    ///
    /// # Errors
    /// As [`Sandbox::load`].
    pub fn load_heard_by(
        &self,
        artefact: &Artefact,
        label: &str,
        ear: Option<Arc<dyn GuestEar>>,
    ) -> Result<ReadyModel, LoadError> {
        let Inner {
            shared,
            config,
            linker,
            models,
            mappings,
            ..
        } = &*self.0;
        let mapping = mappings.map(&shared.engine, artefact)?;
        let pre = linker
            .instantiate_pre(mapping.component())
            .map_err(|error| LoadError::Link(format!("{error:#}")))?;
        let queue_id: ModelQueueId = models.fetch_add(1, Ordering::Relaxed);
        let queue = RunQueue::new(
            Scope::Model,
            config.model_runs_max,
            config.model_queue_max,
            config.queue_wait,
        );
        let facts = Arc::new(ModelFacts {
            label: label.into(),
            assets: artefact.assets().to_vec(),
            pace: Pace::default(),
            log_share: LogShare::default(),
            ear,
        });
        let inspection = artefact.inspection().clone();
        let loaded = Loaded::new(
            Arc::clone(shared),
            (pre, mapping),
            inspection,
            facts,
            queue,
            queue_id,
        )?;
        Ok(ReadyModel::new(loaded))
    }
}
