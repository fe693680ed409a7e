//! Texts: a run for each answer to one prompt, in one piece or as a stream.

use super::prompt_tokens::PromptTokens;
use super::scripted::{self, Script, TextRun};
use super::{
    Counted, Inference, InferenceError, RequestContext, TextCall, Tokens, UsageSettlement, failure,
    meter,
};
use crate::auth::{Authorized, Infer};
use crate::generation::{
    Bias, Collector, End, Event, GenerationStream, OutputLimits, StreamSink, TokenMeter,
};
use crate::limits::TokenAdmission;
use crate::models::LiveModel;
use crate::telemetry::metrics::{OPEN_STREAMS, Present};
use belljar_sandbox::wit::text;
use belljar_sandbox::wit::types::{Parameter, Value};
use belljar_sandbox::{Capability, ChunkSink, RunError};
use belljar_testing::rules::SaidUsage;
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::Instant;

/// Answers of one request in one piece that are made at once.
const ANSWERS_AT_ONCE: usize = 16;

/// Texts that are complete.
pub struct Text {
    /// The model that made them.
    pub model: Arc<LiveModel>,
    /// The events of each answer: those to the first prompt, then those to the next.
    pub answers: Vec<Vec<Event>>,
    /// What all of them have used.
    pub usage: TextUsage,
}

/// Tokens of the prompts of one call and of all answers to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextUsage {
    /// Tokens of the prompts, each of which is paid for once.
    pub prompt_tokens: u64,
    /// Of those, tokens of sound, where the server counts them.
    pub audio_tokens: u64,
    /// Of those, tokens that were in the cache.
    pub cached_tokens: u64,
    /// Of those, tokens that are in the cache from now on because the caller asked for it.
    pub cache_written_tokens: u64,
    /// Tokens of all answers.
    pub completion_tokens: u64,
    /// Of those, tokens of reasoning.
    pub reasoning_tokens: u64,
}

/// The sum of what the answers have used, each prompt counted once.
#[derive(Debug)]
struct UsageSum {
    total: TextUsage,
    /// How many answers each prompt gets.
    choices: usize,
    /// Tokens of each prompt, and those of them that were cached, as the model says. None where
    /// they have been counted.
    prompts: Vec<(u64, u64)>,
    /// What a rule has the answers say that they used.
    said: SaidUsage,
}

impl UsageSum {
    /// A sum of nothing but the prompts, where those have been counted.
    fn new(
        choices: u32,
        answers: usize,
        counted: Option<TextUsage>,
        script: Option<&Script>,
    ) -> Self {
        let choices = usize::try_from(choices).unwrap_or(usize::MAX).max(1);
        let prompts = match counted {
            Some(_) => Vec::new(),
            None => vec![(0, 0); answers.div_ceil(choices)],
        };
        let mut sum = Self {
            total: counted.unwrap_or_default(),
            choices,
            prompts,
            said: match script {
                Some(Script::Said(said, _)) => said.usage,
                Some(Script::Vector(_)) | None => SaidUsage::default(),
            },
        };
        sum.say();
        sum
    }

    /// Puts what a rule says in the place of what is counted, as far as it says anything.
    fn say(&mut self) {
        let SaidUsage {
            prompt_tokens,
            completion_tokens,
            reasoning_tokens,
            cached_tokens,
        } = self.said;
        let total = &mut self.total;
        for (tokens, said) in [
            (&mut total.prompt_tokens, prompt_tokens),
            (&mut total.completion_tokens, completion_tokens),
            (&mut total.reasoning_tokens, reasoning_tokens),
            (&mut total.cached_tokens, cached_tokens),
        ] {
            if let Some(said) = said {
                *tokens = said.into();
            }
        }
    }

    /// Adds an answer, by its place among all.
    fn add(&mut self, answer: usize, end: &End) {
        let text::Usage {
            prompt_tokens,
            completion_tokens,
            reasoning_tokens,
            cached_tokens,
        } = end.usage;
        if let Some((prompt, cached)) = self.prompts.get_mut(answer / self.choices) {
            *prompt = u64::from(prompt_tokens).max(*prompt);
            *cached = u64::from(cached_tokens).max(*cached);
            self.total.prompt_tokens = self.prompts.iter().map(|(prompt, _)| prompt).sum();
            self.total.cached_tokens = self.prompts.iter().map(|(_, cached)| cached).sum();
        }
        self.total.completion_tokens += u64::from(completion_tokens);
        self.total.reasoning_tokens += u64::from(reasoning_tokens);
        self.say();
    }
}

