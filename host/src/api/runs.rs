//! `/runs`: runs on record, listed, shown, deleted, and made again.

use super::Failures;
use crate::auth::{Authorized, Infer, Scope};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::extract::{Path, Query};
use crate::http::json::Json;
use crate::http::policy::{RoutePolicy, Routes};
use crate::inference::{RequestContext, StoppedRun};
use crate::limits::Admission;
use crate::receipts::{Envelope, PublicKeys, Statement};
use crate::runs::{Difference, KeptCall, Page, Run, Transcript, Verdict, differences};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::routes;

/// Runs of a page where the caller does not say, and at most.
const PAGE_DEFAULT: u32 = 20;
const PAGE_MAX: u32 = 100;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::scope(Scope::Infer);
    Routes::default()
        .add(policy, routes!(list))
        .add(policy, routes!(show, delete))
        .add(policy, routes!(replay))
        .add(policy, routes!(stack))
        .add(policy, routes!(receipt))
        .add(RoutePolicy::open(), routes!(well_known))
}

/// A run on record, without its content.
#[derive(Serialize, ToSchema)]
struct RunView {
    /// `run`.
    object: &'static str,
    id: String,
    /// As in the header `x-request-id` of its answer.
    request_id: String,
    /// When it was over.
    #[schema(format = DateTime)]
    created: String,
    /// The version that ran, as `name@version`.
    model: String,
    /// The SHA-256 of the whole content of its bundle.
    digest: String,
    /// The seed of all that was random.
    seed: String,
    /// The moment that it was given, in milliseconds since 1970.
    time_ms: u64,
    /// Units of fuel, over all its calls.
    fuel: u64,
    /// `done`, `left` where nobody waited for it any more, or the code of its error.
    outcome: String,
    /// Whether the model went on from what it had kept of earlier requests of the same key.
    resumed: bool,
    /// What stands for all that was asked.
    input_digest: String,
    /// What stands for all that was given.
    output_digest: String,
    engine: EngineView,
}

/// What ran the bundle.
#[derive(Serialize, ToSchema)]
struct EngineView {
    /// The version of the server.
    version: String,
    /// What compiled code depends on: the engine with its settings, and the processor.
    fingerprint: String,
    /// SHA-256 over the caps of the run.
    caps: String,
}

impl From<&Run> for RunView {
    fn from(run: &Run) -> Self {
        Self {
            object: "run",
            id: run.id.to_string(),
            request_id: run.request_id.clone(),
            created: run.created.to_string(),
            model: run.model.to_string(),
            digest: run.digest.to_string(),
            seed: run.seed.to_string(),
            time_ms: run.time.unix_ms(),
            fuel: run.fuel,
            outcome: run.outcome.name().to_owned(),
            resumed: run.resumed,
            input_digest: run.input_digest.to_string(),
            output_digest: run.output_digest.to_string(),
            engine: EngineView {
                version: run.engine.version.clone(),
                fingerprint: run.engine.fingerprint.clone(),
                caps: run.engine.caps.clone(),
            },
        }
    }
}

/// A run on record, with all that was asked and given.
#[derive(Serialize, ToSchema)]
struct RunWithCalls {
    #[serde(flatten)]
    run: RunView,
    /// One for each answer that was asked for.
    calls: Vec<CallView>,
}

/// One call of a run.
#[derive(Serialize, ToSchema)]
struct CallView {
    /// The capability, such as `text`; null where the call was turned away before.
    capability: Option<&'static str>,
    /// What was asked, as the contract with models has it. Tensors are in base64.
    #[schema(value_type = Object)]
    asked: Value,
    /// What was given. A text is put together of its parts.
    #[schema(value_type = Object)]
    answer: Value,
    fuel: u64,
    outcome: String,
}

impl CallView {
    fn of(call: &KeptCall) -> Result<Self, ApiError> {
        let asked = call.asked()?;
        let written = asked.as_ref().map(serde_json::to_value).transpose();
        let damaged = |error: serde_json::Error| ApiError::internal(error.to_string());
        Ok(Self {
            capability: asked.as_ref().map(belljar_sandbox::Asked::capability),
            asked: written.map_err(damaged)?.unwrap_or_default(),
            answer: call.answer()?,
            fuel: call.fuel,
            outcome: call.outcome.name().to_owned(),
        })
    }
}

/// A page of runs, the newest first.
#[derive(Serialize, ToSchema)]
struct RunList {
    /// `list`.
    object: &'static str,
    data: Vec<RunView>,
    has_more: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    after: Option<String>,
    limit: Option<u32>,
}

