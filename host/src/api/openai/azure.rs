//! `/openai/deployments/{name}/…`: Azure's spelling of OpenAI's API. The deployment is the model;
//! `api-version` is taken and changes nothing.

use super::Failures;
use super::embeddings;
use super::wire::{
    ChatRequest, Completion, CompletionRequest, EmbeddingList, EmbeddingsRequest, ModelElsewhere,
    TextCompletion,
};
use crate::api::texts;
use crate::auth::{Authorized, Infer, Scope};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::extract::Path;
use crate::http::json::SizedJson;
use crate::http::policy::{RoutePolicy, Routes};
use crate::inference::RequestContext;
use crate::limits::{Counts, TokenAdmission};
use axum::extract::State;
use axum::response::Response;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::scope(Scope::Infer).counting(Counts::Tokens);
    Routes::default()
        .add(policy, routes!(create_chat))
        .add(policy, routes!(create_completion))
        .add(policy, routes!(create_embeddings))
}

/// Continues a conversation, as `POST /v1/chat/completions` does. The model is named in the path.
#[utoipa::path(
    post,
    path = "/openai/deployments/{name}/chat/completions",
    tag = "OpenAI",
    params(
        ("name" = String, Path, description = "A model, or an alias."),
        ("api-version" = Option<String>, Query, description = "Taken, and changes nothing."),
    ),
    request_body = ChatRequest,
    responses(
        (status = 200, content((Completion = "application/json"), (String = "text/event-stream"))),
        Failures,
    )
)]
async fn create_chat(
    caller: Authorized<Infer>,
    State(state): State<HttpState>,
    Path(name): Path<String>,
    context: RequestContext,
    admission: TokenAdmission,
    SizedJson { value, bytes }: SizedJson<ModelElsewhere<ChatRequest>>,
) -> Result<Response, ApiError> {
    texts::create(value.named(name), bytes, caller, state, context, admission).await
}

/// Continues texts, as `POST /v1/completions` does. The model is named in the path.
#[utoipa::path(
    post,
    path = "/openai/deployments/{name}/completions",
    tag = "OpenAI",
    params(
        ("name" = String, Path, description = "A model, or an alias."),
        ("api-version" = Option<String>, Query, description = "Taken, and changes nothing."),
    ),
    request_body = CompletionRequest,
    responses(
        (status = 200, content((TextCompletion = "application/json"), (String = "text/event-stream"))),
        Failures,
    )
)]
async fn create_completion(
    caller: Authorized<Infer>,
    State(state): State<HttpState>,
    Path(name): Path<String>,
    context: RequestContext,
    admission: TokenAdmission,
    SizedJson { value, bytes }: SizedJson<ModelElsewhere<CompletionRequest>>,
) -> Result<Response, ApiError> {
    texts::create(value.named(name), bytes, caller, state, context, admission).await
}

/// Turns texts into vectors, as `POST /v1/embeddings` does. The model is named in the path.
#[utoipa::path(
    post,
    path = "/openai/deployments/{name}/embeddings",
    tag = "OpenAI",
    params(
        ("name" = String, Path, description = "A model, or an alias."),
        ("api-version" = Option<String>, Query, description = "Taken, and changes nothing."),
    ),
    request_body = EmbeddingsRequest,
    responses((status = 200, body = EmbeddingList), Failures)
)]
async fn create_embeddings(
    caller: Authorized<Infer>,
    State(state): State<HttpState>,
    Path(name): Path<String>,
    context: RequestContext,
    admission: TokenAdmission,
    SizedJson { value, bytes }: SizedJson<ModelElsewhere<EmbeddingsRequest>>,
) -> Result<Response, ApiError> {
    embeddings::embed(value.named(name), bytes, caller, state, context, admission).await
}
