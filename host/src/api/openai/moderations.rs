//! `POST /v1/moderations`: whether content is harmful, and in which way.

use super::Failures;
use super::wire::{Moderation, ModerationRequest, Sifted, place_in};
use crate::auth::{Authorized, Infer, Scope};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::json::{Json, SizedJson};
use crate::http::own_headers::X_BELLJAR_IGNORED;
use crate::http::policy::{RoutePolicy, Routes};
use crate::http::workers;
use crate::inference::RequestContext;
use crate::limits::{Counts, TokenAdmission};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::scope(Scope::Infer).counting(Counts::Tokens);
    Routes::default().add(policy, routes!(create))
}

/// Classifies texts and pictures, in a fresh sandbox.
#[utoipa::path(
    post,
    path = "/v1/moderations",
    tag = "OpenAI",
    request_body = ModerationRequest,
    responses((status = 200, body = Moderation), Failures)
)]
async fn create(
    caller: Authorized<Infer>,
    State(state): State<HttpState>,
    context: RequestContext,
    admission: TokenAdmission,
    SizedJson { value, bytes }: SizedJson<Sifted<ModerationRequest>>,
) -> Result<Response, ApiError> {
    let (call, style, note) = {
        let (state, context) = (state.clone(), context.clone());
        let prepare = move || {
            let (request, others) = value.settle(state.config().input.unknown_members)?;
            // The contract has no options for moderations.
            let note = others.without_options().note();
            let (call, style) = request.read()?;
            let call = state.inference().prepare(&context, call)?;
            Ok::<_, ApiError>((call, style, note))
        };
        workers::run(bytes, prepare).await?
    };
    let judged = state
        .inference()
        .classify(&caller, call, admission, &context);
    let judged = judged
        .await
        .map_err(|error| ApiError::from(error).naming(place_in::<ModerationRequest>))?;
    let mut response = Json(Moderation::new(judged.answer, style)).into_response();
    if let Some(note) = note {
        response.headers_mut().insert(X_BELLJAR_IGNORED, note);
    }
    Ok(response)
}
