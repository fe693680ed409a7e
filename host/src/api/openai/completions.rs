//! `POST /v1/completions`: texts go on, in one piece or as a stream.

use super::Failures;
use super::wire::{
    CompletionEvents, CompletionRequest, CompletionStyle, Head, Sifted, TextCompletion,
    TokenLimits, place_in,
};
use crate::api::texts::{self, Answerer, ReadCall, TextApi};
use crate::auth::{Authorized, Infer, Scope};
use crate::http::error::ApiError;
use crate::http::json::SizedJson;
use crate::http::policy::{RoutePolicy, Routes};
use crate::http::{Config, HttpState};
use crate::inference::{Counted, RequestContext, Text, TextCall};
use crate::limits::{Counts, TokenAdmission};
use axum::extract::State;
use axum::response::Response;
use utoipa_axum::routes;

pub(super) fn routes() -> Routes {
    let policy = RoutePolicy::scope(Scope::Infer).counting(Counts::Tokens);
    Routes::default().add(policy, routes!(create))
}

/// Continues texts, in a fresh sandbox for each answer.
///
/// With `stream` the answer is server-sent events: chunks, then `[DONE]`. An error in the middle
/// of a stream is an event with the usual envelope, and the last one.
#[utoipa::path(
    post,
    path = "/v1/completions",
    tag = "OpenAI",
    request_body = CompletionRequest,
    responses(
        (status = 200, content((TextCompletion = "application/json"), (String = "text/event-stream"))),
        Failures,
    )
)]
async fn create(
    caller: Authorized<Infer>,
    State(state): State<HttpState>,
    context: RequestContext,
    admission: TokenAdmission,
    SizedJson { value, bytes }: SizedJson<Sifted<CompletionRequest>>,
) -> Result<Response, ApiError> {
    texts::create(value, bytes, caller, state, context, admission).await
}

impl TextApi for Sifted<CompletionRequest> {
    type Style = CompletionStyle;
    type Answer = TextCompletion;
    type Events = CompletionEvents;

    fn model(&self) -> &str {
        &self.known.model
    }

    fn read(self, config: &Config) -> Result<ReadCall<CompletionStyle>, ApiError> {
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
        place_in::<CompletionRequest>(name)
    }

    fn prepared(style: &mut CompletionStyle, call: &Counted<TextCall>) -> Result<(), ApiError> {
        style.take_echo(call)
    }

    fn answer(answerer: Answerer<'_>, text: Text, style: CompletionStyle) -> TextCompletion {
        let head = Head::new("cmpl", answerer);
        TextCompletion::new(head, text.answers, &text.usage, &style)
    }

    fn events(answerer: Answerer<'_>, style: CompletionStyle) -> CompletionEvents {
        CompletionEvents::new(Head::new("cmpl", answerer), style)
    }
}
