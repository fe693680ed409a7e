//! `/v1/responses`: responses that others can go on from.

mod background;
mod compact;
mod items;
mod kept;
mod making;
mod object;
mod output;
mod request;
mod tools;

use super::Failures;
use super::objects::{Deleted, ListOptions, ObjectPage, labelled, not_found, raw, stored_items};
use super::wire::{Sifted, TokenLimits, place_in};
use crate::api::simulated;
use crate::auth::{Authorized, Infer, Scope};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::extract::{Path, Query};
use crate::http::json::{Json, SizedJson};
use crate::http::own_headers::X_BELLJAR_IGNORED;
use crate::http::policy::{RoutePolicy, Routes};
use crate::http::workers;
use crate::ids::sorted_uuid;
use crate::inference::{Counted, InferenceError, RequestContext, TextCall};
use crate::limits::{Counts, TokenAdmission};
use crate::stored::{Kind, Owner, StoredObjects};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, HeaderValue, header};
use kept::{Before, Keeper};
use making::{Making, ResponseEvents};
use request::{ReadResponse, ResponseRequest};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::Instant;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    let runs = RoutePolicy::scope(Scope::Infer).counting(Counts::Tokens);
    let reads = RoutePolicy::scope(Scope::Infer);
    Routes::default()
        .add(runs, routes!(create))
        .add(runs, routes!(count_input))
        .add(runs, routes!(compact::compact))
        .add(reads, routes!(show, delete))
        .add(reads, routes!(cancel))
        .add(reads, routes!(input_items))
}

/// A response. Its members are those of OpenAI's `response`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used; see `object`")]
struct ResponseObject {
    /// `resp_…`.
    id: String,
    /// `response`.
    object: String,
    created_at: i64,
    /// `queued`, `in_progress`, `completed`, `incomplete`, `failed` or `cancelled`.
    status: String,
    model: String,
    /// Messages, calls of tools, and thoughts.
    #[schema(value_type = Vec<Object>)]
    output: Vec<Box<RawValue>>,
    #[schema(value_type = Option<Object>)]
    usage: Option<Box<RawValue>>,
}

/// A request that is ready to run.
struct Ready {
    call: Counted<TextCall>,
    making: Making,
    keeper: Option<Keeper>,
    note: Option<HeaderValue>,
}

/// Answers a conversation, in a fresh sandbox.
///
/// The response is kept for as long as the settings say, unless `store` is false, and others can go
/// on from it by `previous_response_id`. With `stream` the answer is server-sent events, each
/// with a number; with `background` it comes at once and the model works on.
#[utoipa::path(
    post,
    path = "/v1/responses",
    tag = "OpenAI",
    request_body = ResponseRequest,
    responses(
        (status = 200, content((ResponseObject = "application/json"), (String = "text/event-stream"))),
        Failures,
    )
)]
async fn create(
    caller: Authorized<Infer>,
    State(state): State<HttpState>,
    context: RequestContext,
    admission: TokenAdmission,
    SizedJson { value, bytes }: SizedJson<Sifted<ResponseRequest>>,
) -> Result<Response, ApiError> {
    let since = Instant::now();
    let is_stream = value.known().stream.unwrap_or(false);
    let is_background = value.known().is_background();
    let ready = prepare(&caller, &state, &context, value, bytes).await?;
    let Ready {
        call,
        making,
        keeper,
        note,
    } = ready;
    let inference = state.inference();
    let named = |error: InferenceError| ApiError::from(error).naming(place_in::<ResponseRequest>);
    let mut response = if is_background {
        let texts = inference.stream(&caller, call, admission, &context, since);
        let texts = texts.await.map_err(named)?;
        let events = ResponseEvents::new(texts, context, making);
        background::begin(&caller, &state, events, keeper, is_stream).await?
    } else if is_stream {
        let texts = inference.stream(&caller, call, admission, &context, since);
        let texts = texts.await.map_err(named)?;
        let making = making.kept_by(keeper);
        let times = texts.simulated();
        let mut response = events(Body::new(ResponseEvents::new(texts, context, making)));
        simulated::tell(response.headers_mut(), times);
        response
    } else {
        let text = inference.generate(&caller, call, admission, &context, since);
        let text = text.await.map_err(named)?;
        let answer = text.answers.into_iter().next().unwrap_or_default();
        let making = making.kept_by(keeper);
        let mut response = Json(making.whole(answer, &text.usage).await?).into_response();
        simulated::tell(response.headers_mut(), text.simulated);
        response
    };
    if let Some(note) = note {
        response.headers_mut().insert(X_BELLJAR_IGNORED, note);
    }
    Ok(response)
}

