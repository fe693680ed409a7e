//! Decides, chunk by chunk, what of a guest's text a caller sees.

use super::recut::{Piece, Recut};
use super::{Bias, StopFilter, TokenCap};
use belljar_sandbox::RunError;
use belljar_sandbox::wit::text;
use belljar_tokens::Encoding;
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
                let taken = recut
                    .drain()
                    .try_for_each(|piece| self.take_piece(piece, out));
                self.recut = Some(recut);
                taken
            }
        }
    }

    fn take_piece(&mut self, piece: Piece, out: &mut Vec<TimedEvent>) -> Result<(), RunError> {
        if self.finished {
            return Ok(());
        }
        let Piece { content, tokens } = piece;
        // The cap is acted on when something comes after it: a guest that ends by itself with
        // the very last token has had its say about why.
        let is_end = matches!(content, text::Content::Finish(_));
        let is_thought = matches!(content, text::Content::Reasoning(_));
        let is_over = match tokens {
            Some(tokens) => !is_end && !self.cap.take_counted(tokens, is_thought),
            None => !is_end && self.cap.is_full(),
        };
        if is_over {
            self.end(text::FinishReason::Length, out);
            return Ok(());
        }
        match content {
            text::Content::Text(mut fragment) => {
                let was_cut = tokens.is_none() && self.cap.take_text(&mut fragment);
                if self.show(fragment, tokens, out) {
                    self.end(text::FinishReason::Stop, out);
                } else if was_cut {
                    self.end(text::FinishReason::Length, out);
                }
            }
            text::Content::Reasoning(thought) => {
                if tokens.is_none() {
                    self.cap.take_bytes(thought.len(), true);
                }
                self.push(Event::Reasoning(thought), out);
            }
            text::Content::ToolCall(fragment) => {
                let fragment = self.check_tool_call(fragment)?;
                if tokens.is_none() {
                    let name = fragment.name.as_ref().map_or(0, String::len);
                    self.cap.take_bytes(fragment.arguments.len() + name, false);
                }
                self.flush(out);
                self.push(Event::ToolCall(fragment), out);
            }
            text::Content::Refusal(refusal) => {
                if tokens.is_none() {
                    self.cap.take_bytes(refusal.len(), false);
                }
                self.flush(out);
                self.push(Event::Refusal(refusal), out);
            }
            text::Content::Finish(reason) => self.end(reason, out),
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
        counted: Option<u32>,
        out: &mut Vec<TimedEvent>,
    ) -> bool {
        let text::TextFragment { text, tokens } = fragment;
        let start = self.taken;
        self.taken += text.len();
        if let Some(count) = counted {
            self.held_counts.push_back((self.taken, count));
        }
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
        self.shown += text.len();
        while let Some((end, _)) = self.held_counts.pop_front_if(|(end, _)| *end <= self.shown) {
            self.counted_up_to = end;
        }
        let mut tokens = Vec::new();
        while let Some((_, token)) = self.held_tokens.pop_front_if(|(end, _)| *end <= self.shown) {
            tokens.push(token);
        }
        if !text.is_empty() || !tokens.is_empty() {
            self.push(Event::Text(text::TextFragment { text, tokens }), out);
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
        out.push(TimedEvent {
            delay_us: std::mem::take(&mut self.delay_us),
            event,
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

#[cfg(test)]
mod tests {
    use super::*;
    use text::{Content, FinishReason};

    fn limits(max_tokens: u32, stop: &[&str]) -> OutputLimits {
        let stop = stop.iter().map(ToString::to_string).collect();
        OutputLimits {
            max_tokens,
            stop,
            prompt_tokens_max: 100,
            prompt_tokens_estimate: 5,
            encoding: None,
            bias: None,
        }
    }

    fn words(text: &str) -> Content {
        let token = |piece: &str| text::Token {
            id: 7,
            bytes: piece.as_bytes().to_vec(),
            logprob: Some(-1.0),
            alternatives: Vec::new(),
        };
        let tokens = text.split_inclusive(' ').map(token).collect();
        Content::Text(text::TextFragment {
            text: text.to_owned(),
            tokens,
        })
    }

    fn run(limits: &OutputLimits, contents: Vec<Content>) -> (String, Vec<TimedEvent>) {
        let mut filter = OutputFilter::new(limits);
        let mut out = Vec::new();
        for content in contents {
            filter
                .take(
                    text::Chunk {
                        content,
                        delay_us: 5,
                    },
                    &mut out,
                )
                .expect("a sound chunk");
        }
        filter.finish(&mut out);
        let text = out.iter().map(|timed| match &timed.event {
            Event::Text(fragment) => fragment.text.as_str(),
            _ => "",
        });
        (text.collect(), out)
    }

    fn last(events: &[TimedEvent]) -> Option<FinishReason> {
        match events.last()?.event {
            Event::Finish(reason) => Some(reason),
            _ => None,
        }
    }

    #[test]
    fn the_guest_may_end_with_the_last_token_and_not_later() {
        let ended = vec![words("one two "), Content::Finish(FinishReason::Stop)];
        let (text, events) = run(&limits(2, &[]), ended);
        assert_eq!(
            (text.as_str(), last(&events)),
            ("one two ", Some(FinishReason::Stop))
        );

        let endless = vec![words("one two "), words("three "), words("four ")];
        let (text, events) = run(&limits(2, &[]), endless);
        assert_eq!(
            (text.as_str(), last(&events)),
            ("one two ", Some(FinishReason::Length))
        );
        assert_eq!(events.len(), 2, "nothing comes after the end");
    }

    #[test]
    fn tokens_go_with_their_text() {
        let (text, events) = run(
            &limits(9, &["two three"]),
            vec![words("one "), words("two "), words("three four ")],
        );
        assert_eq!(
            (text.as_str(), last(&events)),
            ("one ", Some(FinishReason::Stop))
        );
        let tokens: usize = events
            .iter()
            .map(|timed| match &timed.event {
                Event::Text(fragment) => fragment.tokens.len(),
                _ => 0,
            })
            .sum();
        assert_eq!(tokens, 1, "the tokens of the stop string are not shown");
        assert_eq!(
            events.iter().map(|timed| timed.delay_us).sum::<u64>(),
            15,
            "no delay is lost"
        );
    }

    #[test]
    fn held_text_comes_before_what_follows_it() {
        let call = |index, name: Option<&str>| {
            Content::ToolCall(text::ToolCallFragment {
                index,
                id: None,
                name: name.map(ToOwned::to_owned),
                arguments: "{}".to_owned(),
            })
        };
        let (text, events) = run(
            &limits(9, &["\n\n"]),
            vec![words("hm\n"), call(0, Some("f"))],
        );
        assert_eq!(text, "hm\n");
        assert!(
            matches!(&events.get(2).map(|timed| &timed.event), Some(Event::ToolCall(call)) if call.id.is_some())
        );

        let mut filter = OutputFilter::new(&limits(9, &[]));
        for content in [call(1, Some("f")), call(0, None), call(0, Some(""))] {
            let refused = filter.take(
                text::Chunk {
                    content,
                    delay_us: 0,
                },
                &mut Vec::new(),
            );
            assert!(matches!(refused, Err(RunError::InvalidOutput { .. })));
        }
    }

    #[test]
    fn a_guest_is_needed_until_it_is_cut_and_asked_for_its_usage_when_it_ends() {
        let chunks = |contents: Vec<Content>| {
            let chunk = |content| text::Chunk {
                content,
                delay_us: 0,
            };
            contents.into_iter().map(chunk).collect::<Vec<_>>()
        };
        let take = |stop: &[&str], contents| {
            let mut out = Vec::new();
            let mut filter = OutputFilter::new(&limits(3, stop));
            (filter.take_all(chunks(contents), &mut out), out.len())
        };
        let go = ControlFlow::Continue(());
        assert_eq!(take(&[], vec![words("one two three ")]), (Ok(go), 1));
        let end = || Content::Finish(FinishReason::Stop);
        assert_eq!(take(&[], vec![words("one "), end()]), (Ok(go), 2));
        let cut = ControlFlow::Break(());
        // With the string that it was cut at.
        assert_eq!(take(&["two"], vec![words("one two "), end()]), (Ok(cut), 3));
        assert_eq!(
            take(
                &[],
                vec![words("one two three four "), words("five "), end()]
            ),
            (Ok(cut), 2)
        );
    }

    #[test]
    fn silence_is_an_answer() {
        let (text, events) = run(&limits(2, &[]), Vec::new());
        assert_eq!(
            (text.as_str(), last(&events)),
            ("", Some(FinishReason::Stop))
        );
    }
}
