//! `POST /v1/chat/completions`: a conversation goes on, in one piece or as a stream.

use super::Failures;
use super::wire::{ChatRequest, ChatStream, Completion, Head, StreamStyle, TokenLimits};
use crate::generation::{Collector, GenerationStream, StreamSink, TokenMeter};
use crate::guard::Screened;
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::extract::{Infer, May};
use crate::http::json::Json;
use crate::http::layers::{Limited, Record};
use crate::http::runs;
use crate::http::screening::{self, ChatTexts};
use crate::http::spending::Spending;
use crate::models::LiveModel;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use belljar_sandbox::wit::text;
use belljar_sandbox::{ChunkSink, Generated, RunError, RunHandle};
use futures_util::future::try_join_all;
use http::{HeaderName, HeaderValue, header};
use tokio::time::Instant;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(create))
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
    May { caller, .. }: May<Infer>,
    State(state): State<HttpState>,
    record: Record,
    limited: Limited,
    Json(wire): Json<ChatRequest>,
) -> Result<Response, ApiError> {
    let since = Instant::now();
    let asked = wire.model.clone();
    let config = state.config();
    let (mut call, texts) = wire.read(TokenLimits {
        default: config.tokens_default,
        max: config.tokens_max,
        choices_max: config.choices_max,
    })?;
    let texts = screening::pass(&state, &record, texts)?;
    let model = state.registry().ready(&asked, &caller)?;
    record.set_model(model.label.clone());
    call.fit_default_tokens(limited.tokens_max());
    let mut spending = Spending::new(
        limited.reserve(call.tokens_max())?,
        &caller,
        call.limits.prompt_tokens_estimate,
    );
    let head = Head::new(asked, &model, state.clock().now());
    let texts = requests(texts, call.limits.max_tokens, call.choices);
    let meters: Vec<_> = texts.iter().map(|_| TokenMeter::default()).collect();
    spending.watch(meters.clone());
    let texts = texts.into_iter().zip(meters);
    if call.is_stream {
        let open = async |(request, meter): (text::Request, TokenMeter)| {
            let (sink, queue) = StreamSink::new(&call.limits, meter);
            let run = generate(&model, &record, request, sink).await?;
            GenerationStream::open(run, queue, since).await
        };
        // What fails at once fails with a status.
        let answers = try_join_all(texts.map(open)).await;
        let answers = answers.map_err(|error| runs::note_failure(&model, &record, error))?;
        let style = StreamStyle {
            include_usage: call.include_usage,
            logprobs: call.logprobs,
            is_legacy: call.is_legacy,
        };
        Ok(stream(ChatStream::new(
            &head, answers, model, record, spending, style,
        )))
    } else {
        let collect = async |(request, meter): (text::Request, TokenMeter)| {
            let sink = Collector::new(&call.limits, meter);
            let run = generate(&model, &record, request, sink).await?;
            Ok(Collector::whole(run.await?, since).await)
        };
        let collected = try_join_all(texts.map(collect)).await;
        let collected = collected.map_err(|error| runs::note_failure(&model, &record, error))?;
        let mut completion = Completion::new(head);
        for (events, end) in collected {
            runs::note_end(&model, &end.spent);
            completion.add(events, &end, call.logprobs, call.is_legacy);
        }
        spending.settle(completion.prompt_tokens(), completion.completion_tokens());
        Ok(Json(completion).into_response())
    }
}

/// What each answer's sandbox is asked.
fn requests(texts: Screened<ChatTexts>, max_tokens: u32, choices: u32) -> Vec<text::Request> {
    let request = text::Request {
        max_tokens,
        ..texts.into_inner().request
    };
    // A conversation can be megabytes: the last answer takes it as it is.
    let last = choices.saturating_sub(1);
    let copies = (0..last).map(|choice| text::Request {
        choice,
        ..request.clone()
    });
    let mut requests: Vec<text::Request> = copies.collect();
    requests.push(text::Request {
        choice: last,
        ..request
    });
    requests
}

async fn generate<S: ChunkSink>(
    model: &LiveModel,
    record: &Record,
    request: text::Request,
    sink: S,
) -> Result<RunHandle<Generated<S>>, RunError> {
    let (budget, label) = (&model.budget, record.run_label());
    model.model.generate(request, sink, budget, label).await
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
