//! What the repository says about itself holds: its documents, and the rules of ARCHITECTURE.md.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod acts;
mod cargo_lines;
mod command_lines;
mod floors;
mod form;
mod knowledge;
mod links;
mod manifests;
mod markdown;
mod modules;
mod monitoring;
mod promises;
mod samples;
mod settings;
mod source;
mod tree;
