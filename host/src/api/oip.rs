//! `/v2/*`: the Open Inference Protocol, for clients of KServe, Triton and their like.
//!
//! Shapes are the protocol's, those of errors too. Loading a model makes its newest
//! ready version the active one, and unloading leaves it without an active version. The same things
//! are done for callers of gRPC (`grpc.rs`), by the same functions.

pub(super) mod generate;

use super::tensors::described::{InferRequest, InferResponse};
use super::tensors::infer;
use super::{Binary, Failures};
use crate::audit::EventKind;
use crate::auth::{Authorized, Caller, Infer, ListModels, ReadModels, Scope, WriteModels};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::json::{Json, OptionalJson};
use crate::http::policy::{RoutePolicy, Routes};
use crate::inference::RequestContext;
use crate::limits::Admission;
use crate::models::{ModelSummary, Readiness, VersionState, VersionStatus};
use axum::extract::{Request, State};
use axum::response::Response;
use belljar_bundle::{ModelId, ModelName};
use belljar_sandbox::tensor::datatype_name;
use belljar_sandbox::wit::tensors::TensorInfo;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    let read = RoutePolicy::scope(Scope::ModelsRead);
    // Clients look at the tensors of a model before they run it.
    let look = RoutePolicy::either_scope(Scope::ModelsRead, Scope::Infer);
    let write = RoutePolicy::scope(Scope::ModelsWrite);
    let run = RoutePolicy::scope(Scope::Infer);
    Routes::default()
        .add(RoutePolicy::any_caller(), routes!(server))
        // Probes have no key, here as on `/health/*`.
        .add(RoutePolicy::open(), routes!(live))
        .add(RoutePolicy::open(), routes!(ready))
        .add(look, routes!(model))
        .add(look, routes!(version))
        .add(look, routes!(model_ready))
        .add(look, routes!(version_ready))
        .add(run, routes!(infer_model))
        .add(run, routes!(infer_version))
        .add(read, routes!(index))
        .add(write, routes!(load))
        .add(write, routes!(unload))
        .merge(generate::routes())
}

/// The name of the server.
pub(super) const NAME: &str = "belljar";

/// The server's metadata.
#[derive(Serialize, ToSchema)]
struct ServerMetadata {
    name: &'static str,
    version: &'static str,
    extensions: [&'static str; 2],
}

/// Who serves, and which extensions of the protocol it knows.
#[utoipa::path(get, path = "/v2", tag = "Open Inference Protocol", responses((status = 200, body = ServerMetadata), Failures))]
async fn server() -> Json<ServerMetadata> {
    Json(ServerMetadata {
        name: NAME,
        version: env!("CARGO_PKG_VERSION"),
        extensions: ["binary_tensor_data", "model_repository"],
    })
}

#[derive(Serialize, ToSchema)]
struct Live {
    live: bool,
}

/// The process answers.
#[utoipa::path(get, path = "/v2/health/live", tag = "Open Inference Protocol", responses((status = 200, body = Live), Failures))]
async fn live() -> Json<Live> {
    Json(Live { live: true })
}

#[derive(Serialize, ToSchema)]
struct Ready {
    ready: bool,
}

/// Requests are served.
#[utoipa::path(
    get,
    path = "/v2/health/ready",
    tag = "Open Inference Protocol",
    responses(
        (status = 200, body = Ready),
        (status = 503, description = "Models are being loaded, an active one could not be, or the server is about to stop.", body = Ready),
        Failures,
    )
)]
async fn ready(State(state): State<HttpState>) -> (StatusCode, Json<Ready>) {
    let ready = is_ready(&state);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(Ready { ready }))
}

/// Whether requests are served.
pub(super) fn is_ready(state: &HttpState) -> bool {
    state.readiness() == Some(Readiness::Ready)
}

/// A model's metadata.
#[derive(Serialize, ToSchema)]
pub(super) struct ModelMetadata {
    pub(super) name: String,
    pub(super) versions: Vec<String>,
    pub(super) platform: &'static str,
    pub(super) inputs: Vec<TensorMetadata>,
    pub(super) outputs: Vec<TensorMetadata>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct TensorMetadata {
    pub(super) name: String,
    pub(super) datatype: &'static str,
    /// -1 for a dimension of any size.
    pub(super) shape: Vec<i64>,
}

impl From<&TensorInfo> for TensorMetadata {
    fn from(info: &TensorInfo) -> Self {
        Self {
            name: info.name.clone(),
            datatype: datatype_name(info.datatype),
            shape: info.shape.clone(),
        }
    }
}

/// What the active version of a model takes and gives.
#[utoipa::path(
    get,
    path = "/v2/models/{name}",
    tag = "Open Inference Protocol",
    params(("name" = String, Path)),
    responses((status = 200, body = ModelMetadata), Failures)
)]
async fn model(
    Authorized { caller, .. }: Authorized<ListModels>,
    State(state): State<HttpState>,
    Path(name): Path<String>,
) -> Result<Json<ModelMetadata>, ApiError> {
    metadata(&state, &caller, &name).map(Json)
}

