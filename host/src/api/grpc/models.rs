//! Which models there are, what they take and give, how often they ran, and which of them answer to
//! their bare names.

use super::wire::inference::model_metadata_response::TensorMetadata;
use super::wire::inference::repository_index_response::ModelIndex;
use super::wire::inference::{
    DataType, InferStatistics, ModelConfig, ModelConfigRequest, ModelConfigResponse, ModelInput,
    ModelMetadataRequest, ModelMetadataResponse, ModelOutput, ModelReadyRequest,
    ModelReadyResponse, ModelStatistics, ModelStatisticsRequest, ModelStatisticsResponse,
    ModelTransactionPolicy, RepositoryIndexRequest, RepositoryIndexResponse,
    RepositoryModelLoadRequest, RepositoryModelLoadResponse, RepositoryModelUnloadRequest,
    RepositoryModelUnloadResponse, StatisticDuration,
};
use super::{Small, reference};
use crate::api::oip;
use crate::auth::{Authorized, ListModels, ReadModels, WriteModels};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::grpc::Reply;
use crate::inference::RequestContext;
use crate::models::{RunTotals, Served};
use axum::extract::State;

/// Whether a model can be run. One that cannot, or is not there, is no error here.
pub(super) async fn ready(
    Authorized { caller, .. }: Authorized<ListModels>,
    State(state): State<HttpState>,
    Small(ModelReadyRequest { name, version }): Small<ModelReadyRequest>,
) -> Reply<ModelReadyResponse> {
    let found = state.registry().ready(&reference(name, &version), &caller);
    Reply(ModelReadyResponse {
        ready: found.is_ok(),
    })
}

impl From<oip::TensorMetadata> for TensorMetadata {
    fn from(info: oip::TensorMetadata) -> Self {
        let oip::TensorMetadata {
            name,
            datatype,
            shape,
        } = info;
        Self {
            name,
            datatype: datatype.to_owned(),
            shape,
        }
    }
}

pub(super) async fn metadata(
    Authorized { caller, .. }: Authorized<ListModels>,
    State(state): State<HttpState>,
    Small(ModelMetadataRequest { name, version }): Small<ModelMetadataRequest>,
) -> Result<Reply<ModelMetadataResponse>, ApiError> {
    let found = oip::metadata(&state, &caller, &reference(name, &version))?;
    Ok(Reply(ModelMetadataResponse {
        name: found.name,
        versions: found.versions,
        platform: found.platform.to_owned(),
        inputs: found.inputs.into_iter().map(Into::into).collect(),
        outputs: found.outputs.into_iter().map(Into::into).collect(),
    }))
}

/// The datatype in the words of a configuration.
fn data_type(name: &str) -> i32 {
    let name = match name {
        "BYTES" => "TYPE_STRING".to_owned(),
        other => format!("TYPE_{other}"),
    };
    DataType::from_str_name(&name).unwrap_or_default().into()
}

pub(super) async fn config(
    Authorized { caller, .. }: Authorized<ListModels>,
    State(state): State<HttpState>,
    Small(ModelConfigRequest { name, version }): Small<ModelConfigRequest>,
) -> Result<Reply<ModelConfigResponse>, ApiError> {
    let reference = reference(name, &version);
    let found = oip::metadata(&state, &caller, &reference)?;
    let live = state.registry().ready(&reference, &caller)?;
    let input = found.inputs.into_iter().map(|info| ModelInput {
        data_type: data_type(info.datatype),
        name: info.name,
        dims: info.shape,
        optional: false,
    });
    let output = found.outputs.into_iter().map(|info| ModelOutput {
        data_type: data_type(info.datatype),
        name: info.name,
        dims: info.shape,
    });
    Ok(Reply(ModelConfigResponse {
        config: Some(ModelConfig {
            name: found.name,
            platform: found.platform.to_owned(),
            // Requests are not batched.
            max_batch_size: 0,
            input: input.collect(),
            output: output.collect(),
            backend: oip::NAME.to_owned(),
            model_transaction_policy: Some(ModelTransactionPolicy {
                decoupled: super::text::is_of_texts(&live),
            }),
        }),
    }))
}

/// How often the models that can be run have run. The time of a run that failed is not kept.
pub(super) async fn statistics(
    Authorized { caller, .. }: Authorized<ReadModels>,
    State(state): State<HttpState>,
    Small(ModelStatisticsRequest { name, version }): Small<ModelStatisticsRequest>,
) -> Result<Reply<ModelStatisticsResponse>, ApiError> {
    let models: Vec<Served> = if name.is_empty() {
        let live = state.registry().served().into_iter();
        live.filter(|live| caller.may_use(live.id.name.as_str()))
            .collect()
    } else {
        vec![
            state
                .registry()
                .ready(&reference(name, &version), &caller)?,
        ]
    };
    let stats = models.iter().map(|live| {
        let RunTotals { ok, failed, time } = live.metrics.totals();
        let ended_well = || StatisticDuration {
            count: ok,
            ns: u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
        };
        ModelStatistics {
            name: live.id.name.to_string(),
            version: live.id.version.to_string(),
            inference_count: ok,
            execution_count: ok,
            inference_stats: Some(InferStatistics {
                success: Some(ended_well()),
                fail: Some(StatisticDuration {
                    count: failed,
                    ns: 0,
                }),
                compute_infer: Some(ended_well()),
            }),
        }
    });
    Ok(Reply(ModelStatisticsResponse {
        model_stats: stats.collect(),
    }))
}

pub(super) async fn index(
    Authorized { caller, .. }: Authorized<ReadModels>,
    State(state): State<HttpState>,
    Small(request): Small<RepositoryIndexRequest>,
) -> Reply<RepositoryIndexResponse> {
    let entries = oip::entries(&state, &caller, request.ready);
    let models = entries.map(|entry| ModelIndex {
        name: entry.name,
        version: entry.version,
        state: entry.state.to_owned(),
        reason: entry.reason,
    });
    Reply(RepositoryIndexResponse {
        models: models.collect(),
    })
}

pub(super) async fn load(
    Authorized { caller, .. }: Authorized<WriteModels>,
    context: RequestContext,
    State(state): State<HttpState>,
    Small(request): Small<RepositoryModelLoadRequest>,
) -> Result<Reply<RepositoryModelLoadResponse>, ApiError> {
    oip::activate(&state, &caller, &context, &request.model_name).await?;
    Ok(Reply(RepositoryModelLoadResponse {}))
}

pub(super) async fn unload(
    Authorized { caller, .. }: Authorized<WriteModels>,
    context: RequestContext,
    State(state): State<HttpState>,
    Small(request): Small<RepositoryModelUnloadRequest>,
) -> Result<Reply<RepositoryModelUnloadResponse>, ApiError> {
    oip::deactivate(&state, &caller, &context, &request.model_name).await?;
    Ok(Reply(RepositoryModelUnloadResponse {}))
}
