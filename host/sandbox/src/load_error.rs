//! Why a compiled model could not be made ready.

use std::io;

/// Why a compiled model could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is missing or unreadable.
    #[error("the compiled model could not be read: {0}")]
    Io(#[from] io::Error),
    /// The file is not what the host wrote.
    #[error("the compiled model was changed since it was written; it will be compiled again")]
    Changed,
    /// This engine cannot map it.
    #[error("the compiled model does not fit this engine: {0}")]
    Engine(String),
    /// It needs something that is not linked.
    #[error("the model does not fit the host's imports: {0}")]
    Link(String),
    /// An export's types are not the contract's.
    #[error(
        "`belljar:model/{interface}` is exported with other types than the contract's: {reason}"
    )]
    Contract {
        /// For example `tensors`.
        interface: &'static str,
        /// What differs.
        reason: String,
    },
}
