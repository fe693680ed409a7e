//! One request to a model without a connection, as a route would take it: read, screened, admitted
//! and run by the code of the routes. For commands that try a bundle, and for the server where a
//! bundle says what its model has to answer.

mod examiner;
mod placed;
mod question;

use std::future::poll_fn;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use belljar_sandbox::{Budget, Profile, RunCost};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use crate::api::openai::wire::{
    ChatRequest, CompletionRequest, EmbeddingsRequest, Moderation, ModerationRequest,
    RerankRequest, Reranking, ScoreList, ScoreRequest, Sifted, write_embeddings,
};
use crate::api::tensors::infer;
use crate::api::texts::{Answerer, TextApi};
use crate::audit::AuditLog;
use crate::auth::{Authorized, Caller, Infer};
use crate::clock::Clock;
use crate::generation::Event;
use crate::http;
use crate::http::body;
use crate::http::error::ApiError;
use crate::http::json as wire_json;
use crate::ids::{RequestId, sorted_uuid};
use crate::inference::{AskedOrigin, Inference, RequestContext, TextStream, TextUsage};
use crate::limits::{Admission, Admitted, Counts, Limiter, TokenAdmission};
use crate::models::LiveModel;
use crate::net::ClientAddress;

pub(crate) use examiner::ExampleExaminer;
pub(crate) use placed::{Placed, PlacedError, answered, placed};
pub(crate) use question::{Question, WrongQuestion};

/// A request to the model, as the body that one of the surfaces takes.
#[derive(Clone)]
pub(crate) enum Call {
    Chat(Value),
    Completion(Value),
    Embeddings(Value),
    Moderation(Value),
    Rerank(Value),
    Score(Value),
    Tensors(Value),
}

/// How a request is run. By default as any other.
#[derive(Default)]
pub(crate) struct Manner {
    /// The seed and the time that its run is to have.
    pub(crate) origin: AskedOrigin,
    /// What it may spend in place of what the model may.
    pub(crate) budget: Option<Budget>,
    /// Whether it is looked at what its fuel goes for.
    pub(crate) is_profiled: bool,
    /// The version that it runs on where no other request finds it yet.
    pub(crate) candidate: Option<Arc<LiveModel>>,
}

/// A request that got no answer, with the code for programs.
#[derive(Debug, thiserror::Error)]
#[error("{message} ({code})")]
pub(crate) struct Refused {
    pub(crate) message: String,
    pub(crate) code: &'static str,
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// It was refused, or its run failed.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Whoever hears the answer did not take it.
    #[error("the answer could not be told: {0}")]
    Told(#[from] io::Error),
    /// It cannot be written as JSON.
    #[error("the request or its answer cannot be written: {0}")]
    Json(#[from] serde_json::Error),
}

type Result<T, E = AskError> = std::result::Result<T, E>;

/// Who hears an answer, piece by piece.
pub(crate) type Told<'a> = dyn FnMut(&str) -> io::Result<()> + Send + 'a;

/// What became of a request.
pub(crate) struct Asked {
    /// How it ended.
    pub(crate) outcome: Result<()>,
    /// What it took of the sandbox; none where nothing ran.
    pub(crate) cost: Option<RunCost>,
    /// What a text took, where it was told as it came and to its end.
    pub(crate) text: Option<TextTaken>,
    /// What its fuel went for, where that was looked at.
    pub(crate) profile: Option<Profile>,
}

/// What a text took.
#[derive(Clone, Copy)]
pub(crate) struct TextTaken {
    pub(crate) usage: TextUsage,
    /// From the request to the first piece of the answer.
    pub(crate) first: Duration,
    /// From the request to the end.
    pub(crate) whole: Duration,
}

/// What answers requests that came over no connection, for a caller without a key.
#[derive(Clone)]
pub(crate) struct Asker {
    pub(crate) inference: Inference,
    pub(crate) config: http::Config,
    pub(crate) limiter: Limiter,
    pub(crate) audit: AuditLog,
    pub(crate) clock: Clock,
}

impl Asker {
    /// Asks the model as a request to the server would, and tells the answer.
    pub(crate) async fn ask(&self, call: Call, manner: Manner, told: &mut Told<'_>) -> Asked {
        let run = match Run::new(self, manner.origin) {
            Ok(run) => run,
            Err(error) => {
                return Asked {
                    outcome: Err(error),
                    cost: None,
                    text: None,
                    profile: None,
                };
            }
        };
        let profiler = manner.is_profiled.then(|| run.context.profile());
        if let Some(budget) = manner.budget {
            run.context.try_with(budget);
        }
        if let Some(candidate) = manner.candidate {
            run.context.try_on(candidate);
        }
        let mut text = None;
        let outcome = run.ask(call, told, &mut text).await;
        Asked {
            outcome,
            cost: run.context.cost(),
            text,
            profile: profiler.map(|profiler| profiler.profile()),
        }
    }
}

/// One request.
struct Run<'a> {
    asker: &'a Asker,
    caller: Authorized<Infer>,
    context: RequestContext,
    since: Instant,
}

impl<'a> Run<'a> {
    fn new(asker: &'a Asker, origin: AskedOrigin) -> Result<Self> {
        let caller = Caller::anonymous();
        let context = RequestContext::new(RequestId::random(), asker.audit.clone());
        context.set_caller(caller.clone());
        if origin.is_something() {
            context.ask_for(origin);
        }
        Ok(Self {
            asker,
            caller: Authorized::check(caller).map_err(refusal)?,
            context,
            since: Instant::now(),
        })
    }

