//! Decides, chunk by chunk, what of a guest's text a caller sees.

use super::recut::{Piece, PieceCount, Recut};
use super::{Bias, StopFilter, TokenCap};
use belljar_sandbox::RunError;
use belljar_sandbox::wit::text;
use belljar_tokens::{Cut, Encoding};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Tool calls of one turn.
const TOOL_CALLS_MAX: u32 = 128;

/// Chunks that are asked for beyond the tokens that there is room for. With none, an answer of
/// words that are joined to tokens would take a call for each of the last.
const CHUNKS_MORE: u32 = 2;

/// What the host holds a guest to.
#[derive(Clone, Debug)]
pub struct OutputLimits {
    /// Tokens that may be generated.
    pub max_tokens: u32,
    /// The text ends before the first of these.
    pub stop: Vec<String>,
    /// The most tokens that the prompt can have been.
    pub prompt_tokens_max: u32,
    /// About how many tokens it was, for a guest that is ended before it can say.
    pub prompt_tokens_estimate: u32,
    /// Where the host counts for the guest, by what. The answer is then cut into these tokens, and
    /// the estimate is the count.
    pub encoding: Option<Encoding>,
    /// What of these tokens the caller wants more or less of.
    pub bias: Option<Arc<Bias>>,
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Text, and the tokens that it completes.
    Text(text::TextFragment),
    /// Thoughts that are not part of the answer.
    Reasoning(String),
    /// A part of a tool call. The first part of each call has an id and a name.
    ToolCall(text::ToolCallFragment),
    /// What the model says instead of an answer.
    Refusal(String),
    /// The stop string that the text ended before, as the host found it.
    Stopped(String),
    /// The end; always the last event.
    Finish(text::FinishReason),
}

/// An event, and how long after the one before it the caller gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct TimedEvent {
    /// In microseconds.
    pub delay_us: u64,
    /// What the caller gets.
    pub event: Event,
    /// Where the host counts, the places in its text where tokens end.
    pub cuts: Vec<Cut>,
}

/// Holds one answer to its limits.
#[derive(Debug)]
pub struct OutputFilter {
    stop: StopFilter,
    cap: TokenCap,
    recut: Option<Box<Recut>>,
    prompt_tokens_max: u32,
    prompt_tokens_estimate: u32,
    /// Tokens whose text is held back, with the offset of their end in the text.
    held_tokens: VecDeque<(usize, text::Token)>,
    /// The same where the host counts and nobody wants to see them: how many end there.
    held_counts: VecDeque<(usize, u32)>,
    /// Where the last token before those ends.
    counted_up_to: usize,
    /// Bytes of text taken in, and bytes given out.
    taken: usize,
    shown: usize,
    /// Delays of chunks that gave no event.
    delay_us: u64,
    tool_calls: u32,
    finished: bool,
}

impl OutputFilter {
    /// A filter for one answer.
    #[must_use]
    pub fn new(limits: &OutputLimits) -> Self {
        Self {
            stop: StopFilter::new(&limits.stop),
            cap: TokenCap::new(limits.max_tokens),
            prompt_tokens_max: limits.prompt_tokens_max,
            prompt_tokens_estimate: limits.prompt_tokens_estimate,
            held_tokens: VecDeque::new(),
            held_counts: VecDeque::new(),
            counted_up_to: 0,
            recut: limits
                .encoding
                .map(|encoding| Box::new(Recut::new(encoding, limits.bias.clone()))),
            taken: 0,
            shown: 0,
            delay_us: 0,
            tool_calls: 0,
            finished: false,
        }
    }