/// The runs of the caller's key that are kept.
#[utoipa::path(
    get,
    path = "/runs",
    tag = "Runs",
    params(
        ("limit" = Option<u32>, Query, description = "Runs of a page, 1 to 100."),
        ("after" = Option<String>, Query, description = "The run before the page."),
    ),
    responses((status = 200, body = RunList), Failures)
)]
async fn list(
    Authorized { caller, .. }: Authorized<Infer>,
    State(state): State<HttpState>,
    Query(query): Query<ListQuery>,
) -> Result<Json<RunList>, ApiError> {
    let limit = query.limit.unwrap_or(PAGE_DEFAULT);
    if !(1..=PAGE_MAX).contains(&limit) {
        let message = format!("expected a number from 1 to {PAGE_MAX}");
        return Err(ApiError::invalid_argument("limit", message));
    }
    let page = Page {
        after: query.after,
        limit,
    };
    let (runs, has_more) = state.runs().list(caller.key_id(), &page).await?;
    Ok(Json(RunList {
        object: "list",
        data: runs.iter().map(RunView::from).collect(),
        has_more,
    }))
}

/// A run with what was asked and given.
#[utoipa::path(
    get,
    path = "/runs/{id}",
    tag = "Runs",
    params(("id" = String, Path)),
    responses((status = 200, body = RunWithCalls), Failures)
)]
async fn show(
    Authorized { caller, .. }: Authorized<Infer>,
    State(state): State<HttpState>,
    Path(id): Path<String>,
) -> Result<Json<RunWithCalls>, ApiError> {
    let (run, transcript) = state.runs().get(caller.key_id(), &id).await?;
    let calls: Result<Vec<_>, _> = transcript.calls().iter().map(CallView::of).collect();
    Ok(Json(RunWithCalls {
        run: RunView::from(&run),
        calls: calls?,
    }))
}

/// What is left of a run that was deleted.
#[derive(Serialize, ToSchema)]
struct DeletedRun {
    id: String,
    /// `run.deleted`.
    object: &'static str,
    /// True.
    deleted: bool,
}

/// Deletes a run with all that was asked and given.
#[utoipa::path(
    delete,
    path = "/runs/{id}",
    tag = "Runs",
    params(("id" = String, Path)),
    responses((status = 200, body = DeletedRun), Failures)
)]
async fn delete(
    Authorized { caller, .. }: Authorized<Infer>,
    State(state): State<HttpState>,
    Path(id): Path<String>,
) -> Result<Json<DeletedRun>, ApiError> {
    state.runs().delete(caller.key_id(), &id).await?;
    Ok(Json(DeletedRun {
        id,
        object: "run.deleted",
        deleted: true,
    }))
}

/// A signed statement of a run: a DSSE envelope around an in-toto statement, which holds commitments
/// to what was said and nothing of it, with the salts that open them beside it.
#[utoipa::path(
    get,
    path = "/runs/{id}/receipt",
    tag = "Runs",
    params(("id" = String, Path)),
    responses((status = 200, description = "The receipt.", body = Object), Failures)
)]
async fn receipt(
    Authorized { caller, .. }: Authorized<Infer>,
    State(state): State<HttpState>,
    Path(id): Path<String>,
) -> Result<Json<Envelope>, ApiError> {
    let (run, _) = state.runs().get(caller.key_id(), &id).await?;
    let (statement, openings) = Statement::of(&run, state.receipt_key());
    Ok(Json(Envelope::seal(
        &statement,
        openings,
        state.receipt_key(),
    )))
}

