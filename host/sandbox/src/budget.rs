//! The caps: what one run may spend, what one slot of the pool holds, and how a cap that was hit
//! names itself. A new cap is a field here, a row of [`Cap`], the line that enforces it, and a
//! setting.

use std::{fmt, time::Duration};

/// The caps of one request. The host's policy and the model's manifest meet here: each value
/// is the smaller of the two. A cap that is hit ends the run with a [`CapHit`] that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Budget {
    /// Units of wasmtime fuel, about one an instruction: [`Cap::Fuel`].
    pub fuel: u64,
    /// Bytes of linear memory, summed over all memories of the component: [`Cap::Memory`].
    pub memory_bytes_max: u64,
    /// Elements, summed over all tables of the component: [`Cap::TableElements`].
    pub table_elements_max: u64,
    /// Core instances that one component instance may be made of: [`Cap::Instances`].
    pub instances_max: u32,
    /// Linear memories of the component: [`Cap::Memories`].
    pub memories_max: u32,
    /// Tables of the component: [`Cap::Tables`].
    pub tables_max: u32,
    /// Bytes that one crossing from the guest may make the host allocate for strings and lists:
    /// [`Cap::HostcallBytes`].
    pub hostcall_bytes_max: usize,
    /// Resource handles that the host keeps for the guest at any one time: [`Cap::Resources`].
    pub resources_max: usize,
    /// Bytes written to stdout and stderr together: [`Cap::StdioBytes`].
    pub stdio_bytes_max: usize,
    /// Lines written through the `log` interface: [`Cap::LogLines`].
    pub log_lines_max: u32,
    /// Bytes of the answer: text, tensors, vectors: [`Cap::OutputBytes`].
    pub output_bytes_max: u64,
    /// Time on the wall clock from the start of the run to its end: [`Cap::WallTimeMs`].
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

/// What one slot of the pool holds, which the engine must know when it starts: no run can have
/// more, whatever its budget says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SlotCaps {
    /// Bytes of one linear memory.
    pub memory_bytes_max: u64,
    /// Elements of one table.
    pub table_elements_max: u64,
    /// Core instances of one component.
    pub instances_max: u32,
    /// Linear memories of one component.
    pub memories_max: u32,
    /// Tables of one component.
    pub tables_max: u32,
}

impl Budget {
    /// What a slot must hold for a run of this budget.
    #[must_use]
    pub const fn slot(&self) -> SlotCaps {
        SlotCaps {
            memory_bytes_max: self.memory_bytes_max,
            table_elements_max: self.table_elements_max,
            instances_max: self.instances_max,
            memories_max: self.memories_max,
            tables_max: self.tables_max,
        }
    }

    /// The wall time in the unit of [`Cap::WallTimeMs`].
    pub(crate) fn wall_time_ms(&self) -> u64 {
        u64::try_from(self.wall_time.as_millis()).unwrap_or(u64::MAX)
    }
}

impl SlotCaps {
    /// What both hold.
    pub(crate) fn smaller(self, other: Self) -> Self {
        Self {
            memory_bytes_max: self.memory_bytes_max.min(other.memory_bytes_max),
            table_elements_max: self.table_elements_max.min(other.table_elements_max),
            instances_max: self.instances_max.min(other.instances_max),
            memories_max: self.memories_max.min(other.memories_max),
            tables_max: self.tables_max.min(other.tables_max),
        }
    }
}

/// The unit of a cap's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Units of wasmtime fuel.
    Fuel,
    /// Bytes.
    Bytes,
    /// Milliseconds on the wall clock.
    Milliseconds,
    /// A number of things, named in the plural.
    Count(&'static str),
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fuel => "units of fuel",
            Self::Bytes => "bytes",
            Self::Milliseconds => "ms",
            Self::Count(things) => things,
        })
    }
}

macro_rules! caps {
    ($($(#[$doc:meta])* $cap:ident $name:literal $unit:expr, $code:literal, $raised:literal;)*) => {
        /// A dimension in which a run, `load` or a compilation is bounded.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Cap {
            $($(#[$doc])* $cap,)*
        }

        impl Cap {
            /// The name of the cap in messages, metrics and the audit log.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$cap => $name,)* }
            }

            /// The unit of its numbers.
            #[must_use]
            pub const fn unit(self) -> Unit {
                match self { $(Self::$cap => $unit,)* }
            }

            /// The code for programs that a run which hit it fails with.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$cap => $code,)* }
            }

            /// What moves the cap, for whoever hit it: the key of a manifest, the setting of the
            /// server, or both.
            #[must_use]
            pub const fn raised_by(self) -> &'static str {
                match self { $(Self::$cap => $raised,)* }
            }
        }
    };
}

