//! A text in the making: the guest is pulled ahead of the caller into a bounded buffer, so that
//! a slow reader holds a buffer and a fast model's slot is free at once.

use crate::{
    Budget, RunError, RunLabel, Spent,
    model::{Loaded, ReadyModel, guest_error},
    run::{self, Call, Live, Placed},
    threads::GuestTask,
    wit::text,
};
use std::{collections::VecDeque, sync::Arc};
use tokio::sync::mpsc;
use wasmtime::component::Instance;

/// Chunks asked for in one call of `next`.
const PULL_CHUNKS: u32 = 64;
/// Pulls that the guest may be ahead of the caller. The bytes in them are bounded by the
/// run's cap on its output.
const PULLS_AHEAD: usize = 64;
/// Bytes that a token's id, its log-probability and the rest of a chunk count for.
const CHUNK_BYTES: u64 = 16;

/// A text in the making. Dropping it ends the run.
pub struct Generation {
    ready: VecDeque<text::Chunk>,
    pulls: mpsc::Receiver<Pull>,
    end: Option<GenerationEnd>,
    over: bool,
    run: Run,
}

/// What is left of the run beside its chunks.
enum Run {
    /// It goes on on the guest threads, and is cancelled when this is dropped.
    Moved(GuestTask<Result<run::Completed<()>, RunError>>),
    /// It failed after it had given some chunks, which come first.
    Failed(RunError),
    Done,
}

/// How a generation ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GenerationEnd {
    /// What the model says it used. Never to be trusted beyond what was delivered.
    pub usage: text::Usage,
    /// What the run cost.
    pub spent: Spent,
}

enum Pull {
    Chunks(Vec<text::Chunk>),
    End(GenerationEnd),
}

pub(crate) async fn begin(
    model: &Arc<Loaded>,
    request: text::Request,
    budget: &Budget,
    label: &RunLabel,
) -> Result<Generation, RunError> {
    let passes = model.enter().await?;
    let (sender, pulls) = mpsc::channel(PULLS_AHEAD);
    let call = Generate {
        model: Arc::clone(model),
        request,
        pulls: sender,
    };
    let whole = run::whole(Arc::clone(model), call, *budget, label.clone(), passes);
    let run = match run::place(model, Box::pin(whole), budget).await {
        Placed::Done(Ok(_)) => Run::Done,
        Placed::Done(Err(fault)) => Run::Failed(fault),
        Placed::Moved(task) => Run::Moved(task),
    };
    let mut generation = Generation {
        ready: VecDeque::new(),
        pulls,
        end: None,
        over: false,
        run,
    };
    generation.fill().await?;
    Ok(generation)
}

impl Generation {
    /// The next chunk, none at the end. Pacing by `delay_us` is the caller's.
    ///
    /// # Errors
    /// Once, as the last thing, when the run failed.
    pub async fn next(&mut self) -> Option<Result<text::Chunk, RunError>> {
        while self.ready.is_empty() && !self.over {
            if let Err(fault) = self.fill().await {
                return Some(Err(fault));
            }
        }
        self.ready.pop_front().map(Ok)
    }

    /// How it ended, once [`next`](Self::next) has returned none.
    #[must_use]
    pub fn end(&self) -> Option<&GenerationEnd> {
        self.end.as_ref().filter(|_| self.ready.is_empty())
    }

    /// Waits for one pull.
    async fn fill(&mut self) -> Result<(), RunError> {
        match self.pulls.recv().await {
            Some(Pull::Chunks(chunks)) => self.ready.extend(chunks),
            Some(Pull::End(end)) => {
                self.end = Some(end);
                self.over = true;
            }
            // The run is over without an end: its fault says why.
            None => {
                self.over = true;
                match std::mem::replace(&mut self.run, Run::Done) {
                    Run::Moved(task) => {
                        task.await?;
                    }
                    Run::Failed(fault) => return Err(fault),
                    Run::Done => {}
                }
            }
        }
        Ok(())
    }
}

struct Generate {
    model: Arc<Loaded>,
    request: text::Request,
    pulls: mpsc::Sender<Pull>,
}

impl Call for Generate {
    type Output = ();

    async fn call(self, live: &mut Live, instance: Instance) -> Result<(), RunError> {
        let Self {
            model,
            request,
            pulls,
        } = self;
        let guest = ReadyModel::text_guest(&model, live, &instance)?;
        let started = guest.call_start(&mut live.store, &request).await;
        drop(request);
        let generation = started
            .map_err(|error| live.fault(&error))?
            .map_err(|error| guest_error(error, live))?;
        let resource = guest.generation();
        loop {
            let chunks = resource
                .call_next(&mut live.store, generation, PULL_CHUNKS)
                .await;
            let mut chunks = chunks
                .map_err(|error| live.fault(&error))?
                .map_err(|error| guest_error(error, live))?;
            if chunks.len() > PULL_CHUNKS as usize {
                let reason = format!(
                    "`next` gave {} chunks where {PULL_CHUNKS} were the most",
                    chunks.len()
                );
                return Err(RunError::InvalidOutput { reason });
            }
            let last = chunks
                .iter()
                .position(|chunk| matches!(chunk.content, text::Content::Finish(_)));
            if let Some(last) = last {
                chunks.truncate(last + 1);
            }
            let over = last.is_some() || chunks.is_empty();
            live.add_output(chunks.iter().map(chunk_bytes).sum())?;
            // Nobody listens any more: the run is being cancelled.
            if !chunks.is_empty() && pulls.send(Pull::Chunks(chunks)).await.is_err() {
                return Ok(());
            }
            if over {
                break;
            }
        }
        let usage = resource.call_usage(&mut live.store, generation).await;
        let usage = usage.map_err(|error| live.fault(&error))?;
        let end = GenerationEnd {
            usage,
            spent: live.spent(),
        };
        let _ = pulls.send(Pull::End(end)).await;
        Ok(())
    }
}

fn chunk_bytes(chunk: &text::Chunk) -> u64 {
    let of = |text: &str| text.len() as u64;
    let content = match &chunk.content {
        text::Content::Text(fragment) => {
            let tokens = fragment.tokens.iter().map(|token| {
                let others = token
                    .alternatives
                    .iter()
                    .map(|other| other.bytes.len() as u64 + CHUNK_BYTES);
                token.bytes.len() as u64 + CHUNK_BYTES + others.sum::<u64>()
            });
            of(&fragment.text) + tokens.sum::<u64>()
        }
        text::Content::Reasoning(text) | text::Content::Refusal(text) => of(text),
        text::Content::ToolCall(call) => {
            of(&call.arguments)
                + call.id.as_deref().map_or(0, of)
                + call.name.as_deref().map_or(0, of)
        }
        text::Content::Finish(_) => 0,
    };
    content.saturating_add(CHUNK_BYTES)
}
