//! A text in the making: what each call of the guest's `next` gives goes to a sink inside the
//! run, so that nothing stands between the guest and whoever decides what a caller sees of it.

use crate::{
    RunError,
    exchange::{Asked, Given},
    pull::PullSize,
    run::{Call, RunContext},
    wit::text,
};
use std::{future::Future, ops::ControlFlow};
use wasmtime::component::Instance;

/// Bytes that a token's id, its log-probability and the rest of a chunk count for.
const CHUNK_BYTES: u64 = 16;

/// The receiver of a text, called inside the run that makes it.
pub trait ChunkSink: Send + 'static {
    /// Takes what one call of the guest gave; `Break` ends the run at once, with no further call.
    /// While it waits, the run waits and holds its slot.
    ///
    /// # Errors
    /// When the chunks break the contract. The run fails with it.
    fn take(
        &mut self,
        chunks: Vec<text::Chunk>,
    ) -> impl Future<Output = Result<ControlFlow<()>, RunError>> + Send;

    /// Whether the sink has to know what the model says it used.
    fn needs_usage(&self) -> bool {
        true
    }

    /// The most chunks that can still be of use; a guest is asked for one at least.
    fn chunks_max(&self) -> u32 {
        u32::MAX
    }

    /// How many chunks the next call asks for, where `usual` would be usual.
    fn pull(&mut self, usual: u32) -> u32 {
        usual.min(self.chunks_max()).max(1)
    }
}

/// A sink that keeps every chunk.
impl ChunkSink for Vec<text::Chunk> {
    async fn take(&mut self, mut chunks: Vec<text::Chunk>) -> Result<ControlFlow<()>, RunError> {
        self.append(&mut chunks);
        Ok(ControlFlow::Continue(()))
    }
}

/// A text that is complete, or that its sink has ended.
#[derive(Clone, Debug)]
pub struct Generated<S> {
    /// The sink, with what it has taken.
    pub sink: S,
    /// What the model says it used. Never to be trusted beyond what was delivered. None where
    /// the sink ended the run or does not need it.
    pub usage: Option<text::Usage>,
}

pub(crate) struct Generate<S> {
    pub(crate) request: text::Request,
    pub(crate) sink: S,
}

impl<S: ChunkSink> Call for Generate<S> {
    type Output = Generated<S>;

    fn asked(&self) -> Option<Asked> {
        Some(Asked::Generate(Box::new(self.request.clone())))
    }

    async fn call(
        self,
        context: &mut RunContext,
        instance: Instance,
    ) -> Result<Self::Output, RunError> {
        let Self { request, mut sink } = self;
        let guest = context.text(&instance)?;
        let started = guest.call_start(&mut context.store, &request).await;
        drop(request);
        let generation = context.answer(started)?;
        let resource = guest.generation();
        let is_given = context.label().origin().is_given();
        let mut size = PullSize::first(!is_given && context.model.facts.pace.is_quick());
        loop {
            let before = context.fuel_used();
            let pull = sink.pull(size.chunks());
            context.pulls(pull);
            let chunks = resource
                .call_next(&mut context.store, generation, pull)
                .await;
            size.follow(context.fuel_used().saturating_sub(before));
            let mut chunks = context.answer(chunks)?;
            // A few more than it was asked for do no harm.
            if chunks.len() > PullSize::MOST as usize {
                let reason = format!(
                    "`next` gave {} chunks where {} were the most",
                    chunks.len(),
                    PullSize::MOST
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
            context.add_output(chunks.iter().map(chunk_bytes).sum())?;
            context.gave(|| Given::Chunks(chunks.clone()));
            if !chunks.is_empty() && sink.take(chunks).await?.is_break() {
                return Ok(Generated { sink, usage: None });
            }
            if over {
                break;
            }
        }
        if !sink.needs_usage() {
            return Ok(Generated { sink, usage: None });
        }
        context.pulls(0);
        let usage = resource.call_usage(&mut context.store, generation).await;
        let usage = usage.map_err(|error| context.fault(&error))?;
        context.gave(|| Given::Usage(usage));
        Ok(Generated {
            sink,
            usage: Some(usage),
        })
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