    async fn ask(
        &self,
        call: Call,
        told: &mut Told<'_>,
        taken: &mut Option<TextTaken>,
    ) -> Result<()> {
        let answer = match call {
            Call::Chat(body) => {
                let route = "/v1/chat/completions";
                let answer = self.texts::<Sifted<ChatRequest>>(route, &body, told, taken);
                return answer.await;
            }
            Call::Completion(body) => {
                let route = "/v1/completions";
                let answer = self.texts::<Sifted<CompletionRequest>>(route, &body, told, taken);
                return answer.await;
            }
            Call::Embeddings(body) => self.embeddings(&body).await?,
            Call::Moderation(body) => self.moderation(&body).await?,
            Call::Rerank(body) => self.rerank(&body).await?,
            Call::Score(body) => self.score(&body).await?,
            Call::Tensors(body) => self.tensors(&body).await?,
        };
        told(&String::from_utf8_lossy(&answer))?;
        Ok(told("\n")?)
    }

    /// Runs a request for texts of either kind.
    async fn texts<A: TextApi + DeserializeOwned>(
        &self,
        route: &str,
        body: &Value,
        told: &mut Told<'_>,
        taken: &mut Option<TextTaken>,
    ) -> Result<()> {
        let request: A = self.read(body)?;
        let asked = request.model().to_owned();
        let read = request.read(&self.asker.config).map_err(refusal)?;
        let inference = &self.asker.inference;
        let call = inference
            .prepare(&self.context, read.call)
            .map_err(refusal)?;
        let admission = self.admit_tokens(route)?;
        let (caller, context) = (&self.caller, &self.context);
        if read.is_stream {
            let texts = inference.stream(caller, call, admission, context, self.since);
            *taken = Some(self.tell(texts.await.map_err(refusal)?, told).await?);
            return Ok(told("\n")?);
        }
        let text = inference.generate(caller, call, admission, context, self.since);
        let text = text.await.map_err(refusal)?;
        let model = text.model.clone();
        let answerer = Answerer {
            asked,
            model: &model,
            created: self.asker.clock.now(),
            unique: sorted_uuid(),
            usage: text.usage,
        };
        let answer = A::answer(answerer, text, read.style);
        told(&serde_json::to_string(&answer)?)?;
        Ok(told("\n")?)
    }

    /// Tells a text as it comes.
    async fn tell(&self, mut texts: TextStream, told: &mut Told<'_>) -> Result<TextTaken> {
        let mut first = None;
        while let Some(event) = poll_fn(|context| texts.poll_next(context)).await {
            let (_, event) = event.map_err(refusal)?;
            first.get_or_insert_with(|| self.since.elapsed());
            if let Event::Text(fragment) = event {
                told(&fragment.text)?;
            }
        }
        let whole = self.since.elapsed();
        Ok(TextTaken {
            usage: *texts.usage(),
            first: first.unwrap_or(whole),
            whole,
        })
    }

    async fn embeddings(&self, body: &Value) -> Result<Vec<u8>> {
        let wire: EmbeddingsRequest = self.settled(body)?;
        let asked = wire.model.clone();
        let (call, style) = wire.read().map_err(refusal)?;
        let inference = &self.asker.inference;
        let call = inference.prepare(&self.context, call).map_err(refusal)?;
        let admission = self.admit_tokens("/v1/embeddings")?;
        let embedded = inference.embed(&self.caller, call, admission, &self.context);
        let embedded = embedded.await.map_err(refusal)?;
        Ok(write_embeddings(&asked, &embedded.answer, style))
    }

    async fn moderation(&self, body: &Value) -> Result<Vec<u8>> {
        let wire: ModerationRequest = self.settled(body)?;
        let (call, style) = wire.read().map_err(refusal)?;
        let inference = &self.asker.inference;
        let call = inference.prepare(&self.context, call).map_err(refusal)?;
        let admission = self.admit_tokens("/v1/moderations")?;
        let judged = inference.classify(&self.caller, call, admission, &self.context);
        let judged = judged.await.map_err(refusal)?;
        let answer = Moderation::new(judged.answer, style);
        Ok(serde_json::to_vec(&answer)?)
    }