/// What one version of a model takes and gives.
#[utoipa::path(
    get,
    path = "/v2/models/{name}/versions/{version}",
    tag = "Open Inference Protocol",
    params(("name" = String, Path), ("version" = String, Path)),
    responses((status = 200, body = ModelMetadata), Failures)
)]
async fn version(
    Authorized { caller, .. }: Authorized<ListModels>,
    State(state): State<HttpState>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<ModelMetadata>, ApiError> {
    metadata(&state, &caller, &format!("{name}@{version}")).map(Json)
}

/// What a model takes and gives.
pub(super) fn metadata(
    state: &HttpState,
    caller: &Caller,
    reference: &str,
) -> Result<ModelMetadata, ApiError> {
    let live = state.registry().ready(reference, caller)?;
    let summary = state.registry().model(&live.id.name, caller)?;
    let tensors = live.inspection.tensors.as_ref();
    let list = |infos: &[TensorInfo]| infos.iter().map(TensorMetadata::from).collect();
    Ok(ModelMetadata {
        name: summary.name.to_string(),
        versions: summary
            .versions
            .iter()
            .filter(|version| serves(version))
            .map(|version| version.id.version.to_string())
            .collect(),
        platform: "belljar_wasm",
        inputs: tensors
            .map(|tensors| list(&tensors.inputs))
            .unwrap_or_default(),
        outputs: tensors
            .map(|tensors| list(&tensors.outputs))
            .unwrap_or_default(),
    })
}

fn serves(version: &VersionStatus) -> bool {
    matches!(version.state, VersionState::Ready | VersionState::Active)
}

/// Whether a model can be run.
#[derive(Serialize, ToSchema)]
struct ModelReady {
    name: String,
    ready: bool,
}

/// Whether the active version of a model can be run.
#[utoipa::path(
    get,
    path = "/v2/models/{name}/ready",
    tag = "Open Inference Protocol",
    params(("name" = String, Path)),
    responses((status = 200, body = ModelReady), Failures)
)]
async fn model_ready(
    Authorized { caller, .. }: Authorized<ListModels>,
    State(state): State<HttpState>,
    Path(name): Path<String>,
) -> Result<Json<ModelReady>, ApiError> {
    state.registry().ready(&name, &caller)?;
    Ok(Json(ModelReady { name, ready: true }))
}

/// Whether one version of a model can be run.
#[utoipa::path(
    get,
    path = "/v2/models/{name}/versions/{version}/ready",
    tag = "Open Inference Protocol",
    params(("name" = String, Path), ("version" = String, Path)),
    responses((status = 200, body = ModelReady), Failures)
)]
async fn version_ready(
    Authorized { caller, .. }: Authorized<ListModels>,
    State(state): State<HttpState>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<ModelReady>, ApiError> {
    state
        .registry()
        .ready(&format!("{name}@{version}"), &caller)?;
    Ok(Json(ModelReady { name, ready: true }))
}

/// Runs the active version of a model once. See `POST /infer`.
#[utoipa::path(
    post,
    path = "/v2/models/{name}/infer",
    tag = "Open Inference Protocol",
    params(
        ("name" = String, Path),
        ("inference-header-content-length" = Option<u64>, Header, description = "of the binary tensor extension: bytes of JSON before the tensors"),
    ),
    request_body(content((InferRequest = "application/json"), (Binary = "application/octet-stream"))),
    responses(
        (status = 200, description = "The outputs.", content((InferResponse = "application/json"), (Binary = "application/octet-stream"))),
        Failures,
    )
)]
async fn infer_model(
    caller: Authorized<Infer>,
    State(state): State<HttpState>,
    context: RequestContext,
    admission: Admission,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    infer::serve(&state, &caller, admission, context, Some(name), request).await
}