caps! {
    /// Instructions of one request or of `load`. Not covered: what host functions do meanwhile,
    /// and time in which the guest waits; the wall time is for those.
    Fuel "fuel" Unit::Fuel, "fuel_exhausted",
        "`limits.fuel` (for `load`: `limits.load_fuel`) in model.toml raises it, up to the server's `policy.fuel_max`";
    /// Linear memory over all memories. Not covered: what the host keeps for the run besides
    /// (tables, instances, strings on their way), which has caps of its own, and the native
    /// stack.
    Memory "memory" Unit::Bytes, "memory_exceeded",
        "`limits.memory` in model.toml raises it, up to the server's `policy.memory_max`";
    /// Elements over all tables. Not covered: what the elements refer to.
    TableElements "table_elements" Unit::Count("elements"), "table_elements_exceeded",
        "the server's `policy.table_elements_max` decides";
    /// Core instances of one component. Not covered: their size, which the pool bounds.
    Instances "instances" Unit::Count("core instances"), "instances_exceeded",
        "the server's `policy.instances_max` decides";
    /// Linear memories of one component. Not covered: their size.
    Memories "memories" Unit::Count("memories"), "memories_exceeded",
        "the server's `policy.memories_max` decides";
    /// Tables of one component. Not covered: their size.
    Tables "tables" Unit::Count("tables"), "tables_exceeded",
        "the server's `policy.tables_max` decides";
    /// Strings and lists that the host allocates in one crossing from the guest. Not covered: the
    /// sum over many crossings, of which each is freed or counted as output, and what the host
    /// gives to the guest, which lies in the guest's memory.
    HostcallBytes "hostcall_bytes" Unit::Bytes, "hostcall_bytes_exceeded",
        "the server's `policy.hostcall_max` decides";
    /// Resource handles that are open at one time. Not covered: how many there were in all.
    Resources "resources" Unit::Count("handles"), "resources_exceeded",
        "the server's `policy.resources_max` decides";
    /// The guest's stack. Not covered: what host functions need above it.
    Stack "stack" Unit::Bytes, "stack_exhausted",
        "it is the same for all models: a recursion is too deep";
    /// Captured stdout and stderr together. Not covered: the lines they make in the log, which
    /// count as log lines.
    StdioBytes "stdio_bytes" Unit::Bytes, "stdio_exceeded",
        "the server's `policy.stdio_max` decides";
    /// Lines written to the log. Not covered: their length, which is cut instead.
    LogLines "log_lines" Unit::Count("lines"), "log_lines_exceeded",
        "the server's `policy.log_lines_max` decides";
    /// The answer. Not covered: what becomes of it on the wire, as JSON for example.
    OutputBytes "output_bytes" Unit::Bytes, "output_too_large",
        "`limits.output` in model.toml raises it, up to the server's `policy.output_max`";
    /// Time on the wall clock. Not covered: the wait for a slot before the run, and the pauses
    /// of a stream that its reader asks for.
    WallTimeMs "deadline" Unit::Milliseconds, "deadline_exceeded",
        "`limits.deadline` in model.toml raises it, up to the server's `policy.deadline_max`; that of `load` is `policy.load_time_max`";
    /// The component as uploaded. Not covered: the assets, which the archive's limits bound.
    ComponentBytes "component_bytes" Unit::Bytes, "component_too_large",
        "the server's `archive.component_max` decides";
    /// Compilation and load together, in processor time, which other programs on the machine do
    /// not take from it. Not covered: the wait for other compilations.
    CompileTimeMs "compile_time" Unit::Milliseconds, "compile_time_exceeded",
        "the server's `compiler.cpu_time` decides";
    /// Compilation and load together, on the wall clock: the end of one that does not compute and
    /// does not end. Not covered: the wait for other compilations.
    CompileWallTimeMs "compile_wall_time" Unit::Milliseconds, "compile_time_exceeded",
        "the server's `compiler.wall_time` decides";
    /// Address space of the compiling process. Not covered: its files, of which it writes one.
    CompileAddressSpaceBytes "compile_address_space" Unit::Bytes, "compile_memory_exceeded",
        "the server's `compiler.address_space_max` decides";
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

impl CapHit {
    /// A cap that was used up, where nobody knows by how much more.
    pub(crate) const fn used_up(cap: Cap, limit: u64) -> Self {
        Self {
            cap,
            limit,
            used: limit,
        }
    }

    /// A cap that was refused one more.
    pub(crate) const fn one_more(cap: Cap, limit: u64) -> Self {
        Self {
            cap,
            limit,
            used: limit.saturating_add(1),
        }
    }
}

impl fmt::Display for CapHit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cap, limit, used } = self;
        let (name, unit) = (cap.name(), cap.unit());
        let raised = cap.raised_by();
        write!(
            f,
            "{name} cap of {limit} {unit} hit ({used} used); {raised}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hit_names_its_cap_with_both_numbers() {
        let hit = CapHit::one_more(Cap::Resources, 15);
        let text = "resources cap of 15 handles hit (16 used); the server's `policy.resources_max` decides";
        assert_eq!(hit.to_string(), text);
        let hit = CapHit::used_up(Cap::Memory, 100).to_string();
        assert!(
            hit.starts_with("memory cap of 100 bytes hit (100 used); "),
            "{hit}"
        );
        assert!(hit.contains("`limits.memory` in model.toml"), "{hit}");
    }

    #[test]
    fn a_slot_holds_what_the_smaller_of_two_has() {
        let one = Budget {
            memory_bytes_max: 1,
            tables_max: 9,
            ..Budget::default()
        };
        let other = Budget {
            memory_bytes_max: 5,
            tables_max: 2,
            ..Budget::default()
        };
        let both = Budget {
            memory_bytes_max: 1,
            tables_max: 2,
            ..Budget::default()
        };
        assert_eq!(one.slot().smaller(other.slot()), both.slot());
    }
}
