//! `ModelStreamInfer`: many requests over one call, each answered in its turn.
//!
//! Each request is checked, limited, screened and counted by itself, and one that fails is answered
//! with what went wrong, after which the stream goes on. A few are worked on at once, the next is
//! read when there is room, and nothing is read while the caller takes no answers. A tensor model
//! gives one answer; a model of texts gives the pieces as they come, if it is asked to.

use super::answers::{one, refused};
use super::text::CallText;
use super::{infer, text};
use crate::api::tensors::grpc::option;
use crate::api::tensors::infer::{self as tensors, Asked, NamedRequest};
use crate::api::texts;
use crate::auth::{Authorized, Infer};
use crate::http::HttpState;
use crate::http::body::{Limits, Message, Messages};
use crate::http::error::{ApiError, ErrorText, ErrorType, LogDetail, Status};
use crate::http::grpc::{streamed, timeout};
use crate::http::signature::BodyCheck;
use crate::http::stream_gate::StreamGate;
use crate::http::workers;
use crate::inference::RequestContext;
use axum::extract::{FromRef as _, Request, State};
use axum::response::{IntoResponse as _, Response};
use belljar_sandbox::wit::types::Value;
use bytes::Bytes;
use futures_util::future::ready;
use futures_util::stream::{self, BoxStream, Stream, StreamExt as _, TryStreamExt as _};
use http::request::Parts;
use std::future::Future as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// Requests of one stream that are worked on at once.
const REQUESTS_AT_ONCE: usize = 8;

/// The answers to one request, each with its length before it.
type Answers = BoxStream<'static, Result<Bytes, ApiError>>;

pub(super) async fn infer(
    caller: Authorized<Infer>,
    State(state): State<HttpState>,
    context: RequestContext,
    gate: StreamGate,
    request: Request,
) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    refuse_signed(&head)?;
    let messages = Messages::of(&head, body, Limits::from_ref(&state))?;
    let deadline = timeout(&head.headers).map(|time| Instant::now() + time);
    let session = Arc::new(Session {
        caller,
        state,
        context,
        gate,
        under_way: AtomicUsize::new(0),
    });
    let answers = requests(messages, Arc::clone(&session))
        .map(move |request| answer(Arc::clone(&session), request))
        .buffered(REQUESTS_AT_ONCE)
        .flatten();
    Ok(streamed(until(deadline, answers)))
}

/// Refuses a stream of requests that is signed: what is signed is the whole body, whose end comes
/// after its requests have been answered.
pub(super) fn refuse_signed(head: &Parts) -> Result<(), ApiError> {
    if head.extensions.get::<BodyCheck>().is_some() {
        let message = "A stream of requests cannot be signed: send signed requests to ModelInfer.";
        return Err(ApiError::invalid_request("signed_stream", message));
    }
    Ok(())
}

/// What all requests of one stream have in common.
struct Session {
    caller: Authorized<Infer>,
    state: HttpState,
    context: RequestContext,
    gate: StreamGate,
    /// Requests whose last answer is still to come.
    under_way: AtomicUsize,
}

/// A request that is under way until this is dropped.
struct UnderWay(Arc<Session>);

