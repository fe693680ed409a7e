//! `/models`: uploads bundles, and lists, activates and removes what became of them.

mod dev_error;
mod form;
mod logs;

use super::{Binary, Failures};
use crate::audit::EventKind;
use crate::auth::{Authorized, Caller, ReadModels, Scope, WriteModels};
use crate::http::HttpState;
use crate::http::body::check_length;
use crate::http::error::ApiError;
use crate::http::extract::{Path, Query};
use crate::http::json::Json;
use crate::http::policy::{RoutePolicy, Routes};
use crate::http::signature::{BodyCheck, altered_body};
use crate::inference::RequestContext;
use crate::models::{ModelSummary, UploadRequest, VersionState, VersionStatus};
use crate::telemetry::metrics;
use crate::traces::{attributes, spans};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use belljar_bundle::{ModelId, ModelName};
use belljar_sandbox::Determinism;
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::io;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    let read = RoutePolicy::scope(Scope::ModelsRead);
    let write = RoutePolicy::scope(Scope::ModelsWrite);
    // Uploads have time-outs for silence and for the whole.
    let upload_policy = write.own_time_limit();
    Routes::default()
        .add(upload_policy, routes!(upload))
        .add(upload_policy, routes!(update))
        .add(read, routes!(list))
        .add(read, routes!(show))
        .add(write, routes!(remove))
        .add(read, routes!(show_version))
        .add(write, routes!(remove_version))
        .add(write, routes!(activate))
        .add(write, routes!(deactivate))
        .merge(logs::routes())
        .merge(dev_error::routes())
}

