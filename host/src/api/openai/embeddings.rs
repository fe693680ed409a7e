//! `POST /v1/embeddings`: vectors for texts.

use super::Failures;
use super::wire::{EmbeddingList, EmbeddingsRequest, Sifted, place_in, write_embeddings};
use crate::auth::{Authorized, Infer, Scope};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::json::{APPLICATION_JSON, SizedJson};
use crate::http::own_headers::X_BELLJAR_IGNORED;
use crate::http::policy::{RoutePolicy, Routes};
use crate::http::workers;
use crate::inference::RequestContext;
use crate::limits::{Counts, TokenAdmission};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::scope(Scope::Infer).counting(Counts::Tokens);
    Routes::default().add(policy, routes!(create))
}

/// Turns texts into vectors, in a fresh sandbox.
#[utoipa::path(
    post,
    path = "/v1/embeddings",
    tag = "OpenAI",
    request_body = EmbeddingsRequest,
    responses((status = 200, body = EmbeddingList), Failures)
)]
async fn create(
    caller: Authorized<Infer>,
    State(state): State<HttpState>,
    context: RequestContext,
    admission: TokenAdmission,
    SizedJson { value, bytes }: SizedJson<Sifted<EmbeddingsRequest>>,
) -> Result<Response, ApiError> {
    embed(value, bytes, caller, state, context, admission).await
}

/// Answers one request, whose body had so many bytes.
pub(super) async fn embed(
    value: Sifted<EmbeddingsRequest>,
    bytes: usize,
    caller: Authorized<Infer>,
    state: HttpState,
    context: RequestContext,
    admission: TokenAdmission,
) -> Result<Response, ApiError> {
    let inference = state.inference();
    let asked = value.known.model.clone();
    let (call, style, note) = {
        let (state, context) = (state.clone(), context.clone());
        let prepare = move || {
            let unknown = state.config().input.unknown_members;
            let (request, others) = value.settle(unknown)?;
            // The contract has no options for embeddings.
            let note = others.without_options().note();
            let request = if state.registry().is_stood_in_for(&request.model) {
                request.standing_in()?
            } else {
                request
            };
            let (call, style) = request.read()?;
            let call = state.inference().prepare(&context, call)?;
            Ok::<_, ApiError>((call, style, note))
        };
        workers::run(bytes, prepare).await?
    };
    let embedded = inference.embed(&caller, call, admission, &context);
    let embedded = embedded
        .await
        .map_err(|error| ApiError::from(error).naming(place_in::<EmbeddingsRequest>))?;
    let embedded = embedded.answer;
    let numbers = embedded.vectors.iter().map(Vec::len).sum::<usize>();
    let bytes = numbers.saturating_mul(size_of::<f32>());
    let write = move || write_embeddings(&asked, &embedded, style);
    let body = workers::run(bytes, write).await;
    let mut response = ([(header::CONTENT_TYPE, APPLICATION_JSON)], body).into_response();
    if let Some(note) = note {
        response.headers_mut().insert(X_BELLJAR_IGNORED, note);
    }
    Ok(response)
}
