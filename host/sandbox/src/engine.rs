//! The three engines: one that serves, one that runs `load`, one that only compiles.
//!
//! They share every setting that shapes the compiled code or the accepted features, so that
//! what the compiling one writes the serving one maps.

use crate::{
    config::{Codegen, SandboxConfig},
    slot_reset::{KEEP_RESIDENT_BYTES, SlotReset},
};
use wasmparser::WasmFeatures;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
    WasmBacktraceDetails,
};

/// Address space behind each linear memory of the serving engine: with all of a 32-bit index
/// covered, the compiled code needs no bounds checks.
const SERVE_RESERVATION_BYTES: u64 = 4 << 30;
/// Unmapped bytes after each linear memory. Loads with a constant offset below this need no
/// check either.
const SERVE_GUARD_BYTES: u64 = 32 << 20;
/// The same in the engine that runs `load`, whose whole address space has a cap.
const LOAD_GUARD_BYTES: u64 = 64 << 10;
/// A guest's stack, in bytes. Deep recursion ends with a trap here.
pub(crate) const STACK_BYTES: u64 = 512 << 10;
/// The fiber that a run lives on: the guest's stack and room for host functions above it.
const FIBER_BYTES: usize = 1 << 20;
/// Frames of a backtrace that are read: those of a profile have to reach to its root.
const BACKTRACE_FRAMES: usize = 128;
/// Bytes of bookkeeping that one core instance may need; larger modules are refused.
const CORE_INSTANCE_BYTES: usize = 4 << 20;
/// The same for a component instance.
const COMPONENT_INSTANCE_BYTES: usize = 4 << 20;
/// Bytes of each table that are rewritten rather than given back.
const TABLE_KEEP_RESIDENT_BYTES: usize = 64 << 10;

/// The features of WebAssembly that are enabled. What is not named here is refused at upload:
/// threads, garbage collection, exceptions, 64-bit memories and what is younger than these.
pub(crate) const FEATURES: WasmFeatures = WasmFeatures::WASM2
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::COMPONENT_MODEL)
    .difference(WasmFeatures::GC_TYPES);

/// What every engine has in common.
fn common(codegen: Codegen) -> Config {
    let mut config = Config::new();
    config
        // Without the machinery for concurrent components a fresh instance costs half.
        .concurrency_support(false)
        .consume_fuel(true)
        .epoch_interruption(true)
        .relaxed_simd_deterministic(codegen.deterministic_simd)
        .cranelift_nan_canonicalization(codegen.canonical_nan)
        .cranelift_opt_level(OptLevel::Speed)
        .max_wasm_stack(usize::try_from(STACK_BYTES).unwrap_or(FIBER_BYTES / 2))
        .async_stack_size(FIBER_BYTES)
        // WebAssembly cannot address the native stack, so what a run leaves on it reaches no
        // guest. Giving its pages back to the kernel after each run cost most of a request: the
        // other cores are interrupted to forget them, which is dear in a virtual machine.
        .async_stack_zeroing(false)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(BACKTRACE_FRAMES))
        // Never by the environment: a variable must not change what the host does.
        .wasm_backtrace_details(if codegen.source_lines {
            WasmBacktraceDetails::Enable
        } else {
            WasmBacktraceDetails::Disable
        })
        .memory_init_cow(true)
        // A sparse snapshot must stay one copy-on-write image: copying it into each fresh
        // instance would cost milliseconds a request.
        .memory_guaranteed_dense_image_size(SERVE_RESERVATION_BYTES);
    for (_, feature) in WasmFeatures::all().iter_names() {
        config.wasm_features(feature, FEATURES.contains(feature));
    }
    config
}

fn serving_memories(config: &mut Config) -> &mut Config {
    config
        .memory_reservation(SERVE_RESERVATION_BYTES)
        .memory_guard_size(SERVE_GUARD_BYTES)
}

/// The engine that serves requests.
pub(crate) fn serving(sandbox: &SandboxConfig, slot_reset: SlotReset) -> wasmtime::Result<Engine> {
    let slots = sandbox.runs_max.max(1);
    let slot = sandbox.slot;
    let total = |each: u32| slots.saturating_mul(each.max(1));
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(slots)
        .total_core_instances(total(slot.instances_max))
        .total_memories(total(slot.memories_max))
        .total_tables(total(slot.tables_max))
        .total_stacks(slots)
        .max_component_instance_size(COMPONENT_INSTANCE_BYTES)
        .max_core_instance_size(CORE_INSTANCE_BYTES)
        .max_core_instances_per_component(slot.instances_max)
        .max_memories_per_component(slot.memories_max)
        .max_tables_per_component(slot.tables_max)
        .max_memories_per_module(slot.memories_max)
        .max_tables_per_module(slot.tables_max)
        .max_memory_size(size(slot.memory_bytes_max))
        .table_elements(size(slot.table_elements_max))
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(TABLE_KEEP_RESIDENT_BYTES)
        .pagemap_scan(match slot_reset {
            SlotReset::PagemapScan => Enabled::Yes,
            SlotReset::KeepResident => Enabled::No,
        });
    let mut config = common(sandbox.codegen);
    serving_memories(&mut config).allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

/// The engine that compiles for the serving one and runs nothing.
pub(crate) fn compiling(codegen: Codegen) -> wasmtime::Result<Engine> {
    let mut config = common(codegen);
    serving_memories(&mut config);
    Engine::new(&config)
}

/// The engine that runs `load` once, in a process whose address space has a cap: each memory
/// reserves no more than it may use.
pub(crate) fn loading(memory_bytes_max: u64, codegen: Codegen) -> wasmtime::Result<Engine> {
    let mut config = common(codegen);
    config
        .memory_reservation(memory_bytes_max)
        .memory_guard_size(LOAD_GUARD_BYTES)
        .memory_may_move(false);
    Engine::new(&config)
}
