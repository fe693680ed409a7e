//! Drives the server over real HTTP: the harness that the tests in `tests/` share.
//!
//! [`TestHost`] is a server in the test's own process, [`ServerProcess`] one in a process of its
//! own, to be killed. Both make the callers of a test: `host.anonymous()`, `host.admin()`,
//! `host.key("infer")`. [`TestBundle`] makes archives to upload, [`Client`] is a caller,
//! [`RawConnection`] one that keeps no rules.

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
pub use files::files_in;
pub use host::TestHost;
pub use process::{ServerProcess, program};
pub use raw::RawConnection;
pub use warm::warm_up;
