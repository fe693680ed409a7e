//! `POST /v1/embeddings`: vectors for texts.

use super::Failures;
use super::wire::{EmbeddingsRequest, write_embeddings};
use crate::auth::{Authorized, Infer, Scope};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::json::{APPLICATION_JSON, SizedJson};
use crate::http::policy::{RoutePolicy, Routes};
use crate::http::workers;
use crate::inference::RequestContext;
use crate::limits::{Counts, TokenAdmission};
use axum::extract::State;
use axum::response::IntoResponse;
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
    responses((status = 200, body = Object), Failures)
)]
async fn create(
    caller: Authorized<Infer>,
    State(state): State<HttpState>,
    context: RequestContext,
    admission: TokenAdmission,
    SizedJson { value, bytes }: SizedJson<EmbeddingsRequest>,
) -> Result<impl IntoResponse, ApiError> {
    let inference = state.inference();
    let asked = value.model.clone();
    let (call, style) = {
        let (state, context) = (state.clone(), context.clone());
        let prepare = move || {
            let (call, style) = value.read()?;
            let call = state.inference().screen(&context, call)?;
            Ok::<_, ApiError>((call, style))
        };
        workers::run(bytes, prepare).await?
    };
    let embedded = inference.embed(&caller, call, admission, &context);
    let embedded = embedded.await?.answer;
    let numbers = embedded.vectors.iter().map(Vec::len).sum::<usize>();
    let bytes = numbers.saturating_mul(size_of::<f32>());
    let write = move || write_embeddings(&asked, &embedded, style);
    let body = workers::run(bytes, write).await;
    Ok(([(header::CONTENT_TYPE, APPLICATION_JSON)], body))
}
