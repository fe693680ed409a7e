//! What can be asked of an instance in one call, and what its answer must be.

use crate::{
    CheckedRequest, RunError,
    exchange::{Asked, Given},
    fault::short,
    run::{Call, RunContext},
    tensor::{check_metadata, check_tensors, datatype_name},
    wit::{embeddings, moderation, ranking, tensors, types},
};
use wasmtime::component::Instance;

/// What a response's parameters cost beside their text, in bytes.
const PARAMETER_BYTES: u64 = 16;

pub(crate) struct Infer {
    pub(crate) request: CheckedRequest,
}

impl Call for Infer {
    type Output = tensors::Response;

    fn asked(&self) -> Option<Asked> {
        Some(Asked::from(self.request.as_request()))
    }

    async fn call(
        self,
        context: &mut RunContext,
        instance: Instance,
    ) -> Result<Self::Output, RunError> {
        let guest = context.tensors(&instance)?;
        let answer = guest
            .call_infer(&mut context.store, self.request.as_request())
            .await;
        // The request is not needed any more, and may be large.
        drop(self.request);
        let response = context.answer(answer)?;
        check_tensors(&response.outputs).map_err(|error| RunError::InvalidOutput {
            reason: short(&error.to_string()),
        })?;
        if let Some(declared) = &context.model.inspection.tensors {
            check_declared(&response.outputs, &declared.outputs)?;
        }
        context.add_output(response_bytes(&response))?;
        context.gave(|| Given::from(&response));
        Ok(response)
    }
}

