//! How a run can fail, and whose fault it is.

use crate::{
    Budget, Cap, CapHit,
    engine_text::EngineText,
    printable::replaced,
    state::{GuestState, HostStop},
};
use std::fmt;
use wasmtime::{PoolConcurrencyLimitError, Trap, component::ResourceTableError};
use wasmtime_wasi::I32Exit;

/// Bytes of a guest's error text that a caller may read.
const GUEST_TEXT_BYTES_MAX: usize = 1 << 10;

/// What the model itself answered instead of a result: the `error` variant of the WIT.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuestError {
    /// The caller's request is wrong.
    #[error("{0}")]
    InvalidInput(String),
    /// The model does not do this.
    #[error("{0}")]
    Unsupported(String),
    /// The model failed. The text is for the log.
    #[error("the model failed")]
    Failed(String),
}

/// What of the host is full when a run is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The host's queue of runs, or its slots.
    Host,
    /// The model's own queue.
    Model,
    /// The linear memory of all runs together, in bytes.
    Memory,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Model => "model",
            Self::Memory => "memory",
        })
    }
}

/// Why a run gave no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The guest hit a cap. The guest's fault.
    #[error("{0}")]
    Cap(CapHit),
    /// The guest trapped. The guest's fault. The reason is short and safe to show; the
    /// backtrace has gone to the log.
    #[error("the model trapped: {reason}")]
    Trap {
        /// The kind of trap, for example `unreachable executed`.
        reason: String,
    },
    /// The guest's answer breaks the contract. The guest's fault.
    #[error("the model's answer is invalid: {reason}")]
    InvalidOutput {
        /// What is wrong with it; holds none of the answer's content.
        reason: String,
    },
    /// The guest answered with an error of its own.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// The model has no such capability. The caller's fault.
    #[error("the model does not export `{interface}`")]
    NoCapability {
        /// For example `text`.
        interface: &'static str,
    },
    /// No slot is free and the queue is full. Nobody's fault; try again.
    #[error("the host is busy ({scope}: {waiting} of {limit})")]
    Overloaded {
        /// What is full.
        scope: Scope,
        /// Runs in the queue, or bytes taken.
        waiting: u64,
        /// The queue's bound, or the bytes there are.
        limit: u64,
        /// When to try again, in seconds.
        retry_after_s: u64,
    },
    /// A bug or a shortage of the host.
    #[error("the sandbox failed")]
    Host {
        /// For the log.
        detail: String,
    },
}

impl RunError {
    /// Whether the model is at fault: what its author can do something about.
    pub(crate) fn is_of_guest(&self) -> bool {
        match self {
            Self::Cap(_) | Self::Trap { .. } | Self::InvalidOutput { .. } | Self::Guest(_) => true,
            Self::NoCapability { .. } | Self::Overloaded { .. } | Self::Host { .. } => false,
        }
    }
}

/// Turns what wasmtime says about a failed call into whose fault it is.
pub(crate) fn classify(error: &wasmtime::Error, state: &GuestState) -> RunError {
    if let Some(stop) = error.downcast_ref::<HostStop>() {
        return match stop {
            HostStop::Cap(hit) => RunError::Cap(hit.clone()),
            HostStop::Host(detail) => RunError::Host {
                detail: detail.clone(),
            },
        };
    }
    if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
        return RunError::Overloaded {
            scope: Scope::Host,
            waiting: 0,
            limit: 0,
            retry_after_s: 1,
        };
    }
    if let Some(error) = starved(state) {
        return error;
    }
    if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
        return RunError::Trap {
            reason: format!("exit({code}) called"),
        };
    }
    let budget = state.budget();
    if let Some(ResourceTableError::Full) = error.downcast_ref::<ResourceTableError>() {
        return RunError::Cap(too_many_resources(budget));
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => RunError::Cap(CapHit::used_up(Cap::Fuel, budget.fuel)),
        Some(Trap::StackOverflow) => {
            RunError::Cap(CapHit::used_up(Cap::Stack, crate::engine::STACK_BYTES))
        }
        Some(
            trap @ (Trap::StringOutOfBounds
            | Trap::ListOutOfBounds
            | Trap::InvalidChar
            | Trap::InvalidDiscriminant
            | Trap::UnalignedPointer),
        ) => RunError::InvalidOutput {
            reason: short(&trap.to_string()),
        },
        Some(trap) => match state.limiter.refused() {
            Some(hit) => RunError::Cap(hit.clone()),
            None => RunError::Trap {
                reason: reason_of(*trap),
            },
        },
        None => untyped(error, state),
    }
}

/// What a run lacked that was refused memory and did not get any later; a guest that says itself that
/// it failed seldom says that.
pub(crate) fn lack_of_memory(state: &GuestState) -> Option<RunError> {
    let refused = || state.limiter.refused().cloned().map(RunError::Cap);
    starved(state).or_else(refused)
}

/// What a run lacked that all runs together had taken.
fn starved(state: &GuestState) -> Option<RunError> {
    let (taken, limit) = state.limiter.starved()?;
    Some(RunError::Overloaded {
        scope: Scope::Memory,
        waiting: taken,
        limit,
        retry_after_s: 1,
    })
}

/// The kind of a trap, with a hint where authors are misled by it.
fn reason_of(trap: Trap) -> String {
    let text = trap.to_string();
    let text = short(text.trim_start_matches("wasm trap: "));
    if trap == Trap::MemoryOutOfBounds {
        // Languages that compile to WebAssembly keep a stack of their own in the memory.
        format!("{text} (a recursion without end does that, too)")
    } else {
        text
    }
}

fn too_many_resources(budget: &Budget) -> CapHit {
    CapHit::one_more(Cap::Resources, budget.resources_max as u64)
}

/// Wasmtime reports the rest as text alone.
fn untyped(error: &wasmtime::Error, state: &GuestState) -> RunError {
    let budget = state.budget();
    let text = error.root_cause().to_string();
    match EngineText::read(&text) {
        EngineText::HostcallBytes => {
            let limit = budget.hostcall_bytes_max as u64;
            return RunError::Cap(CapHit::one_more(Cap::HostcallBytes, limit));
        }
        EngineText::NoHandle => return RunError::Cap(too_many_resources(budget)),
        EngineText::Count { what, used } => {
            if let Some(hit) = too_many(what, used, budget) {
                return RunError::Cap(hit);
            }
        }
        _ => {}
    }
    match state.limiter.refused() {
        Some(hit) => RunError::Cap(hit.clone()),
        None => RunError::InvalidOutput {
            reason: short(&text),
        },
    }
}

/// The cap of what the store counts.
fn too_many(what: &str, used: u64, budget: &Budget) -> Option<CapHit> {
    let (cap, limit) = match what {
        "instance" => (Cap::Instances, budget.instances_max),
        "memory" => (Cap::Memories, budget.memories_max),
        "table" => (Cap::Tables, budget.tables_max),
        _ => return None,
    };
    Some(CapHit {
        cap,
        limit: u64::from(limit),
        used,
    })
}

/// A text of the guest's or about it, cut to a size and freed of what deceives.
pub(crate) fn short(text: &str) -> String {
    replaced(text, GUEST_TEXT_BYTES_MAX, ' ')
}
