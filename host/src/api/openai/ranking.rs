//! `POST /v1/rerank` and `POST /v1/score`: how well documents answer queries, as Cohere, Jina and
//! vLLM ask for it beside OpenAI's API.

use super::Failures;
use super::wire::{RerankRequest, Reranking, ScoreList, ScoreRequest, Sifted, place_in};
use crate::auth::{Authorized, Infer, Scope};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::json::{Json, SizedJson};
use crate::http::own_headers::X_BELLJAR_IGNORED;
use crate::http::policy::{RoutePolicy, Routes};
use crate::http::workers;
use crate::inference::{Counted, InferenceError, RankingCall, RequestContext};
use crate::limits::{Counts, TokenAdmission};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::HeaderValue;
use serde::Serialize;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::scope(Scope::Infer).counting(Counts::Tokens);
    Routes::default()
        .add(policy, routes!(rerank))
        .add(policy, routes!(score))
}

/// A call that has been read and screened, how its answer is to be written, and what was passed
/// over.
type Prepared<S> = (Counted<RankingCall>, S, Option<HeaderValue>);

/// Ranks documents by how well they answer a query, in a fresh sandbox.
#[utoipa::path(
    post,
    path = "/v1/rerank",
    tag = "OpenAI",
    request_body = RerankRequest,
    responses((status = 200, body = Reranking), Failures)
)]
async fn rerank(
    caller: Authorized<Infer>,
    State(state): State<HttpState>,
    context: RequestContext,
    admission: TokenAdmission,
    SizedJson { value, bytes }: SizedJson<Sifted<RerankRequest>>,
) -> Result<Response, ApiError> {
    let (call, style, note): Prepared<_> = {
        let (state, context) = (state.clone(), context.clone());
        let prepare = move || {
            let (request, others) = value.settle(state.config().input.unknown_members)?;
            // The contract has no options for rankings.
            let note = others.without_options().note();
            let (call, style) = request.read()?;
            let call = state.inference().prepare(&context, call)?;
            Ok::<_, ApiError>((call, style, note))
        };
        workers::run(bytes, prepare).await?
    };
    let ranked = state.inference().rank(&caller, call, admission, &context);
    let ranked = ranked.await.map_err(naming(place_in::<RerankRequest>))?;
    Ok(answered(Reranking::new(ranked.answer, style), note))
}

/// Scores pairs of texts, in a fresh sandbox for each text on the left.
#[utoipa::path(
    post,
    path = "/v1/score",
    tag = "OpenAI",
    request_body = ScoreRequest,
    responses((status = 200, body = ScoreList), Failures)
)]
async fn score(
    caller: Authorized<Infer>,
    State(state): State<HttpState>,
    context: RequestContext,
    admission: TokenAdmission,
    SizedJson { value, bytes }: SizedJson<Sifted<ScoreRequest>>,
) -> Result<Response, ApiError> {
    let asked = value.known().model.clone();
    let created = state.clock().now();
    let (call, (), note): Prepared<_> = {
        let (state, context) = (state.clone(), context.clone());
        let prepare = move || {
            let (request, others) = value.settle(state.config().input.unknown_members)?;
            let note = others.without_options().note();
            let call = state.inference().prepare(&context, request.read()?)?;
            Ok::<_, ApiError>((call, (), note))
        };
        workers::run(bytes, prepare).await?
    };
    let ranked = state.inference().rank(&caller, call, admission, &context);
    let ranked = ranked.await.map_err(naming(place_in::<ScoreRequest>))?;
    Ok(answered(
        ScoreList::new(asked, created, ranked.answer),
        note,
    ))
}

fn naming(place: fn(&str) -> Option<String>) -> impl Fn(InferenceError) -> ApiError {
    move |error| ApiError::from(error).naming(place)
}

fn answered<T: Serialize>(answer: T, note: Option<HeaderValue>) -> Response {
    let mut response = Json(answer).into_response();
    if let Some(note) = note {
        response.headers_mut().insert(X_BELLJAR_IGNORED, note);
    }
    response
}