/// Texts in the making. The stream is the runs: dropping it ends them, and settles what they
/// have used by then.
pub struct TextStream {
    model: Arc<LiveModel>,
    context: RequestContext,
    settlement: UsageSettlement,
    answers: Vec<Answer>,
    usage: UsageSum,
    /// The answer to look at first, so that none is starved by another that is always ready.
    next: usize,
    _open: Present,
}

struct Answer {
    events: GenerationStream<TextRun<StreamSink>>,
    is_over: bool,
}

/// A call whose model has been found and whose tokens have been reserved.
struct Reserved {
    model: Arc<LiveModel>,
    settlement: UsageSettlement,
    limits: OutputLimits,
    choices: u32,
    /// The prompts, where they have been counted.
    counted: Option<TextUsage>,
    /// What each answer's sandbox is asked, and what counts its tokens.
    requests: Vec<(text::Request, TokenMeter)>,
}

impl Inference {
    /// Makes texts, each in a sandbox of its own, and waits until the last of them is due.
    /// Delays count from `since`, the moment when the request came.
    ///
    /// # Errors
    ///
    /// When there is no such model for the caller, when its minute does not hold the tokens,
    /// and when a run fails.
    pub async fn generate(
        &self,
        caller: &Authorized<Infer>,
        call: Counted<TextCall>,
        admission: TokenAdmission,
        context: &RequestContext,
        since: Instant,
    ) -> Result<Text, InferenceError> {
        let asking = || scripted::asking_of_text(call.call.get(), false);
        let script = scripted::script(context, asking).await?;
        self.generate_by(script, (caller, call), admission, context, since)
            .await
    }

    /// The texts of a script, or of the model.
    async fn generate_by(
        &self,
        script: Option<Script>,
        (caller, call): (&Authorized<Infer>, Counted<TextCall>),
        admission: TokenAdmission,
        context: &RequestContext,
        since: Instant,
    ) -> Result<Text, InferenceError> {
        let name = &call.call.get().model;
        let model = self.find(caller, name, context).await?;
        let Reserved {
            model,
            mut settlement,
            limits,
            choices,
            counted,
            requests,
        } = self.reserve(caller, model, call, admission, context)?;
        let one = async |(request, meter): (text::Request, TokenMeter)| {
            let sink = Collector::new(&limits, meter);
            let run = self.run(script.as_ref(), (&model, request), sink, context);
            Ok(Collector::whole(run.await?.await?, since).await)
        };
        // In the order of the prompts, and never so many that a batch fills a queue by itself.
        let texts = stream::iter(requests.into_iter().map(one)).buffered(ANSWERS_AT_ONCE);
        let texts: Result<Vec<_>, _> = texts.try_collect().await;
        let texts = texts.inspect_err(|error| failure::note(&model, context, error))?;
        let mut usage = UsageSum::new(choices, texts.len(), counted, script.as_ref());
        let mut answers = Vec::with_capacity(texts.len());
        for (index, (events, end)) in texts.into_iter().enumerate() {
            meter::note_end(&model, &end.cost);
            usage.add(index, &end);
            answers.push(events);
        }
        let usage = usage.total;
        settlement.settle(usage.prompt_tokens, usage.completion_tokens);
        Ok(Text {
            model,
            answers,
            usage,
        })
    }

    /// Begins to make texts, each in a sandbox of its own, and waits until there is something
    /// of each. Delays count from `since`, the moment when the request came.
    ///
    /// # Errors
    ///
    /// When there is no such model for the caller, when its minute does not hold the tokens,
    /// and when a run fails before it has given anything.
    pub async fn stream(
        &self,
        caller: &Authorized<Infer>,
        call: Counted<TextCall>,
        admission: TokenAdmission,
        context: &RequestContext,
        since: Instant,
    ) -> Result<TextStream, InferenceError> {
        let asking = || scripted::asking_of_text(call.call.get(), true);
        let script = scripted::script(context, asking).await?;
        let name = &call.call.get().model;
        let model = self.find(caller, name, context).await?;
        let Reserved {
            model,
            settlement,
            limits,
            choices,
            counted,
            requests,
        } = self.reserve(caller, model, call, admission, context)?;
        let open = async |(request, meter): (text::Request, TokenMeter)| {
            let (sink, queue) = StreamSink::new(&limits, meter);
            let run = self.run(script.as_ref(), (&model, request), sink, context);
            let events = GenerationStream::open(run.await?, queue, since).await?;
            Ok(Answer {
                events,
                is_over: false,
            })
        };
        let answers = try_join_all(requests.into_iter().map(open)).await;
        let answers = answers.inspect_err(|error| failure::note(&model, context, error))?;
        Ok(TextStream {
            model,
            context: context.clone(),
            settlement,
            usage: UsageSum::new(choices, answers.len(), counted, script.as_ref()),
            answers,
            next: 0,
            _open: OPEN_STREAMS.enter(),
        })
    }

