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
    first: Histogram,
    gap: Histogram,
    mean_gap: Histogram,
    queued: Histogram,
    whole: Histogram,
    /// Blocks of all simulated servers of the model: those that are held, and all.
    blocks: Mutex<(u64, u64)>,
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
            first: metrics::VLLM_FIRST_TOKEN.with(labels()),
            gap: metrics::VLLM_GAP.with(labels()),
            mean_gap: metrics::VLLM_MEAN_GAP.with(labels()),
            queued: metrics::VLLM_QUEUED.with(labels()),
            whole: metrics::VLLM_WHOLE.with(labels()),
            blocks: Mutex::default(),
        }
    }

    /// One more answer that no simulated server counts.
    pub(super) fn enter(&self) -> Running {
        self.running.increment(1.0);
        Running(self.running.clone())
    }

    pub(super) fn note_first(&self, at: Duration) {
        self.first.record(at);
    }

    pub(super) fn note_gap(&self, gap: Duration) {
        self.gap.record(gap);
    }

    pub(super) fn note_mean_gap(&self, gap: Duration) {
        self.mean_gap.record(gap);
    }

    pub(super) fn note_queued(&self, waited: Duration) {
        self.queued.record(waited);
    }

    pub(super) fn note_end(
        &self,
        prompt_tokens: u32,
        tokens: u32,
        reason: FinishReason,
        at: Duration,
    ) {
        self.whole.record(at);
        self.prompt_tokens.increment(u64::from(prompt_tokens));
        self.generation_tokens.increment(u64::from(tokens));
        let reason = match reason {
            FinishReason::Length => "length",
            FinishReason::Stop | FinishReason::ToolCalls | FinishReason::ContentFilter => "stop",
        };
        let labels = [
            ("model_name", self.model.clone().into()),
            ("engine", ENGINE.into()),
            ("finished_reason", reason.into()),
        ];
        metrics::VLLM_SUCCESS.with(labels).increment(1);
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
