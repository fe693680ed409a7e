//! Requests and chunks of [`Text`](crate::Text), and the way from an iterator to an answer.

use alloc::string::String;
use alloc::vec::Vec;
use core::iter::Fuse;

pub use crate::bindings::text::exports::belljar::model::text::{
    Alternative, Chunk, Content, File, FinishReason, Image, JsonSchema, Message, Part, Prompt,
    RawPrompt, ReasoningEffort, Request, ResponseFormat, Role, Sampling, TextFragment, Token, Tool,
    ToolCall, ToolCallFragment, ToolChoice, Usage,
};
use crate::tensors::find_parameter;
use crate::{Error, Value};

/// A text in the making. The host pulls.
pub trait Generate {
    /// The next chunks: at least one and at most `max_chunks`. The last one is a finish reason;
    /// an empty list means the same as [`FinishReason::Stop`].
    ///
    /// # Errors
    ///
    /// Those that the model finds on its way.
    fn next(&mut self, max_chunks: u32) -> Result<Vec<Chunk>, Error>;

    /// What has been used so far.
    fn usage(&self) -> Usage;
}

/// An answer from an iterator of chunks.
///
/// Items may be [`Chunk`]s, texts, or `Result`s of either. What the items hold is counted, and a
/// finish reason is added where the iterator ends without one. The iterator is asked for as many
/// items as the host wants and no more, so it may compute each one when asked.
///
/// ```
/// use belljar_guest::text::{FinishReason, Generate, stream};
///
/// let mut answer = stream(["Hello", ", world"]).prompt_tokens(3).max_tokens(10);
/// let chunks = answer.next(100)?;
/// assert_eq!(chunks.len(), 3);
/// assert_eq!(chunks[2].finish_reason(), Some(FinishReason::Stop));
/// assert_eq!(answer.usage().completion_tokens, 2);
/// # Ok::<(), belljar_guest::Error>(())
/// ```
pub fn stream<I>(items: I) -> Stream<I::IntoIter>
where
    I: IntoIterator,
    I::Item: IntoChunk,
{
    Stream {
        items: items.into_iter().fuse(),
        max_tokens: u32::MAX,
        finished: false,
        usage: Usage {
            prompt_tokens: 0,
            completion_tokens: 0,
            reasoning_tokens: 0,
            cached_tokens: 0,
        },
    }
}

/// An answer from an iterator. Made by [`stream`].
#[derive(Clone, Debug)]
pub struct Stream<I> {
    items: Fuse<I>,
    max_tokens: u32,
    finished: bool,
    usage: Usage,
}

impl<I> Stream<I> {
    /// How many tokens the prompt has.
    #[must_use]
    pub fn prompt_tokens(mut self, count: u32) -> Self {
        self.usage.prompt_tokens = count;
        self
    }

    /// Ends the answer with [`FinishReason::Length`] after that many tokens, whatever the
    /// iterator still holds. A chunk that would go past the end is dropped whole.
    #[must_use]
    pub fn max_tokens(mut self, count: u32) -> Self {
        self.max_tokens = count;
        self
    }
}

impl<I> Generate for Stream<I>
where
    I: Iterator,
    I::Item: IntoChunk,
{
    fn next(&mut self, max_chunks: u32) -> Result<Vec<Chunk>, Error> {
        let mut chunks = Vec::new();
        while !self.finished && (chunks.len() as u64) < u64::from(max_chunks.max(1)) {
            let chunk = match self.items.next() {
                Some(item) => item.into_chunk()?,
                None => Chunk::finish(FinishReason::Stop),
            };
            let tokens = chunk.tokens();
            let total = self.usage.completion_tokens.saturating_add(tokens);
            if total > self.max_tokens {
                self.finished = true;
                chunks.push(Chunk::finish(FinishReason::Length));
                break;
            }
            self.usage.completion_tokens = total;
            if matches!(chunk.content, Content::Reasoning(_)) {
                self.usage.reasoning_tokens += tokens;
            }
            self.finished = chunk.finish_reason().is_some();
            chunks.push(chunk);
        }
        Ok(chunks)
    }

    fn usage(&self) -> Usage {
        self.usage
    }
}

/// What an iterator given to [`stream`] may hold.
pub trait IntoChunk {
    /// The chunk, or the error that ends the answer.
    ///
    /// # Errors
    ///
    /// The item's own.
    fn into_chunk(self) -> Result<Chunk, Error>;
}

impl IntoChunk for Chunk {
    fn into_chunk(self) -> Result<Chunk, Error> {
        Ok(self)
    }
}

impl IntoChunk for String {
    fn into_chunk(self) -> Result<Chunk, Error> {
        Ok(Chunk::text(self))
    }
}

impl IntoChunk for &str {
    fn into_chunk(self) -> Result<Chunk, Error> {
        Ok(Chunk::text(self))
    }
}

impl<T: IntoChunk> IntoChunk for Result<T, Error> {
    fn into_chunk(self) -> Result<Chunk, Error> {
        self?.into_chunk()
    }
}

impl Chunk {
    /// A piece of the answer, without its tokens: it counts as one.
    pub fn text(text: impl Into<String>) -> Self {
        Self::from(Content::Text(TextFragment {
            text: text.into(),
            tokens: Vec::new(),
        }))
    }