/// One version of a model.
#[derive(Serialize, ToSchema)]
struct VersionView {
    /// `model.version`.
    object: &'static str,
    /// `name@version`.
    id: String,
    name: String,
    version: String,
    /// `received`, `checking`, `compiling`, `loading`, `ready`, `active` or `failed`.
    state: &'static str,
    /// The SHA-256 of the whole content.
    digest: String,
    /// Bytes, unpacked.
    bytes: u64,
    #[schema(format = DateTime)]
    created: String,
    uploaded_by: Option<String>,
    /// Whether it came with the server.
    embedded: bool,
    description: Option<String>,
    license: Option<String>,
    /// Whether its files are kept apart from equal ones of other versions. Null where the manifest
    /// could not be read.
    private: Option<bool>,
    /// The base that it is built on, `name@version`. Only where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<String>,
    /// The SHA-256 of the component that others may be built on. Only where it is a base.
    #[serde(skip_serializing_if = "Option::is_none")]
    base_component: Option<String>,
    /// Whether it is in memory. Null where it does not serve.
    resident: Option<bool>,
    /// What it can do: `text`, `tensors`, `embeddings` and so on. Null until it is compiled.
    capabilities: Option<Vec<&'static str>>,
    /// On which machines its runs give the same bits again. Null until it is compiled.
    determinism: Option<DeterminismView>,
    limits: Option<LimitsView>,
    /// Why it failed.
    error: Option<FailureView>,
    /// What the uploader should know about the archive; only in the answer to an upload.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// On which machines runs give the same bits again.
#[derive(Serialize, ToSchema)]
struct DeterminismView {
    /// `strict`: on every machine. `same-cpu`: on every machine with the same kind of processor.
    class: &'static str,
    /// The instructions that leave something to the machine; none for `strict`.
    reasons: Vec<OpenInstructionView>,
}

#[derive(Serialize, ToSchema)]
struct OpenInstructionView {
    /// As in the text format of WebAssembly, for example `f32x4.relaxed_madd`.
    instruction: String,
    /// `relaxed-simd` or `nan-bits`.
    leaves_open: &'static str,
    /// The setting of the server that takes it away, at a price in speed.
    setting: &'static str,
    /// In how many places of the code it stands.
    places: u64,
}

impl From<&Determinism> for DeterminismView {
    fn from(determinism: &Determinism) -> Self {
        let reasons = determinism.reasons().iter();
        let reasons = reasons.map(|open| OpenInstructionView {
            instruction: open.instruction.clone(),
            leaves_open: open.freedom.name(),
            setting: open.freedom.setting(),
            places: open.places,
        });
        Self {
            class: determinism.class().name(),
            reasons: reasons.collect(),
        }
    }
}

/// What one request may spend.
#[derive(Serialize, ToSchema)]
struct LimitsView {
    fuel: u64,
    load_fuel: u64,
    memory_bytes: u64,
    output_bytes: u64,
    deadline_ms: u64,
}

#[derive(Serialize, ToSchema)]
struct FailureView {
    code: String,
    message: String,
}

impl From<VersionStatus> for VersionView {
    fn from(status: VersionStatus) -> Self {
        Self {
            object: "model.version",
            id: status.id.to_string(),
            name: status.id.name.to_string(),
            version: status.id.version.to_string(),
            state: status.state.as_str(),
            digest: status.digest.to_string(),
            bytes: status.bytes,
            created: status.created.to_string(),
            uploaded_by: status.uploaded_by.map(|key| key.to_string()),
            embedded: status.embedded,
            description: status.description,
            license: status.license,
            private: status.is_private,
            base: status.base.map(|base| base.to_string()),
            base_component: status.offers.map(|digest| digest.to_string()),
            resident: status.is_resident,
            capabilities: status.capabilities.map(|capabilities| capabilities.names()),
            determinism: status.determinism.as_deref().map(DeterminismView::from),
            limits: status.limits.map(|limits| LimitsView {
                fuel: limits.fuel,
                load_fuel: limits.load_fuel,
                memory_bytes: limits.memory_bytes,
                output_bytes: limits.output_bytes,
                deadline_ms: u64::try_from(limits.deadline.as_millis()).unwrap_or(u64::MAX),
            }),
            error: status.error.map(|error| FailureView {
                code: error.code,
                message: error.message,
            }),
            notes: status.notes,
        }
    }
}

/// One model with all its versions.
#[derive(Serialize, ToSchema)]
struct ModelView {
    /// `model`.
    object: &'static str,
    name: String,
    /// The version that requests for the bare name get.
    active: Option<String>,
    versions: Vec<VersionView>,
}

impl From<ModelSummary> for ModelView {
    fn from(summary: ModelSummary) -> Self {
        Self {
            object: "model",
            name: summary.name.to_string(),
            active: summary.active.map(|version| version.to_string()),
            versions: summary
                .versions
                .into_iter()
                .map(VersionView::from)
                .collect(),
        }
    }
}

#[derive(Serialize, ToSchema)]
struct ModelList {
    /// `list`.
    object: &'static str,
    data: Vec<ModelView>,
}

/// A form with a bundle.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
struct UploadForm {
    /// The tar archive, plain or compressed.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UploadQuery {
    /// Whether to answer when the version is ready, active or failed.
    #[serde(default)]
    wait: bool,
    /// Whether it becomes the active version as soon as it is ready.
    #[serde(default = "yes")]
    activate: bool,
}

fn yes() -> bool {
    true
}

/// Takes in a bundle: a tar archive, plain or compressed, as the body or as the field `file`.
///
/// The answer is 202 and a status to poll at `Location`; the bundle is on disk by then. With
/// `?wait=true` the answer comes when the version is active or ready (201), or has failed (422).
/// The same content again is no error.
#[utoipa::path(
    post,
    path = "/models",
    tag = "Models",
    params(
        ("wait" = Option<bool>, Query, description = "answer when the version is ready, active or failed"),
        ("activate" = Option<bool>, Query, description = "whether it becomes the active version; true by default"),
    ),
    request_body(content((Binary = "application/x-tar"), (UploadForm = "multipart/form-data"))),
    responses(
        (status = 201, description = "It is active or ready.", body = VersionView),
        (status = 202, description = "It is stored, and being worked on.", body = VersionView),
        Failures,
    )
)]
async fn upload(
    Authorized { caller, .. }: Authorized<WriteModels>,
    State(state): State<HttpState>,
    context: RequestContext,
    Query(query): Query<UploadQuery>,
    request: Request,
) -> Result<Response, ApiError> {
    let outcome = accept_upload(&state, caller, &context, query, request).await;
    let label = outcome.as_ref().map_or_else(ApiError::code, |_| "ok");
    metrics::UPLOADS
        .with([("outcome", label.into())])
        .increment(1);
    if outcome.is_err() {
        context.security_event(EventKind::UploadRefused, &[("code", json!(label))]);
    }
    outcome
}

