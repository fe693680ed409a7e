//! What a run needs of the model that is loaded.

use crate::{
    Inspection, LoadError, RunError,
    artefact::engine_id,
    capabilities::Functions,
    mapped::Mapping,
    run_queue::RunQueue,
    shared::Shared,
    state::{GuestState, ModelFacts},
    threads::ModelQueueId,
};
use std::{ops::Deref, sync::Arc};
use wasmtime::component::InstancePre;

pub(crate) struct Loaded {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pre: InstancePre<GuestState>,
    /// What the instances are made of, for as long as any is.
    #[expect(dead_code, reason = "it acts when it is dropped")]
    mapping: Arc<Mapping>,
    pub(crate) facts: Arc<ModelFacts>,
    pub(crate) inspection: Inspection,
    pub(crate) queue: RunQueue,
    /// Its queue on the guest threads.
    pub(crate) queue_id: ModelQueueId,
    pub(crate) functions: Functions,
    /// What the compiled code depends on.
    pub(crate) fingerprint: String,
}

impl Loaded {
    pub(crate) fn new(
        shared: Arc<Shared>,
        (pre, mapping): (InstancePre<GuestState>, Arc<Mapping>),
        inspection: Inspection,
        facts: Arc<ModelFacts>,
        queue: RunQueue,
        queue_id: ModelQueueId,
    ) -> Result<Self, LoadError> {
        Ok(Self {
            functions: Functions::find(&pre, inspection.capabilities)?,
            fingerprint: engine_id(&shared.engine),
            shared,
            pre,
            mapping,
            facts,
            inspection,
            queue,
            queue_id,
        })
    }

    /// Waits for the right to run. The model's own queue comes first: a crowd before it must not
    /// stand in the host's queue.
    pub(crate) async fn admit(self: &Arc<Self>) -> Result<Admitted, RunError> {
        let own = self.queue.enter().await?;
        self.shared.queue.enter().await?.keep();
        own.keep();
        self.shared.ticker.hold();
        Ok(Admitted(Arc::clone(self)))
    }
}

/// A model that may run once, and the ticker kept going meanwhile. Dropping it lets the next run
/// in. It holds all that a run shares with others by one count, since the counts are what the
/// cores that run models take from one another.
pub(crate) struct Admitted(Arc<Loaded>);

impl Deref for Admitted {
    type Target = Loaded;

    fn deref(&self) -> &Loaded {
        &self.0
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.shared.ticker.release();
        self.shared.queue.leave();
        self.queue.leave();
    }
}
