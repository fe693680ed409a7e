//! One caller runs one model.
//!
//! The only part that calls the sandbox. Each way to run takes a caller who has the right to, a
//! call that has been screened whole, and an admission that only the limiter makes; forgetting
//! one of them does not compile. It finds the ready model, runs, meters, settles what was
//! reserved however the run ends, and tells the log, the metrics and the audit log. It knows no
//! wire format and no HTTP.

mod asked_origin;
mod calls;
mod context;
mod counting;
mod failure;
mod media_tokens;
mod meter;
mod moderation;
mod outcome;
mod pacing;
mod prompt_cache;
mod prompt_place;
mod prompt_tokens;
mod ranking;
mod recording;
mod replay;
mod screen;
mod scripted;
mod settlement;
mod text;
mod text_stream;
mod text_usage;
mod token_limits;
mod tokenizing;

use crate::auth::{Authorized, Infer};
use crate::guard::{Screened, Screening};
use crate::limits::{Admission, RateError, TokenAdmission};
use crate::models::{LiveModel, ModelError, Registry, Served};
use crate::testing::{ScriptRefusal, Testing};
use crate::traces::{Span, attributes, spans};
pub use asked_origin::AskedOrigin;
use belljar_sandbox::wit::{embeddings, tensors};
use belljar_sandbox::{Completed, RunError, RunLabel};
pub use calls::{
    EmbeddingCall, Mark, ModerationCall, Places, RankingCall, RankingQuery, TensorCall, TextCall,
};
pub use context::RequestContext;
use counting::Tokens;
pub use counting::{CallRefusal, Countable, Counted};
pub use outcome::code;
use pacing::Pacing;
pub use prompt_cache::CacheUse;
use prompt_cache::PromptCache;
pub use prompt_place::PromptPlace;
pub use prompt_tokens::PromptTokens;
pub use ranking::Ranked;
pub use recording::Recorder;
pub use replay::{ReplayError, Replayed, StoppedRun};
pub use screen::ScreenRefusal;
use scripted::Script;
use settlement::UsageSettlement;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;
pub use text::Text;
pub use text_stream::{SimulatedTimes, TextStream};
pub use text_usage::TextUsage;
pub use token_limits::TooManyTokens;
pub use tokenizing::{DetokenizeCall, DetokenizeError, TokenizeCall, Tokenized};

/// Runs models for callers. Cheap to clone.
#[derive(Clone)]
pub struct Inference {
    registry: Registry,
    screening: Screening,
    recorder: Recorder,
    cache: Arc<PromptCache>,
    /// None where testers may do nothing.
    pacing: Option<Pacing>,
}

