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

    /// The next event, and its delay in microseconds.
    pub(super) fn next(&mut self) -> Option<(u64, Event)> {
        match self.events.next()? {
            Packed::Text { delay_us, bytes } => {
                let text = self.text(bytes);
                let tokens = Vec::new();
                let event = Event::Text(TextFragment { text, tokens });
                Some((u64::from(delay_us), event))
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

/// Adds an event, parted where its tokens end. Only the first part has its delay.
fn pack(timed: TimedEvent, packed: &mut Vec<Packed>, text: &mut String) {
    let TimedEvent {
        delay_us,
        event,
        cuts,
    } = timed;
    let mut delays = std::iter::once(delay_us).chain(std::iter::repeat(0));
    let mut delay = || delays.next().unwrap_or_default();
    match event {
        Event::Text(TextFragment { text: said, tokens }) if tokens.is_empty() => {
            for part in parts(&said, &cuts) {
                let (delay_us, bytes) = (saturating(delay()), saturating(part.len() as u64));
                packed.push(Packed::Text { delay_us, bytes });
            }
            text.push_str(&said);
        }
        Event::Reasoning(thought) => {
            for part in parts(&thought, &cuts) {
                let (delay_us, bytes) = (saturating(delay()), saturating(part.len() as u64));
                packed.push(Packed::Reasoning { delay_us, bytes });
            }
            text.push_str(&thought);
        }
        Event::ToolCall(call) if !cuts.is_empty() => {
            for part in parts(&call.arguments, &cuts) {
                let event = Event::ToolCall(ToolCallFragment {
                    index: call.index,
                    id: None,
                    name: None,
                    arguments: part.to_owned(),
                });
                packed.push(Packed::Other(Box::new((delay(), event))));
            }
        }
        Event::Refusal(refusal) => {
            for part in parts(&refusal, &cuts) {
                let event = Event::Refusal(part.to_owned());
                packed.push(Packed::Other(Box::new((delay(), event))));
            }
        }
        event => packed.push(Packed::Other(Box::new((delay_us, event)))),
    }
}

/// The parts of a text: up to each cut, and what is behind the last.
fn parts<'t>(text: &'t str, cuts: &[Cut]) -> impl Iterator<Item = &'t str> {
    let cuts = cuts.iter().map(|cut| cut.text);
    let ends = cuts.filter(|end| *end < text.len());
    let mut start = 0;
    ends.chain([text.len()]).map(move |end| {
        let part = text.get(start..end);
        start = end;
        part.unwrap_or_default()
    })
}

/// An hour and 11 minutes are the longest delay, and 4 GiB the longest text, both of which are
/// beyond what a run may take or give.
fn saturating(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
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
        Event::Text(TextFragment {
            text: text.to_owned(),
            tokens: Vec::new(),
        })
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

    /// What a slow reader costs.
    #[test]
    fn a_token_on_its_way_takes_little_room() {
        assert!(size_of::<Packed>() <= 16);
    }
}
