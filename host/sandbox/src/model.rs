//! A model that is ready to run, and what can be asked of it.

use crate::{
    Budget, Completed, GuestError, Inspection, LoadError, RunError, RunLabel, Sandbox,
    fault::short,
    gate::{Gate, Pass},
    generation::{ChunkSink, Generate, Generated},
    run::{self, Call, Live, RunHandle},
    state::{GuestState, ModelFacts},
    tensor::check_tensors,
    threads::Lane,
    wit::{embeddings, tensors, text, types},
};
use std::sync::Arc;
use wasmtime::component::{Instance, InstancePre};

/// What a response's parameters cost beside their text, in bytes.
const PARAMETER_BYTES: u64 = 16;

/// A loaded model. Cloning it is cheap and gives the same one.
#[derive(Clone)]
pub struct ReadyModel(pub(crate) Arc<Loaded>);

pub(crate) struct Loaded {
    pub(crate) sandbox: Sandbox,
    pub(crate) pre: InstancePre<GuestState>,
    pub(crate) facts: Arc<ModelFacts>,
    pub(crate) lane: Lane,
    inspection: Inspection,
    gate: Gate,
    tensors: Option<tensors::GuestIndices>,
    text: Option<text::GuestIndices>,
    embeddings: Option<embeddings::GuestIndices>,
}

impl Loaded {
    #[expect(clippy::new_ret_no_self, reason = "what a caller holds is the handle")]
    pub(crate) fn new(
        sandbox: Sandbox,
        pre: InstancePre<GuestState>,
        inspection: Inspection,
        facts: Arc<ModelFacts>,
        gate: Gate,
        lane: Lane,
    ) -> Result<ReadyModel, LoadError> {
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
        Ok(ReadyModel(Arc::new(Self {
            tensors: tensors.transpose().map_err(contract("tensors"))?,
            text: text.transpose().map_err(contract("text"))?,
            embeddings: embeddings.transpose().map_err(contract("embeddings"))?,
            sandbox,
            pre,
            facts,
            lane,
            inspection,
            gate,
        })))
    }

    /// The model's own gate first: a crowd before it must not stand in the host's queue.
    pub(crate) async fn enter(&self) -> Result<(Pass, Pass), RunError> {
        let own = self.gate.enter().await?;
        let host = self.sandbox.0.gate.enter().await?;
        Ok((own, host))
    }
}

impl ReadyModel {
    /// What was found out about the model when it was compiled.
    #[must_use]
    pub fn inspection(&self) -> &Inspection {
        &self.0.inspection
    }

    /// Runs waiting for a slot of this model.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.0.gate.waiting()
    }

    /// Runs that hold one.
    #[must_use]
    pub fn running(&self) -> u32 {
        self.0.gate.running()
    }

    /// Runs the model once over tensors. The request's tensors must have passed
    /// [`check_tensors`]; the response's have.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn infer(
        &self,
        request: tensors::Request,
        budget: &Budget,
        label: &RunLabel,
    ) -> Result<Completed<tensors::Response>, RunError> {
        let model = Arc::clone(&self.0);
        run::run(&self.0, Infer { model, request }, budget, label).await
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
        let model = Arc::clone(&self.0);
        run::run(&self.0, Metadata { model }, budget, label).await
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
        let model = Arc::clone(&self.0);
        run::run(
            &self.0,
            Embed {
                model,
                inputs,
                dimensions,
            },
            budget,
            label,
        )
        .await
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
        let call = Generate {
            model: Arc::clone(&self.0),
            request,
            sink,
        };
        run::start(&self.0, call, budget, label).await
    }

    /// Makes one instance and checks that each exported interface has the contract's types.
    pub(crate) async fn probe(&self, budget: &Budget) -> Result<(), RunError> {
        let model = Arc::clone(&self.0);
        run::run(
            &self.0,
            Probe { model },
            budget,
            &RunLabel::new("activation"),
        )
        .await?;
        Ok(())
    }

    pub(crate) fn text_guest(
        loaded: &Loaded,
        live: &mut Live,
        instance: &Instance,
    ) -> Result<text::Guest, RunError> {
        let indices = loaded
            .text
            .as_ref()
            .ok_or(RunError::NoCapability { interface: "text" })?;
        indices
            .load(&mut live.store, instance)
            .map_err(|error| live.fault(&error))
    }
}

/// The guest's own error, cut to what a caller may read.
pub(crate) fn guest_error(error: types::Error, live: &Live) -> RunError {
    RunError::Guest(match error {
        types::Error::InvalidInput(text) => GuestError::InvalidInput(short(&text)),
        types::Error::Unsupported(text) => GuestError::Unsupported(short(&text)),
        types::Error::Failed(text) => {
            let text = short(&text);
            let state = live.store.data();
            tracing::info!(
                model.id = &*state.facts().label,
                request.id = state.request_id(),
                "the model failed: {text}"
            );
            GuestError::Failed(text)
        }
    })
}

struct Infer {
    model: Arc<Loaded>,
    request: tensors::Request,
}

impl Call for Infer {
    type Output = tensors::Response;

    async fn call(self, live: &mut Live, instance: Instance) -> Result<Self::Output, RunError> {
        let indices = self.model.tensors.as_ref().ok_or(RunError::NoCapability {
            interface: "tensors",
        })?;
        let guest = indices
            .load(&mut live.store, &instance)
            .map_err(|error| live.fault(&error))?;
        let answer = guest.call_infer(&mut live.store, &self.request).await;
        // The request is not needed any more, and may be large.
        drop(self.request);
        let response = answer
            .map_err(|error| live.fault(&error))?
            .map_err(|error| guest_error(error, live))?;
        check_tensors(&response.outputs).map_err(|error| RunError::InvalidOutput {
            reason: short(&error.to_string()),
        })?;
        live.add_output(response_bytes(&response))?;
        Ok(response)
    }
}

