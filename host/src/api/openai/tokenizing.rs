//! `POST /tokenize` and `POST /detokenize`: the tokens of texts, as vLLM gives them beside OpenAI's
//! API.

use super::Failures;
use super::wire::{
    Detokenization, DetokenizeRequest, Sifted, Tokenization, TokenizeRequest, place_in,
};
use crate::auth::{Authorized, Infer, Scope};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::json::{Json, SizedJson};
use crate::http::policy::{RoutePolicy, Routes};
use crate::http::workers;
use crate::inference::RequestContext;
use crate::limits::{Counts, TokenAdmission};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::scope(Scope::Infer).counting(Counts::Tokens);
    Routes::default()
        .add(policy, routes!(tokenize))
        .add(policy, routes!(detokenize))
}

/// Cuts a text or a conversation into tokens.
///
/// By the encoding of the name that is asked for; a model of your own that has the capability
/// `tokenizer` is asked itself, for texts.
#[utoipa::path(
    post,
    path = "/tokenize",
    tag = "OpenAI",
    request_body = TokenizeRequest,
    responses((status = 200, body = Tokenization), Failures)
)]
async fn tokenize(
    caller: Authorized<Infer>,
    State(state): State<HttpState>,
    context: RequestContext,
    admission: TokenAdmission,
    SizedJson { value, bytes }: SizedJson<Sifted<TokenizeRequest>>,
) -> Result<Response, ApiError> {
    let prepare = {
        let (state, context) = (state.clone(), context.clone());
        move || {
            let (request, _) = value.settle(state.config().input.unknown_members)?;
            let (call, with_texts) = request.read()?;
            let call = state.inference().prepare(&context, call)?;
            Ok::<_, ApiError>((call, with_texts))
        }
    };
    let (call, with_texts) = workers::run(bytes, prepare).await?;
    let inference = state.inference();
    let tokenized = inference.tokenize(&caller, call, with_texts, admission, &context);
    let tokenized = tokenized
        .await
        .map_err(|error| ApiError::from(error).naming(place_in::<TokenizeRequest>))?;
    let write = move || Json(Tokenization::from(tokenized.answer)).into_response();
    Ok(workers::run(bytes, write).await)
}

/// Puts tokens together to a text.
#[utoipa::path(
    post,
    path = "/detokenize",
    tag = "OpenAI",
    request_body = DetokenizeRequest,
    responses((status = 200, body = Detokenization), Failures)
)]
async fn detokenize(
    caller: Authorized<Infer>,
    State(state): State<HttpState>,
    context: RequestContext,
    admission: TokenAdmission,
    SizedJson { value, .. }: SizedJson<Sifted<DetokenizeRequest>>,
) -> Result<Json<Detokenization>, ApiError> {
    let (request, _) = value.settle(state.config().input.unknown_members)?;
    let call = request.read()?;
    let bytes = state
        .inference()
        .detokenize(&caller, call, admission, &context);
    let bytes = bytes
        .await
        .map_err(|error| ApiError::from(error).naming(place_in::<DetokenizeRequest>))?;
    Ok(Json(Detokenization::from(bytes)))
}
