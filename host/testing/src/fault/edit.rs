//! The body of an answer with a fault: its bytes in, and what is to be done instead out.

mod json;

use super::{Fault, Spoiled};
use json::Broken;
use std::num::NonZeroU64;
use std::time::Duration;

/// Bytes of a chunk of an answer in one piece.
const PIECE_BYTES: usize = 64;

/// Bytes of an event that is looked at; what is longer passes as it is.
const EVENT_BYTES_MAX: usize = 4 << 20;

/// Pieces a second of a slow body, where its pace has as many bytes.
const SLOW_PIECES_A_SECOND: u64 = 20;

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Server-sent events.
    Events,
    /// One piece.
    Whole,
}

/// How a body ends that has not been given whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As if that were all.
    Cut,
    /// The connection is reset.
    Reset,
    /// The sending side of the connection is closed in the middle of the body.
    HalfClose,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// These bytes are sent.
    Bytes(Vec<u8>),
    /// Nothing is sent for so long.
    Wait(Duration),
    /// These are sent a little at a time.
    Slow(SlowBytes),
    /// Nothing more is sent.
    End(Ending),
}

/// Bytes that are sent at a pace. They are cut when it is their turn: an answer of some size would
/// be a multiple of it in pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowBytes {
    bytes: Vec<u8>,
    given: usize,
    pace: NonZeroU64,
}

impl Iterator for SlowBytes {
    /// A pause, and the piece that comes after it.
    type Item = (Duration, Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        let size = usize::try_from(self.pace.get() / SLOW_PIECES_A_SECOND).unwrap_or(usize::MAX);
        let rest = self.bytes.get(self.given..).unwrap_or_default();
        let piece = rest.chunks(size.max(1)).next()?.to_vec();
        self.given += piece.len();
        let bytes = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        let us = bytes.saturating_mul(1_000_000) / self.pace;
        Some((Duration::from_micros(us), piece))
    }
}

/// What makes of one body that of an answer with a fault.
#[derive(Debug)]
pub struct Editor {
    fault: Fault,
    form: Form,
    /// What has come and is no whole event yet; of an answer in one piece, all of it.
    held: Vec<u8>,
    /// How many of those bytes are known to end no event.
    looked_at: usize,
    /// Chunks that were given.
    chunks: u32,
    /// Events that have come, those that are left out with them.
    seen: u32,
    /// Events that come after the next one.
    later: Vec<Vec<u8>>,
    has_stalled: bool,
    is_over: bool,
    broken: Broken,
}

impl Editor {
    /// An editor of one body.
    #[must_use]
    pub fn new(fault: &Fault, form: Form) -> Self {
        Self {
            fault: fault.clone(),
            form,
            held: Vec::new(),
            looked_at: 0,
            chunks: 0,
            seen: 0,
            later: Vec::new(),
            has_stalled: false,
            is_over: false,
            broken: Broken::default(),
        }
    }

    /// Takes bytes of the body.
    pub fn push(&mut self, bytes: &[u8], steps: &mut Vec<Step>) {
        if self.is_over {
            return;
        }
        self.held.extend_from_slice(bytes);
        if self.form == Form::Whole {
            return;
        }
        self.end_if_due(steps);
        while !self.is_over
            && let Some(end) = end_of_event(&self.held, self.looked_at)
        {
            let rest = self.held.split_off(end);
            let event = std::mem::replace(&mut self.held, rest);
            self.looked_at = 0;
            self.event(event, steps);
        }
        // An empty line that has not come whole begins in the last two bytes.
        self.looked_at = self.held.len().saturating_sub(2);
        // Nobody writes such an event; it would be held for ever.
        if self.held.len() > EVENT_BYTES_MAX {
            let event = std::mem::take(&mut self.held);
            self.looked_at = 0;
            self.give(event, steps);
        }
    }

    /// Takes the end of the body.
    pub fn finish(&mut self, steps: &mut Vec<Step>) {
        if self.is_over {
            return;
        }
        let rest = std::mem::take(&mut self.held);
        match self.form {
            Form::Whole => self.whole(rest, steps),
            Form::Events if rest.is_empty() => {}
            Form::Events => self.event(rest, steps),
        }
        for event in std::mem::take(&mut self.later) {
            self.give(event, steps);
        }
        // Fewer chunks came than the fault waits for.
        if !self.is_over
            && let Some(stall) = self.fault.stall.filter(|_| !self.has_stalled)
        {
            self.has_stalled = true;
            steps.push(Step::Wait(stall));
        }
        if !self.is_over && self.fault.ending.is_some_and(|(after, _)| after > 0) {
            self.is_over = true;
            if let Some((_, ending @ (Ending::Reset | Ending::HalfClose))) = self.fault.ending {
                steps.push(Step::End(ending));
            }
        }
    }

