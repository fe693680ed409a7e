//! `POST /v1/embeddings`: vectors for texts.

use super::Failures;
use super::wire::{EmbeddingsRequest, write_embeddings};
use crate::auth::{Authorized, Infer, Scope};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::json::{APPLICATION_JSON, Json};
use crate::http::policy::{RoutePolicy, Routes};
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
    Json(wire): Json<EmbeddingsRequest>,
) -> Result<impl IntoResponse, ApiError> {
    let inference = state.inference();
    let asked = wire.model.clone();
    let (call, style) = wire.read()?;
    let call = inference.screen(&context, call)?;
    let embedded = inference.embed(&caller, call, admission, &context);
    let body = write_embeddings(&asked, &embedded.await?.answer, style);
    Ok(([(header::CONTENT_TYPE, APPLICATION_JSON)], body))
}