/// The public keys of this server.
#[utoipa::path(
    get,
    path = "/.well-known/belljar.json",
    tag = "Server",
    responses((status = 200, description = "The keys that receipts are signed with.", body = Object), Failures)
)]
async fn well_known(State(state): State<HttpState>) -> Json<PublicKeys> {
    Json(state.receipt_key().public())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplayQuery {
    model: Option<String>,
}

/// A run that was made again, beside the one that is on record.
#[derive(Serialize, ToSchema)]
struct ReplayView {
    /// `run.replay`.
    object: &'static str,
    /// The run on record.
    id: String,
    /// The version that it was made on now.
    model: String,
    /// Its digest.
    digest: String,
    /// `match`: the same bytes, the same outcome, and on the same version the same fuel.
    /// `mismatch`. `cannot-tell`: one of them ended as it did because of the time, the load or its
    /// caller, or went on from what the model had kept of earlier requests.
    verdict: &'static str,
    fuel: Sides<u64>,
    outcome: Sides<String>,
    output_digest: Sides<String>,
    /// The first places at which they differ.
    differences: Vec<DifferenceView>,
}

/// A value of the run on record, and of the one that was made now.
#[derive(Serialize, ToSchema)]
struct Sides<T> {
    before: T,
    after: T,
}

#[derive(Serialize, ToSchema)]
struct DifferenceView {
    /// A JSON pointer into the calls, whose answers and outcomes are compared.
    path: String,
    #[schema(value_type = Object)]
    before: Value,
    #[schema(value_type = Object)]
    after: Value,
}

impl From<Difference> for DifferenceView {
    fn from(difference: Difference) -> Self {
        Self {
            path: difference.path,
            before: difference.before,
            after: difference.after,
        }
    }
}

fn sides<T>(before: &Transcript, after: &Transcript, of: impl Fn(&Transcript) -> T) -> Sides<T> {
    Sides {
        before: of(before),
        after: of(after),
    }
}

/// Makes a run again, with the same seed at the same moment, and compares. It counts as a request,
/// and its fuel is on the bill; nothing of it is kept.
#[utoipa::path(
    post,
    path = "/runs/{id}/replay",
    tag = "Runs",
    params(
        ("id" = String, Path),
        ("model" = Option<String>, Query, description = "Another version, as `name@version`, to compare with the one that ran."),
    ),
    responses((status = 200, body = ReplayView), Failures)
)]
async fn replay(
    caller: Authorized<Infer>,
    context: RequestContext,
    admission: Admission,
    State(state): State<HttpState>,
    Path(id): Path<String>,
    Query(query): Query<ReplayQuery>,
) -> Result<Json<ReplayView>, ApiError> {
    let (run, before) = state.runs().get(caller.caller.key_id(), &id).await?;
    let version = query.model.as_deref();
    let replayed = state
        .inference()
        .replay(&caller, (&run, &before), version, admission, &context)
        .await?;
    let after = replayed.transcript;
    let is_same_version = replayed.model.digest == run.digest;
    let verdict = Verdict::of(&before, run.resumed, &after, is_same_version);
    let differences = differences(&before, &after)?;
    Ok(Json(ReplayView {
        object: "run.replay",
        id,
        model: replayed.model.id.to_string(),
        digest: replayed.model.digest.to_string(),
        verdict: verdict.name(),
        fuel: sides(&before, &after, Transcript::fuel),
        outcome: sides(&before, &after, |it| it.outcome().name().to_owned()),
        output_digest: sides(&before, &after, |it| it.output_digest().to_string()),
        differences: differences.into_iter().map(DifferenceView::from).collect(),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StackQuery {
    fuel: u64,
    model: Option<String>,
}

/// Where a run is once it has used so much fuel.
#[derive(Serialize, ToSchema)]
struct StackView {
    /// `run.stack`.
    object: &'static str,
    /// The run on record.
    id: String,
    /// The version that it was made on now.
    model: String,
    /// Units of fuel that it had used, over all its calls.
    fuel: u64,
    /// `stopped` at the fuel that was asked for; `done` where the run was over before, or the code of
    /// the error that it failed with before.
    outcome: String,
    /// The place among the run's calls of the one that the stack is of; null where all were over.
    call: Option<u64>,
    /// The functions that were being run, the innermost first; none where all calls were over.
    frames: Vec<FrameView>,
}

/// A function that is being run.
#[derive(Serialize, ToSchema)]
struct FrameView {
    /// Its name where the component has names, else `function` and its number.
    function: String,
    /// The source line, as `file:line`, where the component says it and the server keeps it
    /// (`sandbox.source_lines`).
    line: Option<String>,
}

impl StackView {
    fn of(id: String, stopped: StoppedRun) -> Self {
        let outcome = match stopped.is_at_fuel {
            true => "stopped".to_owned(),
            false => stopped.transcript.outcome().name().to_owned(),
        };
        let frames = stopped.frames.into_iter().map(|frame| FrameView {
            function: frame.function,
            line: frame.line,
        });
        Self {
            object: "run.stack",
            id,
            model: stopped.model.id.to_string(),
            fuel: stopped.transcript.fuel(),
            outcome,
            call: stopped.call,
            frames: frames.collect(),
        }
    }
}

/// Makes a run again until it has used so much fuel, and shows the functions that it is in then. The
/// same fuel shows the same each time. It needs the scope `models:write` as well: functions are its
/// author's. It counts as a request, and its fuel is on the bill.
#[utoipa::path(
    post,
    path = "/runs/{id}/stack",
    tag = "Runs",
    params(
        ("id" = String, Path),
        ("fuel" = u64, Query, description = "Units of fuel, over all calls of the run, from 1."),
        ("model" = Option<String>, Query, description = "Another version, as `name@version`, to make it on."),
    ),
    responses((status = 200, body = StackView), Failures)
)]
async fn stack(
    caller: Authorized<Infer>,
    context: RequestContext,
    admission: Admission,
    State(state): State<HttpState>,
    Path(id): Path<String>,
    Query(query): Query<StackQuery>,
) -> Result<Json<StackView>, ApiError> {
    caller.caller.require(Scope::ModelsWrite)?;
    if query.fuel == 0 {
        return Err(ApiError::invalid_argument("fuel", "a number from 1"));
    }
    let (run, before) = state.runs().get(caller.caller.key_id(), &id).await?;
    let stop = (query.model.as_deref(), query.fuel);
    let inference = state.inference();
    let stopped = inference.stop_at(&caller, (&run, &before), stop, admission, &context);
    Ok(Json(StackView::of(id, stopped.await?)))
}
