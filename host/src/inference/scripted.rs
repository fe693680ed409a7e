//! Answers that a tester's rules give in place of a model: as the chunks of a run that needs no
//! sandbox, through the sinks that every run has. What a caller sees of them is held to stop
//! strings and caps, counted and written like any other answer.

mod request;

pub(super) use request::{Script, asking_of_inputs, asking_of_text, script};

use belljar_sandbox::wit::text::{Chunk, Content, FinishReason, TextFragment, ToolCallFragment};
use belljar_sandbox::{ChunkSink, Completed, Generated, RunCost, RunError, RunHandle};
use belljar_testing::rules::{Said, SaidFinish};
use futures_util::future::BoxFuture;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Chunks that are given at once, as a model gives them.
const BATCH_CHUNKS: usize = 64;

/// Bytes of the arguments of a call that are one chunk.
const ARGUMENT_BYTES: usize = 16;

/// What a text comes from.
pub(super) enum TextRun<S> {
    /// A model in its sandbox.
    Model(RunHandle<Generated<S>>),
    /// A rule.
    Script(BoxFuture<'static, Result<Completed<Generated<S>>, RunError>>),
}

impl<S> Future for TextRun<S> {
    type Output = Result<Completed<Generated<S>>, RunError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Model(run) => Pin::new(run).poll(context),
            Self::Script(run) => run.as_mut().poll(context),
        }
    }
}

/// A run that gives what is said.
pub(super) fn play<S: ChunkSink>(said: &Said, mut sink: S) -> TextRun<S> {
    let chunks = chunks(said);
    TextRun::Script(Box::pin(async move {
        let mut chunks = chunks.into_iter();
        loop {
            let batch: Vec<Chunk> = chunks.by_ref().take(BATCH_CHUNKS).collect();
            if batch.is_empty() || sink.take(batch).await?.is_break() {
                break;
            }
        }
        // What it used is what the sink has counted.
        let usage = None;
        Ok(Completed {
            value: Generated { sink, usage },
            cost: RunCost::default(),
        })
    }))
}

/// The chunks of an answer: thoughts, then what is said, then calls of tools, then the end.
fn chunks(said: &Said) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut push = |content| {
        chunks.push(Chunk {
            content,
            delay_us: 0,
        });
    };
    for word in words(said.reasoning.as_deref().unwrap_or_default()) {
        push(Content::Reasoning(word.to_owned()));
    }
    for word in words(said.text.as_deref().unwrap_or_default()) {
        let tokens = Vec::new();
        let text = word.to_owned();
        push(Content::Text(TextFragment { text, tokens }));
    }
    for word in words(said.refusal.as_deref().unwrap_or_default()) {
        push(Content::Refusal(word.to_owned()));
    }
    for (index, call) in (0..).zip(&said.tool_calls) {
        push(Content::ToolCall(ToolCallFragment {
            index,
            id: Some(call.id.clone()),
            name: Some(call.name.clone()),
            arguments: String::new(),
        }));
        for part in parts(&call.arguments) {
            push(Content::ToolCall(ToolCallFragment {
                index,
                id: None,
                name: None,
                arguments: part.to_owned(),
            }));
        }
    }
    push(Content::Finish(match said.finish {
        Some(SaidFinish::Stop) => FinishReason::Stop,
        Some(SaidFinish::Length) => FinishReason::Length,
        Some(SaidFinish::ToolCalls) => FinishReason::ToolCalls,
        Some(SaidFinish::ContentFilter) => FinishReason::ContentFilter,
        None if said.tool_calls.is_empty() => FinishReason::Stop,
        None => FinishReason::ToolCalls,
    }));
    chunks
}

/// The words of a text, each with the space before it; all of them together are the text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let word = rest
            .find(|c: char| !c.is_whitespace())
            .unwrap_or(rest.len());
        let (space, behind) = rest.split_at_checked(word)?;
        let length = behind.find(char::is_whitespace).unwrap_or(behind.len());
        let (word, behind) = rest.split_at_checked(space.len() + length)?;
        rest = behind;
        (!word.is_empty()).then_some(word)
    })
}

/// A text in pieces of a few bytes.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = rest.ceil_char_boundary(ARGUMENT_BYTES.min(rest.len()));
        let (part, behind) = rest.split_at_checked(end)?;
        rest = behind;
        (!part.is_empty()).then_some(part)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use belljar_testing::rules::SaidCall;
    use proptest::prelude::*;

    fn given(said: &Said) -> Vec<Chunk> {
        let run = play(said, Vec::new());
        futures_util::FutureExt::now_or_never(run)
            .unwrap()
            .unwrap()
            .value
            .sink
    }

    #[test]
    fn an_answer_is_thoughts_then_words_then_calls_then_its_end() {
        let said = Said {
            reasoning: Some("Hm, so".to_owned()),
            text: Some("Two words".to_owned()),
            tool_calls: vec![SaidCall {
                id: "call_1".to_owned(),
                name: "f".to_owned(),
                arguments: r#"{"city":"Paris","days":3}"#.to_owned(),
            }],
            ..Said::default()
        };
        let chunks = given(&said);
        let told: Vec<String> = chunks
            .iter()
            .map(|chunk| match &chunk.content {
                Content::Reasoning(text) => format!("({text})"),
                Content::Text(fragment) => fragment.text.clone(),
                Content::Refusal(text) => format!("!{text}"),
                Content::ToolCall(call) => format!("{:?}{}", call.name, call.arguments),
                Content::Finish(reason) => format!("{reason:?}"),
            })
            .collect();
        assert_eq!(
            told,
            [
                "(Hm,)",
                "( so)",
                "Two",
                " words",
                "Some(\"f\")",
                "None{\"city\":\"Paris\",",
                "None\"days\":3}",
                "FinishReason::ToolCalls",
            ]
        );
    }

    #[test]
    fn an_answer_ends_as_its_rule_says() {
        for (finish, reason) in [
            (None, FinishReason::Stop),
            (Some(SaidFinish::Length), FinishReason::Length),
            (Some(SaidFinish::ToolCalls), FinishReason::ToolCalls),
            (Some(SaidFinish::ContentFilter), FinishReason::ContentFilter),
        ] {
            let chunks = given(&Said {
                finish,
                ..Said::default()
            });
            assert!(
                matches!(&chunks[..], [end] if matches!(&end.content, Content::Finish(it) if *it == reason))
            );
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_in_pieces(text in "[ \n\tabä日{}\"]{0,200}") {
            prop_assert_eq!(words(&text).collect::<String>(), text.clone());
            prop_assert_eq!(parts(&text).collect::<String>(), text);
        }
    }
}