    /// Begins one text: a script's, where there is one, or else the model's.
    async fn run<S: ChunkSink>(
        &self,
        script: Option<&Script>,
        (model, request): (&Arc<LiveModel>, text::Request),
        sink: S,
        context: &RequestContext,
    ) -> Result<TextRun<S>, RunError> {
        if let Some(Script::Said(said, delay)) = script {
            return Ok(scripted::play(said, *delay, sink));
        }
        let budget = context.budget(model);
        let label = self.label(context, model);
        let run = model.model.generate(request, sink, budget, label).await?;
        Ok(TextRun::Model(run))
    }

    fn reserve(
        &self,
        caller: &Authorized<Infer>,
        model: Arc<LiveModel>,
        call: Counted<TextCall>,
        admission: TokenAdmission,
        context: &RequestContext,
    ) -> Result<Reserved, InferenceError> {
        let Counted { call, mut tokens } = call;
        let mut call = call.into_inner();
        if let Some(trace) = context.trace() {
            trace.note_operation(match call.request.prompt {
                text::Prompt::Messages(_) => "chat",
                text::Prompt::Text(_) | text::Prompt::Tokens(_) => "text_completion",
            });
        }
        if let Some(tokens) = &mut tokens {
            call.hold_to(tokens)?;
        }
        call.fit_default_tokens(admission.tokens_max());
        let admission = admission.reserve(call.tokens_max())?;
        let mut settlement = UsageSettlement::new(
            admission,
            &caller.caller,
            call.prompt_tokens_estimate,
            context,
        );
        let counted = tokens.map(|tokens| self.prompt_usage(caller, &call, &tokens, context));
        let TextCall {
            request,
            further_prompts,
            limits,
            choices,
            names_stop,
            tokens_are_default,
            ..
        } = call;
        let mut parameters = request.parameters;
        let mut tell = |name: &str| {
            parameters.push(Parameter {
                name: name.to_owned(),
                value: Value::Boolean(true),
            });
        };
        if counted.is_some() && model.is_embedded {
            tell("tokens_counted_by_host");
            // Nobody who does not say how long wants a word as often as there is room for it.
            let never_ends = |bias: &Arc<Bias>| bias.never_ends();
            if !tokens_are_default && limits.bias.as_ref().is_some_and(never_ends) {
                tell("ignore_eos");
            }
            let ends_at_once = |bias: &Arc<Bias>| bias.ends_at_once();
            if limits.bias.as_ref().is_some_and(ends_at_once) {
                tell("ends_at_once");
            }
        }
        let request = text::Request {
            stop: if names_stop { Vec::new() } else { request.stop },
            parameters,
            ..request
        };
        let mut requests = Vec::new();
        let more = further_prompts.into_iter().map(|prompt| text::Request {
            prompt,
            // The prompt can be megabytes; what goes with it is copied for each.
            ..without_prompt(&request)
        });
        let more: Vec<_> = more.collect();
        for request in std::iter::once(request).chain(more) {
            let request = text::Request {
                max_tokens: limits.max_tokens,
                ..request
            };
            // A conversation can be megabytes: the last answer takes it as it is.
            let last = choices.saturating_sub(1);
            let copies = (0..last).map(|choice| text::Request {
                choice,
                ..request.clone()
            });
            requests.extend(copies.map(|request| (request, TokenMeter::default())));
            let request = text::Request {
                choice: last,
                ..request
            };
            requests.push((request, TokenMeter::default()));
        }
        settlement.watch(requests.iter().map(|(_, meter)| meter.clone()).collect());
        Ok(Reserved {
            model,
            settlement,
            limits,
            choices,
            counted,
            requests,
        })
    }

