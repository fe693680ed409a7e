//! Why something could not be stored or found.

use crate::db::is_out_of_space;

/// Why something could not be stored or found.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// There is no such thing of this caller's.
    #[error("there is nothing of this id")]
    NotFound,
    /// It alone is more than its key may store.
    #[error("{bytes} bytes are more than a key may store, which is {max}")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The most that there may be.
        max: u64,
    },
    /// The database could not be read or written.
    #[error("the database failed: {0}")]
    Db(#[from] sqlx::Error),
}

impl StoredError {
    /// Whether there is no room on the disk.
    #[must_use]
    pub fn is_out_of_space(&self) -> bool {
        is_out_of_space(self)
    }
}
