//! Texts: a run for each answer to one prompt, in one piece or as a stream.

use super::pacing::{self, Observed};
use super::prompt_tokens::PromptTokens;
use super::scripted::{self, Script, TextRun};
use super::text_stream::{Answer, SimulatedTimes, TextStream};
use super::text_usage::{TextUsage, UsageSum};
use super::{
    Counted, Inference, InferenceError, RequestContext, TextCall, Tokens, UsageSettlement, failure,
    meter,
};
use crate::auth::{Authorized, Infer};
use crate::generation::{
    Bias, Collector, Event, GenerationStream, OutputLimits, StreamSink, Timing, TokenMeter, Whole,
};
use crate::limits::TokenAdmission;
use crate::models::LiveModel;
use crate::telemetry::metrics::OPEN_STREAMS;
use belljar_sandbox::wit::text;
use belljar_sandbox::wit::types::{Parameter, Value};
use belljar_sandbox::{Capability, ChunkSink, RunError};
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use std::sync::Arc;
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
    /// When they would have come, where nobody waited for them.
    pub simulated: Option<SimulatedTimes>,
}

/// One answer that is to be made.
struct Asked {
    request: text::Request,
    meter: TokenMeter,
    timing: Timing,
    observed: Option<Observed>,
}

/// A call whose model has been found and whose tokens have been reserved.
struct Reserved {
    model: Arc<LiveModel>,
    settlement: UsageSettlement,
    limits: OutputLimits,
    choices: u32,
    /// The prompts, where they have been counted.
    counted: Option<TextUsage>,
    /// What each answer's sandbox is asked, what counts its tokens, and when they are due.
    requests: Vec<Asked>,
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
        } = self.reserve(caller, model, call, (admission, since), context)?;
        let one = async |asked: Asked| {
            let Asked {
                request,
                meter,
                timing,
                observed,
            } = asked;
            let sink = Collector::new(&limits, meter);
            let run = self.run(script.as_ref(), (&model, request), sink, context);
            Ok((Collector::whole(run.await?.await?, timing).await, observed))
        };
        // In the order of the prompts, and never so many that a batch fills a queue by itself.
        let texts = stream::iter(requests.into_iter().map(one)).buffered(ANSWERS_AT_ONCE);
        let texts: Result<Vec<_>, _> = texts.try_collect().await;
        let texts = texts.inspect_err(|error| failure::note(&model, context, error))?;
        let mut usage = UsageSum::new(choices, texts.len(), counted, script.as_ref());
        let mut answers = Vec::with_capacity(texts.len());
        let mut simulated: Option<SimulatedTimes> = None;
        for (index, (whole, observed)) in texts.into_iter().enumerate() {
            let Whole {
                events,
                end,
                timing,
                token_times,
                own_times,
            } = whole;
            meter::note_end(&model, &end.cost);
            usage.add(index, &end);
            if timing.is_virtual() {
                let own = own_times.map(|times| times.first);
                let first = token_times.first().copied().or(own);
                let first = first.unwrap_or(timing.due());
                simulated = Some(SimulatedTimes::with(simulated, first, timing.due()));
            }
            if let Some(mut observed) = observed {
                for at in token_times {
                    observed.tokens(1, at, at);
                }
                if let Some(times) = own_times {
                    observed.own_tokens(times);
                }
                observed.end(&end, pacing::reason(&events), &timing);
            }
            answers.push(events);
        }
        let usage = usage.total;
        settlement.settle(usage.prompt_tokens, usage.completion_tokens);
        Ok(Text {
            model,
            answers,
            usage,
            simulated,
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
        } = self.reserve(caller, model, call, (admission, since), context)?;
        let open = async |asked: Asked| {
            let Asked {
                request,
                meter,
                timing,
                observed,
            } = asked;
            let (sink, queue) = StreamSink::new(&limits, meter);
            let run = self.run(script.as_ref(), (&model, request), sink, context);
            let events = GenerationStream::open(run.await?, queue, timing).await?;
            Ok(Answer {
                events,
                is_over: false,
                observed,
                reason: text::FinishReason::Stop,
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
        if let Some(Script::Said(said)) = script {
            return Ok(scripted::play(said, sink));
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
        (admission, since): (TokenAdmission, Instant),
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
        let mut cached = Vec::new();
        let usage_of = |tokens| self.prompt_usage(caller, &call, tokens, context, &mut cached);
        let counted = tokens.as_ref().map(usage_of);
        let name = self.pacing.as_ref().map(|_| call.model.clone());
        let mut paced = self.pacing.as_ref().map(|pacing| {
            let paced = pacing.of(pacing::Request {
                context,
                caller: &caller.caller,
                model: &model,
                asked: name.as_deref().unwrap_or_default(),
                choices: call.choices,
                tokens_max: call.limits.max_tokens,
                since,
            });
            let prompts = match &tokens {
                Some(tokens) => {
                    let counts = tokens.counts.iter().zip(cached);
                    counts.map(|prompt| paced.prompt(Ok(prompt))).collect()
                }
                None => vec![paced.prompt(Err(call.prompt_tokens_estimate))],
            };
            (paced, prompts)
        });
        let mut asked = |prompt: usize, request| {
            let (timing, observed) = match &mut paced {
                Some((paced, prompts)) => paced.answer_to(prompts, prompt),
                None => (Timing::of_model(since), None),
            };
            Asked {
                request,
                meter: TokenMeter::default(),
                timing,
                observed,
            }
        };
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
        for (prompt, request) in std::iter::once(request).chain(more).enumerate() {
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
            requests.extend(copies.map(|request| asked(prompt, request)));
            let request = text::Request {
                choice: last,
                ..request
            };
            requests.push(asked(prompt, request));
        }
        settlement.watch(requests.iter().map(|asked| asked.meter.clone()).collect());
        Ok(Reserved {
            model,
            settlement,
            limits,
            choices,
            counted,
            requests,
        })
    }

    /// What the prompts of a call have used. Adds how many tokens of each were in the cache.
    fn prompt_usage(
        &self,
        caller: &Authorized<Infer>,
        call: &TextCall,
        tokens: &Tokens<Vec<PromptTokens>>,
        context: &RequestContext,
        cached_tokens: &mut Vec<u32>,
    ) -> TextUsage {
        let now = std::time::Instant::now();
        let mut usage = TextUsage::default();
        for prompt in &tokens.counts {
            let owner = (&caller.caller, context.address(), call.model.as_str());
            let cached = self.cache.note(owner, prompt, call.cache, now);
            usage.prompt_tokens += u64::from(prompt.count);
            usage.audio_tokens += u64::from(prompt.audio);
            cached_tokens.push(cached.read.min(prompt.count));
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
