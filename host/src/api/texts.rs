//! The way of a request for texts, which all APIs share: read, screened, run, answered in one piece
//! or as a stream. An API says how its requests read and how its answers are written.

use super::text_body::{TextBody, TextEvents};
use crate::auth::{Authorized, Infer};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::json::Json;
use crate::http::workers;
use crate::inference::{InferenceError, RequestContext, Text, TextCall};
use crate::limits::TokenAdmission;
use crate::models::LiveModel;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;

/// The members of a request that were passed over because nobody knows them.
pub(crate) const X_BELLJAR_IGNORED: HeaderName = HeaderName::from_static("x-belljar-ignored");

/// A call that has been read, and how its answer is to be written.
pub(crate) struct ReadCall<S> {
    pub(crate) call: TextCall,
    pub(crate) style: S,
    /// Whether the answer is to be a stream.
    pub(crate) is_stream: bool,
    /// Members that were passed over.
    pub(crate) note: Option<HeaderValue>,
}

/// Who answers, and when: what all answers begin with.
pub(crate) struct Answerer<'m> {
    /// The name under which the caller asked for the model.
    pub(crate) asked: String,
    pub(crate) model: &'m LiveModel,
    pub(crate) created: Timestamp,
}

/// One API's way of asking for texts and of answering with them.
pub(crate) trait TextApi: Sized + Send + 'static {
    /// How an answer is to be written.
    type Style: Send + 'static;
    /// An answer in one piece.
    type Answer: Serialize;
    /// An answer as a stream.
    type Events: TextEvents;

    /// The name of the model that is asked for.
    fn model(&self) -> &str;

    /// Checks every field.
    fn read(self, config: &crate::http::Config) -> Result<ReadCall<Self::Style>, ApiError>;

    /// The place in a request that a model's own words name, where there is such a member.
    fn place(name: &str) -> Option<String>;

    /// The answer in one piece.
    fn answer(answerer: Answerer<'_>, text: Text, style: Self::Style) -> Self::Answer;

    /// The writer of the stream.
    fn events(answerer: Answerer<'_>, style: Self::Style) -> Self::Events;
}

/// Answers one request, whose body had so many bytes.
pub(crate) async fn create<A: TextApi>(
    request: A,
    bytes: usize,
    caller: Authorized<Infer>,
    state: HttpState,
    context: RequestContext,
    admission: TokenAdmission,
) -> Result<Response, ApiError> {
    let since = Instant::now();
    let inference = state.inference();
    let asked = request.model().to_owned();
    let prepare = {
        let (state, context) = (state.clone(), context.clone());
        move || {
            let read = request.read(state.config())?;
            let call = state.inference().screen(&context, read.call)?;
            Ok::<_, ApiError>((call, read.style, read.is_stream, read.note))
        }
    };
    let (call, style, is_stream, note) = workers::run(bytes, prepare).await?;
    let named = |error: InferenceError| ApiError::from(error).naming(A::place);
    let created = state.clock().now();
    let mut response = if is_stream {
        let texts = inference.stream(&caller, call, admission, &context, since);
        let texts = texts.await.map_err(named)?;
        let model = texts.model();
        let answerer = Answerer {
            asked,
            model,
            created,
        };
        let events = A::events(answerer, style);
        TextBody::new(texts, context, events).into_response()
    } else {
        let text = inference.generate(&caller, call, admission, &context, since);
        let text = text.await.map_err(named)?;
        let model = text.model.clone();
        let answerer = Answerer {
            asked,
            model: &model,
            created,
        };
        Json(A::answer(answerer, text, style)).into_response()
    };
    if let Some(note) = note {
        response.headers_mut().insert(X_BELLJAR_IGNORED, note);
    }
    Ok(response)
}
