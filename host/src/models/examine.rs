//! Whether a version answers what its bundle says. Who finds that out runs it as requests do, from
//! above this module, and is handed in.

use std::sync::Arc;

use belljar_bundle::StoredBundle;
use futures_util::future::BoxFuture;

use super::live::LiveModel;
use super::status::Failure;

/// Tries a version before requests may find it.
pub trait Examiner: Send + Sync {
    /// Runs the examples of the version's bundle, all of which have to hold.
    fn examine(
        &self,
        model: Arc<LiveModel>,
        bundle: StoredBundle,
    ) -> BoxFuture<'_, Result<(), ExamineError>>;
}

/// Why a version does not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExamineError {
    /// An example does not hold, or cannot be one. Its author's fault.
    Failed(Failure),
    /// The host could not find it out. For the log.
    Host(String),
}