/// Reads and screens a request, with what it goes on from.
async fn prepare(
    caller: &Authorized<Infer>,
    state: &HttpState,
    context: &RequestContext,
    value: Sifted<ResponseRequest>,
    bytes: usize,
) -> Result<Ready, ApiError> {
    let request = value.known();
    let Before {
        owner,
        items: before,
        bytes: size,
    } = Before::of(request, caller, state).await?;
    let stored = state.stored().clone();
    let previous = request.previous_response_id.clone();
    let conversation = request.conversation().map(str::to_owned);
    let stores = request.stores() && stored.is_on();
    let (state, context) = (state.clone(), context.clone());
    let work = move || {
        let config = state.config();
        let (request, others) = value.settle(config.input.unknown_members)?;
        let note = others.note();
        let ReadResponse {
            call,
            style,
            echo,
            input,
        } = request.read(before, others, TokenLimits::from(config))?;
        let call = state.inference().prepare(&context, call)?;
        let keeper = stores.then(|| Keeper {
            stored,
            owner,
            input: raw(&input).get().to_owned(),
            previous,
            conversation,
        });
        let id = format!("resp_{}", sorted_uuid().simple());
        Ok::<_, ApiError>(Ready {
            call,
            making: Making::new(id, echo, style, state.clock().clone()),
            keeper,
            note,
        })
    };
    workers::run(bytes.saturating_add(size), work).await
}

/// Events as the body of an answer.
fn events(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream; charset=utf-8"),
    );
    // Reverse proxies would otherwise collect the events.
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}

/// How many tokens the input of a response would have.
#[derive(Serialize, ToSchema)]
#[schema(as = ResponseInputTokens)]
struct InputTokens {
    /// `response.input_tokens`.
    object: &'static str,
    input_tokens: u64,
}

/// Counts the tokens of an input. A model that counts for itself is asked for one token.
#[utoipa::path(
    post,
    path = "/v1/responses/input_tokens",
    tag = "OpenAI",
    request_body = ResponseRequest,
    responses((status = 200, body = InputTokens), Failures)
)]
async fn count_input(
    caller: Authorized<Infer>,
    State(state): State<HttpState>,
    context: RequestContext,
    admission: TokenAdmission,
    SizedJson { value, bytes }: SizedJson<Sifted<ResponseRequest>>,
) -> Result<Json<InputTokens>, ApiError> {
    let ready = prepare(
        &caller,
        &state,
        &context,
        value.asking_for_one_token(),
        bytes,
    )
    .await?;
    let count = state.inference();
    let count = count.count(&caller, ready.call, admission, &context);
    let input_tokens = count
        .await
        .map_err(|error| ApiError::from(error).naming(place_in::<ResponseRequest>))?;
    Ok(Json(InputTokens {
        object: "response.input_tokens",
        input_tokens,
    }))
}

/// How a response is wanted.
#[derive(Debug, Default, Deserialize)]
struct ShowOptions {
    stream: Option<bool>,
    starting_after: Option<u64>,
}