/// The same as `POST /models`.
#[utoipa::path(
    post,
    path = "/update_model",
    tag = "Models",
    params(
        ("wait" = Option<bool>, Query, description = "answer when the version is ready, active or failed"),
        ("activate" = Option<bool>, Query, description = "whether it becomes the active version; true by default"),
    ),
    request_body(content((Binary = "application/x-tar"), (UploadForm = "multipart/form-data"))),
    responses(
        (status = 201, description = "It is active or ready.", body = VersionView),
        (status = 202, description = "It is stored, and being worked on.", body = VersionView),
        Failures,
    )
)]
async fn update(
    authorized: Authorized<WriteModels>,
    state: State<HttpState>,
    context: RequestContext,
    query: Query<UploadQuery>,
    request: Request,
) -> Result<Response, ApiError> {
    upload(authorized, state, context, query, request).await
}

async fn accept_upload(
    state: &HttpState,
    caller: Caller,
    context: &RequestContext,
    query: UploadQuery,
    request: Request,
) -> Result<Response, ApiError> {
    // By the announced length, before a byte is read: a client that waits for `100 Continue`
    // then never sends its bundle.
    let envelope = if form::is_form(request.headers()) {
        form::FORM_BYTES_MAX
    } else {
        0
    };
    let limit = state.config().upload_bytes_max.saturating_add(envelope);
    check_length(request.headers(), limit, "max_upload_size")?;
    let UploadQuery { wait, activate } = query;
    let registry = state.registry();
    let quotas = state.limiter().quotas();
    let place = quotas.enter_upload(&caller)?;
    let upload = UploadRequest {
        activate,
        quota: quotas.storage(&caller),
        caller,
    };
    let status = stream_body(state, upload, context, request).await?;
    drop(place);
    // It is on disk from here on, whatever becomes of it.
    let about = [
        ("model", json!(status.id.to_string())),
        ("digest", json!(status.digest.to_string())),
    ];
    context.act(EventKind::ModelUploaded, &about).await;
    let status = if wait {
        VersionStatus {
            notes: status.notes,
            ..registry.settled(&status.id).await?
        }
    } else {
        status
    };
    let code = match status.state {
        VersionState::Ready | VersionState::Active => StatusCode::CREATED,
        VersionState::Failed => return Err(failed(status)),
        VersionState::Received
        | VersionState::Checking
        | VersionState::Compiling
        | VersionState::Loading => StatusCode::ACCEPTED,
    };
    let location = format!("/models/{}/{}", status.id.name, status.id.version);
    let mut response = (code, Json(VersionView::from(status))).into_response();
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

fn failed(status: VersionStatus) -> ApiError {
    let reason = status
        .error
        .map(|error| (error.code, error.message))
        .unwrap_or_default();
    if reason.0 == "disk_full" {
        return ApiError::disk_full(format!("{} could not be compiled", status.id));
    }
    let message = format!("{} failed ({}): {}", status.id, reason.0, reason.1);
    ApiError::unprocessable("model_failed_to_load", message)
}

/// Streams the bundle to the registry; no more of it than a few pieces is in memory at once.
async fn stream_body(
    state: &HttpState,
    upload: UploadRequest,
    context: &RequestContext,
    request: Request,
) -> Result<VersionStatus, ApiError> {
    let check = request.extensions().get::<BodyCheck>().cloned();
    let span = context.span(&spans::BODY);
    let stored = if form::is_form(request.headers()) {
        form::store_file(request, |pieces| {
            stream_pieces(state, upload, pieces, context.clone())
        })
        .await
    } else {
        let pieces = Body::into_data_stream(request.into_body()).map_err(io::Error::other);
        stream_pieces(state, upload, pieces, context.clone()).await
    };
    match stored {
        // The archive saw a body that breaks off.
        Err(_) if check.is_some_and(|check| check.has_failed()) => Err(altered_body(context)),
        stored => {
            if let (Some(mut span), true) = (span, stored.is_ok()) {
                span.set(&attributes::HTTP_REQUEST_SIZE, context.bytes_in());
                span.pass();
            }
            stored
        }
    }
}

async fn stream_pieces(
    state: &HttpState,
    upload: UploadRequest,
    pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    context: RequestContext,
) -> Result<VersionStatus, ApiError> {
    let counted = pieces.inspect_ok(move |piece| {
        context.add_bytes_in(piece.len());
        let bytes = u64::try_from(piece.len()).unwrap_or(0);
        metrics::UPLOAD_BYTES.handle().increment(bytes);
    });
    let reader = tokio_util::io::StreamReader::new(Box::pin(counted));
    Ok(state.registry().upload(reader, upload).await?)
}

/// All models with all their versions.
#[utoipa::path(get, path = "/models", tag = "Models", responses((status = 200, body = ModelList), Failures))]
async fn list(
    Authorized { caller, .. }: Authorized<ReadModels>,
    State(state): State<HttpState>,
) -> Json<ModelList> {
    let data = state
        .registry()
        .list(&caller)
        .into_iter()
        .map(ModelView::from)
        .collect();
    Json(ModelList {
        object: "list",
        data,
    })
}

/// One model with all its versions.
#[utoipa::path(
    get,
    path = "/models/{name}",
    tag = "Models",
    params(("name" = String, Path)),
    responses((status = 200, body = ModelView), Failures)
)]
async fn show(
    Authorized { caller, .. }: Authorized<ReadModels>,
    State(state): State<HttpState>,
    Path(name): Path<String>,
) -> Result<Json<ModelView>, ApiError> {
    Ok(Json(
        state.registry().model(&model_name(&name)?, &caller)?.into(),
    ))
}

