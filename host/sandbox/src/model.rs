//! A model that is ready to run, and what can be asked of it.

use crate::{
    Budget, CheckedRequest, Completed, Inspection, RunError, RunLabel,
    calls::{Classify, Decode, Embed, Encode, Infer, Metadata, Probe, Rank},
    generation::{ChunkSink, Generate, Generated},
    loaded::Loaded,
    run::{self, RunHandle},
    wit::{embeddings, moderation, ranking, tensors, text},
};
use std::sync::Arc;

/// A loaded model. Cloning it is cheap and gives the same one.
#[derive(Clone)]
pub struct ReadyModel(Arc<Loaded>);

impl ReadyModel {
    pub(crate) fn new(loaded: Loaded) -> Self {
        Self(Arc::new(loaded))
    }

    /// What was found out about the model when it was compiled.
    #[must_use]
    pub fn inspection(&self) -> &Inspection {
        &self.0.inspection
    }

    /// What its compiled code depends on besides its component: the engine with its settings, and
    /// the processor.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.0.fingerprint
    }

    /// Runs waiting for a slot of this model.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.0.queue.waiting()
    }

    /// Runs that hold one.
    #[must_use]
    pub fn running(&self) -> u32 {
        self.0.queue.running()
    }

    /// Runs the model once over tensors. Those of the response have been checked as those of the
    /// request were.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn infer(
        &self,
        request: CheckedRequest,
        budget: &Budget,
        label: &RunLabel,
    ) -> Result<Completed<tensors::Response>, RunError> {
        run::run(&self.0, Infer { request }, budget, label).await
    }

    /// Asks what tensors the model takes and gives.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn metadata(
        &self,
        budget: &Budget,
        label: &RunLabel,
    ) -> Result<Completed<tensors::MetadataInfo>, RunError> {
        run::run(&self.0, Metadata, budget, label).await
    }

    /// Makes vectors for texts.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn embed(
        &self,
        inputs: Vec<embeddings::Input>,
        dimensions: Option<u32>,
        budget: &Budget,
        label: &RunLabel,
    ) -> Result<Completed<embeddings::Response>, RunError> {
        run::run(&self.0, Embed { inputs, dimensions }, budget, label).await
    }

    /// Judges whether inputs are harmful.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn classify(
        &self,
        inputs: Vec<moderation::Input>,
        budget: &Budget,
        label: &RunLabel,
    ) -> Result<Completed<Vec<moderation::Verdict>>, RunError> {
        run::run(&self.0, Classify { inputs }, budget, label).await
    }

    /// Says how well documents answer a query, the best first.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn rank(
        &self,
        query: String,
        documents: Vec<String>,
        budget: &Budget,
        label: &RunLabel,
    ) -> Result<Completed<ranking::Response>, RunError> {
        run::run(&self.0, Rank { query, documents }, budget, label).await
    }

    /// The tokens of a text.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn encode(
        &self,
        text: String,
        budget: &Budget,
        label: &RunLabel,
    ) -> Result<Completed<Vec<u32>>, RunError> {
        run::run(&self.0, Encode { text }, budget, label).await
    }

    /// What each of some tokens stands for.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn decode(
        &self,
        tokens: Vec<u32>,
        budget: &Budget,
        label: &RunLabel,
    ) -> Result<Completed<Vec<Vec<u8>>>, RunError> {
        run::run(&self.0, Decode { tokens }, budget, label).await
    }

    /// Begins a text, which goes to `sink` as the model gives it. Returns once the run has had
    /// its first tick; whoever wants the whole text awaits what is returned.
    ///
    /// # Errors
    /// When the run is refused. How it goes from then on, the handle says.
    pub async fn generate<S: ChunkSink>(
        &self,
        request: text::Request,
        sink: S,
        budget: &Budget,
        label: &RunLabel,
    ) -> Result<RunHandle<Generated<S>>, RunError> {
        let call = Generate { request, sink };
        run::start(&self.0, call, budget, label).await
    }

    /// Makes one instance and checks that each exported interface has the contract's types.
    pub(crate) async fn probe(&self, budget: &Budget, label: &RunLabel) -> Result<(), RunError> {
        run::run(&self.0, Probe, budget, label).await?;
        Ok(())
    }
}