impl UnderWay {
    fn begin(session: &Arc<Session>) -> Self {
        session.under_way.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(session))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The requests as they come, until the caller has sent its last, or there is a reason to take no
/// more, which is then the last item.
fn requests(
    messages: Messages,
    session: Arc<Session>,
) -> impl Stream<Item = Result<Message, ApiError>> + Send {
    stream::unfold(Some(messages), move |open| {
        let session = Arc::clone(&session);
        async move {
            let mut messages = open?;
            match session.next(&mut messages).await {
                Ok(Some(message)) => Some((Ok(message), Some(messages))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        }
    })
}

impl Session {
    async fn next(&self, messages: &mut Messages) -> Result<Option<Message>, ApiError> {
        let idle = self.state.config().idle_timeout;
        loop {
            let next = tokio::select! {
                biased;
                () = self.state.stopping().cancelled() => return Err(stopping()),
                next = tokio::time::timeout(idle, messages.has_more()) => next,
            };
            match next {
                Ok(has_more) => {
                    has_more?;
                    break;
                }
                // Nobody is asked to send more while there is something to wait for.
                Err(_) if self.under_way.load(Ordering::Relaxed) > 0 => {}
                Err(_) => return Err(silent(idle)),
            }
        }
        messages.next().await
    }

    /// Answers one request: with messages, or with a refusal of its own.
    async fn run(
        &self,
        message: Message,
        context: &RequestContext,
        under_way: UnderWay,
        id: &mut Option<String>,
    ) -> Result<Answers, Box<Response>> {
        let mut entered = self.gate.enter(context).await?;
        let Some(admission) = entered.admission.take() else {
            return Err(told(ApiError::internal("an admission was taken twice")));
        };
        let read = workers::run(message.len(), move || infer::read(message));
        let (model, request, bytes) = read.await.map_err(told)?;
        id.clone_from(&request.id);
        let (state, caller) = (&self.state, &self.caller);
        let found = state.registry().ready(&model, &caller.caller);
        if found.is_ok_and(|live| text::is_of_texts(&live)) {
            let call = CallText::new(model, request).map_err(told)?;
            let (caller, state) = (caller.clone(), state.clone());
            let made = texts::create(call, bytes, caller, state, context.clone(), admission);
            let body = made.await.map_err(told)?.into_body();
            let broken = |error: axum::Error| ApiError::internal(error.to_string());
            // Under way to its last byte, and with it its place among its caller's.
            let held = (under_way, context.clone());
            let answers = body.into_data_stream().map_err(broken).map(move |answer| {
                let _held = &held;
                answer
            });
            return Ok(answers.boxed());
        }
        let admission = admission.reserve(0).map_err(|error| told(error.into()))?;
        let read = move || {
            let asked = Asked::of(&request);
            Ok::<_, ApiError>((NamedRequest::new(model, request, bytes), asked))
        };
        let ran = tensors::run(state, caller, admission, context, bytes, read).await;
        let ran = ran.map_err(told)?;
        let bytes = ran.0.bytes();
        let report = context.reports();
        let written = workers::run(bytes, move || {
            let mut answer = infer::write(ran);
            if let Some(report) = report {
                let report = option(Value::Text(report));
                answer
                    .parameters
                    .insert("belljar_report".to_owned(), report);
            }
            one(answer, true)
        });
        Ok(stream::once(ready(Ok(written.await))).boxed())
    }
}

/// A refusal as it would be answered, which has in it what is told to others than the caller.
fn told(error: ApiError) -> Box<Response> {
    Box::new(error.into_response())
}

/// Answers one request, or passes on why there is none.
async fn answer(session: Arc<Session>, request: Result<Message, ApiError>) -> Answers {
    let message = match request {
        Ok(message) => message,
        Err(error) => return stream::once(ready(Err(error))).boxed(),
    };
    let under_way = UnderWay::begin(&session);
    let context = session.context.within();
    let mut id = None;
    match session.run(message, &context, under_way, &mut id).await {
        Ok(answers) => answers,
        Err(refusal) => {
            session.gate.leave(&context, &refusal);
            let extensions = refusal.extensions();
            if let Some(LogDetail(detail)) = extensions.get() {
                let trace_id = context.trace_id().map(tracing::field::display);
                tracing::error!(request.id = %context.id(), trace_id, "a request of a stream failed: {detail}");
            }
            let error = extensions.get::<ErrorText>();
            let refused = refused(error, id.as_deref());
            stream::once(ready(Ok(refused))).boxed()
        }
    }
}

/// The answers until then.
fn until(
    deadline: Option<Instant>,
    answers: impl Stream<Item = Result<Bytes, ApiError>> + Send + 'static,
) -> impl Stream<Item = Result<Bytes, ApiError>> + Send {
    let mut answers = Box::pin(answers);
    let mut timer = deadline.map(|at| Box::pin(tokio::time::sleep_until(at)));
    stream::poll_fn(move |context| {
        if let Some(timer) = &mut timer
            && timer.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Some(Err(over_time())));
        }
        answers.as_mut().poll_next(context)
    })
}

/// 504: the time that the caller gave the whole call is over.
fn over_time() -> ApiError {
    ApiError::new(
        Status::GatewayTimeout,
        ErrorType::InvalidRequest,
        "request_timeout",
        "The stream has lasted as long as its caller allows.",
    )
}

/// 503: the server takes nothing more.
pub(super) fn stopping() -> ApiError {
    ApiError::new(
        Status::ServiceUnavailable,
        ErrorType::Server,
        "stopping",
        "The server is about to stop; open another stream.",
    )
}

/// 503: the stream is open for nothing.
pub(super) fn silent(idle: Duration) -> ApiError {
    let message = format!(
        "No request came for {} s (the setting `http.idle_timeout`); open another stream.",
        idle.as_secs_f32()
    );
    ApiError::new(
        Status::ServiceUnavailable,
        ErrorType::InvalidRequest,
        "stream_idle",
        message,
    )
}
