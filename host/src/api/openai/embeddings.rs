//! `POST /v1/embeddings`: vectors for texts.

use super::Failures;
use super::wire::{EmbeddingsCall, EmbeddingsRequest, write_embeddings};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::extract::{Infer, May};
use crate::http::json::{APPLICATION_JSON, Json};
use crate::http::layers::{Limited, Record};
use crate::http::runs;
use crate::http::screening::{self, EmbeddingTexts};
use crate::http::spending::Spending;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(create))
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
    May { caller, .. }: May<Infer>,
    State(state): State<HttpState>,
    record: Record,
    limited: Limited,
    Json(wire): Json<EmbeddingsRequest>,
) -> Result<impl IntoResponse, ApiError> {
    let asked = wire.model.clone();
    let EmbeddingsCall {
        texts,
        dimensions,
        base64,
        prompt_tokens_max,
        prompt_tokens_estimate,
    } = wire.read()?;
    let EmbeddingTexts { inputs, .. } = screening::pass(&state, &record, texts)?.into_inner();
    let model = state.registry().ready(&asked, &caller)?;
    record.set_model(model.label.clone());
    let mut spending = Spending::new(
        limited.reserve(prompt_tokens_estimate)?,
        &caller,
        prompt_tokens_estimate,
    );
    let run = model
        .model
        .embed(inputs, dimensions, &model.budget, record.run_label());
    let response = runs::tracked(&model, &record, run).await?;
    let prompt_tokens = response.prompt_tokens.min(prompt_tokens_max);
    spending.settle(prompt_tokens.into(), 0);
    let body = write_embeddings(&asked, &response, base64, prompt_tokens);
    Ok(([(header::CONTENT_TYPE, APPLICATION_JSON)], body))
}
