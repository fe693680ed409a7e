//! A server with continuous batching, simulated: when each token of each sequence is there.
//!
//! It does what the scheduler of vLLM does: in each step the sequences that run get a token each,
//! prompts are read in what is left of the step's tokens (in several steps where they are longer),
//! sequences wait for a place and for blocks of the KV cache, blocks of prompts that begin alike
//! are shared, and where no block is left the newest sequence gives its own back and is computed
//! anew. How long a step takes is a sum over what is in it.
//!
//! Time is an argument: whoever drives it says how far it goes, in as many parts as it likes, and
//! the same arrivals make the same events whether a clock or nobody waits.

mod blocks;
mod prompt;

pub use prompt::{BLOCK_STEP, Prompt};

use crate::quantity::{QuantityError, time_text};
use blocks::{Blocks, Hold};
use std::collections::{HashMap, VecDeque};
use std::fmt::{self, Display};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// Blocks of one engine.
pub const BLOCKS_MAX: u32 = 1 << 20;
/// Sequences that run or wait.
pub const SEQUENCES_MAX: usize = 100_000;
/// The shortest step: nothing that runs takes no time.
pub const STEP_MIN: Duration = Duration::from_micros(10);

/// How a simulated server is built. The names are those of vLLM's options.
#[derive(Clone, Debug, PartialEq)]
pub struct Engine {
    /// How long steps take.
    pub step: StepTime,
    /// Sequences that run at once.
    pub max_num_seqs: NonZeroU32,
    /// Tokens that one step computes, of prompts and of answers.
    pub max_num_batched_tokens: NonZeroU32,
    /// Tokens of a block of the KV cache: a multiple of [`BLOCK_STEP`].
    pub block_size: u32,
    /// Blocks of the KV cache.
    pub num_gpu_blocks: NonZeroU32,
    /// Whether blocks of prompts that begin alike are shared.
    pub enable_prefix_caching: bool,
}

/// How long a step takes: the sum of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepTime {
    /// For any step.
    pub base: Duration,
    /// For each token of a prompt that is read in it.
    pub prefill_token: Duration,
    /// For each sequence in it whose prompt has been read, and which gets its next token.
    pub sequence: Duration,
    /// For each whole thousand of the tokens that the sequences in it have behind them together.
    pub thousand_context_tokens: Duration,
}

/// What is wrong with an engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// A time of its steps.
    #[error("`{name}`: {source}")]
    Time {
        /// Which.
        name: &'static str,
        /// What is wrong with it.
        source: QuantityError,
    },
    /// A size of blocks that prompts are not hashed in.
    #[error("`block_size` is {0}: expected a multiple of {BLOCK_STEP} up to 1024")]
    BlockSize(u32),
    /// Too many blocks.
    #[error("`num_gpu_blocks` is {0}: expected at most {BLOCKS_MAX}")]
    Blocks(u32),
}

impl Engine {
    /// As vLLM has it where nothing is said.
    pub const MAX_NUM_SEQS: NonZeroU32 = NonZeroU32::new(256).expect("above zero");
    /// As vLLM has it for a server where nothing is said.
    pub const MAX_NUM_BATCHED_TOKENS: NonZeroU32 = NonZeroU32::new(2_048).expect("above zero");
    /// As vLLM has it where nothing is said.
    pub const BLOCK_SIZE: u32 = BLOCK_STEP;

    /// The engine, where it can be simulated.
    ///
    /// # Errors
    ///
    /// What is wrong with it first.
    pub fn checked(self) -> Result<Self, EngineError> {
        if self.block_size == 0
            || self.block_size > 1_024
            || !self.block_size.is_multiple_of(BLOCK_STEP)
        {
            return Err(EngineError::BlockSize(self.block_size));
        }
        if self.num_gpu_blocks.get() > BLOCKS_MAX {
            return Err(EngineError::Blocks(self.num_gpu_blocks.get()));
        }
        Ok(self)
    }

    /// Blocks that so many tokens take: never more than there are. A sequence that would need more
    /// goes on in those, as with a window over its end.
    fn blocks_for(&self, tokens: u32) -> usize {
        tokens
            .div_ceil(self.block_size)
            .min(self.num_gpu_blocks.get()) as usize
    }

