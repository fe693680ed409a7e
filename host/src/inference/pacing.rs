//! How long texts take where testers say so: what is set for a model and a key or asked for by a
//! request, the simulated servers that answers share, and what the metrics tell of both.

mod load;
mod servers;

use super::RequestContext;
use super::prompt_tokens::PromptTokens;
use crate::auth::Caller;
use crate::generation::{End, Event, OwnTimes, Pace, Timing};
use crate::models::LiveModel;
use crate::telemetry::metrics::{AdapterUse, set_adapters};
use crate::testing::{Latencies, RuledRequest, TestedRequest, Testing};
use belljar_sandbox::wit::text::FinishReason;
use belljar_testing::latency::{Latency, Pacer, PromptSize, Turn};
use belljar_testing::scheduler::Prompt;
use belljar_testing::world::{AskedLatency, World, WorldClock};
use load::{Ended, ModelLoad, Running};
use servers::Servers;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// What testers say of how long texts take. Cheap to clone.
#[derive(Clone)]
pub(super) struct Pacing(Arc<Shared>);

struct Shared {
    latencies: Arc<Latencies>,
    /// The world of requests that name none.
    shared: Arc<World>,
    servers: Servers,
    /// Requests that are in no world of their own.
    requests: AtomicU64,
    /// What hashes of a caller's prompts are mixed with: nobody learns by how long an answer takes
    /// what another's prompts begin with.
    owners: RandomState,
}

/// The request whose answers are to be paced.
pub(super) struct Request<'r> {
    pub(super) context: &'r RequestContext,
    pub(super) caller: &'r Caller,
    pub(super) model: &'r LiveModel,
    /// The name under which the model was asked for.
    pub(super) asked: &'r str,
    /// How many answers to each prompt.
    pub(super) choices: u32,
    /// The most tokens of each answer.
    pub(super) tokens_max: u32,
    pub(super) since: Instant,
}

/// What all answers to one request have in common.
pub(super) struct Paced<'r> {
    pacing: &'r Pacing,
    request: Request<'r>,
    latency: Option<Arc<Latency>>,
    seed: u64,
    number: u64,
    is_virtual: bool,
    /// How much later all of it is, as the rule that answers says.
    delay: Duration,
    load: Arc<ModelLoad>,
    answers: u32,
    /// Those to the prompt of this number, where there are several.
    choices: Option<(usize, Arc<Choices>)>,
}

/// One prompt, as far as its length goes.
pub(super) struct PacedPrompt {
    size: PromptSize,
    prompt: Arc<Prompt>,
}

/// All answers to one prompt.
#[derive(Debug)]
struct Choices {
    /// Those that are not over.
    left: AtomicU32,
    /// Tokens of the longest that is over.
    longest: AtomicU32,
}

/// What is told of one answer while it is made.
#[derive(Debug)]
pub(super) struct Observed {
    load: Arc<ModelLoad>,
    /// None where there is no other to the same prompt.
    choices: Option<Arc<Choices>>,
    tokens_max: u32,
    /// Where no simulated server counts it.
    _running: Option<Running>,
    _adapter: Option<Arc<AdapterUse>>,
    prompt_tokens: u32,
    first: Option<Duration>,
    /// When the last token was due.
    due: Duration,
    /// When it came.
    last: Duration,
    tokens: u32,
}

impl Pacing {
    pub(super) fn new(testing: &Testing) -> Self {
        let latencies = Arc::clone(testing.latencies());
        set_adapters(latencies.adapters());
        Self(Arc::new(Shared {
            latencies,
            shared: Arc::clone(testing.worlds().shared()),
            servers: Servers::default(),
            requests: AtomicU64::new(0),
            owners: RandomState::new(),
        }))
    }

    /// What is set for a request, and what tells its answers from all others.
    pub(super) fn of<'r>(&'r self, request: Request<'r>) -> Paced<'r> {
        let tested = request.context.tested();
        let key = request.caller.key_id();
        let key = key.map(|key| key.as_str());
        let name = request.model.id.name.as_ref();
        let latency = match tested.and_then(|tested| self.asked(tested)) {
            Some(asked) => asked,
            None => self.0.latencies.of(&[request.asked, name], key),
        };
        let (seed, number) = match tested {
            Some(tested) => (tested.world.seed(), tested.number),
            None => (0, self.0.requests.fetch_add(1, Ordering::Relaxed)),
        };
        let is_virtual = tested.is_some_and(|tested| tested.clock == WorldClock::Virtual);
        let ruled = tested.and_then(|tested| tested.ruled.as_ref());
        let delay = ruled.map_or(Duration::ZERO, RuledRequest::take_delay);
        let load = self.0.servers.load(name);
        Paced {
            pacing: self,
            request,
            latency,
            seed,
            number,
            is_virtual,
            delay,
            load,
            answers: 0,
            choices: None,
        }
    }

