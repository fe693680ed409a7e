//! From the pieces in which an answer arrives to the events that it is made of.

use std::time::Duration;

use super::{Answer, Body, Content, Event, Headers};

/// What ends an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    /// An empty line, as of server-sent events.
    EmptyLine,
    /// A line end, as where each line is JSON.
    Line,
    /// Nothing but the end of the answer.
    Answer,
}

/// Types of answers that are streams, and what ends their events.
const STREAMS: [(&str, Ends); 5] = [
    ("text/event-stream", Ends::EmptyLine),
    ("application/x-ndjson", Ends::Line),
    ("application/ndjson", Ends::Line),
    ("application/jsonl", Ends::Line),
    ("application/stream+json", Ends::Line),
];

/// Ways to write an empty line behind another.
const EMPTY_LINES: [&[u8]; 4] = [b"\n\n", b"\r\n\r\n", b"\n\r\n", b"\r\r"];

/// Takes the pieces of an answer and gives the answer.
#[derive(Debug)]
pub struct Cutter {
    ends: Ends,
    events: Vec<Event>,
    /// What has come of the event that is not whole yet.
    begun: Vec<u8>,
    /// How much of it has been looked through.
    looked_through: usize,
    /// When the event before it was whole.
    last: Duration,
    bytes: usize,
}

impl Cutter {
    /// One for an answer with these headers, whose pieces come after times from its head.
    #[must_use]
    pub fn new(headers: &Headers) -> Self {
        let kind = headers.get("content-type").map(String::as_str);
        let kind = media_type(kind.unwrap_or_default());
        let ends = STREAMS.iter().find(|(name, _)| kind == *name);
        Self {
            ends: ends.map_or(Ends::Answer, |(_, ends)| *ends),
            events: Vec::new(),
            begun: Vec::new(),
            looked_through: 0,
            last: Duration::ZERO,
            bytes: 0,
        }
    }

    /// Whether the answer has events.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.ends != Ends::Answer
    }

    /// Bytes that have come.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a piece that has come `at` that time from the head on.
    pub fn take(&mut self, piece: &[u8], at: Duration) {
        self.bytes += piece.len();
        self.begun.extend_from_slice(piece);
        while let Some(length) = self.next_end() {
            let rest = self.begun.split_off(length);
            let event = std::mem::replace(&mut self.begun, rest);
            self.looked_through = 0;
            self.push(event, at);
        }
    }

    /// The whole answer, which has ended `at` that time from the head on. `head` is the time from
    /// the request to the head.
    #[must_use]
    pub fn end(mut self, status: u16, headers: Headers, head: Duration, at: Duration) -> Answer {
        let (after, content) = match self.ends {
            Ends::Answer => (head + at, Content::Whole(Body::new(self.begun))),
            Ends::EmptyLine | Ends::Line => {
                let rest = std::mem::take(&mut self.begun);
                if !rest.is_empty() {
                    self.push(rest, at);
                }
                (head, Content::Stream(self.events))
            }
        };
        Answer {
            status,
            headers,
            after,
            content,
        }
    }

    fn push(&mut self, event: Vec<u8>, at: Duration) {
        self.events.push(Event {
            after: at.saturating_sub(self.last),
            body: Body::new(event),
        });
        self.last = at;
    }

    /// Where the event that has begun ends, if it does.
    fn next_end(&mut self) -> Option<usize> {
        let from = self.looked_through;
        let rest = self.begun.get(from..)?;
        let found = match self.ends {
            Ends::Answer => return None,
            Ends::Line => rest.iter().position(|byte| *byte == b'\n').map(|at| at + 1),
            Ends::EmptyLine => EMPTY_LINES
                .iter()
                .filter_map(|end| {
                    let at = rest.windows(end.len()).position(|found| found == *end)?;
                    Some(at + end.len())
                })
                .min(),
        };
        if found.is_none() {
            // An end may have come by half.
            self.looked_through = self.begun.len().saturating_sub(3).max(from);
        }
        found.map(|length| from + length)
    }
}

/// A type without its parameters, in lower case.
pub(crate) fn media_type(value: &str) -> String {
    let kind = value.split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn headers(kind: &str) -> Headers {
        Headers::from([("content-type".to_owned(), kind.to_owned())])
    }

    /// The events of pieces that come 10 ms after one another, with their gaps in milliseconds.
    fn cut(kind: &str, pieces: &[&str]) -> Vec<(u128, String)> {
        let mut cutter = Cutter::new(&headers(kind));
        let at = |index: usize| Duration::from_millis(10 * (index as u64 + 1));
        for (index, piece) in pieces.iter().enumerate() {
            cutter.take(piece.as_bytes(), at(index));
        }
        let end = at(pieces.len().saturating_sub(1));
        let answer = cutter.end(200, headers(kind), Duration::from_millis(5), end);
        match answer.content {
            Content::Whole(body) => {
                vec![(answer.after.as_millis(), body.text().unwrap().to_owned())]
            }
            Content::Stream(events) => events
                .iter()
                .map(|event| {
                    (
                        event.after.as_millis(),
                        event.body.text().unwrap().to_owned(),
                    )
                })
                .collect(),
        }
    }

    #[test]
    fn events_end_where_their_form_says() {
        let sse = "text/event-stream; charset=utf-8";
        let event = |ms, text: &str| (ms, text.to_owned());
        assert_eq!(
            cut(
                sse,
                &["data: 1\n\nda", "ta: 2\n", "\ndata: 3\n\n", ": rest"]
            ),
            [
                event(10, "data: 1\n\n"),
                event(20, "data: 2\n\n"),
                event(0, "data: 3\n\n"),
                event(10, ": rest"),
            ]
        );
        assert_eq!(
            cut(sse, &["a\r\n\r", "\nb\r\r"]),
            [event(20, "a\r\n\r\n"), event(0, "b\r\r")]
        );
        assert_eq!(
            cut("application/x-ndjson", &["{}\n{", "}\n"]),
            [event(10, "{}\n"), event(10, "{}\n")]
        );
        assert_eq!(cut("application/json", &["{", "}"]), [event(25, "{}")]);
    }

    proptest! {
        /// However a stream is cut on its way, its events are the same and have every byte.
        #[test]
        fn pieces_make_no_difference(
            text in r"(data: [a-c]{0,3}|[\r\n]{1,3}){0,12}",
            places in prop::collection::vec(0usize..60, 0..6),
        ) {
            let mut places: Vec<usize> = places.into_iter().filter(|at| *at < text.len()).collect();
            places.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for at in places {
                pieces.push(&text[from..at]);
                from = at;
            }
            pieces.push(&text[from..]);
            let texts = |pieces: &[&str]| -> Vec<String> {
                cut("text/event-stream", pieces).into_iter().map(|(_, text)| text).collect()
            };
            let events = texts(&pieces);
            prop_assert_eq!(events.concat(), text.clone());
            prop_assert_eq!(events, texts(&[&text]));
        }
    }
}
