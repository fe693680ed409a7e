//! What a run needs of the model that is loaded.

use crate::{
    Inspection, LoadError, RunError,
    fault::short,
    run_queue::{RunPermit, RunQueue},
    shared::Shared,
    state::{GuestState, ModelFacts},
    threads::ModelQueueId,
    wit::{embeddings, tensors, text},
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
    pub(crate) tensors: Option<tensors::GuestIndices>,
    pub(crate) text: Option<text::GuestIndices>,
    pub(crate) embeddings: Option<embeddings::GuestIndices>,
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
        let has = inspection.capabilities;
        let contract = |interface: &'static str| {
            move |error: wasmtime::Error| LoadError::Contract {
                interface,
                reason: short(&format!("{error:#}")),
            }
        };
        let tensors = has.tensors.then(|| tensors::GuestIndices::new(&pre));
        let text = has.text.then(|| text::GuestIndices::new(&pre));
        let embeddings = has.embeddings.then(|| embeddings::GuestIndices::new(&pre));
        Ok(Self {
            tensors: tensors.transpose().map_err(contract("tensors"))?,
            text: text.transpose().map_err(contract("text"))?,
            embeddings: embeddings.transpose().map_err(contract("embeddings"))?,
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