    fn step_time(&self, step: &Batch) -> Duration {
        let StepTime {
            base,
            prefill_token,
            sequence,
            thousand_context_tokens,
        } = self.step;
        let prefill = prefill_token.saturating_mul(step.prefill_tokens);
        let decode = sequence.saturating_mul(step.decoding);
        let thousands = u32::try_from(step.context_tokens / 1_000).unwrap_or(u32::MAX);
        let context = thousand_context_tokens.saturating_mul(thousands);
        let sum = base.saturating_add(prefill).saturating_add(decode);
        sum.saturating_add(context).max(STEP_MIN)
    }
}

impl Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a simulated server: {} a step, {} sequences, {} blocks of {} tokens",
            time_text(self.step.base),
            self.max_num_seqs,
            self.num_gpu_blocks,
            self.block_size
        )
    }
}

/// A sequence of a scheduler: one answer to one prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceId(u64);

/// What is to be computed.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// Its prompt.
    pub prompt: Arc<Prompt>,
    /// Tokens of the answer; none while that is not known. See [`Scheduler::end`].
    pub length: Option<u32>,
}

/// Something that has happened in a simulated server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Happening {
    /// Since the server began.
    pub at: Duration,
    /// Whose.
    pub sequence: SequenceId,
    /// What.
    pub what: What,
}

/// What has happened to a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It runs for the first time; so many tokens of its prompt were in the cache.
    Began {
        /// Those tokens.
        cached: u32,
    },
    /// A token of its answer is there, by its number from 0.
    Token(u32),
    /// It has given its blocks back and waits to be computed anew.
    Preempted,
    /// All its tokens are there.
    Ended,
}

/// How much of everything there is and has been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sequences that run.
    pub running: u32,
    /// Sequences that wait.
    pub waiting: u32,
    /// Blocks that sequences hold.
    pub blocks_used: u32,
    /// Blocks that there are.
    pub blocks: u32,
    /// Tokens of prompts that were looked for in the cache.
    pub prefix_queries: u64,
    /// Those that were there.
    pub prefix_hits: u64,
    /// Sequences that gave their blocks back.
    pub preemptions: u64,
    /// Steps.
    pub steps: u64,
    /// Tokens of prompts that were computed, those computed anew among them.
    pub prompt_tokens: u64,
    /// Tokens of answers.
    pub generation_tokens: u64,
}

/// There is no room for a further sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{SEQUENCES_MAX} sequences run or wait in a simulated server")]
pub struct Full;

/// A simulated server.
#[derive(Debug)]
pub struct Scheduler {
    engine: Arc<Engine>,
    now: Duration,
    /// The step that is going on.
    step: Option<Batch>,
    sequences: HashMap<SequenceId, State>,
    waiting: VecDeque<SequenceId>,
    /// In the order in which they began: the last gives its blocks back first.
    running: Vec<SequenceId>,
    blocks: Blocks,
    counts: Counts,
    next: u64,
}

/// One step.
#[derive(Debug, Default)]
struct Batch {
    end: Duration,
    /// Sequences, and how many of their tokens it computes.
    parts: Vec<(SequenceId, u32)>,
    prefill_tokens: u32,
    decoding: u32,
    context_tokens: u64,
}

#[derive(Debug)]
struct State {
    prompt: Arc<Prompt>,
    length: Option<u32>,
    /// Tokens of the answer.
    generated: u32,
    /// Tokens whose keys and values are in blocks.
    computed: u32,
    hold: Hold,
    has_begun: bool,
}

impl State {
    fn tokens(&self) -> u32 {
        self.prompt.tokens().saturating_add(self.generated)
    }

    fn is_over(&self) -> bool {
        self.length.is_some_and(|length| self.generated >= length)
    }
}

impl Scheduler {
    /// A server that does nothing yet.
    #[must_use]
    pub fn new(engine: Arc<Engine>) -> Self {
        let blocks = Blocks::new(engine.num_gpu_blocks.get());
        Self {
            engine,
            now: Duration::ZERO,
            step: None,
            sequences: HashMap::new(),
            waiting: VecDeque::new(),
            running: Vec::new(),
            blocks,
            counts: Counts::default(),
            next: 0,
        }
    }

    /// How it is built.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// How far it has come.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }

    /// When something happens next, as far as it is known now; nothing where nobody is there.
    #[must_use]
    pub fn next_at(&self) -> Option<Duration> {
        self.step.as_ref().map(|step| step.end)
    }

