//! Events on their way to the reader of a stream, in as little room as a slow reader should take:
//! ten thousand of them wait for a second at each token.

use super::{Event, TimedEvent};
use belljar_sandbox::wit::text::{TextFragment, ToolCallFragment};
use belljar_tokens::Cut;
use std::vec;

/// What one call of a guest gave, an event for each token where the host counts them.
#[derive(Debug, Default)]
pub(super) struct EventBatch {
    /// The texts of all events that are nothing else, one after the other.
    text: String,
    /// Bytes of it that have been given.
    given: usize,
    events: vec::IntoIter<Packed>,
}

#[derive(Debug)]
enum Packed {
    Text { delay_us: u32, bytes: u32 },
    Reasoning { delay_us: u32, bytes: u32 },
    Other(Box<(u64, Event)>),
}

impl Packed {
    fn other(delay_us: u64, event: Event) -> Self {
        Self::Other(Box::new((delay_us, event)))
    }
}

impl EventBatch {
    /// A batch of events, each of which is parted where its tokens end.
    pub(super) fn new(events: Vec<TimedEvent>) -> Self {
        let parts = events.iter().map(|timed| timed.cuts.len().max(1)).sum();
        let mut packed = Vec::with_capacity(parts);
        let mut text = String::new();
        for timed in events {
            pack(timed, &mut packed, &mut text);
        }
        text.shrink_to_fit();
        Self {
            text,
            given: 0,
            events: packed.into_iter(),
        }
    }

    /// How many events there are still.
    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// How many tokens there are still, as far as due times go.
    pub(super) fn tokens(&self) -> u32 {
        let tokens = self.events.as_slice().iter().map(|packed| match packed {
            Packed::Text { .. } | Packed::Reasoning { .. } => 1,
            Packed::Other(other) => tokens_of(&other.1, &[]),
        });
        tokens.fold(0, u32::saturating_add)
    }

    /// The next event, and its delay in microseconds.
    pub(super) fn next(&mut self) -> Option<(u64, Event)> {
        match self.events.next()? {
            Packed::Text { delay_us, bytes } => {
                Some((u64::from(delay_us), plain(self.text(bytes))))
            }
            Packed::Reasoning { delay_us, bytes } => {
                Some((u64::from(delay_us), Event::Reasoning(self.text(bytes))))
            }
            Packed::Other(event) => Some(*event),
        }
    }

    fn text(&mut self, bytes: u32) -> String {
        let start = self.given;
        self.given = start.saturating_add(bytes as usize);
        self.text
            .get(start..self.given)
            .unwrap_or_default()
            .to_owned()
    }
}

/// Tokens of an event, as far as its due time goes: one for each part of it that a reader of a
/// stream gets, or as many as it lists.
#[must_use]
pub fn tokens_of(event: &Event, cuts: &[Cut]) -> u32 {
    let length = match event {
        Event::Text(TextFragment { text, tokens }) if tokens.is_empty() => text.len(),
        Event::Text(TextFragment { tokens, .. }) => {
            return u32::try_from(tokens.len()).unwrap_or(u32::MAX);
        }
        Event::Reasoning(text) | Event::Refusal(text) => text.len(),
        Event::ToolCall(call) => call.arguments.len(),
        Event::Stopped(_) | Event::Finish(_) => return 0,
    };
    let inside = cuts.iter().filter(|cut| cut.text < length).count();
    u32::try_from(inside.saturating_add(1)).unwrap_or(u32::MAX)
}

/// Adds an event, parted where its tokens end.
fn pack(timed: TimedEvent, packed: &mut Vec<Packed>, text: &mut String) {
    let TimedEvent {
        delay_us,
        event,
        cuts,
    } = timed;
    match event {
        Event::Text(TextFragment { text: said, tokens }) if tokens.is_empty() => {
            for (delay_us, part) in parts(delay_us, &said, &cuts) {
                packed.push(match small(delay_us, part, text) {
                    Some((delay_us, bytes)) => Packed::Text { delay_us, bytes },
                    None => Packed::other(delay_us, plain(part.to_owned())),
                });
            }
        }
        Event::Reasoning(thought) => {
            for (delay_us, part) in parts(delay_us, &thought, &cuts) {
                packed.push(match small(delay_us, part, text) {
                    Some((delay_us, bytes)) => Packed::Reasoning { delay_us, bytes },
                    None => Packed::other(delay_us, Event::Reasoning(part.to_owned())),
                });
            }
        }
        Event::ToolCall(call) if !cuts.is_empty() => {
            for (delay_us, part) in parts(delay_us, &call.arguments, &cuts) {
                let event = Event::ToolCall(ToolCallFragment {
                    index: call.index,
                    id: None,
                    name: None,
                    arguments: part.to_owned(),
                });
                packed.push(Packed::other(delay_us, event));
            }
        }
        Event::Refusal(refusal) => {
            for (delay_us, part) in parts(delay_us, &refusal, &cuts) {
                packed.push(Packed::other(delay_us, Event::Refusal(part.to_owned())));
            }
        }
        event => packed.push(Packed::other(delay_us, event)),
    }
}