    /// Takes what one call of the guest gave and pushes what the caller sees of it. Says to stop
    /// when the guest is not needed any more; one that has ended by itself is, for it has still
    /// to say what it used.
    ///
    /// # Errors
    ///
    /// When a chunk breaks the contract. What came before it has been pushed.
    pub fn take_all(
        &mut self,
        chunks: Vec<text::Chunk>,
        out: &mut Vec<TimedEvent>,
    ) -> Result<ControlFlow<()>, RunError> {
        for chunk in chunks {
            let has_ended = matches!(chunk.content, text::Content::Finish(_));
            self.take(chunk, out)?;
            if self.finished && !has_ended {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Takes the next chunk and pushes what the caller sees of it.
    ///
    /// # Errors
    ///
    /// When the chunk breaks the contract.
    pub fn take(&mut self, chunk: text::Chunk, out: &mut Vec<TimedEvent>) -> Result<(), RunError> {
        if self.finished {
            return Ok(());
        }
        self.delay_us = self.delay_us.saturating_add(chunk.delay_us);
        match self.recut.take() {
            None => self.take_piece(Piece::whole(chunk.content), out),
            Some(mut recut) => {
                recut.take(chunk.content);
                let mut pieces = recut.pieces.drain(..);
                let taken = pieces.try_for_each(|piece| self.take_piece(piece, out));
                drop(pieces);
                self.recut = Some(recut);
                taken
            }
        }
    }

    fn take_piece(&mut self, piece: Piece, out: &mut Vec<TimedEvent>) -> Result<(), RunError> {
        if self.finished {
            return Ok(());
        }
        let Piece {
            mut content,
            mut count,
        } = piece;
        // The cap is acted on when something comes after it: a guest that ends by itself with
        // the very last token has had its say about why.
        let is_end = matches!(content, text::Content::Finish(_));
        let is_thought = matches!(content, text::Content::Reasoning(_));
        let is_guests = matches!(count, PieceCount::Guest);
        let mut was_cut = false;
        let has_room = match &mut count {
            PieceCount::Guest => is_end || !self.cap.is_full(),
            PieceCount::Tokens(tokens) => self.cap.take_counted(*tokens, is_thought),
            PieceCount::Cuts(cuts) => {
                was_cut = self.cap.take_cuts(cuts, is_thought);
                if was_cut {
                    truncate(&mut content, cuts.last().map_or(0, |last| last.text));
                }
                !cuts.is_empty()
            }
        };
        if !has_room {
            self.end(text::FinishReason::Length, out);
            return Ok(());
        }
        match content {
            text::Content::Text(mut fragment) => {
                was_cut |= is_guests && self.cap.take_text(&mut fragment);
                if self.show(fragment, count, out) {
                    self.end(text::FinishReason::Stop, out);
                }
            }
            text::Content::Reasoning(thought) => {
                if is_guests {
                    self.cap.take_bytes(thought.len(), true);
                }
                self.push_cut(Event::Reasoning(thought), count.into_cuts(), out);
            }
            text::Content::ToolCall(fragment) => {
                let fragment = self.check_tool_call(fragment)?;
                if is_guests {
                    let name = fragment.name.as_ref().map_or(0, String::len);
                    self.cap.take_bytes(fragment.arguments.len() + name, false);
                }
                self.flush(out);
                self.push_cut(Event::ToolCall(fragment), count.into_cuts(), out);
            }
            text::Content::Refusal(refusal) => {
                if is_guests {
                    self.cap.take_bytes(refusal.len(), false);
                }
                self.flush(out);
                self.push_cut(Event::Refusal(refusal), count.into_cuts(), out);
            }
            text::Content::Finish(reason) => self.end(reason, out),
        }
        if was_cut && !self.finished {
            self.end(text::FinishReason::Length, out);
        }
        Ok(())
    }

    /// The guest has no more chunks: the same as a finish with `stop`.
    pub fn finish(&mut self, out: &mut Vec<TimedEvent>) {
        let end = text::Chunk {
            content: text::Content::Finish(text::FinishReason::Stop),
            delay_us: 0,
        };
        // An end breaks no contract.
        let _ = self.take(end, out);
    }

    /// How many more chunks can be of use. A chunk is taken for a token, or a little less.
    #[must_use]
    pub fn chunks_max(&self) -> u32 {
        match &self.recut {
            Some(_) => self.cap.room().saturating_add(CHUNKS_MORE),
            None => u32::MAX,
        }
    }

    /// Whether the guest has a say in what it used.
    #[must_use]
    pub fn needs_usage(&self) -> bool {
        self.recut.is_none()
    }

    /// Tokens so far, as the host counts them.
    #[must_use]
    pub fn tokens(&self) -> u32 {
        self.cap.counted()
    }

    /// What goes on the bill. See [`TokenCap::usage`].
    #[must_use]
    pub fn usage(&self, claimed: Option<text::Usage>) -> text::Usage {
        if self.recut.is_some() {
            return self.cap.counted_usage(self.prompt_tokens_estimate);
        }
        let mut usage = self.cap.usage(claimed, self.prompt_tokens_max);
        if claimed.is_none() {
            usage.prompt_tokens = self.prompt_tokens_estimate;
        }
        usage
    }

    /// Passes text through the stop filter; says whether a stop string was met.
    fn show(
        &mut self,
        fragment: text::TextFragment,
        count: PieceCount,
        out: &mut Vec<TimedEvent>,
    ) -> bool {
        let text::TextFragment { text, tokens } = fragment;
        let start = self.taken;
        self.taken += text.len();
        if !self.stop.can_stop() && tokens.is_empty() {
            self.shown = self.taken;
            if !text.is_empty() {
                let event = Event::Text(text::TextFragment { text, tokens });
                self.push_cut(event, count.into_cuts(), out);
            }
            return false;
        }
        self.hold_counts(start, &count);
        let mut end = start;
        let last = tokens.len().saturating_sub(1);
        for (index, token) in tokens.into_iter().enumerate() {
            end = (end + token.bytes.len()).min(self.taken);
            // The last token ends where the text ends, whatever its bytes are.
            let end = if index == last { self.taken } else { end };
            self.held_tokens.push_back((end, token));
        }
        let filtered = self.stop.push(text);
        self.give(filtered.text, out);
        if filtered.stopped {
            self.held_tokens.clear();
            self.uncount_held();
            if let Some(stop) = self.stop.met().map(str::to_owned) {
                self.push(Event::Stopped(stop), out);
            }
        }
        filtered.stopped
    }

    /// Remembers how many tokens a text is, in case that a stop string ends it before them.
    fn hold_counts(&mut self, start: usize, count: &PieceCount) {
        match count {
            PieceCount::Guest => {}
            PieceCount::Tokens(tokens) => self.held_counts.push_back((self.taken, *tokens)),
            PieceCount::Cuts(cuts) => {
                let mut before = 0;
                for Cut { text, tokens } in cuts {
                    let count = u32::try_from(tokens - before).unwrap_or(u32::MAX);
                    self.held_counts.push_back((start + text, count));
                    before = *tokens;
                }
            }
        }
    }

    /// Takes the tokens back that are not shown. The one that the text ends in counts.
    fn uncount_held(&mut self) {
        let mut start = self.counted_up_to;
        for (end, tokens) in self.held_counts.drain(..) {
            if start >= self.shown {
                self.cap.give_back(tokens);
            }
            start = end;
        }
    }

    fn give(&mut self, text: String, out: &mut Vec<TimedEvent>) {
        let start = self.shown;
        self.shown += text.len();
        let mut cuts = Vec::new();
        let mut count = 0;
        while let Some((end, tokens)) = self.held_counts.pop_front_if(|(end, _)| *end <= self.shown)
        {
            self.counted_up_to = end;
            count += tokens as usize;
            cuts.push(Cut {
                text: end.saturating_sub(start),
                tokens: count,
            });
        }
        let mut tokens = Vec::new();
        while let Some((_, token)) = self.held_tokens.pop_front_if(|(end, _)| *end <= self.shown) {
            tokens.push(token);
        }
        if !text.is_empty() || !tokens.is_empty() {
            self.push_cut(Event::Text(text::TextFragment { text, tokens }), cuts, out);
        }
    }

    /// Gives the text that was held back: nothing that continues it will come.
    fn flush(&mut self, out: &mut Vec<TimedEvent>) {
        let held = self.stop.finish();
        if !held.is_empty() {
            self.give(held, out);
        }
    }

    fn end(&mut self, reason: text::FinishReason, out: &mut Vec<TimedEvent>) {
        self.flush(out);
        self.finished = true;
        self.push(Event::Finish(reason), out);
    }

    fn push(&mut self, event: Event, out: &mut Vec<TimedEvent>) {
        self.push_cut(event, Vec::new(), out);
    }

    fn push_cut(&mut self, event: Event, cuts: Vec<Cut>, out: &mut Vec<TimedEvent>) {
        out.push(TimedEvent {
            delay_us: std::mem::take(&mut self.delay_us),
            event,
            cuts,
        });
    }

    /// The calls of a turn are numbered from 0 without gaps, and each begins with a name.
    fn check_tool_call(
        &mut self,
        mut fragment: text::ToolCallFragment,
    ) -> Result<text::ToolCallFragment, RunError> {
        let invalid = |reason: &str| {
            Err(RunError::InvalidOutput {
                reason: reason.to_owned(),
            })
        };
        if fragment.index > self.tool_calls || fragment.index >= TOOL_CALLS_MAX {
            return invalid("a tool call has an index past the next one");
        }
        if fragment.index == self.tool_calls {
            if fragment.name.as_ref().is_none_or(String::is_empty) {
                return invalid("a tool call begins without a name");
            }
            self.tool_calls += 1;
            fragment
                .id
                .get_or_insert_with(|| format!("call_{}", fragment.index));
        }
        Ok(fragment)
    }
}

/// Leaves of a part of an answer only the first bytes of its text.
fn truncate(content: &mut text::Content, bytes: usize) {
    match content {
        text::Content::Text(fragment) => first_bytes(&mut fragment.text, bytes),
        text::Content::Reasoning(text) | text::Content::Refusal(text) => first_bytes(text, bytes),
        text::Content::ToolCall(call) => first_bytes(&mut call.arguments, bytes),
        text::Content::Finish(_) => {}
    }
}

fn first_bytes(text: &mut String, bytes: usize) {
    text.truncate(text.floor_char_boundary(bytes));
}

#[cfg(test)]
mod tests;
