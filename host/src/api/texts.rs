//! The way of a request for texts, which all APIs share: read, screened, run, answered in one piece
//! or as a stream. An API says how its requests read and how its answers are written.

use super::simulated;
use super::text_body::{Keep, TextBody, TextEvents};
use crate::auth::{Authorized, Infer};
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::json::Json;
use crate::http::own_headers::X_BELLJAR_IGNORED;
use crate::http::workers;
use crate::ids::sorted_uuid;
use crate::inference::{Counted, InferenceError, RequestContext, Text, TextCall, TextUsage};
use crate::limits::TokenAdmission;
use crate::models::LiveModel;
use crate::stored::{Kind, Owner, Record, StoredObjects};
use axum::response::{IntoResponse as _, Response};
use http::HeaderValue;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::time::Instant;
use uuid::Uuid;

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
    /// What tells the answer from all others.
    pub(crate) unique: Uuid,
    /// What has been used by now: the prompts, where the server counts them.
    pub(crate) usage: TextUsage,
}

/// What of a request is kept with its answer.
#[derive(Clone, Debug)]
pub(crate) struct KeptRequest {
    /// What the caller said, as a list in JSON.
    pub(crate) input: String,
    /// What the answer is kept with, as an object in JSON.
    pub(crate) options: String,
}

/// Keeps one answer.
struct Keeper {
    stored: StoredObjects,
    owner: Owner,
    request: KeptRequest,
    /// The request's id.
    asked: String,
}

impl Keeper {
    /// Keeps an answer, whose JSON has an `id`. It is on disk when this returns.
    async fn keep<A: Serialize>(self, answer: &A) -> Result<(), ApiError> {
        #[derive(Deserialize)]
        struct Named {
            id: String,
        }
        let unwritten = |_| ApiError::internal("an answer to be kept cannot be written");
        let KeptRequest { input, options } = self.request;
        // As text: a tree of it would have other numbers where they are short ones.
        let body = serde_json::to_string(answer).map_err(unwritten)?;
        let Named { id } = serde_json::from_str(&body).map_err(unwritten)?;
        let members = body.strip_suffix('}').unwrap_or(&body);
        let options = options.strip_prefix('{').unwrap_or("}");
        let asked = self.asked;
        let record = Record {
            id,
            body: format!("{members},\"request_id\":\"{asked}\",{options}"),
            input,
            previous: None,
        };
        let kept = self.stored.put(&self.owner, Kind::ChatCompletion, &record);
        kept.await.map_err(ApiError::from)
    }
}

/// One API's way of asking for texts and of answering with them.
pub(crate) trait TextApi: Sized + Send + 'static {
    /// How an answer is to be written.
    type Style: Clone + Send + 'static;
    /// An answer in one piece.
    type Answer: Serialize + Send + Sync;
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

    /// Takes note of the call as its model will get it.
    fn prepared(_style: &mut Self::Style, _call: &Counted<TextCall>) -> Result<(), ApiError> {
        Ok(())
    }

    /// What is kept of the request with its answer, where it asks for that.
    fn kept(_style: &mut Self::Style) -> Option<KeptRequest> {
        None
    }

    /// About how many bytes an answer has besides its texts.
    fn bytes_out(_style: &Self::Style) -> usize {
        0
    }

    /// The writer of the stream.
    fn events(answerer: Answerer<'_>, style: Self::Style) -> Self::Events;
}

/// Answers to the largest body there may be: each has a copy of the request to itself.
const LARGE_COPIES_MAX: u64 = 16;

/// Refuses more answers than there is room for beside a body of so many bytes.
fn check_copies(answers: u32, bytes: usize, body_bytes_max: u64) -> Result<(), ApiError> {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX).max(1);
    let most = body_bytes_max.saturating_mul(LARGE_COPIES_MAX) / bytes;
    if u64::from(answers) > most {
        let message = format!("expected at most {most} for a request of {bytes} bytes");
        return Err(ApiError::invalid_argument("n", message));
    }
    Ok(())
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
            check_copies(read.call.choices, bytes, state.config().body_bytes_max)?;
            let call = state.inference().prepare(&context, read.call)?;
            let mut style = read.style;
            A::prepared(&mut style, &call)?;
            Ok::<_, ApiError>((call, style, read.is_stream, read.note))
        }
    };
    let (call, mut style, is_stream, note) = workers::run(bytes, prepare).await?;
    let bytes_out = A::bytes_out(&style);
    let kept = A::kept(&mut style).filter(|_| state.stored().is_on());
    let keeper = kept.map(|request| Keeper {
        stored: state.stored().clone(),
        owner: Owner::of(&caller.caller),
        request,
        asked: context.id().to_string(),
    });
    let named = |error: InferenceError| ApiError::from(error).naming(A::place);
    let created = state.clock().now();
    let unique = sorted_uuid();
    let mut response = if is_stream {
        let texts = inference.stream(&caller, call, admission, &context, since);
        let texts = texts.await.map_err(named)?;
        let model = Arc::clone(texts.model());
        let keep = keeper.map(|keeper| {
            let (asked, model, style) = (asked.clone(), Arc::clone(&model), style.clone());
            let keep: Keep = Box::new(move |answers, usage| {
                let answerer = Answerer {
                    asked,
                    model: &model,
                    created,
                    unique,
                    usage,
                };
                let text = Text {
                    model: Arc::clone(&model),
                    answers,
                    usage,
                    simulated: None,
                };
                let answer = A::answer(answerer, text, style);
                Box::pin(async move { keeper.keep(&answer).await })
            });
            keep
        });
        let answerer = Answerer {
            asked,
            model: &model,
            created,
            unique,
            usage: *texts.usage(),
        };
        let events = A::events(answerer, style);
        TextBody::new(texts, context, events)
            .kept_by(keep)
            .into_response()
    } else {
        let text = inference.generate(&caller, call, admission, &context, since);
        let text = text.await.map_err(named)?;
        let times = text.simulated;
        let write = move || {
            let model = text.model.clone();
            let answerer = Answerer {
                asked,
                model: &model,
                created,
                unique,
                usage: text.usage,
            };
            A::answer(answerer, text, style)
        };
        let answer = workers::run(bytes_out, write).await;
        if let Some(keeper) = keeper {
            keeper.keep(&answer).await?;
        }
        let mut response = Json(answer).into_response();
        simulated::tell(response.headers_mut(), times);
        response
    };
    if let Some(note) = note {
        response.headers_mut().insert(X_BELLJAR_IGNORED, note);
    }
    Ok(response)
}