    /// Whether nothing more of the body is of use.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    fn event(&mut self, event: Vec<u8>, steps: &mut Vec<Step>) {
        // A comment is no event.
        if event.starts_with(b":") {
            if !self.is_over {
                steps.push(Step::Bytes(event));
            }
            return;
        }
        if self.fault.no_done && is_last(&event) {
            return;
        }
        let edited = match std::str::from_utf8(&event) {
            Ok(text) if self.fault.empty_choices || self.fault.bad_arguments => {
                json::edit_event(text, &self.fault, &mut self.broken)
            }
            _ => json::Edited::Same,
        };
        let mut event = match edited {
            json::Edited::Same => event,
            json::Edited::Other(text) => text.into_bytes(),
            json::Edited::Gone => return,
        };
        self.seen += 1;
        let (mut times, mut is_later) = (1, false);
        for (chunk, spoiled) in self.fault.spoiled.clone() {
            if chunk != self.seen {
                continue;
            }
            match spoiled {
                Spoiled::Sse => {
                    cut_json(&mut event);
                    event.extend_from_slice(b"\nthis line is no field\n\n");
                }
                Spoiled::Json => {
                    cut_json(&mut event);
                    event.extend_from_slice(b"\n\n");
                }
                Spoiled::Utf8 => spoil_text(&mut event),
                Spoiled::Twice => times += 1,
                Spoiled::Later => is_later = true,
            }
        }
        if is_later {
            self.later.push(event);
            return;
        }
        for _ in 0..times {
            self.give(event.clone(), steps);
        }
        for event in std::mem::take(&mut self.later) {
            self.give(event, steps);
        }
    }

    fn whole(&mut self, mut body: Vec<u8>, steps: &mut Vec<Step>) {
        if (self.fault.empty_choices || self.fault.bad_arguments)
            && let Ok(text) = std::str::from_utf8(&body)
            && let Some(text) = json::edit_whole(text, &self.fault)
        {
            body = text.into_bytes();
        }
        for (_, spoiled) in self.fault.spoiled.clone() {
            match spoiled {
                Spoiled::Json => {
                    body.truncate(body.len() / 2);
                }
                Spoiled::Utf8 => spoil_text(&mut body),
                // An answer in one piece has no events.
                Spoiled::Sse | Spoiled::Twice | Spoiled::Later => {}
            }
        }
        // So many pieces are counted; what is behind them is one.
        let ending = self.fault.ending.map_or(0, |(after, _)| after);
        let pieces = usize::try_from(ending.max(self.fault.stall_after)).unwrap_or(usize::MAX);
        let rest = body.split_off(pieces.saturating_mul(PIECE_BYTES).min(body.len()));
        self.end_if_due(steps);
        self.stall_if_due(steps);
        for piece in body.chunks(PIECE_BYTES) {
            self.give(piece.to_vec(), steps);
        }
        if !rest.is_empty() {
            self.give(rest, steps);
        }
    }

    /// Gives a chunk, with what comes before and after it.
    fn give(&mut self, chunk: Vec<u8>, steps: &mut Vec<Step>) {
        if self.is_over {
            return;
        }
        self.stall_if_due(steps);
        match self.fault.pace {
            None => steps.push(Step::Bytes(chunk)),
            Some(pace) => steps.push(Step::Slow(SlowBytes {
                bytes: chunk,
                given: 0,
                pace,
            })),
        }
        self.chunks = self.chunks.saturating_add(1);
        self.end_if_due(steps);
    }

    fn stall_if_due(&mut self, steps: &mut Vec<Step>) {
        if let Some(stall) = self.fault.stall
            && !self.has_stalled
            && self.chunks >= self.fault.stall_after
        {
            self.has_stalled = true;
            steps.push(Step::Wait(stall));
        }
    }

    fn end_if_due(&mut self, steps: &mut Vec<Step>) {
        if let Some((after, ending)) = self.fault.ending
            && !self.is_over
            && self.chunks >= after
        {
            self.is_over = true;
            steps.push(Step::End(ending));
        }
    }
}

/// Bytes of the first event, its empty line included, of which so many bytes are known to be none of
/// that line. Lines end as server-sent events have them but for a lone carriage return, which
/// nobody writes.
fn end_of_event(bytes: &[u8], looked_at: usize) -> Option<usize> {
    let rest = bytes.get(looked_at..)?;
    let ends = rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let mut ends = ends.map(|(at, _)| looked_at + at + 1);
    ends.find_map(|line| match bytes.get(line..)? {
        [b'\n', ..] => Some(line + 1),
        [b'\r', b'\n', ..] => Some(line + 2),
        _ => None,
    })
}

/// Whether an event says that a stream is complete.
fn is_last(event: &[u8]) -> bool {
    const LAST: [&[u8]; 4] = [
        b"message_stop",
        b"response.completed",
        b"response.incomplete",
        b"response.failed",
    ];
    let line = event
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    match line.split(|byte| *byte == b':').next() {
        Some(b"data") => line.get(5..).map(<[u8]>::trim_ascii) == Some(b"[DONE]"),
        Some(b"event") => LAST.contains(&line.get(6..).unwrap_or_default().trim_ascii()),
        _ => false,
    }
}

/// Takes the second half of an event away, its end included.
fn cut_json(event: &mut Vec<u8>) {
    let data = event.windows(6).position(|six| six == b"data: ");
    let begin = data.map_or(0, |at| at + 6);
    let half = begin + event.len().saturating_sub(begin) / 2;
    event.truncate(half.max(begin.min(event.len())));
    while event.last() == Some(&b'\n') {
        event.pop();
    }
}

/// Puts a byte that is in no text in UTF-8 into the last text of some JSON, or at its end.
fn spoil_text(bytes: &mut Vec<u8>) {
    const NEVER_IN_UTF8: u8 = 0xff;
    let quote = bytes.iter().rposition(|byte| *byte == b'"');
    let end = bytes.len() - bytes.iter().rev().take_while(|b| **b == b'\n').count();
    bytes.insert(quote.unwrap_or(end), NEVER_IN_UTF8);
}
