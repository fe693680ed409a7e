//! `POST /v1/messages`: a conversation goes on, in one piece or as a stream; and
//! `POST /v1/messages/count_tokens`.

use super::Failures;
use super::answer::Message;
use super::request::{CountRequest, MessagesRequest, Style};
use super::stream::MessageEvents;
use crate::api::openai::wire::{Sifted, TokenLimits, place_in};
use crate::api::texts::{self, Answerer, ReadCall, TextApi};
use crate::auth::{Authorized, Infer, Scope};
use crate::http::error::ApiError;
use crate::http::json::{Json, SizedJson};
use crate::http::policy::{RoutePolicy, Routes};
use crate::http::workers;
use crate::http::{Config, HttpState};
use crate::ids::sorted_uuid;
use crate::inference::{RequestContext, Text};
use crate::limits::{Counts, TokenAdmission};
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::scope(Scope::Infer).counting(Counts::Tokens);
    Routes::default()
        .add(policy, routes!(create))
        .add(policy, routes!(count_tokens))
}

/// Continues a conversation, in a fresh sandbox.
///
/// With `stream` the answer is server-sent events from `message_start` to `message_stop`. An
/// error in the middle of a stream is an event `error`, and the last one.
#[utoipa::path(
    post,
    path = "/v1/messages",
    tag = "Anthropic",
    request_body = MessagesRequest,
    responses(
        (status = 200, content((Message = "application/json"), (String = "text/event-stream"))),
        Failures,
    )
)]
async fn create(
    caller: Authorized<Infer>,
    State(state): State<HttpState>,
    context: RequestContext,
    admission: TokenAdmission,
    SizedJson { value, bytes }: SizedJson<Sifted<MessagesRequest>>,
) -> Result<Response, ApiError> {
    texts::create(value, bytes, caller, state, context, admission).await
}

/// How many tokens a prompt has.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageTokens)]
struct Tokens {
    input_tokens: u64,
}

/// Counts the tokens of a conversation. A model that counts for itself is asked for one token.
#[utoipa::path(
    post,
    path = "/v1/messages/count_tokens",
    tag = "Anthropic",
    request_body = CountRequest,
    responses((status = 200, body = Tokens), Failures)
)]
async fn count_tokens(
    caller: Authorized<Infer>,
    State(state): State<HttpState>,
    context: RequestContext,
    admission: TokenAdmission,
    SizedJson { value, bytes }: SizedJson<Sifted<CountRequest>>,
) -> Result<Json<Tokens>, ApiError> {
    let prepare = {
        let (state, context) = (state.clone(), context.clone());
        move || {
            let config = state.config();
            let (request, others) = value.settle(config.input.unknown_members)?;
            let call = request.read(others)?;
            Ok::<_, ApiError>(state.inference().prepare(&context, call)?)
        }
    };
    let call = workers::run(bytes, prepare).await?;
    let count = state.inference();
    let count = count.count(&caller, call, admission, &context);
    let input_tokens = count
        .await
        .map_err(|error| ApiError::from(error).naming(place_in::<CountRequest>))?;
    Ok(Json(Tokens { input_tokens }))
}

/// The id of an answer.
fn id() -> String {
    format!("msg_{}", sorted_uuid().simple())
}

impl TextApi for Sifted<MessagesRequest> {
    type Style = Style;
    type Answer = Message;
    type Events = MessageEvents;

    fn model(&self) -> &str {
        &self.known.model
    }

    fn read(self, config: &Config) -> Result<ReadCall<Style>, ApiError> {
        let (request, others) = self.settle(config.input.unknown_members)?;
        let note = others.note();
        let is_stream = request.is_stream();
        let (call, style) = request.read(others, TokenLimits::from(config))?;
        Ok(ReadCall {
            call,
            style,
            is_stream,
            note,
        })
    }

    fn place(name: &str) -> Option<String> {
        place_in::<MessagesRequest>(name)
    }

    fn answer(answerer: Answerer<'_>, text: Text, style: Style) -> Message {
        let events = text.answers.into_iter().next().unwrap_or_default();
        Message::new((id(), answerer.asked), events, &text.usage, &style)
    }

    fn events(answerer: Answerer<'_>, style: Style) -> MessageEvents {
        MessageEvents::new(id(), answerer.asked, style, &answerer.usage)
    }
}