fn response_bytes(response: &tensors::Response) -> u64 {
    let tensors = response.outputs.iter().map(|tensor| {
        tensor.data.len() as u64 + tensor.name.len() as u64 + 8 * tensor.shape.len() as u64
    });
    let parameters = response.parameters.iter().map(|parameter| {
        let text = match &parameter.value {
            types::Value::Text(text) => text.len() as u64,
            types::Value::Boolean(_) | types::Value::Integer(_) | types::Value::Number(_) => 0,
        };
        parameter.name.len() as u64 + text + PARAMETER_BYTES
    });
    tensors.sum::<u64>().saturating_add(parameters.sum())
}

struct Metadata {
    model: Arc<Loaded>,
}

impl Call for Metadata {
    type Output = tensors::MetadataInfo;

    async fn call(self, live: &mut Live, instance: Instance) -> Result<Self::Output, RunError> {
        let indices = self.model.tensors.as_ref().ok_or(RunError::NoCapability {
            interface: "tensors",
        })?;
        let guest = indices
            .load(&mut live.store, &instance)
            .map_err(|error| live.fault(&error))?;
        let metadata = guest
            .call_metadata(&mut live.store)
            .await
            .map_err(|error| live.fault(&error))?;
        for info in metadata.inputs.iter().chain(&metadata.outputs) {
            if info.shape.len() > crate::TENSOR_DIMENSIONS_MAX || info.shape.iter().any(|d| *d < -1)
            {
                let reason = format!(
                    "`metadata` declares an impossible shape for tensor `{}`",
                    short(&info.name)
                );
                return Err(RunError::InvalidOutput { reason });
            }
            live.add_output(info.name.len() as u64 + 8 * info.shape.len() as u64)?;
        }
        Ok(metadata)
    }
}

struct Embed {
    model: Arc<Loaded>,
    inputs: Vec<embeddings::Input>,
    dimensions: Option<u32>,
}

impl Call for Embed {
    type Output = embeddings::Response;

    async fn call(self, live: &mut Live, instance: Instance) -> Result<Self::Output, RunError> {
        let indices = self
            .model
            .embeddings
            .as_ref()
            .ok_or(RunError::NoCapability {
                interface: "embeddings",
            })?;
        let guest = indices
            .load(&mut live.store, &instance)
            .map_err(|error| live.fault(&error))?;
        let answer = guest
            .call_embed(&mut live.store, &self.inputs, self.dimensions)
            .await;
        let response = answer
            .map_err(|error| live.fault(&error))?
            .map_err(|error| guest_error(error, live))?;
        check_vectors(&response.vectors, self.inputs.len(), self.dimensions)?;
        let floats = response
            .vectors
            .iter()
            .map(|vector| vector.len() as u64)
            .sum::<u64>();
        live.add_output(floats.saturating_mul(4))?;
        Ok(response)
    }
}

fn check_vectors(
    vectors: &[Vec<f32>],
    inputs: usize,
    dimensions: Option<u32>,
) -> Result<(), RunError> {
    let invalid = |reason: String| Err(RunError::InvalidOutput { reason });
    if vectors.len() != inputs {
        return invalid(format!("{} vectors for {inputs} inputs", vectors.len()));
    }
    let length = dimensions.map_or_else(
        || vectors.first().map_or(0, Vec::len),
        |wanted| wanted as usize,
    );
    if let Some(other) = vectors.iter().map(Vec::len).find(|other| *other != length) {
        return invalid(format!(
            "a vector of {other} dimensions where {length} are due"
        ));
    }
    if vectors.iter().flatten().any(|value| !value.is_finite()) {
        return invalid("a vector holds NaN or infinity".into());
    }
    Ok(())
}

struct Probe {
    model: Arc<Loaded>,
}

impl Call for Probe {
    type Output = ();

    async fn call(self, live: &mut Live, instance: Instance) -> Result<(), RunError> {
        let mismatch = |interface: &str| {
            let interface = interface.to_owned();
            move |error: wasmtime::Error| RunError::InvalidOutput {
                reason: short(&format!(
                    "`belljar:model/{interface}` is exported with other types than the contract's: {error:#}"
                )),
            }
        };
        if let Some(indices) = &self.model.tensors {
            indices
                .load(&mut live.store, &instance)
                .map_err(mismatch("tensors"))?;
        }
        if let Some(indices) = &self.model.text {
            indices
                .load(&mut live.store, &instance)
                .map_err(mismatch("text"))?;
        }
        if let Some(indices) = &self.model.embeddings {
            indices
                .load(&mut live.store, &instance)
                .map_err(mismatch("embeddings"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_as_many_as_the_inputs_alike_and_finite() {
        assert!(check_vectors(&[vec![0.0, 1.0], vec![1.0, 0.0]], 2, Some(2)).is_ok());
        assert!(check_vectors(&[vec![0.0, 1.0]], 2, None).is_err());
        assert!(check_vectors(&[vec![0.0, 1.0], vec![1.0]], 2, None).is_err());
        assert!(check_vectors(&[vec![0.0, 1.0]], 1, Some(3)).is_err());
        assert!(check_vectors(&[vec![0.0, f32::NAN]], 1, None).is_err());
        assert!(check_vectors(&[], 0, None).is_ok());
    }
}
