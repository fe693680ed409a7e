//! What a run needs of the model that is loaded.

use crate::{
    Inspection, LoadError, RunError,
    capabilities::Functions,
    run_queue::{RunPermit, RunQueue},
    shared::Shared,
    state::{GuestState, ModelFacts},
    threads::ModelQueueId,
};
use std::sync::Arc;
use wasmtime::component::InstancePre;

pub(crate) struct Loaded {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pre: InstancePre<GuestState>,
    pub(crate) facts: Arc<ModelFacts>,
    pub(crate) inspection: Inspection,
    pub(crate) queue: RunQueue,
    /// Its queue on the guest threads.
    pub(crate) queue_id: ModelQueueId,
    pub(crate) functions: Functions,
}

impl Loaded {
    pub(crate) fn new(
        shared: Arc<Shared>,
        pre: InstancePre<GuestState>,
        inspection: Inspection,
        facts: Arc<ModelFacts>,
        queue: RunQueue,
        queue_id: ModelQueueId,
    ) -> Result<Self, LoadError> {
        Ok(Self {
            functions: Functions::find(&pre, inspection.capabilities)?,
            shared,
            pre,
            facts,
            inspection,
            queue,
            queue_id,
        })
    }

    /// The model's own queue first: a crowd before it must not stand in the host's queue.
    pub(crate) async fn enter(&self) -> Result<(RunPermit, RunPermit), RunError> {
        let own = self.queue.enter().await?;
        let host = self.shared.queue.enter().await?;
        Ok((own, host))
    }
}