/// A response that is kept.
///
/// With `stream=true` its events come again, those of one in the making as they come;
/// `starting_after` leaves out all up to that number.
#[utoipa::path(
    get,
    path = "/v1/responses/{id}",
    tag = "OpenAI",
    params(
        ("id" = String, Path),
        ("stream" = Option<bool>, Query, description = "Whether its events are wanted."),
        ("starting_after" = Option<u64>, Query, description = "The number of the last event that is known."),
    ),
    responses(
        (status = 200, content((ResponseObject = "application/json"), (String = "text/event-stream"))),
        Failures,
    )
)]
async fn show(
    Authorized { caller, .. }: Authorized<Infer>,
    State(state): State<HttpState>,
    Path(id): Path<String>,
    Query(options): Query<ShowOptions>,
) -> Result<Response, ApiError> {
    let owner = Owner::of(&caller);
    let record = found(state.stored(), &owner, &id).await?;
    if options.stream.unwrap_or(false) {
        return background::listen(&state, &owner, record, options.starting_after);
    }
    Ok(Json(record).into_response())
}

/// A response of an owner's, as it is now.
async fn found(stored: &StoredObjects, owner: &Owner, id: &str) -> Result<Box<RawValue>, ApiError> {
    let record = stored.get(owner, Kind::Response, id).await;
    let record = record.map_err(|error| not_found(error, "Response", id))?;
    background::as_it_is(stored, owner, record).await
}

/// Deletes a response. Those that go on from it can then no longer be gone on from.
#[utoipa::path(
    delete,
    path = "/v1/responses/{id}",
    tag = "OpenAI",
    params(("id" = String, Path)),
    responses((status = 200, body = Deleted), Failures)
)]
async fn delete(
    Authorized { caller, .. }: Authorized<Infer>,
    State(state): State<HttpState>,
    Path(id): Path<String>,
) -> Result<Json<Deleted>, ApiError> {
    let owner = Owner::of(&caller);
    background::stop(state.stored(), &owner, &id).await;
    let deleted = state.stored().delete(&owner, Kind::Response, &id).await;
    deleted.map_err(|error| not_found(error, "Response", &id))?;
    state.stored().background().forget(&id);
    Ok(Json(Deleted {
        id,
        object: "response",
        deleted: true,
    }))
}

/// Ends a response that is being made in the background.
#[utoipa::path(
    post,
    path = "/v1/responses/{id}/cancel",
    tag = "OpenAI",
    params(("id" = String, Path)),
    responses((status = 200, body = ResponseObject), Failures)
)]
async fn cancel(
    Authorized { caller, .. }: Authorized<Infer>,
    State(state): State<HttpState>,
    Path(id): Path<String>,
) -> Result<Json<Box<RawValue>>, ApiError> {
    #[derive(Deserialize)]
    struct Made {
        background: bool,
    }
    let owner = Owner::of(&caller);
    background::stop(state.stored(), &owner, &id).await;
    let response = found(state.stored(), &owner, &id).await?;
    let made: Result<Made, _> = serde_json::from_str(response.get());
    if !made.is_ok_and(|made| made.background) {
        return Err(ApiError::invalid_request(
            "not_in_background",
            "Cannot cancel a synchronous response.",
        ));
    }
    Ok(Json(response))
}

/// The items of a response's input.
#[utoipa::path(
    get,
    path = "/v1/responses/{id}/input_items",
    tag = "OpenAI",
    params(
        ("id" = String, Path),
        ("limit" = Option<u32>, Query, description = "Items of a page, 1 to 100."),
        ("order" = Option<String>, Query, description = "`asc` or `desc`."),
        ("after" = Option<String>, Query, description = "The item before the page."),
    ),
    responses((status = 200, body = ObjectPage), Failures)
)]
async fn input_items(
    Authorized { caller, .. }: Authorized<Infer>,
    State(state): State<HttpState>,
    Path(id): Path<String>,
    Query(options): Query<ListOptions>,
) -> Result<Json<ObjectPage>, ApiError> {
    let owner = Owner::of(&caller);
    let record = state.stored().get(&owner, Kind::Response, &id).await;
    let record = record.map_err(|error| not_found(error, "Response", &id))?;
    ObjectPage::of_list(labelled(stored_items(&record.input)), &options).map(Json)
}