    /// What a tester asks for: by header, by the rule that answers, or for all of a world.
    fn asked(&self, tested: &TestedRequest) -> Option<AskedLatency> {
        let of_rule = || {
            let text = tested.ruled.as_ref()?.latency()?;
            // It was read when the rules were, against what the settings say now as well.
            self.0.latencies.read(text).ok()
        };
        let asked = tested.latency.clone();
        asked.or_else(of_rule).or_else(|| tested.world.latency())
    }
}

impl Paced<'_> {
    /// A prompt whose tokens were counted, and how many of them the caller's cache has; or one of
    /// about so many.
    pub(super) fn prompt(&self, tokens: Result<(&PromptTokens, u32), u32>) -> PacedPrompt {
        let (count, cached, blocks) = match tokens {
            Ok((tokens, cached)) => (tokens.count, cached, tokens.blocks.as_slice()),
            Err(about) => (about, 0, &[][..]),
        };
        let wants_blocks = self.latency.as_ref().is_some_and(|of| of.engine.is_some());
        let blocks = if wants_blocks { blocks } else { &[] };
        let Request {
            context, caller, ..
        } = &self.request;
        let owner = match (caller.key_id(), context.address()) {
            (Some(key), _) => self.pacing.0.owners.hash_one(key.as_str()),
            (None, Some(address)) => self.pacing.0.owners.hash_one(address.ip()),
            (None, None) => self.number,
        };
        let blocks = blocks.iter().map(|hash| hash ^ owner).collect();
        PacedPrompt {
            size: PromptSize {
                tokens: count,
                cached,
            },
            prompt: Arc::new(Prompt::new(count, blocks)),
        }
    }

    /// The times of the next answer, to the prompt of this number, and what tells the metrics of it.
    /// The last of the prompts stands for those that have not been counted.
    pub(super) fn answer_to(
        &mut self,
        prompts: &[PacedPrompt],
        number: usize,
    ) -> (Timing, Option<Observed>) {
        let Some(prompt) = prompts.get(number).or(prompts.last()) else {
            return (Timing::of_model(self.request.since), None);
        };
        let turn = Turn {
            seed: self.seed,
            request: self.number,
            answer: self.answers,
        };
        self.answers = self.answers.saturating_add(1);
        let adapter = self.pacing.0.latencies.adapter(self.request.asked);
        let adapter = adapter.map(|name| Arc::new(AdapterUse::waiting(name)));
        let (pace, is_simulated) = match &self.latency {
            None => (Pace::Model, false),
            Some(latency) if latency.engine.is_some() => {
                self.seat(latency, turn, prompt, adapter.clone())
            }
            Some(latency) => {
                let pacer = Pacer::new(Arc::clone(latency), turn, prompt.size);
                (Pace::Set(Box::new(pacer)), false)
            }
        };
        if !is_simulated && let Some(adapter) = &adapter {
            adapter.begin();
        }
        let running = (!is_simulated).then(|| self.load.enter());
        let timing = Timing::new(self.request.since, pace, self.is_virtual).delayed(self.delay);
        let observed = Observed {
            load: Arc::clone(&self.load),
            choices: self.choices_of(number),
            tokens_max: self.request.tokens_max,
            _running: running,
            _adapter: adapter,
            prompt_tokens: prompt.size.tokens,
            first: None,
            due: Duration::ZERO,
            last: Duration::ZERO,
            tokens: 0,
        };
        (timing, Some(observed))
    }

    /// What all answers to the prompt of this number share, where there are several.
    fn choices_of(&mut self, number: usize) -> Option<Arc<Choices>> {
        if self.request.choices < 2 {
            return None;
        }
        if let Some((of, choices)) = &self.choices
            && *of == number
        {
            return Some(Arc::clone(choices));
        }
        let choices = Arc::new(Choices::of(self.request.choices));
        self.choices = Some((number, Arc::clone(&choices)));
        Some(choices)
    }

    /// A place in the simulated server of the model. Where that is full, the model says itself how
    /// long it takes.
    fn seat(
        &self,
        latency: &Arc<Latency>,
        turn: Turn,
        prompt: &PacedPrompt,
        adapter: Option<Arc<AdapterUse>>,
    ) -> (Pace, bool) {
        let Some(engine) = &latency.engine else {
            return (Pace::Model, false);
        };
        let world = self.request.context.tested().map(|tested| &tested.world);
        let world = world.unwrap_or(&self.pacing.0.shared);
        let name: &str = self.request.model.id.name.as_ref();
        let servers = &self.pacing.0.servers;
        let server = servers.server(world, name, engine, self.is_virtual);
        let way = latency.ttft.as_ref();
        let way = way.map_or(Duration::ZERO, |way| way.sample_time(&mut turn.generator()));
        let before = match self.is_virtual {
            true => way,
            false => way.saturating_add(self.request.since.elapsed()),
        };
        let load = Arc::clone(&self.load);
        let begun = Box::new(move |waited| {
            load.note_queued(waited);
            if let Some(adapter) = adapter {
                adapter.begin();
            }
        });
        match server.enter(Arc::clone(&prompt.prompt), before, begun) {
            Ok(seat) => (Pace::Simulated(Box::new(seat)), true),
            Err(full) => {
                tracing::warn!(model = name, "an answer is not simulated: {full}");
                (Pace::Model, false)
            }
        }
    }
}

