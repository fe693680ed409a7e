//! What one run may spend. A cap that is hit ends the run with a [`CapHit`](crate::CapHit)
//! that names it.

use std::time::Duration;

/// The caps of one request. The host's policy and the model's manifest meet here: each value
/// is the smaller of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Budget {
    /// Units of wasmtime fuel, about one an instruction.
    pub fuel: u64,
    /// Bytes of linear memory, summed over all memories of the component.
    pub memory_bytes_max: u64,
    /// Elements, summed over all tables of the component.
    pub table_elements_max: u64,
    /// Core instances that one component instance may be made of.
    pub instances_max: u32,
    /// Linear memories of the component.
    pub memories_max: u32,
    /// Tables of the component.
    pub tables_max: u32,
    /// Bytes that one crossing from the guest may make the host allocate for strings and lists.
    pub hostcall_bytes_max: usize,
    /// Resource handles that the host keeps for the guest at any one time.
    pub resources_max: usize,
    /// Bytes written to stdout and stderr together.
    pub stdio_bytes_max: usize,
    /// Lines written through the `log` interface.
    pub log_lines_max: u32,
    /// Bytes of the answer: text, tensors, vectors.
    pub output_bytes_max: u64,
    /// Time on the wall clock from the start of the run to its end.
    pub wall_time: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            fuel: 20_000_000_000,
            memory_bytes_max: 256 << 20,
            table_elements_max: 100_000,
            instances_max: 64,
            memories_max: 8,
            tables_max: 32,
            hostcall_bytes_max: 8 << 20,
            resources_max: 256,
            stdio_bytes_max: 64 << 10,
            log_lines_max: 100,
            output_bytes_max: 4 << 20,
            wall_time: Duration::from_secs(10),
        }
    }
}

/// The caps of the one run of `load`, and of the process that compiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LoadBudget {
    /// Units of wasmtime fuel for `load`.
    pub fuel: u64,
    /// Time on the wall clock for `load` alone; compilation has its own.
    pub wall_time: Duration,
}

impl Default for LoadBudget {
    fn default() -> Self {
        Self {
            fuel: 50_000_000_000,
            wall_time: Duration::from_secs(60),
        }
    }
}