    async fn rerank(&self, body: &Value) -> Result<Vec<u8>> {
        let wire: RerankRequest = self.settled(body)?;
        let (call, style) = wire.read().map_err(refusal)?;
        let inference = &self.asker.inference;
        let call = inference.prepare(&self.context, call).map_err(refusal)?;
        let admission = self.admit_tokens("/v1/rerank")?;
        let ranked = inference.rank(&self.caller, call, admission, &self.context);
        let answer = Reranking::new(ranked.await.map_err(refusal)?.answer, style);
        Ok(serde_json::to_vec(&answer)?)
    }

    async fn score(&self, body: &Value) -> Result<Vec<u8>> {
        let wire: ScoreRequest = self.settled(body)?;
        let asked = wire.model.clone();
        let call = wire.read().map_err(refusal)?;
        let inference = &self.asker.inference;
        let call = inference.prepare(&self.context, call).map_err(refusal)?;
        let admission = self.admit_tokens("/v1/score")?;
        let ranked = inference.rank(&self.caller, call, admission, &self.context);
        let ranked = ranked.await.map_err(refusal)?;
        let answer = ScoreList::new(asked, self.asker.clock.now(), ranked.answer);
        Ok(serde_json::to_vec(&answer)?)
    }

    /// Reads a body, and what it has beside what is known as the settings say.
    fn settled<T>(&self, body: &Value) -> Result<T>
    where
        Sifted<T>: DeserializeOwned,
    {
        let sifted: Sifted<T> = self.read(body)?;
        let unknown = self.asker.config.input.unknown_members;
        let (known, _) = sifted.settle(unknown).map_err(refusal)?;
        Ok(known)
    }

    async fn tensors(&self, body: &Value) -> Result<Vec<u8>> {
        let body = self.bytes(body)?;
        let bounds = self.asker.config.input.tensor_bounds();
        let (call, style) = infer::read_headless(&body, &bounds).map_err(refusal)?;
        drop(body);
        let inference = &self.asker.inference;
        let call = inference.screen(&self.context, call).map_err(refusal)?;
        let admission = self.admit("/infer")?;
        let answered = inference.infer(&self.caller, call, admission, &self.context);
        let mut answered = answered.await.map_err(refusal)?;
        style
            .asked
            .choose(&mut answered.answer.outputs)
            .map_err(refusal)?;
        let written = infer::write(&answered, &style).map_err(refusal)?;
        Ok(written.body)
    }

    /// Reads a body by the rules of the server.
    fn read<T: DeserializeOwned>(&self, body: &Value) -> Result<T> {
        let body = self.bytes(body)?;
        let bounds = self.asker.config.input.text_bounds();
        wire_json::check(&body, &bounds).map_err(refusal)?;
        wire_json::parse(&body).map_err(refusal)
    }

    /// A body that is no larger than the server takes.
    fn bytes(&self, body: &Value) -> Result<Bytes> {
        let body = Bytes::from(serde_json::to_vec(body)?);
        let limit = self.asker.config.body_bytes_max;
        if u64::try_from(body.len()).is_ok_and(|bytes| bytes <= limit) {
            Ok(body)
        } else {
            Err(refusal(ApiError::too_large(limit, body::SETTING)))
        }
    }

    fn admit(&self, route: &str) -> Result<Admission> {
        match self.enter(route, Counts::Request)? {
            Admitted::Request(admission) => Ok(admission),
            Admitted::Tokens(_) | Admitted::Opening => Err(other_admission(route)),
        }
    }

    fn admit_tokens(&self, route: &str) -> Result<TokenAdmission> {
        match self.enter(route, Counts::Tokens)? {
            Admitted::Tokens(admission) => Ok(admission),
            Admitted::Request(_) | Admitted::Opening => Err(other_admission(route)),
        }
    }

    fn enter(&self, route: &str, counts: Counts) -> Result<Admitted> {
        let address = ClientAddress::new(Ipv4Addr::LOCALHOST.into(), 128);
        let limiter = &self.asker.limiter;
        let entry = limiter.admit(&self.caller.caller, address, route, counts);
        entry.outcome.map_err(refusal)
    }
}

/// The limiter has counted another thing than it was asked to.
fn other_admission(route: &str) -> AskError {
    refusal(ApiError::internal(format!(
        "{route} was admitted for what it is not"
    )))
}

/// The words in which the server would refuse. What only the operator may read goes to the log.
fn refusal(error: impl Into<ApiError>) -> AskError {
    let error = error.into();
    if let Some(detail) = error.detail() {
        tracing::error!("the run failed: {detail}");
    }
    let (message, code) = (error.message().to_owned(), error.code());
    Refused { message, code }.into()
}