impl Choices {
    fn of(count: u32) -> Self {
        Self {
            left: AtomicU32::new(count),
            longest: AtomicU32::new(0),
        }
    }

    /// Notes the end of an answer. Gives the tokens of the longest once the last is over.
    fn end(&self, tokens: u32) -> Option<u32> {
        self.longest.fetch_max(tokens, Ordering::AcqRel);
        let left = self.left.fetch_sub(1, Ordering::AcqRel);
        (left == 1).then(|| self.longest.load(Ordering::Acquire))
    }
}

impl Observed {
    /// Notes tokens that were due and came this long after the request. Those that are due at one
    /// moment come of one step, and only a step has a gap to the one before: so vLLM counts them
    /// (`IterationStats.update_from_output`), and a model that waits for nothing costs little here.
    pub(super) fn tokens(&mut self, count: u32, due: Duration, came: Duration) {
        if count == 0 {
            return;
        }
        self.tokens = self.tokens.saturating_add(count);
        match self.first {
            None => {
                self.first = Some(came);
                self.load.note_first(came);
            }
            Some(_) if due == self.due => return,
            Some(_) => self.load.note_gap(came.saturating_sub(self.last)),
        }
        self.due = due;
        self.last = came;
    }

    /// Notes tokens of which the first and the last are known. The others are as far from one
    /// another.
    pub(super) fn own_tokens(&mut self, times: OwnTimes) {
        let OwnTimes {
            tokens,
            first,
            last,
        } = times;
        let rest = last.saturating_sub(first);
        let gap = rest.checked_div(tokens.saturating_sub(1));
        match gap.filter(|gap| !gap.is_zero()) {
            None => self.tokens(tokens, first, first),
            Some(gap) => {
                for number in 0..tokens {
                    let at = first.saturating_add(gap.saturating_mul(number));
                    self.tokens(1, at, at);
                }
            }
        }
    }

    /// Notes the end.
    pub(super) fn end(&mut self, end: &End, reason: FinishReason, timing: &Timing) {
        let at = timing.came();
        // An answer without tokens has been read, and no more.
        let (first, last) = self.first.map_or((at, at), |first| (first, self.last));
        let rest = last.saturating_sub(first);
        let mean_gap = rest.checked_div(self.tokens.saturating_sub(1));
        let tokens = end.usage.completion_tokens;
        self.load.note_end(Ended {
            prompt_tokens: self.prompt_tokens,
            tokens,
            tokens_max: self.tokens_max,
            reason,
            began: timing.began(),
            first,
            last,
            at,
            mean_gap: mean_gap.unwrap_or(Duration::ZERO),
        });
        let longest = match &self.choices {
            Some(choices) => choices.end(tokens),
            None => Some(tokens),
        };
        if let Some(longest) = longest {
            self.load.note_longest(longest);
        }
    }
}

/// Why an answer has ended.
pub(super) fn reason(events: &[Event]) -> FinishReason {
    match events.last() {
        Some(Event::Finish(reason)) => *reason,
        _ => FinishReason::Stop,
    }
}
