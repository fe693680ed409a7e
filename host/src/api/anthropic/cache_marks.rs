//! What of a conversation is marked to be found in the cache by the next request.

use super::content::Turn;
use crate::inference::CacheUse;

/// The marks of a conversation.
pub(super) struct Marks {
    /// Whether all of it is marked.
    pub(super) all: bool,
    /// The last message that is.
    pub(super) message: Option<usize>,
    /// Whether the system prompt is.
    pub(super) system: bool,
    /// Whether the tools are.
    pub(super) tools: bool,
}

impl Marks {
    /// How far they reach in the conversation as the model gets it.
    pub(super) fn in_turns(&self, turns: &[Turn]) -> CacheUse {
        let last = |index: usize| {
            let place = format!("messages[{index}]");
            // What tools answered are messages of their own.
            let within = format!("{place}.");
            let is_part = |turn: &Turn| turn.place == place || turn.place.starts_with(&within);
            turns.iter().rposition(is_part)
        };
        let marked = if self.all {
            turns.len().checked_sub(1)
        } else {
            self.message
                .and_then(last)
                .or_else(|| self.system.then_some(0))
        };
        match marked {
            Some(index) => CacheUse::Message(index),
            None if self.tools => CacheUse::Tools,
            None => CacheUse::Nothing,
        }
    }
}
