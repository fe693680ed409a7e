//! `POST /v1/chat/completions`: a conversation goes on, in one piece or as a stream.

use super::Failures;
use super::wire::{
    ChatEvents, ChatRequest, ChatStyle, Completion, Head, Sifted, TokenLimits, place_in,
};
use crate::api::texts::{self, Answerer, KeptRequest, ReadCall, TextApi};
use crate::auth::{Authorized, Infer, Scope};
use crate::http::error::ApiError;
use crate::http::json::SizedJson;
use crate::http::policy::{RoutePolicy, Routes};
use crate::http::{Config, HttpState};
use crate::inference::{RequestContext, Text};
use crate::limits::{Counts, TokenAdmission};
use axum::extract::State;
use axum::response::Response;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::scope(Scope::Infer).counting(Counts::Tokens);
    Routes::default().add(policy, routes!(create))
}

/// Continues a conversation, in a fresh sandbox for each answer.
///
/// With `stream` the answer is server-sent events: chunks, then `[DONE]`. An error in the middle
/// of a stream is an event with the usual envelope, and the last one.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    tag = "OpenAI",
    request_body = ChatRequest,
    responses(
        (status = 200, content((Completion = "application/json"), (String = "text/event-stream"))),
        Failures,
    )
)]
async fn create(
    caller: Authorized<Infer>,
    State(state): State<HttpState>,
    context: RequestContext,
    admission: TokenAdmission,
    SizedJson { value, bytes }: SizedJson<Sifted<ChatRequest>>,
) -> Result<Response, ApiError> {
    texts::create(value, bytes, caller, state, context, admission).await
}

impl TextApi for Sifted<ChatRequest> {
    type Style = ChatStyle;
    type Answer = Completion;
    type Events = ChatEvents;

    fn model(&self) -> &str {
        &self.known.model
    }

    fn read(self, config: &Config) -> Result<ReadCall<ChatStyle>, ApiError> {
        let (request, others) = self.settle(config.input.unknown_members)?;
        let note = others.note();
        let (call, style) = request.read(others, TokenLimits::from(config))?;
        Ok(ReadCall {
            call,
            is_stream: style.is_stream,
            style,
            note,
        })
    }

    fn place(name: &str) -> Option<String> {
        place_in::<ChatRequest>(name)
    }

    fn answer(answerer: Answerer<'_>, text: Text, style: ChatStyle) -> Completion {
        let head = Head::new("chatcmpl", answerer);
        let mut completion = Completion::new(head, &text.usage, &style);
        for events in text.answers {
            completion.add(events, &style);
        }
        completion
    }

    fn kept(style: &mut ChatStyle) -> Option<KeptRequest> {
        style.kept.take()
    }

    fn bytes_out(style: &ChatStyle) -> usize {
        style.sound_bytes_max()
    }

    fn events(answerer: Answerer<'_>, style: ChatStyle) -> ChatEvents {
        ChatEvents::new(&Head::new("chatcmpl", answerer), style)
    }
}