/// Holds outputs to what the model itself has declared: who reads its metadata must be able to
/// rely on it. A model that declares no outputs may give any; one that gives fewer may.
fn check_declared(
    outputs: &[tensors::Tensor],
    declared: &[tensors::TensorInfo],
) -> Result<(), RunError> {
    if declared.is_empty() {
        return Ok(());
    }
    for output in outputs {
        let invalid = |what: String| {
            Err(RunError::InvalidOutput {
                reason: short(&format!("the output `{}` {what}", output.name)),
            })
        };
        let Some(info) = declared.iter().find(|info| info.name == output.name) else {
            return invalid("is none of those that `metadata` declares".to_owned());
        };
        if info.datatype != output.datatype {
            return invalid(format!(
                "is {} and `metadata` declares {}",
                datatype_name(output.datatype),
                datatype_name(info.datatype)
            ));
        }
        let fits = info.shape.len() == output.shape.len()
            && info
                .shape
                .iter()
                .zip(&output.shape)
                .all(|(declared, got)| *declared < 0 || u64::try_from(*declared) == Ok(*got));
        if !fits {
            return invalid(format!(
                "has the shape {:?} and `metadata` declares {:?}",
                output.shape, info.shape
            ));
        }
    }
    Ok(())
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

pub(crate) struct Metadata;

impl Call for Metadata {
    type Output = tensors::MetadataInfo;

    fn asked(&self) -> Option<Asked> {
        None
    }

    async fn call(
        self,
        context: &mut RunContext,
        instance: Instance,
    ) -> Result<Self::Output, RunError> {
        let guest = context.tensors(&instance)?;
        let metadata = guest
            .call_metadata(&mut context.store)
            .await
            .map_err(|error| context.fault(&error))?;
        check_metadata(&metadata).map_err(|error| RunError::InvalidOutput {
            reason: short(&format!(
                "`metadata` declares what no request may hold: {error}"
            )),
        })?;
        for info in metadata.inputs.iter().chain(&metadata.outputs) {
            context.add_output(info.name.len() as u64 + 8 * info.shape.len() as u64)?;
        }
        Ok(metadata)
    }
}

pub(crate) struct Embed {
    pub(crate) inputs: Vec<embeddings::Input>,
    pub(crate) dimensions: Option<u32>,
}

impl Call for Embed {
    type Output = embeddings::Response;

    fn asked(&self) -> Option<Asked> {
        Some(Asked::Embed {
            inputs: self.inputs.clone(),
            dimensions: self.dimensions,
        })
    }

    async fn call(
        self,
        context: &mut RunContext,
        instance: Instance,
    ) -> Result<Self::Output, RunError> {
        let guest = context.embeddings(&instance)?;
        let answer = guest
            .call_embed(&mut context.store, &self.inputs, self.dimensions)
            .await;
        let response = context.answer(answer)?;
        check_vectors(&response.vectors, self.inputs.len(), self.dimensions)?;
        let floats = response
            .vectors
            .iter()
            .map(|vector| vector.len() as u64)
            .sum::<u64>();
        context.add_output(floats.saturating_mul(4))?;
        context.gave(|| Given::Vectors(response.clone()));
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

pub(crate) struct Classify {
    pub(crate) inputs: Vec<moderation::Input>,
}

impl Call for Classify {
    type Output = Vec<moderation::Verdict>;

    fn asked(&self) -> Option<Asked> {
        Some(Asked::Classify {
            inputs: self.inputs.clone(),
        })
    }

    async fn call(
        self,
        context: &mut RunContext,
        instance: Instance,
    ) -> Result<Self::Output, RunError> {
        let guest = context.moderation(&instance)?;
        let answer = guest.call_classify(&mut context.store, &self.inputs).await;
        let verdicts = context.answer(answer)?;
        check_verdicts(&verdicts, self.inputs.len())?;
        let categories = verdicts.iter().flat_map(|verdict| &verdict.categories);
        let bytes = categories.map(|category| category.name.len() as u64 + 5);
        context.add_output(bytes.sum())?;
        context.gave(|| Given::Verdicts(verdicts.clone()));
        Ok(verdicts)
    }
}

fn check_verdicts(verdicts: &[moderation::Verdict], inputs: usize) -> Result<(), RunError> {
    let invalid = |reason: String| Err(RunError::InvalidOutput { reason });
    if verdicts.len() != inputs {
        return invalid(format!("{} verdicts for {inputs} inputs", verdicts.len()));
    }
    let mut categories = verdicts.iter().flat_map(|verdict| &verdict.categories);
    if categories.any(|category| !(0.0..=1.0).contains(&category.score)) {
        return invalid("a score is not from 0 to 1".into());
    }
    Ok(())
}

pub(crate) struct Rank {
    pub(crate) query: String,
    pub(crate) documents: Vec<String>,
}

impl Call for Rank {
    type Output = ranking::Response;

    fn asked(&self) -> Option<Asked> {
        Some(Asked::Rank {
            query: self.query.clone(),
            documents: self.documents.clone(),
        })
    }

    async fn call(
        self,
        context: &mut RunContext,
        instance: Instance,
    ) -> Result<Self::Output, RunError> {
        let guest = context.ranking(&instance)?;
        let answer = guest
            .call_rank(&mut context.store, &self.query, &self.documents)
            .await;
        let mut response = context.answer(answer)?;
        check_scores(&response.scores, self.documents.len())?;
        // The contract wants the best first; who sorts anew need not believe it.
        response
            .scores
            .sort_by(|one, other| other.relevance.total_cmp(&one.relevance));
        context.add_output((response.scores.len() as u64).saturating_mul(8))?;
        context.gave(|| Given::Scores(response.clone()));
        Ok(response)
    }
}

fn check_scores(scores: &[ranking::Score], documents: usize) -> Result<(), RunError> {
    let invalid = |reason: String| Err(RunError::InvalidOutput { reason });
    if scores.len() != documents {
        return invalid(format!("{} scores for {documents} documents", scores.len()));
    }
    let mut is_scored = vec![false; documents];
    for score in scores {
        match is_scored.get_mut(score.index as usize) {
            Some(before @ false) => *before = true,
            Some(true) => return invalid(format!("two scores for document {}", score.index)),
            None => {
                return invalid(format!(
                    "a score for document {} of {documents}",
                    score.index
                ));
            }
        }
        if !score.relevance.is_finite() {
            return invalid("a score is NaN or infinite".into());
        }
    }
    Ok(())
}

pub(crate) struct Encode {
    pub(crate) text: String,
}

impl Call for Encode {
    type Output = Vec<u32>;

    fn asked(&self) -> Option<Asked> {
        Some(Asked::Encode {
            text: self.text.clone(),
        })
    }

    async fn call(
        self,
        context: &mut RunContext,
        instance: Instance,
    ) -> Result<Self::Output, RunError> {
        let guest = context.tokenizer(&instance)?;
        let answer = guest.call_encode(&mut context.store, &self.text).await;
        let tokens = context.answer(answer)?;
        context.add_output((tokens.len() as u64).saturating_mul(4))?;
        context.gave(|| Given::Tokens(tokens.clone()));
        Ok(tokens)
    }
}

pub(crate) struct Decode {
    pub(crate) tokens: Vec<u32>,
}

impl Call for Decode {
    type Output = Vec<Vec<u8>>;

    fn asked(&self) -> Option<Asked> {
        Some(Asked::Decode {
            tokens: self.tokens.clone(),
        })
    }

    async fn call(
        self,
        context: &mut RunContext,
        instance: Instance,
    ) -> Result<Self::Output, RunError> {
        let guest = context.tokenizer(&instance)?;
        let answer = guest.call_decode(&mut context.store, &self.tokens).await;
        let bytes = context.answer(answer)?;
        if bytes.len() != self.tokens.len() {
            let reason = format!("{} texts for {} tokens", bytes.len(), self.tokens.len());
            return Err(RunError::InvalidOutput { reason });
        }
        context.add_output(bytes.iter().map(|token| token.len() as u64 + 4).sum())?;
        context.gave(|| Given::Texts(bytes.clone()));
        Ok(bytes)
    }
}

pub(crate) struct Probe;

impl Call for Probe {
    type Output = ();

    fn asked(&self) -> Option<Asked> {
        None
    }

    async fn call(self, context: &mut RunContext, instance: Instance) -> Result<(), RunError> {
        let RunContext { model, store, .. } = context;
        model.functions.check(store, &instance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_those_that_were_declared() {
        use tensors::{Datatype, Tensor, TensorInfo};
        let declared = [TensorInfo {
            name: "y".into(),
            datatype: Datatype::Fp32,
            shape: vec![-1, 3],
        }];
        let given = |name: &str, datatype, shape: &[u64]| {
            let output = Tensor {
                name: name.into(),
                datatype,
                shape: shape.to_vec(),
                data: Vec::new(),
            };
            match check_declared(&[output], &declared) {
                Ok(()) => String::new(),
                Err(error) => error.to_string(),
            }
        };
        assert_eq!(given("y", Datatype::Fp32, &[7, 3]), "");
        assert!(given("z", Datatype::Fp32, &[7, 3]).contains("`z` is none of those"));
        assert!(
            given("y", Datatype::Fp64, &[7, 3]).contains("is FP64 and `metadata` declares FP32")
        );
        assert!(given("y", Datatype::Fp32, &[7, 4]).contains("[7, 4]"));
        assert!(given("y", Datatype::Fp32, &[3]).contains("[3]"));
        assert!(
            check_declared(&[], &declared).is_ok(),
            "fewer may be asked for"
        );
    }

    #[test]
    fn each_document_has_one_finite_score() {
        let scores = |list: &[(u32, f32)]| {
            let score = |&(index, relevance): &(u32, f32)| ranking::Score { index, relevance };
            list.iter().map(score).collect::<Vec<_>>()
        };
        assert!(check_scores(&scores(&[(1, 0.5), (0, -3.0)]), 2).is_ok());
        assert!(check_scores(&[], 0).is_ok());
        for wrong in [
            &[(0, 0.5)][..],
            &[(0, 0.5), (0, 0.5)],
            &[(0, 0.5), (2, 0.5)],
            &[(0, 0.5), (1, f32::NAN)],
            &[(0, f32::INFINITY), (1, 0.5)],
        ] {
            assert!(check_scores(&scores(wrong), 2).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn each_input_has_one_verdict_with_scores_from_0_to_1() {
        let verdict = |score| moderation::Verdict {
            flagged: false,
            categories: vec![moderation::Category {
                name: "spam".into(),
                flagged: false,
                score,
            }],
        };
        assert!(check_verdicts(&[verdict(0.0), verdict(1.0)], 2).is_ok());
        assert!(check_verdicts(&[verdict(0.5)], 2).is_err());
        for score in [-0.1, 1.1, f32::NAN, f32::INFINITY] {
            assert!(check_verdicts(&[verdict(score)], 1).is_err(), "{score}");
        }
    }

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