/// The parts of a text: up to each cut, and what is behind the last. Only the first has the delay.
fn parts<'t>(delay_us: u64, text: &'t str, cuts: &[Cut]) -> impl Iterator<Item = (u64, &'t str)> {
    let delays = std::iter::once(delay_us).chain(std::iter::repeat(0));
    let cuts = cuts.iter().map(|cut| cut.text);
    let ends = cuts.filter(|end| *end < text.len());
    let mut start = 0;
    delays.zip(ends.chain([text.len()]).map(move |end| {
        let part = text.get(start..end);
        start = end;
        part.unwrap_or_default()
    }))
}

/// The delay of a text and its length, where both fit into what is kept of most; the text is added
/// to the others then.
fn small(delay_us: u64, part: &str, text: &mut String) -> Option<(u32, u32)> {
    let small = (
        u32::try_from(delay_us).ok()?,
        u32::try_from(part.len()).ok()?,
    );
    text.push_str(part);
    Some(small)
}

/// A text without tokens.
fn plain(text: String) -> Event {
    let tokens = Vec::new();
    Event::Text(TextFragment { text, tokens })
}

#[cfg(test)]
mod tests {
    use super::*;
    use belljar_sandbox::wit::text::FinishReason;

    fn all(events: Vec<TimedEvent>) -> Vec<(u64, Event)> {
        let mut batch = EventBatch::new(events);
        let mut all = Vec::new();
        while let Some(event) = batch.next() {
            all.push(event);
        }
        assert_eq!(batch.len(), 0);
        all
    }

    fn text(text: &str) -> Event {
        plain(text.to_owned())
    }

    fn call(name: Option<&str>, arguments: &str) -> Event {
        Event::ToolCall(ToolCallFragment {
            index: 1,
            id: None,
            name: name.map(str::to_owned),
            arguments: arguments.to_owned(),
        })
    }

    #[test]
    fn each_event_is_parted_where_its_tokens_end() {
        let cuts = |ends: &[usize]| {
            let cuts = ends.iter().enumerate();
            let cuts = cuts.map(|(index, &text)| Cut {
                text,
                tokens: index + 1,
            });
            cuts.collect::<Vec<_>>()
        };
        let timed = |event, ends: &[usize]| TimedEvent {
            delay_us: 5,
            event,
            cuts: cuts(ends),
        };
        let got = all(vec![
            timed(text("one two"), &[3, 7]),
            timed(text("held"), &[]),
            timed(Event::Reasoning("hm so?".to_owned()), &[2, 5]),
            timed(call(Some("f"), ""), &[]),
            timed(call(None, "{}"), &[1, 2]),
            timed(Event::Refusal("no no".to_owned()), &[2]),
            timed(Event::Finish(FinishReason::Stop), &[]),
        ]);
        let thought = |thought: &str| Event::Reasoning(thought.to_owned());
        let refusal = |refusal: &str| Event::Refusal(refusal.to_owned());
        let expected = [
            (5, text("one")),
            (0, text(" two")),
            (5, text("held")),
            (5, thought("hm")),
            (0, thought(" so")),
            (0, thought("?")),
            (5, call(Some("f"), "")),
            (5, call(None, "{")),
            (0, call(None, "}")),
            (5, refusal("no")),
            (0, refusal(" no")),
            (5, Event::Finish(FinishReason::Stop)),
        ];
        assert_eq!(got, expected);
    }

    #[test]
    fn no_delay_is_too_long() {
        let delay_us = u64::from(u32::MAX) + 1;
        let timed = |event| TimedEvent {
            delay_us,
            event,
            cuts: vec![Cut { text: 1, tokens: 1 }],
        };
        let thought = |thought: &str| Event::Reasoning(thought.to_owned());
        let got = all(vec![timed(text("ab")), timed(thought("cd"))]);
        let expected = [
            (delay_us, text("a")),
            (0, text("b")),
            (delay_us, thought("c")),
            (0, thought("d")),
        ];
        assert_eq!(got, expected);
    }

    /// What a slow reader costs.
    #[test]
    fn a_token_on_its_way_takes_little_room() {
        assert!(size_of::<Packed>() <= 16);
    }
}