/// Runs one version of a model once. See `POST /infer`.
#[utoipa::path(
    post,
    path = "/v2/models/{name}/versions/{version}/infer",
    tag = "Open Inference Protocol",
    params(
        ("name" = String, Path),
        ("version" = String, Path),
        ("inference-header-content-length" = Option<u64>, Header, description = "of the binary tensor extension: bytes of JSON before the tensors"),
    ),
    request_body(content((InferRequest = "application/json"), (Binary = "application/octet-stream"))),
    responses(
        (status = 200, description = "The outputs.", content((InferResponse = "application/json"), (Binary = "application/octet-stream"))),
        Failures,
    )
)]
async fn infer_version(
    caller: Authorized<Infer>,
    State(state): State<HttpState>,
    context: RequestContext,
    admission: Admission,
    Path((name, version)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let model = Some(format!("{name}@{version}"));
    infer::serve(&state, &caller, admission, context, model, request).await
}

#[derive(Default, Deserialize, ToSchema)]
struct IndexRequest {
    /// Whether to list only versions that can be run.
    ready: Option<bool>,
}

/// One version of a model.
#[derive(Serialize, ToSchema)]
pub(super) struct IndexEntry {
    pub(super) name: String,
    pub(super) version: String,
    /// `READY`, `LOADING` or `UNAVAILABLE`.
    pub(super) state: &'static str,
    /// Why it is not ready.
    pub(super) reason: String,
}

/// Every version of every model.
#[utoipa::path(
    post,
    path = "/v2/repository/index",
    tag = "Open Inference Protocol",
    request_body(content = Option<IndexRequest>),
    responses((status = 200, body = Vec<IndexEntry>), Failures)
)]
async fn index(
    Authorized { caller, .. }: Authorized<ReadModels>,
    State(state): State<HttpState>,
    OptionalJson(IndexRequest { ready }): OptionalJson<IndexRequest>,
) -> Result<Json<Vec<IndexEntry>>, ApiError> {
    let only_ready = ready.unwrap_or(false);
    Ok(Json(entries(&state, &caller, only_ready).collect()))
}

/// Every version of every model, or only those that can be run.
pub(super) fn entries(
    state: &HttpState,
    caller: &Caller,
    only_ready: bool,
) -> impl Iterator<Item = IndexEntry> {
    let models = state.registry().list(caller).into_iter();
    let versions = models.flat_map(|model| model.versions);
    versions
        .filter(move |version| !only_ready || serves(version))
        .map(entry)
}

fn entry(version: VersionStatus) -> IndexEntry {
    let state = match version.state {
        VersionState::Ready | VersionState::Active => "READY",
        VersionState::Received
        | VersionState::Checking
        | VersionState::Compiling
        | VersionState::Loading => "LOADING",
        VersionState::Failed => "UNAVAILABLE",
    };
    IndexEntry {
        name: version.id.name.to_string(),
        version: version.id.version.to_string(),
        state,
        reason: version.error.map(|error| error.message).unwrap_or_default(),
    }
}

/// Makes the newest ready version of a model the active one, unless one is active.
#[utoipa::path(
    post,
    path = "/v2/repository/models/{name}/load",
    tag = "Open Inference Protocol",
    params(("name" = String, Path)),
    responses((status = 200, body = Empty), Failures)
)]
async fn load(
    Authorized { caller, .. }: Authorized<WriteModels>,
    context: RequestContext,
    State(state): State<HttpState>,
    Path(name): Path<String>,
) -> Result<Json<Empty>, ApiError> {
    activate(&state, &caller, &context, &name).await?;
    Ok(Json(Empty {}))
}

/// Makes the newest ready version of a model the active one, unless one is active.
pub(super) async fn activate(
    state: &HttpState,
    caller: &Caller,
    context: &RequestContext,
    name: &str,
) -> Result<(), ApiError> {
    let name = model_name(name)?;
    let summary: ModelSummary = state.registry().model(&name, caller)?;
    if summary.active.is_none() {
        let Some(newest) = summary
            .versions
            .iter()
            .rev()
            .find(|version| serves(version))
        else {
            let message = format!("No version of the model `{name}` is ready.");
            return Err(ApiError::conflict("model_not_ready", message).at("model".to_owned()));
        };
        let id = ModelId {
            name,
            version: newest.id.version.clone(),
        };
        state.registry().activate(&id, caller).await?;
        let about = [("model", serde_json::json!(id.to_string()))];
        context.act(EventKind::ModelActivated, &about).await;
    }
    Ok(())
}

/// Leaves a model without an active version. Its versions can still be run by name.
#[utoipa::path(
    post,
    path = "/v2/repository/models/{name}/unload",
    tag = "Open Inference Protocol",
    params(("name" = String, Path)),
    responses((status = 200, body = Empty), Failures)
)]
async fn unload(
    Authorized { caller, .. }: Authorized<WriteModels>,
    context: RequestContext,
    State(state): State<HttpState>,
    Path(name): Path<String>,
) -> Result<Json<Empty>, ApiError> {
    deactivate(&state, &caller, &context, &name).await?;
    Ok(Json(Empty {}))
}

/// Leaves a model without an active version.
pub(super) async fn deactivate(
    state: &HttpState,
    caller: &Caller,
    context: &RequestContext,
    name: &str,
) -> Result<(), ApiError> {
    let parsed = model_name(name)?;
    state.registry().deactivate(&parsed, caller).await?;
    let about = [("model", serde_json::json!(name))];
    context.act(EventKind::ModelDeactivated, &about).await;
    Ok(())
}

/// Nothing to say.
#[derive(Serialize, ToSchema)]
struct Empty {}

fn model_name(text: &str) -> Result<ModelName, ApiError> {
    // What cannot be a name is no model.
    text.parse().map_err(|_| ApiError::model_not_found(text))
}
