//! Compiles one untrusted component and runs it, each request in a fresh instance inside a
//! [`Budget`]. The only package that sees wasmtime; it knows no HTTP, no keys and no bundles.
//!
//! The way of a model through here: a [`Compiler`] turns component bytes into an [`Artefact`]
//! in a child process (`compiler` and `child`, the two ends of one pipe), [`Sandbox::load`] maps
//! the artefact into a [`ReadyModel`], and each of the model's methods makes an instance, runs
//! it and throws it away (`run`, with `state` for what the host keeps meanwhile).

mod after_load;
mod ambient;
mod artefact;
mod base;
mod bindings;
mod blocks;
mod budget;
mod calls;
mod capabilities;
mod child;
mod compile_error;
mod compiler;
mod config;
mod conversation;
mod determinism;
mod engine;
mod engine_text;
mod epoch;
mod exchange;
mod fault;
mod fit;
mod generation;
mod guest_log;
mod imports;
mod inspect;
mod inspection;
mod label;
mod limiter;
mod load_error;
mod loaded;
mod loading;
mod machine;
mod mapped;
mod memory_pool;
mod model;
mod mould;
mod origin;
mod outcome;
mod pace;
mod printable;
mod profile;
mod pull;
mod replay;
mod run;
mod run_queue;
mod sandbox;
mod shared;
mod slice;
mod slot_reset;
mod stack;
mod staged;
mod state;
mod strip;
pub mod tensor;
mod threads;
mod time_and_chance;

pub use artefact::{Artefact, MacKey, is_sealed};
pub use base::base_contents;
pub use blocks::{BLOCKS_MAX, BlockName, BlockStore};
pub use budget::{Budget, Cap, CapHit, LoadBudget, SlotCaps, Unit};
pub use capabilities::{Capabilities, Capability, Reach};
pub use child::compile_child;
pub use compile_error::CompileError;
pub use compiler::{
    COMPILE_COMMAND, CompileJob, Compiler, CompilerConfig, Phase, Progress, SharedCache,
    inspect_component,
};
pub use config::{Codegen, SandboxConfig, StartError};
pub use determinism::{Determinism, DeterminismClass, Freedom, OpenInstruction};
pub use exchange::{Asked, Given, KeptTensor};
pub use fault::{GuestError, RunError, Scope};
pub use generation::{ChunkSink, Generated};
pub use guest_log::{GuestEar, GuestLine, Loudness};
pub use inspection::{Inspection, LoadCost};
pub use label::{RunCost, RunEnd, RunLabel, RunReport, RunWatch};
pub use load_error::LoadError;
pub use model::ReadyModel;
pub use origin::{InvalidSeed, InvalidTime, RunOrigin, RunSeed, RunTime};
pub use printable::{deceives, printable};
pub use profile::{Profile, ProfileFrame, Profiler};
pub use replay::Pulls;
pub use run::{Completed, RunHandle};
pub use sandbox::{Sandbox, SandboxStats};
pub use slot_reset::{SlotReset, SlotResetChoice, SwapEvidence};
pub use stack::StackCatcher;
pub use state::AssetFile;
pub use strip::{NotAComponent, strip_component};
pub use tensor::{CheckedRequest, TENSOR_DIMENSIONS_MAX, TENSORS_MAX, TensorError, TensorFault};

/// The plain types of the contract with guests, as generated from `wit/`.
pub mod wit {
    pub use crate::bindings::belljar::model::types;
    pub use crate::bindings::exports::belljar::model::{
        embeddings, moderation, ranking, tensors, text, tokenizer,
    };
}
