//! `POST /v1/responses/compact`: a conversation made short, to be gone on from in its place.
//!
//! The model is asked to sum it up. Its words are in `encrypted_content`, which is no secret here:
//! whoever sends it back sends a text of their own, and it is screened like one.

use super::kept::Before;
use super::{ResponseRequest, items};
use crate::api::openai::Failures;
use crate::api::openai::objects::{message_of, new_id, raw};
use crate::api::openai::wire::{Sifted, TokenLimits, place_in};
use crate::auth::{Authorized, Infer};
use crate::generation::Event;
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::json::{Json, SizedJson};
use crate::http::workers;
use crate::ids::sorted_uuid;
use crate::inference::{Counted, RequestContext, TextCall};
use crate::limits::TokenAdmission;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;
use utoipa::ToSchema;

/// What the model is asked for, behind the conversation.
const INSTRUCTION: &str = "Summarize the conversation so far in a few sentences, so that it can be continued from the \
     summary alone.";
/// What the summary stands behind where it is sent back.
const HEAD: &str = "Summary of the conversation so far: ";

/// A conversation that was made short.
#[derive(Serialize, ToSchema)]
pub(super) struct CompactedResponse {
    /// `resp_…`.
    id: String,
    /// `response.compaction`.
    object: &'static str,
    created_at: i64,
    /// All messages of the user, and an item `compaction` in the place of everything else.
    #[schema(value_type = Vec<Object>)]
    output: Vec<Box<RawValue>>,
    #[schema(value_type = Object)]
    usage: Value,
}

/// Makes a conversation short: the items of `input`, and those that it goes on from.
///
/// The model sums it up; what it says comes back as an item `compaction`, which the next request
/// has in the place of all but the messages of the user. Nothing is stored.
#[utoipa::path(
    post,
    path = "/v1/responses/compact",
    tag = "OpenAI",
    request_body = ResponseRequest,
    responses((status = 200, body = CompactedResponse), Failures)
)]
pub(super) async fn compact(
    caller: Authorized<Infer>,
    State(state): State<HttpState>,
    context: RequestContext,
    admission: TokenAdmission,
    SizedJson { value, bytes }: SizedJson<Sifted<ResponseRequest>>,
) -> Result<Json<CompactedResponse>, ApiError> {
    let (call, mut output) = prepare(&caller, &state, &context, value, bytes).await?;
    let inference = state.inference();
    let text = inference.generate(&caller, call, admission, &context, Instant::now());
    let text = text
        .await
        .map_err(|error| ApiError::from(error).naming(place_in::<ResponseRequest>))?;
    let mut summary = HEAD.to_owned();
    for event in text.answers.into_iter().flatten() {
        if let Event::Text(fragment) = event {
            summary.push_str(&fragment.text);
        }
    }
    output.push(raw(&serde_json::json!({
        "id": new_id("compaction"),
        "type": "compaction",
        "encrypted_content": items::sealed(&summary),
    })));
    Ok(Json(CompactedResponse {
        id: format!("resp_{}", sorted_uuid().simple()),
        object: "response.compaction",
        created_at: state.clock().now().as_second(),
        output,
        usage: super::output::usage(&text.usage),
    }))
}

/// The call that asks for a summary, and the messages of the user.
async fn prepare(
    caller: &Authorized<Infer>,
    state: &HttpState,
    context: &RequestContext,
    value: Sifted<ResponseRequest>,
    bytes: usize,
) -> Result<(Counted<TextCall>, Vec<Box<RawValue>>), ApiError> {
    let before = Before::of(value.known(), caller, state).await?;
    let (size, before) = (before.bytes, before.items);
    let (state, context) = (state.clone(), context.clone());
    let work = move || {
        let config = state.config();
        let (mut request, others) = value.settle(config.input.unknown_members)?;
        let input = request.input.take();
        let mut input = input.map_or(Ok(Vec::new()), items::normalized)?;
        if input.is_empty() && before.is_empty() {
            return Err(ApiError::missing_argument("input".to_owned()));
        }
        let all = before.iter().chain(&input);
        let users = all.filter(|item| is_of_user(item)).cloned().collect();
        input.push(message_of("user", INSTRUCTION, None));
        request.sums_up(input);
        let read = request.read(before, others, TokenLimits::from(config))?;
        let call = state.inference().prepare(&context, read.call)?;
        Ok::<_, ApiError>((call, users))
    };
    workers::run(bytes.saturating_add(size), work).await
}

fn is_of_user(item: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Said {
        r#type: Option<String>,
        role: Option<String>,
    }
    let said: Result<Said, _> = serde_json::from_str(item.get());
    said.is_ok_and(|said| {
        said.role.as_deref() == Some("user") && said.r#type.is_none_or(|kind| kind == "message")
    })
}
