//! How long texts take where testers say so: what is set for a model and a key or asked for by a
//! request, the simulated servers that answers share, and what the metrics tell of both.

mod load;
mod servers;

use super::RequestContext;
use super::prompt_tokens::PromptTokens;
use crate::auth::Caller;
use crate::generation::{End, Event, Pace, Timing};
use crate::models::LiveModel;
use crate::telemetry::metrics::{AdapterUse, set_adapters};
use crate::testing::{Latencies, TestedRequest};
use belljar_sandbox::wit::text::FinishReason;
use belljar_testing::latency::{Latency, Pacer, PromptSize, Turn};
use belljar_testing::scheduler::Prompt;
use belljar_testing::world::{AskedLatency, WorldClock};
use load::{ModelLoad, Running};
use servers::Servers;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// What testers say of how long texts take. Cheap to clone.
#[derive(Clone)]
pub(super) struct Pacing(Arc<Shared>);

struct Shared {
    latencies: Arc<Latencies>,
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
    load: Arc<ModelLoad>,
    answers: u32,
}

/// One prompt, as far as its length goes.
pub(super) struct PacedPrompt {
    size: PromptSize,
    prompt: Arc<Prompt>,
}

/// What is told of one answer while it is made.
#[derive(Debug)]
pub(super) struct Observed {
    load: Arc<ModelLoad>,
    /// Where no simulated server counts it.
    _running: Option<Running>,
    _adapter: Option<Arc<AdapterUse>>,
    prompt_tokens: u32,
    first: Option<Duration>,
    last: Duration,
    tokens: u32,
}

impl Pacing {
    pub(super) fn new(latencies: Arc<Latencies>) -> Self {
        set_adapters(latencies.adapters());
        Self(Arc::new(Shared {
            latencies,
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
        let load = self.0.servers.load(name);
        Paced {
            pacing: self,
            request,
            latency,
            seed,
            number,
            is_virtual,
            load,
            answers: 0,
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
        let timing = Timing::new(self.request.since, pace, self.is_virtual);
        let observed = Observed {
            load: Arc::clone(&self.load),
            _running: running,
            _adapter: adapter,
            prompt_tokens: prompt.size.tokens,
            first: None,
            last: Duration::ZERO,
            tokens: 0,
        };
        (timing, Some(observed))
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
        let world = world.filter(|world| !world.is_shared());
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

impl Observed {
    /// Notes tokens that came together, this long after the request.
    pub(super) fn tokens(&mut self, count: u32, at: Duration) {
        if count == 0 {
            return;
        }
        match self.first {
            None => {
                self.first = Some(at);
                self.load.note_first(at);
            }
            Some(_) => self.load.note_gap(at.saturating_sub(self.last)),
        }
        for _ in 1..count {
            self.load.note_gap(Duration::ZERO);
        }
        self.last = at;
        self.tokens = self.tokens.saturating_add(count);
    }

    /// Notes the end, this long after the request.
    pub(super) fn end(&mut self, end: &End, reason: FinishReason, at: Duration) {
        let tokens = end.usage.completion_tokens;
        self.load.note_end(self.prompt_tokens, tokens, reason, at);
        if let Some(first) = self.first
            && self.tokens > 1
        {
            let rest = self.last.saturating_sub(first);
            self.load
                .note_mean_gap(rest / self.tokens.saturating_sub(1));
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