    /// A sequence that comes at this moment, or now where that is over. What happens until then is
    /// added to `happened` first.
    ///
    /// # Errors
    ///
    /// When too many are there.
    pub fn submit(
        &mut self,
        at: Duration,
        sequence: Sequence,
        happened: &mut Vec<Happening>,
    ) -> Result<SequenceId, Full> {
        if self.sequences.len() >= SEQUENCES_MAX {
            return Err(Full);
        }
        self.advance(at, happened);
        let id = SequenceId(self.next);
        self.next = self.next.wrapping_add(1);
        let Sequence { prompt, length } = sequence;
        let state = State {
            prompt,
            length,
            generated: 0,
            computed: 0,
            hold: Hold::default(),
            has_begun: false,
        };
        self.sequences.insert(id, state);
        self.waiting.push_back(id);
        self.begin_step(happened);
        Ok(id)
    }

    /// Says how many tokens the answer of a sequence has. Where it has as many already, it ends
    /// now.
    pub fn end(&mut self, id: SequenceId, length: u32, happened: &mut Vec<Happening>) {
        let Some(state) = self.sequences.get_mut(&id) else {
            return;
        };
        state.length = Some(length);
        if state.is_over() {
            self.leave(id, happened);
            self.begin_step(happened);
        }
    }

    /// Takes a sequence away, whose caller has gone.
    pub fn cancel(&mut self, id: SequenceId, happened: &mut Vec<Happening>) {
        self.remove(id);
        self.begin_step(happened);
    }

    /// Goes on to this moment. What happens until then is added, in order.
    pub fn advance(&mut self, to: Duration, happened: &mut Vec<Happening>) {
        while let Some(step) = self.step.take_if(|step| step.end <= to) {
            self.now = step.end;
            self.finish_step(step, happened);
            self.begin_step(happened);
        }
        self.now = self.now.max(to);
    }

    /// Goes on until nothing is left to do for a sequence, whose length must be known. Gives false
    /// where it is not there.
    pub fn run_to_end(&mut self, id: SequenceId, happened: &mut Vec<Happening>) -> bool {
        loop {
            match self.sequences.get(&id) {
                Some(state) if state.length.is_some() => {}
                Some(_) | None => return false,
            }
            let Some(at) = self.next_at() else {
                return false;
            };
            self.advance(at, happened);
        }
    }

