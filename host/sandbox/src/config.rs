//! How a sandbox is built, and why it may not start.

use crate::{
    Budget, SlotCaps,
    slot_reset::{SlotResetChoice, SwapEvidence},
};
use std::time::Duration;

/// How the sandbox is built. Numbers of the whole host, where [`Budget`](crate::Budget) has
/// those of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxConfig {
    /// Threads for runs that take longer than a tick. 0: one for each core.
    pub guest_threads: usize,
    /// How often guests are made to yield.
    pub epoch_tick: Duration,
    /// What one slot holds: as much as a policy may allow one run.
    pub slot: SlotCaps,
    /// Linear memory of all runs together, in bytes. 0: half of what the process may use.
    pub memory_total_bytes_max: u64,
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
    pub slot_reset: SlotResetChoice,
    /// Where it is read whether the process can be swapped.
    pub swap_evidence: SwapEvidence,
    /// What compiled code leaves to the machine.
    pub codegen: Codegen,
}

/// What compiled code leaves to the machine. Part of what identifies an engine: what was compiled
/// otherwise is compiled again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Codegen {
    /// Whether relaxed SIMD gives the same bits on every machine, at the price of speed.
    pub deterministic_simd: bool,
    /// Whether every NaN that arithmetic gives has the same bits, at the price of speed.
    pub canonical_nan: bool,
    /// Whether compiled models keep what their components say of source lines, so that failures and
    /// profiles name them. Reading that is work that a guest can make large.
    pub source_lines: bool,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            guest_threads: 0,
            epoch_tick: Duration::from_millis(1),
            slot: SlotCaps {
                memory_bytes_max: 1 << 30,
                ..Budget::default().slot()
            },
            memory_total_bytes_max: 0,
            runs_max: 512,
            queue_max: 1024,
            model_runs_max: 256,
            model_queue_max: 512,
            queue_wait: Duration::from_secs(5),
            slot_reset: SlotResetChoice::Auto,
            swap_evidence: SwapEvidence::default(),
            codegen: Codegen::default(),
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
