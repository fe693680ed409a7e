//! Why a run could not be read or kept.

use crate::db::is_out_of_space;

/// Why a run could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum RunsError {
    /// There is no such run of this caller's.
    #[error("there is no run of this id")]
    NotFound,
    /// What is kept of a run cannot be read.
    #[error("what is kept of the run cannot be read: {0}")]
    Damaged(String),
    /// The database could not be read or written.
    #[error("the database failed: {0}")]
    Db(#[from] sqlx::Error),
}

impl RunsError {
    /// Whether there is no room on the disk.
    #[must_use]
    pub fn is_out_of_space(&self) -> bool {
        is_out_of_space(self)
    }
}
