//! Drives the server over real HTTP: the harness that the tests in `tests/` share.
//!
//! [`ServerProcess`] is the server as a process of its own, to be killed. [`TestBundle`] makes
//! archives to upload, [`Client`] is a caller, [`RawConnection`] one that keeps no rules.

#![forbid(unsafe_code)]
#![allow(
    clippy::panic,
    reason = "a harness reports by panicking, in the test's own name"
)]

mod bundle;
mod client;
mod process;
mod raw;

pub use bundle::TestBundle;
pub use client::{Answer, Client};
pub use process::{ServerProcess, program};
pub use raw::RawConnection;
