//! What the metrics that vLLM has tell of one model.

use crate::generation::Observer;
use crate::telemetry::metrics::{self, Counter, Gauge, Histogram};
use belljar_sandbox::wit::text::FinishReason;
use belljar_testing::scheduler::{Counts, Engine};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// The number of the engine, which vLLM's metrics have as well. There is one a model.
const ENGINE: &str = "0";

/// The metrics of one model.
pub(super) struct ModelLoad {
    model: String,
    running: Gauge,
    waiting: Gauge,
    kv_usage: Gauge,
    gpu_usage: Gauge,
    prefix_queries: Counter,
    prefix_hits: Counter,
    preemptions: Counter,
    prompt_tokens: Counter,
    generation_tokens: Counter,
    stopped: Counter,
    cut: Counter,
    request_prompt: Histogram,
    request_generation: Histogram,
    longest: Histogram,
    tokens_max: Histogram,
    first: Histogram,
    gap: Histogram,
    token_time: Histogram,
    mean_gap: Histogram,
    queued: Histogram,
    prefill: Histogram,
    decode: Histogram,
    inference: Histogram,
    whole: Histogram,
    /// Blocks of all simulated servers of the model: those that are held, and all.
    blocks: Mutex<(u64, u64)>,
}

/// What is told of an answer once it is over. Times are counted from its request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) prompt_tokens: u32,
    pub(super) tokens: u32,
    /// The most that it was let have.
    pub(super) tokens_max: u32,
    pub(super) reason: FinishReason,
    /// When it had waited.
    pub(super) began: Duration,
    /// When its first token came.
    pub(super) first: Duration,
    /// When its last token came.
    pub(super) last: Duration,
    /// When it was over.
    pub(super) at: Duration,
    pub(super) mean_gap: Duration,
}

/// An answer that no simulated server counts, for as long as it is made.
#[derive(Debug)]
pub(super) struct Running(Gauge);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl std::fmt::Debug for ModelLoad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ModelLoad").field(&self.model).finish()
    }
}

