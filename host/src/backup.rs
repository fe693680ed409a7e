//! Backups: the state of a server at one moment as a tar, and such a tar as a data directory again.
//!
//! [`Source`] puts the moment aside (database, bundles, audit log, keys) while the server goes on,
//! and [`Plan`] is what will be in the archive, with the size and the digest of each file, before
//! the first byte of it is written. [`Backups`] hands it out for a running server, one at a time and
//! in bounded time; [`check`] reads one and holds it to what it says of itself; [`restore`] makes a
//! data directory of it. The form is described in `docs/backup.md`. Knows no HTTP.

mod error;
mod files;
mod manifest;
mod paced;
mod plan;
mod read;
mod restore;
mod running;
mod source;

pub use error::BackupError;
pub use manifest::{Manifest, Member};
pub use plan::Plan;
pub use read::check;
pub use restore::{Restored, restore};
pub use running::{Backups, Running};
pub use source::{Source, remove_aside};

use std::time::Duration;

/// How backups of a running server are handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Bytes a second; 0 is no bound.
    pub bytes_per_second_max: u64,
    /// How long one may take.
    pub wall_time_max: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bytes_per_second_max: 64 << 20,
            wall_time_max: Duration::from_hours(6),
        }
    }
}
