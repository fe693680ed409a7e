//! `POST /v1/chat/completions`: a conversation goes on, in one piece or as a stream.

use super::wire::{ChatRequest, ChatStream, Completion, Head, Sifted, TokenLimits, place_in};
use super::{Failures, X_BELLJAR_IGNORED};
use crate::auth::{Authorized, Infer, Scope};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::json::{Json, SizedJson};
use crate::http::policy::{RoutePolicy, Routes};
use crate::http::workers;
use crate::inference::{InferenceError, RequestContext};
use crate::limits::{Counts, TokenAdmission};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, HeaderValue, header};
use tokio::time::Instant;
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
    let since = Instant::now();
    let inference = state.inference();
    let asked = value.known.model.clone();
    let (call, style, note) = {
        let (state, context) = (state.clone(), context.clone());
        let prepare = move || {
            let config = state.config();
            let (request, others) = value.settle(config.input.unknown_members)?;
            let note = others.note();
            let (call, style) = request.read(others, TokenLimits::from(config))?;
            let call = state.inference().screen(&context, call)?;
            Ok::<_, ApiError>((call, style, note))
        };
        workers::run(bytes, prepare).await?
    };
    let noted = |mut response: Response| {
        if let Some(note) = note {
            response.headers_mut().insert(X_BELLJAR_IGNORED, note);
        }
        response
    };
    if style.is_stream {
        let texts = inference.stream(&caller, call, admission, &context, since);
        let texts = texts.await.map_err(named)?;
        let head = Head::new(asked, texts.model(), state.clock().now());
        return Ok(noted(stream(ChatStream::new(&head, texts, context, style))));
    }
    let text = inference.generate(&caller, call, admission, &context, since);
    let text = text.await.map_err(named)?;
    let head = Head::new(asked, &text.model, state.clock().now());
    let mut completion = Completion::new(head, &text.usage);
    for events in text.answers {
        completion.add(events, &style);
    }
    Ok(noted(Json(completion).into_response()))
}

/// The error of a run, at the member of the request that it names.
fn named(error: InferenceError) -> ApiError {
    ApiError::from(error).naming(place_in::<ChatRequest>)
}

fn stream(stream: ChatStream) -> Response {
    let mut response = Response::new(Body::new(stream));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream; charset=utf-8"),
    );
    // Reverse proxies would otherwise collect the events.
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}