/// One version of a model.
#[utoipa::path(
    get,
    path = "/models/{name}/{version}",
    tag = "Models",
    params(("name" = String, Path), ("version" = String, Path)),
    responses((status = 200, body = VersionView), Failures)
)]
async fn show_version(
    Authorized { caller, .. }: Authorized<ReadModels>,
    State(state): State<HttpState>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<VersionView>, ApiError> {
    Ok(Json(
        state
            .registry()
            .version(&model_id(&name, &version)?, &caller)?
            .into(),
    ))
}

/// Removes a model with all its versions. Requests in flight finish.
#[utoipa::path(
    delete,
    path = "/models/{name}",
    tag = "Models",
    params(("name" = String, Path)),
    responses((status = 204), Failures)
)]
async fn remove(
    Authorized { caller, .. }: Authorized<WriteModels>,
    context: RequestContext,
    State(state): State<HttpState>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    state
        .registry()
        .remove_model(&model_name(&name)?, &caller)
        .await?;
    context
        .act(EventKind::ModelRemoved, &[("model", json!(name))])
        .await;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes one version of a model, active or not. Requests in flight finish.
#[utoipa::path(
    delete,
    path = "/models/{name}/{version}",
    tag = "Models",
    params(("name" = String, Path), ("version" = String, Path)),
    responses((status = 204), Failures)
)]
async fn remove_version(
    Authorized { caller, .. }: Authorized<WriteModels>,
    context: RequestContext,
    State(state): State<HttpState>,
    Path((name, version)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    state
        .registry()
        .remove_version(&model_id(&name, &version)?, &caller)
        .await?;
    context
        .act(
            EventKind::ModelRemoved,
            &[("model", json!(format!("{name}@{version}")))],
        )
        .await;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a version the one that requests for the bare name get. Requests in flight finish on the
/// one before it.
#[utoipa::path(
    post,
    path = "/models/{name}/{version}/activate",
    tag = "Models",
    params(("name" = String, Path), ("version" = String, Path)),
    responses((status = 200, body = VersionView), Failures)
)]
async fn activate(
    Authorized { caller, .. }: Authorized<WriteModels>,
    context: RequestContext,
    State(state): State<HttpState>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<VersionView>, ApiError> {
    let status = state
        .registry()
        .activate(&model_id(&name, &version)?, &caller)
        .await?;
    context
        .act(
            EventKind::ModelActivated,
            &[("model", json!(format!("{name}@{version}")))],
        )
        .await;
    Ok(Json(status.into()))
}

/// Leaves a model without an active version.
#[utoipa::path(
    post,
    path = "/models/{name}/deactivate",
    tag = "Models",
    params(("name" = String, Path)),
    responses((status = 200, body = ModelView), Failures)
)]
async fn deactivate(
    Authorized { caller, .. }: Authorized<WriteModels>,
    context: RequestContext,
    State(state): State<HttpState>,
    Path(name): Path<String>,
) -> Result<Json<ModelView>, ApiError> {
    let status = state
        .registry()
        .deactivate(&model_name(&name)?, &caller)
        .await?;
    context
        .act(EventKind::ModelDeactivated, &[("model", json!(name))])
        .await;
    Ok(Json(status.into()))
}

/// What cannot be a name is no model.
pub(super) fn model_name(text: &str) -> Result<ModelName, ApiError> {
    text.parse().map_err(|_| ApiError::model_not_found(text))
}

fn model_id(name: &str, version: &str) -> Result<ModelId, ApiError> {
    let unknown = || ApiError::model_not_found(&format!("{name}@{version}"));
    Ok(ModelId {
        name: name.parse().map_err(|_| unknown())?,
        version: version.parse().map_err(|_| unknown())?,
    })
}
