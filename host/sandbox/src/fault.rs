//! How a run can fail, and whose fault it is.

use crate::{Budget, state::GuestState};
use std::fmt;
use wasmtime::{PoolConcurrencyLimitError, Trap, component::ResourceTableError};
use wasmtime_wasi::I32Exit;

/// Bytes of a guest's error text that a caller may read.
const GUEST_TEXT_BYTES_MAX: usize = 1 << 10;

/// A dimension of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cap {
    /// Instructions of one request or of `load`.
    Fuel,
    /// Linear memory, in bytes over all memories.
    Memory,
    /// Table elements over all tables.
    TableElements,
    /// Core instances of one component.
    Instances,
    /// Linear memories of one component.
    Memories,
    /// Tables of one component.
    Tables,
    /// Bytes the guest made the host allocate in one crossing.
    HostcallBytes,
    /// Resource handles.
    Resources,
    /// The guest's stack, in bytes.
    Stack,
    /// Captured stdout and stderr, in bytes.
    StdioBytes,
    /// Log lines.
    LogLines,
    /// The answer, in bytes.
    OutputBytes,
    /// Milliseconds on the wall clock.
    WallTimeMs,
    /// Bytes of the component.
    ComponentBytes,
    /// Milliseconds of compilation and load, on the wall clock.
    CompileTimeMs,
    /// Address space of the compiling process, in bytes.
    CompileAddressSpaceBytes,
}

impl Cap {
    /// The name of the cap, as used in error codes, metrics and the audit log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fuel => "fuel",
            Self::Memory => "memory",
            Self::TableElements => "table_elements",
            Self::Instances => "instances",
            Self::Memories => "memories",
            Self::Tables => "tables",
            Self::HostcallBytes => "hostcall_bytes",
            Self::Resources => "resources",
            Self::Stack => "stack",
            Self::StdioBytes => "stdio_bytes",
            Self::LogLines => "log_lines",
            Self::OutputBytes => "output_bytes",
            Self::WallTimeMs => "deadline",
            Self::ComponentBytes => "component_bytes",
            Self::CompileTimeMs => "compile_time",
            Self::CompileAddressSpaceBytes => "compile_address_space",
        }
    }

    /// The unit that goes with the cap's numbers.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Fuel => "units of fuel",
            Self::Memory
            | Self::HostcallBytes
            | Self::Stack
            | Self::StdioBytes
            | Self::OutputBytes
            | Self::ComponentBytes
            | Self::CompileAddressSpaceBytes => "bytes",
            Self::TableElements => "elements",
            Self::Instances => "core instances",
            Self::Memories => "memories",
            Self::Tables => "tables",
            Self::Resources => "handles",
            Self::LogLines => "lines",
            Self::WallTimeMs | Self::CompileTimeMs => "ms",
        }
    }
}

/// A cap that was hit: which, what it stood at, and what was used or asked for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CapHit {
    /// The cap.
    pub cap: Cap,
    /// Its value.
    pub limit: u64,
    /// What was used, or what was asked for when the request was refused.
    pub used: u64,
}

impl fmt::Display for CapHit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cap, limit, used } = self;
        write!(
            f,
            "{} cap of {limit} {} hit ({used} used)",
            cap.name(),
            cap.unit()
        )
    }
}

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
        /// `host` or `model` for a queue; `memory` for the memory of all runs.
        scope: &'static str,
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

/// How a host function ends a run: carried through wasmtime and taken out again by
/// [`classify`].
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum HostStop {
    #[error("{0}")]
    Cap(CapHit),
    #[error("{0}")]
    Host(String),
}

/// The caps of a run that wasmtime itself enforces, for the message of their fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EngineCaps {
    pub(crate) fuel: u64,
    pub(crate) hostcall_bytes_max: usize,
    pub(crate) resources_max: usize,
    pub(crate) instances_max: u32,
    pub(crate) memories_max: u32,
    pub(crate) tables_max: u32,
}

impl From<&Budget> for EngineCaps {
    fn from(budget: &Budget) -> Self {
        Self {
            fuel: budget.fuel,
            hostcall_bytes_max: budget.hostcall_bytes_max,
            resources_max: budget.resources_max,
            instances_max: budget.instances_max,
            memories_max: budget.memories_max,
            tables_max: budget.tables_max,
        }
    }
}

/// Turns what wasmtime says about a failed call into whose fault it is.
pub(crate) fn classify(error: &wasmtime::Error, state: &GuestState, caps: EngineCaps) -> RunError {
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
            scope: "host",
            waiting: 0,
            limit: 0,
            retry_after_s: 1,
        };
    }
    if let Some((taken, limit)) = state.ledger.starved() {
        return RunError::Overloaded {
            scope: "memory",
            waiting: taken,
            limit,
            retry_after_s: 1,
        };
    }
    if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
        return RunError::Trap {
            reason: format!("exit({code}) called"),
        };
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref::<ResourceTableError>() {
        let limit = caps.resources_max as u64;
        return RunError::Cap(CapHit {
            cap: Cap::Resources,
            limit,
            used: limit.saturating_add(1),
        });
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => RunError::Cap(CapHit {
            cap: Cap::Fuel,
            limit: caps.fuel,
            used: caps.fuel,
        }),
        Some(Trap::StackOverflow) => {
            let limit = crate::engine::STACK_BYTES;
            RunError::Cap(CapHit {
                cap: Cap::Stack,
                limit,
                used: limit,
            })
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
        Some(trap) => match state.ledger.refused() {
            Some(hit) => RunError::Cap(hit.clone()),
            None => RunError::Trap {
                reason: short(trap.to_string().trim_start_matches("wasm trap: ")),
            },
        },
        None => untyped(error, state, caps),
    }
}

/// Wasmtime reports the rest as text alone.
fn untyped(error: &wasmtime::Error, state: &GuestState, caps: EngineCaps) -> RunError {
    let text = error.root_cause().to_string();
    if text.contains("fuel allocated for hostcalls") {
        let limit = caps.hostcall_bytes_max as u64;
        return RunError::Cap(CapHit {
            cap: Cap::HostcallBytes,
            limit,
            used: limit.saturating_add(1),
        });
    }
    if text.contains("store handle limit exceeded")
        || text.contains("resource table has no free keys")
    {
        let limit = caps.resources_max as u64;
        return RunError::Cap(CapHit {
            cap: Cap::Resources,
            limit,
            used: limit.saturating_add(1),
        });
    }
    if let Some(hit) = too_many(&text, caps) {
        return RunError::Cap(hit);
    }
    match state.ledger.refused() {
        Some(hit) => RunError::Cap(hit.clone()),
        None => RunError::InvalidOutput {
            reason: short(&text),
        },
    }
}

/// The store's counts, for example `resource limit exceeded: memory count too high at 9`.
fn too_many(text: &str, caps: EngineCaps) -> Option<CapHit> {
    let (what, used) = text
        .strip_prefix("resource limit exceeded: ")?
        .split_once(" count too high at ")?;
    let (cap, limit) = match what {
        "instance" => (Cap::Instances, caps.instances_max),
        "memory" => (Cap::Memories, caps.memories_max),
        "table" => (Cap::Tables, caps.tables_max),
        _ => return None,
    };
    Some(CapHit {
        cap,
        limit: u64::from(limit),
        used: used.parse().ok()?,
    })
}

/// A text of the guest's or about it, cut to a size and freed of control characters.
pub(crate) fn short(text: &str) -> String {
    let mut cut = text.len().min(GUEST_TEXT_BYTES_MAX);
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    let (kept, _) = text.split_at(cut);
    kept.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
