//! Drives the server over real HTTP: the harness that the tests in `tests/` share.
//!
//! [`TestHost`] is a server in the test's own process, [`ServerProcess`] one in a process of its
//! own, to be killed. Both make the callers of a test: `host.anonymous()`, `host.admin()`,
//! `host.key("infer")`. [`TestBundle`] makes archives to upload, [`Client`] is a caller,
//! [`RawConnection`] one that keeps no rules.
//!
//! # Which test goes where
//!
//! - In the file itself, under `mod tests`: what one module does by itself, with time and disk as
//!   arguments. In `host/bundle/tests` and `host/screen/tests`: what a package promises to those
//!   who use it.
//! - In `host/tests`: the program `belljar` as people start it (`cli.rs`), what a setting changes
//!   (`settings.rs`, `policy_settings.rs`), and what needs a process of its own to be measured
//!   (`*_memory.rs`). These know neither guests nor this harness; a server there is built from
//!   variables and asked without a socket.
//! - In `tests/tests`: everything that a caller sees over a socket (`http`, `wire`, `edge`, `conduct`, `models`), and
//!   everything that needs a guest: `registry` and `sandbox` drive those two parts from Rust, with
//!   the hostile guests; `durability` kills the server, `backup`
//!   restores it elsewhere. `tidy` reads the sources and documents.
//!
//! Each has one kit beside it. What starts a server is here ([`TestHost`], [`ServerProcess`]); what
//! compiles takes its configuration from `CompilerConfig::in_folder`.

#![forbid(unsafe_code)]
#![allow(
    clippy::panic,
    reason = "a harness reports by panicking, in the test's own name"
)]

mod bundle;
mod client;
mod files;
mod host;
mod process;
mod raw;
mod warm;

pub use belljar_test_guests as guests;
pub use bundle::TestBundle;
pub use client::{Answer, Client};
pub use files::{files_in, noise};
pub use host::TestHost;
pub use process::{ServerProcess, command, program};
pub use raw::RawConnection;
pub use warm::warm_up;
