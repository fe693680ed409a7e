//! Backups of real servers, restored into other folders and served from there; and everything that
//! can come between: writers, kills, full disks, archives that lie.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod hostile;
mod kills;
mod kit;
mod making;
mod moments;
mod restoring;