impl ModelLoad {
    pub(super) fn of(model: &str) -> Self {
        let labels = || {
            [
                ("model_name", model.to_owned().into()),
                ("engine", ENGINE.into()),
            ]
        };
        let success = |reason: &'static str| {
            let [model, engine] = labels();
            metrics::VLLM_SUCCESS.with([model, engine, ("finished_reason", reason.into())])
        };
        Self {
            model: model.to_owned(),
            running: metrics::VLLM_RUNNING.with(labels()),
            waiting: metrics::VLLM_WAITING.with(labels()),
            kv_usage: metrics::VLLM_KV_USAGE.with(labels()),
            gpu_usage: metrics::VLLM_GPU_USAGE.with(labels()),
            prefix_queries: metrics::VLLM_PREFIX_QUERIES.with(labels()),
            prefix_hits: metrics::VLLM_PREFIX_HITS.with(labels()),
            preemptions: metrics::VLLM_PREEMPTIONS.with(labels()),
            prompt_tokens: metrics::VLLM_PROMPT_TOKENS.with(labels()),
            generation_tokens: metrics::VLLM_GENERATION_TOKENS.with(labels()),
            stopped: success("stop"),
            cut: success("length"),
            request_prompt: metrics::VLLM_REQUEST_PROMPT.with(labels()),
            request_generation: metrics::VLLM_REQUEST_GENERATION.with(labels()),
            longest: metrics::VLLM_LONGEST.with(labels()),
            tokens_max: metrics::VLLM_TOKENS_MAX.with(labels()),
            first: metrics::VLLM_FIRST_TOKEN.with(labels()),
            gap: metrics::VLLM_GAP.with(labels()),
            token_time: metrics::VLLM_TOKEN_TIME.with(labels()),
            mean_gap: metrics::VLLM_MEAN_GAP.with(labels()),
            queued: metrics::VLLM_QUEUED.with(labels()),
            prefill: metrics::VLLM_PREFILL.with(labels()),
            decode: metrics::VLLM_DECODE.with(labels()),
            inference: metrics::VLLM_INFERENCE.with(labels()),
            whole: metrics::VLLM_WHOLE.with(labels()),
            blocks: Mutex::default(),
        }
    }

    /// One more answer that no simulated server counts: it has not waited.
    pub(super) fn enter(&self) -> Running {
        self.note_queued(Duration::ZERO);
        self.running.increment(1.0);
        Running(self.running.clone())
    }

    pub(super) fn note_first(&self, at: Duration) {
        self.first.record(at);
    }

    pub(super) fn note_gap(&self, gap: Duration) {
        self.gap.record(gap);
        self.token_time.record(gap);
    }

    pub(super) fn note_queued(&self, waited: Duration) {
        self.queued.record(waited);
    }

    /// Notes the longest of all answers to one prompt.
    pub(super) fn note_longest(&self, tokens: u32) {
        self.longest.record(tokens);
    }

    pub(super) fn note_end(&self, ended: Ended) {
        let Ended {
            prompt_tokens,
            tokens,
            tokens_max,
            reason,
            began,
            first,
            last,
            at,
            mean_gap,
        } = ended;
        self.prompt_tokens.increment(u64::from(prompt_tokens));
        self.generation_tokens.increment(u64::from(tokens));
        let over = match reason {
            FinishReason::Length => &self.cut,
            FinishReason::Stop | FinishReason::ToolCalls | FinishReason::ContentFilter => {
                &self.stopped
            }
        };
        over.increment(1);
        self.request_prompt.record(prompt_tokens);
        self.request_generation.record(tokens);
        self.tokens_max.record(tokens_max);
        self.mean_gap.record(mean_gap);
        self.prefill.record(first.saturating_sub(began));
        self.decode.record(last.saturating_sub(first));
        self.inference.record(last.saturating_sub(began));
        self.whole.record(at);
    }

    /// What follows the counts of one simulated server of the model. In virtual time nothing runs
    /// or waits now, and only what adds up is told.
    pub(super) fn observer(self: &Arc<Self>, engine: &Engine, is_virtual: bool) -> Observer {
        let labels = [
            ("model_name", self.model.clone().into()),
            ("engine", ENGINE.into()),
            ("block_size", engine.block_size.to_string().into()),
            ("num_gpu_blocks", engine.num_gpu_blocks.to_string().into()),
        ];
        metrics::VLLM_CACHE_CONFIG.with(labels).set(1.0);
        let blocks = (!is_virtual).then(|| Blocks::of(self, engine));
        let load = Arc::clone(self);
        Box::new(move |before, now| {
            let Counts {
                prefix_queries,
                prefix_hits,
                preemptions,
                ..
            } = now;
            for (counter, now, before) in [
                (&load.prefix_queries, prefix_queries, before.prefix_queries),
                (&load.prefix_hits, prefix_hits, before.prefix_hits),
                (&load.preemptions, preemptions, before.preemptions),
            ] {
                counter.increment(now.saturating_sub(before));
            }
            if let Some(blocks) = &blocks {
                let change = |now: u32, before: u32| f64::from(now) - f64::from(before);
                load.running.increment(change(now.running, before.running));
                load.waiting.increment(change(now.waiting, before.waiting));
                blocks.set(before.blocks_used, now.blocks_used);
            }
        })
    }

    fn show_usage(&self, (used, all): (u64, u64)) {
        let usage = if all == 0 {
            0.0
        } else {
            used as f64 / all as f64
        };
        self.kv_usage.set(usage);
        self.gpu_usage.set(usage);
    }
}

/// The blocks of one simulated server among those of its model, for as long as it is there.
struct Blocks {
    load: Arc<ModelLoad>,
    blocks: u64,
}

impl Blocks {
    fn of(load: &Arc<ModelLoad>, engine: &Engine) -> Self {
        let blocks = u64::from(engine.num_gpu_blocks.get());
        let mut all = load.blocks.lock();
        all.1 += blocks;
        load.show_usage(*all);
        Self {
            load: Arc::clone(load),
            blocks,
        }
    }

    fn set(&self, before: u32, now: u32) {
        let mut all = self.load.blocks.lock();
        all.0 = (all.0 + u64::from(now)).saturating_sub(u64::from(before));
        self.load.show_usage(*all);
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        let mut all = self.load.blocks.lock();
        all.1 = all.1.saturating_sub(self.blocks);
        self.load.show_usage(*all);
    }
}