    /// What the prompts of a call have used, and what of them was in the cache.
    fn prompt_usage(
        &self,
        caller: &Authorized<Infer>,
        call: &TextCall,
        tokens: &Tokens<Vec<PromptTokens>>,
        context: &RequestContext,
    ) -> TextUsage {
        let now = std::time::Instant::now();
        let mut usage = TextUsage::default();
        for prompt in &tokens.counts {
            let owner = (&caller.caller, context.address(), call.model.as_str());
            let cached = self.cache.note(owner, prompt, call.cache, now);
            usage.prompt_tokens += u64::from(prompt.count);
            usage.audio_tokens += u64::from(prompt.audio);
            usage.cached_tokens += u64::from(cached.read.min(prompt.count));
            usage.cache_written_tokens += u64::from(cached.written);
        }
        usage
    }

    /// How many tokens the prompts of a call have: as they have been counted, or as the model
    /// counts them, which is asked for an answer then.
    ///
    /// # Errors
    ///
    /// When there is no such model for the caller, when its minute holds no further request, and
    /// when the run fails.
    pub async fn count(
        &self,
        caller: &Authorized<Infer>,
        call: Counted<TextCall>,
        admission: TokenAdmission,
        context: &RequestContext,
    ) -> Result<u64, InferenceError> {
        let Some(tokens) = &call.tokens else {
            let now = Instant::now();
            let text = self.generate_by(None, (caller, call), admission, context, now);
            return Ok(text.await?.usage.prompt_tokens);
        };
        let model = self.find(caller, &call.call.get().model, context).await?;
        if !model.capabilities().has(Capability::Text) {
            let interface = Capability::Text.name();
            return Err(RunError::NoCapability { interface }.into());
        }
        drop(admission.reserve(0)?);
        let counts = tokens.counts.iter().map(|prompt| u64::from(prompt.count));
        Ok(counts.sum())
    }
}

/// A request as it is, but for its prompt.
fn without_prompt(request: &text::Request) -> text::Request {
    let text::Request {
        prompt: _,
        max_tokens,
        stop,
        sampling,
        tools,
        tool_choice,
        parallel_tool_calls,
        response_format,
        reasoning_effort,
        choice,
        parameters,
    } = request;
    text::Request {
        prompt: text::Prompt::Tokens(Vec::new()),
        max_tokens: *max_tokens,
        stop: stop.clone(),
        sampling: sampling.clone(),
        tools: tools.clone(),
        tool_choice: tool_choice.clone(),
        parallel_tool_calls: *parallel_tool_calls,
        response_format: response_format.clone(),
        reasoning_effort: *reasoning_effort,
        choice: *choice,
        parameters: parameters.clone(),
    }
}

impl TextStream {
    /// The model that makes the texts.
    #[must_use]
    pub fn model(&self) -> &Arc<LiveModel> {
        &self.model
    }

    /// What all answers have used. The whole of it once there are no more events.
    #[must_use]
    pub fn usage(&self) -> &TextUsage {
        &self.usage.total
    }

    /// The next event that is due, and the answer it belongs to; none after the last.
    ///
    /// # Errors
    ///
    /// When a run failed; nothing comes after it, and the others end.
    pub fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<(usize, Event), RunError>>> {
        let count = self.answers.len();
        for offset in 0..count {
            let index = self.next.wrapping_add(offset) % count;
            let answer = self.answers.get_mut(index);
            let Some(answer) = answer.filter(|answer| !answer.is_over) else {
                continue;
            };
            match answer.events.poll_next(context) {
                Poll::Pending => {}
                Poll::Ready(Some(Ok(event))) => {
                    self.next = index.wrapping_add(1);
                    return Poll::Ready(Some(Ok((index, event))));
                }
                Poll::Ready(Some(Err(error))) => {
                    failure::note(&self.model, &self.context, &error);
                    self.answers.clear();
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Ready(None) => {
                    answer.is_over = true;
                    if let Some(end) = answer.events.end() {
                        meter::note_end(&self.model, &end.cost);
                        self.usage.add(index, end);
                    }
                }
            }
        }
        if self.answers.iter().any(|answer| !answer.is_over) {
            return Poll::Pending;
        }
        // None are left after a failure, which settles by what was made until then.
        if !self.answers.is_empty() {
            let TextUsage {
                prompt_tokens,
                completion_tokens,
                ..
            } = self.usage.total;
            self.settlement.settle(prompt_tokens, completion_tokens);
        }
        Poll::Ready(None)
    }
}