    /// A piece of the answer with the tokens that make it up.
    pub fn tokens_of_text(text: impl Into<String>, tokens: Vec<Token>) -> Self {
        Self::from(Content::Text(TextFragment {
            text: text.into(),
            tokens,
        }))
    }

    /// A thought that is not part of the answer.
    pub fn reasoning(text: impl Into<String>) -> Self {
        Self::from(Content::Reasoning(text.into()))
    }

    /// What the model says instead of an answer.
    pub fn refusal(text: impl Into<String>) -> Self {
        Self::from(Content::Refusal(text.into()))
    }

    /// The first fragment of a tool call.
    pub fn tool_call(index: u32, id: impl Into<String>, name: impl Into<String>) -> Self {
        Self::from(Content::ToolCall(ToolCallFragment {
            index,
            id: Some(id.into()),
            name: Some(name.into()),
            arguments: String::new(),
        }))
    }

    /// More of the arguments of a tool call that has begun.
    pub fn tool_arguments(index: u32, arguments: impl Into<String>) -> Self {
        Self::from(Content::ToolCall(ToolCallFragment {
            index,
            id: None,
            name: None,
            arguments: arguments.into(),
        }))
    }

    /// The last chunk.
    pub fn finish(reason: FinishReason) -> Self {
        Self::from(Content::Finish(reason))
    }

    /// The same chunk, handed to the caller that many microseconds after the one before it. The
    /// host waits, and the model does not.
    #[must_use]
    pub fn after_us(mut self, delay_us: u64) -> Self {
        self.delay_us = delay_us;
        self
    }

    /// How many tokens the chunk counts as.
    pub fn tokens(&self) -> u32 {
        match &self.content {
            Content::Text(fragment) => {
                u32::try_from(fragment.tokens.len().max(1)).unwrap_or(u32::MAX)
            }
            Content::Reasoning(_) | Content::ToolCall(_) | Content::Refusal(_) => 1,
            Content::Finish(_) => 0,
        }
    }

    /// Why the answer ends, if it ends here.
    pub fn finish_reason(&self) -> Option<FinishReason> {
        match self.content {
            Content::Finish(reason) => Some(reason),
            _ => None,
        }
    }
}

impl From<Content> for Chunk {
    fn from(content: Content) -> Self {
        Self {
            content,
            delay_us: 0,
        }
    }
}

impl Request {
    /// The text of the last message of the user, or the bare prompt; empty where there is none.
    pub fn last_user_text(&self) -> String {
        match &self.prompt {
            Prompt::Messages(messages) => messages
                .iter()
                .rev()
                .find(|message| message.role == Role::User)
                .map(Message::text)
                .unwrap_or_default(),
            Prompt::Text(raw) => raw.text.clone(),
            Prompt::Tokens(_) => String::new(),
        }
    }

    /// The value of a free-form option.
    pub fn parameter(&self, name: &str) -> Option<&Value> {
        find_parameter(&self.parameters, name)
    }
}

impl Message {
    /// The text parts, one after the other.
    pub fn text(&self) -> String {
        let mut whole = String::new();
        for part in &self.content {
            if let Part::Text(text) = part {
                whole.push_str(text);
            }
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(chunks: &[Chunk]) -> Vec<Option<FinishReason>> {
        chunks.iter().map(Chunk::finish_reason).collect()
    }

    #[test]
    fn the_host_gets_at_most_what_it_asks_for_and_one_finish() {
        let mut answer = stream(["a", "b", "c"]);
        assert_eq!(answer.next(2).unwrap().len(), 2);
        assert_eq!(
            reasons(&answer.next(2).unwrap()),
            [None, Some(FinishReason::Stop)]
        );
        assert!(answer.next(2).unwrap().is_empty());
        assert_eq!(answer.usage().completion_tokens, 3);
    }

    #[test]
    fn asking_for_none_gives_one() {
        assert_eq!(stream(["a"]).next(0).unwrap().len(), 1);
    }

    #[test]
    fn the_answer_is_cut_at_the_cap_and_not_before() {
        let mut cut = stream(["a", "b", "c"]).max_tokens(2);
        assert_eq!(
            reasons(&cut.next(9).unwrap()),
            [None, None, Some(FinishReason::Length)]
        );
        assert_eq!(cut.usage().completion_tokens, 2);
        let mut exact = stream(["a", "b"]).max_tokens(2);
        assert_eq!(
            reasons(&exact.next(9).unwrap()),
            [None, None, Some(FinishReason::Stop)]
        );
    }

    #[test]
    fn reasoning_is_counted_twice_over_and_finish_not_at_all() {
        let mut answer = stream([
            Chunk::reasoning("hm"),
            Chunk::text("yes"),
            Chunk::finish(FinishReason::ContentFilter),
            Chunk::text("never sent"),
        ]);
        let chunks = answer.next(9).unwrap();
        assert_eq!(chunks.len(), 3);
        let usage = answer.usage();
        assert_eq!((usage.completion_tokens, usage.reasoning_tokens), (2, 1));
    }

    #[test]
    fn an_error_of_the_iterator_is_the_answer() {
        let mut answer = stream([Ok(Chunk::text("a")), Err(Error::failed("broken"))]);
        assert_eq!(answer.next(1).unwrap().len(), 1);
        assert_eq!(answer.next(1).unwrap_err(), Error::failed("broken"));
    }
}