    /// How much of everything there is and has been.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let few = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Counts {
            running: few(self.running.len()),
            waiting: few(self.waiting.len()),
            blocks_used: self.blocks.used(),
            blocks: self.engine.num_gpu_blocks.get(),
            ..self.counts
        }
    }

    /// What a step has computed is there when it is over.
    fn finish_step(&mut self, step: Batch, happened: &mut Vec<Happening>) {
        let at = self.now;
        self.counts.steps += 1;
        for (id, tokens) in step.parts {
            // One that was cancelled meanwhile has nothing.
            let Some(state) = self.sequences.get_mut(&id) else {
                continue;
            };
            state.computed = state.computed.saturating_add(tokens);
            if self.engine.enable_prefix_caching {
                let full = (state.computed / self.engine.block_size) as usize;
                let prompt = Arc::clone(&state.prompt);
                let block_size = self.engine.block_size;
                let name = |block| prompt.name(block, block_size, id.0);
                self.blocks.keep(&mut state.hold, full, name);
            }
            if state.computed < state.tokens() {
                continue;
            }
            let what = What::Token(state.generated);
            state.generated = state.generated.saturating_add(1);
            self.counts.generation_tokens += 1;
            let sequence = id;
            happened.push(Happening { at, sequence, what });
            if state.is_over() {
                self.leave(id, happened);
            }
        }
    }

    fn leave(&mut self, id: SequenceId, happened: &mut Vec<Happening>) {
        if self.remove(id) {
            happened.push(Happening {
                at: self.now,
                sequence: id,
                what: What::Ended,
            });
        }
    }

    fn remove(&mut self, id: SequenceId) -> bool {
        let Some(mut state) = self.sequences.remove(&id) else {
            return false;
        };
        self.blocks.give_back(&mut state.hold);
        self.running.retain(|other| *other != id);
        self.waiting.retain(|other| *other != id);
        true
    }

    /// Begins the next step, where none is going on and there is something to do.
    fn begin_step(&mut self, happened: &mut Vec<Happening>) {
        if self.step.is_some() {
            return;
        }
        let mut step = Batch::default();
        let mut budget = self.engine.max_num_batched_tokens.get();
        let has_room = self.go_on(&mut step, &mut budget, happened);
        // As vLLM has it: whoever gave blocks back would only take them again.
        if has_room {
            self.let_in(&mut step, &mut budget, happened);
        }
        if !step.parts.is_empty() {
            step.end = self.now.saturating_add(self.engine.step_time(&step));
            self.step = Some(step);
        }
    }

    /// Those that run get their next tokens. Says whether all of them have the blocks they need.
    fn go_on(&mut self, step: &mut Batch, budget: &mut u32, happened: &mut Vec<Happening>) -> bool {
        let mut has_room = true;
        let mut index = 0;
        while *budget > 0 {
            let Some(id) = self.running.get(index).copied() else {
                break;
            };
            let Some(state) = self.sequences.get(&id) else {
                break;
            };
            let tokens = state.tokens().saturating_sub(state.computed).min(*budget);
            let blocks = self
                .engine
                .blocks_for(state.computed.saturating_add(tokens));
            // The last one gives its blocks back until there are enough, and be it this one itself.
            let mut is_there = true;
            while !self.grow(id, blocks) {
                has_room = false;
                let Some(last) = self.running.pop() else {
                    break;
                };
                self.preempt(last, happened);
                if last == id {
                    is_there = false;
                    break;
                }
            }
            if !is_there {
                break;
            }
            self.add(step, id, tokens);
            *budget -= tokens;
            index += 1;
        }
        has_room
    }

    /// Those that wait begin, in the order in which they came, while there is room for the first.
    fn let_in(&mut self, step: &mut Batch, budget: &mut u32, happened: &mut Vec<Happening>) {
        while *budget > 0 && self.running.len() < self.engine.max_num_seqs.get() as usize {
            let Some(id) = self.waiting.front().copied() else {
                break;
            };
            let Some(state) = self.sequences.get_mut(&id) else {
                self.waiting.pop_front();
                continue;
            };
            let all = state.tokens();
            let block_size = self.engine.block_size;
            let mut cached = 0;
            if self.engine.enable_prefix_caching {
                // One token has to be computed: without it there is no next one.
                let most = (all.saturating_sub(1) / block_size) as usize;
                let prompt = Arc::clone(&state.prompt);
                let names = (0..most).map(|block| prompt.name(block, block_size, id.0));
                let found = self.blocks.find(&mut state.hold, names);
                cached = u32::try_from(found)
                    .unwrap_or(u32::MAX)
                    .saturating_mul(block_size);
                cached = cached.min(all.saturating_sub(1));
            }
            let tokens = (all - cached).min(*budget);
            let blocks = self.engine.blocks_for(cached.saturating_add(tokens));
            if !self.grow(id, blocks) {
                if let Some(state) = self.sequences.get_mut(&id) {
                    self.blocks.give_back(&mut state.hold);
                }
                break;
            }
            self.waiting.pop_front();
            self.running.push(id);
            if let Some(state) = self.sequences.get_mut(&id) {
                state.computed = cached;
                if !state.has_begun {
                    state.has_begun = true;
                    if self.engine.enable_prefix_caching {
                        self.counts.prefix_queries += u64::from(all);
                        self.counts.prefix_hits += u64::from(cached);
                    }
                    happened.push(Happening {
                        at: self.now,
                        sequence: id,
                        what: What::Began { cached },
                    });
                }
            }
            self.add(step, id, tokens);
            *budget -= tokens;
        }
    }

    /// Whether a sequence has so many blocks now.
    fn grow(&mut self, id: SequenceId, blocks: usize) -> bool {
        let Some(state) = self.sequences.get_mut(&id) else {
            return true;
        };
        self.blocks.grow(&mut state.hold, blocks)
    }

    fn preempt(&mut self, id: SequenceId, happened: &mut Vec<Happening>) {
        let Some(state) = self.sequences.get_mut(&id) else {
            return;
        };
        self.blocks.give_back(&mut state.hold);
        state.computed = 0;
        self.waiting.push_front(id);
        self.counts.preemptions += 1;
        happened.push(Happening {
            at: self.now,
            sequence: id,
            what: What::Preempted,
        });
    }

    fn add(&mut self, step: &mut Batch, id: SequenceId, tokens: u32) {
        let Some(state) = self.sequences.get(&id) else {
            return;
        };
        // The token that a sequence has made last is the one that it is asked to go on from.
        let is_decoding = tokens == 1 && state.computed >= state.prompt.tokens();
        if is_decoding {
            step.decoding += 1;
        } else {
            step.prefill_tokens = step.prefill_tokens.saturating_add(tokens);
            self.counts.prompt_tokens += u64::from(tokens);
        }
        step.context_tokens += u64::from(state.computed);
        step.parts.push((id, tokens));
    }
}

#[cfg(test)]
mod tests;
