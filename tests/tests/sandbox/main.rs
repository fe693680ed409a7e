//! What the sandbox promises, shown with one guest for each misbehaviour. No HTTP here: the
//! package's own interface, the real engine, the real compiling process.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    missing_docs,
    reason = "tests"
)]

mod answers;
mod bases;
mod caps;
mod compile;
mod kit;
mod repeating;
mod scheduling;
mod slots;
