//! A run that was made before, made again: the guest is asked the same in the same portions.

use crate::{
    Asked, Budget, CheckedRequest, ChunkSink, ReadyModel, RunError, RunLabel,
    wit::{tensors, text},
};
use std::{collections::VecDeque, ops::ControlFlow};

/// In which portions a text was taken from its guest, and how that ended.
#[derive(Clone, Debug, Default)]
pub struct Pulls {
    /// How many chunks each call of `next` asked for.
    chunks: VecDeque<u32>,
    /// Whether the guest was asked for its usage after the last.
    asks_usage: bool,
}

impl Pulls {
    /// What whoever followed a run was told of: chunks of each call, and 0 where the guest was
    /// asked for its usage.
    #[must_use]
    pub fn of(told: &[u32]) -> Self {
        let chunks = told.iter().copied().filter(|chunks| *chunks > 0);
        Self {
            chunks: chunks.collect(),
            asks_usage: told.contains(&0),
        }
    }
}

/// A sink that keeps nothing and asks as it was asked before.
struct Again {
    pulls: Pulls,
}

impl ChunkSink for Again {
    fn pull(&mut self, usual: u32) -> u32 {
        self.pulls.chunks.pop_front().unwrap_or(usual).max(1)
    }

    fn needs_usage(&self) -> bool {
        self.pulls.asks_usage
    }

    async fn take(&mut self, _: Vec<text::Chunk>) -> Result<ControlFlow<()>, RunError> {
        // Where its usage was asked for, the guest itself had said that the text was over.
        let is_over = self.pulls.chunks.is_empty() && !self.pulls.asks_usage;
        Ok(if is_over {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }
}

impl ReadyModel {
    /// Asks the model what it or another was asked before. What it gives is told to whoever
    /// follows the runs of the label.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn ask_again(
        &self,
        asked: Asked,
        pulls: Pulls,
        budget: &Budget,
        label: &RunLabel,
    ) -> Result<(), RunError> {
        match asked {
            Asked::Infer {
                inputs,
                outputs,
                parameters,
            } => {
                let request = tensors::Request {
                    inputs: inputs.into_iter().map(tensors::Tensor::from).collect(),
                    outputs,
                    parameters,
                };
                let request = CheckedRequest::new(request).map_err(|error| RunError::Host {
                    detail: format!("tensors on record are none: {error}"),
                })?;
                self.infer(request, budget, label).await.map(drop)
            }
            Asked::Embed { inputs, dimensions } => self
                .embed(inputs, dimensions, budget, label)
                .await
                .map(drop),
            Asked::Classify { inputs } => self.classify(inputs, budget, label).await.map(drop),
            Asked::Rank { query, documents } => {
                self.rank(query, documents, budget, label).await.map(drop)
            }
            Asked::Encode { text } => self.encode(text, budget, label).await.map(drop),
            Asked::Decode { tokens } => self.decode(tokens, budget, label).await.map(drop),
            Asked::Generate(request) => {
                let run = self.generate(*request, Again { pulls }, budget, label);
                run.await?.await.map(drop)
            }
        }
    }
}
