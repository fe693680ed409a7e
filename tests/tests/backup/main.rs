//! Backups of real servers, restored into other folders and served from there; and everything that
//! can come between: writers, kills, full disks, archives that lie.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says how to repeat it"
)]

mod fsck;
mod hostile;
mod kills;
mod kit;
mod making;
mod moments;
mod restoring;
#[allow(dead_code, reason = "what tests of signatures need besides")]
#[path = "../edge/signer.rs"]
mod signer;
mod steps;
