//! Compiles one untrusted component and runs it, each request in a fresh instance inside a
//! [`Budget`]. The only package that sees wasmtime; it knows no HTTP, no keys and no bundles.

mod bindings;
mod budget;
mod fault;
mod skeleton;

pub use budget::Budget;
pub use fault::{Cap, CapHit, GuestError, RunError};
pub use skeleton::*;

/// The plain types of the contract with guests, as generated from `wit/`.
pub mod wit {
    pub use crate::bindings::belljar::model::types;
    pub use crate::bindings::exports::belljar::model::{embeddings, tensors, text};
}