/// Why a model gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum InferenceError<I = Infallible> {
    /// There is no such model for this caller, or it cannot serve now.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The caller's minute does not hold what the request may use.
    #[error(transparent)]
    Rate(#[from] RateError),
    /// There are more tokens than the model has room for.
    #[error(transparent)]
    TooManyTokens(#[from] TooManyTokens),
    /// The model takes other inputs than these.
    #[error("the model takes other inputs")]
    Invalid(I),
    /// A rule of a tester's refuses it.
    #[error(transparent)]
    Script(#[from] ScriptRefusal),
    /// The run failed.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// An answer, and the model that gave it.
pub struct Answered<T> {
    /// Which version of which model.
    pub model: Arc<LiveModel>,
    /// What it answered.
    pub answer: T,
}

/// Vectors, and what they go on the bill as.
pub struct Embedded {
    /// The vectors, in the order of the inputs.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens of all inputs, as the model counts them and as far as that is believed.
    pub prompt_tokens: u32,
}

impl Inference {
    /// Runs the models of a registry, on calls that this screening has passed, and has the runs
    /// taken down.
    #[must_use]
    pub fn new(registry: Registry, screening: Screening, recorder: Recorder) -> Self {
        Self {
            registry,
            screening,
            recorder,
            cache: Arc::new(PromptCache::new()),
            pacing: None,
        }
    }

    /// The same, whose texts take as long as testers say, where they say anything.
    #[must_use]
    pub fn paced_by(self, testing: Option<&Testing>) -> Self {
        let pacing = testing.map(Pacing::new);
        Self { pacing, ..self }
    }

    /// Shows every text of a call to the screening. What is only to be reported is noted in the
    /// context.
    ///
    /// # Errors
    ///
    /// The first finding that blocks.
    pub fn screen<T: crate::guard::Texts>(
        &self,
        context: &RequestContext,
        call: T,
    ) -> Result<Screened<T>, ScreenRefusal> {
        let mut span = context.span(&spans::SCREENING);
        if let Some(span) = &mut span {
            span.set(&attributes::SCREENED, "call");
        }
        let screened = context.screen(&self.screening, call)?;
        Span::pass_any(span);
        Ok(screened)
    }

    /// Runs a tensor model once.
    ///
    /// # Errors
    ///
    /// When there is no such model for the caller, when it takes other tensors, and when the
    /// run fails.
    pub async fn infer<C: TensorCall>(
        &self,
        caller: &Authorized<Infer>,
        call: Screened<C>,
        admission: Admission,
        context: &RequestContext,
    ) -> Result<Answered<tensors::Response>, InferenceError<C::Invalid>> {
        let call = call.into_inner();
        let model = self.find(caller, call.model(), context).await?;
        let declared = model.inspection.tensors.as_ref();
        let request = call.fit(declared).await.map_err(InferenceError::Invalid)?;
        let run = model
            .model
            .infer(request, context.budget(&model), self.label(context, &model))
            .await;
        // The caller's place is held until the run is over.
        drop(admission);
        let answer = ended(&model, context, run)?;
        Ok(Answered { model, answer })
    }

    /// Turns texts into vectors.
    ///
    /// # Errors
    ///
    /// When there is no such model for the caller, when it has no room for an input, when the
    /// caller's minute does not hold the tokens, and when the run fails.
    pub async fn embed(
        &self,
        caller: &Authorized<Infer>,
        call: Counted<EmbeddingCall>,
        admission: TokenAdmission,
        context: &RequestContext,
    ) -> Result<Answered<Embedded>, InferenceError> {
        let Counted { call, tokens } = call;
        let script = scripted::script(context, || scripted::asking_of_inputs(call.get())).await?;
        let EmbeddingCall {
            model,
            inputs,
            dimensions,
            prompt_tokens_max,
            prompt_tokens_estimate,
            ..
        } = call.into_inner();
        let model = self.find(caller, &model, context).await?;
        if let Some(trace) = context.trace() {
            trace.note_operation("embeddings");
        }
        let counted = tokens.map(|tokens| tokens.of_inputs()).transpose()?;
        let prompt_tokens_estimate = counted.unwrap_or(prompt_tokens_estimate);
        let admission = admission.reserve(prompt_tokens_estimate)?;
        let mut settlement =
            UsageSettlement::new(admission, &caller.caller, prompt_tokens_estimate, context);
        let embeddings::Response {
            vectors,
            prompt_tokens,
        } = match script {
            Some(Script::Vector(vector)) => embeddings::Response {
                vectors: vec![vector; inputs.len()],
                prompt_tokens: prompt_tokens_estimate,
            },
            _ => {
                let run = model
                    .model
                    .embed(
                        inputs,
                        dimensions,
                        context.budget(&model),
                        self.label(context, &model),
                    )
                    .await;
                ended(&model, context, run)?
            }
        };
        let prompt_tokens = counted.unwrap_or(prompt_tokens.min(prompt_tokens_max));
        settlement.settle(prompt_tokens.into(), 0);
        let answer = Embedded {
            vectors,
            prompt_tokens,
        };
        Ok(Answered { model, answer })
    }

    /// The label for the runs of a request.
    fn label<'c>(&self, context: &'c RequestContext, model: &Arc<LiveModel>) -> &'c RunLabel {
        context.run_label(model, &self.recorder)
    }

    /// The model that answers to a name, noted as the one that the request runs on.
    async fn find(
        &self,
        caller: &Authorized<Infer>,
        name: &str,
        context: &RequestContext,
    ) -> Result<Arc<LiveModel>, ModelError> {
        if let Some(candidate) = context.candidate(name) {
            context.set_model(candidate);
            return Ok(Arc::clone(candidate));
        }
        let model = match self.registry.ready(name, &caller.caller)? {
            Served::Live(model) => {
                self.registry.note_asked(&model);
                model
            }
            away @ (Served::Away(_) | Served::Recorded(_)) => {
                let asked = Instant::now();
                // In a box: few requests wait, and each would carry the room for it.
                let model = Box::pin(self.registry.in_memory(away)).await?;
                context.note_load(asked.elapsed());
                model
            }
        };
        context.set_model(&model);
        if let Some(line) = self.registry.dev_error(&model) {
            context.note_dev_error(line);
        }
        Ok(model)
    }
}

impl Tokens<Vec<u32>> {
    /// The sum, where no input is longer than the model has room for.
    fn of_inputs(&self) -> Result<u32, TooManyTokens> {
        let is_alone = self.counts.len() == 1;
        let context = self.rules.context.unwrap_or(u32::MAX);
        let too_long = self.counts.iter().position(|tokens| *tokens > context);
        if let Some(index) = too_long {
            return Err(TooManyTokens::Prompt {
                place: PromptPlace::Embedding,
                field: counting::input_place(is_alone, index),
                tokens: self.counts.get(index).copied().unwrap_or_default(),
                context,
            });
        }
        Ok(self.counts.iter().copied().fold(0, u32::saturating_add))
    }
}

/// Counts a run that has ended, one way or the other.
fn ended<T>(
    model: &LiveModel,
    context: &RequestContext,
    run: Result<Completed<T>, RunError>,
) -> Result<T, RunError> {
    match run {
        Ok(Completed { value, cost }) => {
            meter::note_end(model, &cost);
            Ok(value)
        }
        Err(error) => {
            failure::note(model, context, &error);
            Err(error)
        }
    }
}
