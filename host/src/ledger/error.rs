//! Why the ledger could not be written or read.

/// Why the ledger could not be written or read. Always the host's fault.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database failed.
    #[error("the ledger's database failed: {0}")]
    Db(#[from] sqlx::Error),
    /// What is stored cannot be read, for example because a newer version wrote it.
    #[error("a row of the ledger cannot be read: {0}")]
    Damaged(String),
    /// The task that did it ended early.
    #[error("the writing of the ledger was interrupted")]
    Interrupted,
}
