//! What one request has used of its caller's tokens, settled when the request is over, however
//! it ends.

use super::RequestContext;
use crate::auth::{Caller, KeyUsage};
use crate::generation::TokenMeter;
use crate::guard::Tally;
use crate::ledger::Line;
use crate::limits::Admission;
use crate::traces::Trace;
use std::sync::Arc;

/// The tokens of one request: reserved before it runs, settled by real usage when this is
/// dropped.
pub(super) struct UsageSettlement {
    admission: Admission,
    /// Where the key's use is counted.
    account: Option<Arc<KeyUsage>>,
    /// Where the caller's conduct is counted.
    tally: Option<Arc<Tally>>,
    /// The line of the ledger.
    line: Option<Line>,
    /// The trace that tells of it.
    trace: Option<Trace>,
    /// What the prompt has at most likely; the model counts it, and says so at its end.
    prompt_estimate: u32,
    /// Of the answers in the making.
    meters: Vec<TokenMeter>,
    /// What goes on the bill, once it is known.
    usage: Option<(u64, u64)>,
}

impl UsageSettlement {
    /// Of a request that has not run yet.
    pub(super) fn new(
        admission: Admission,
        caller: &Caller,
        prompt_estimate: u32,
        context: &RequestContext,
    ) -> Self {
        Self {
            admission,
            account: caller.usage().cloned(),
            tally: context.tally().cloned(),
            line: context.line(),
            trace: context.trace().cloned(),
            prompt_estimate,
            meters: Vec::new(),
            usage: None,
        }
    }

    /// Counts along with answers, for the case that they never come to their end.
    pub(super) fn watch(&mut self, meters: Vec<TokenMeter>) {
        self.meters = meters;
    }

    /// Notes what goes on the bill: tokens of the prompt and of all answers.
    pub(super) fn settle(&mut self, prompt: u64, completion: u64) {
        self.usage = Some((prompt, completion));
    }

    /// Tokens of the prompt and of all answers. Where an answer was cut off, what its model had
    /// made by then: it has been paid for with a sandbox, whether or not it was read.
    fn tokens(&self) -> (u64, u64) {
        self.usage.unwrap_or_else(|| {
            let made = self
                .meters
                .iter()
                .map(|meter| u64::from(meter.tokens()))
                .sum();
            // A prompt that no model has answered has used nothing.
            let prompt = if self.meters.iter().any(TokenMeter::has_begun) {
                self.prompt_estimate
            } else {
                0
            };
            (prompt.into(), made)
        })
    }
}

impl Drop for UsageSettlement {
    fn drop(&mut self) {
        let (prompt, completion) = self.tokens();
        if let Some(account) = &self.account {
            account.add_tokens(prompt, completion);
        }
        if let Some(line) = &self.line {
            line.add_tokens(prompt, completion);
        }
        if let Some(trace) = &self.trace {
            trace.add_tokens(prompt, completion);
        }
        let used = prompt.saturating_add(completion);
        if let Some(tally) = &self.tally {
            tally.note_tokens(used);
        }
        self.admission
            .set_used(u32::try_from(used).unwrap_or(u32::MAX));
    }
}
