//! Puts one line together from bytes: texts, whole numbers, times. The general machinery for
//! formatting costs several times as much as the line itself, and this is on the path of every
//! request.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;

/// A line that is being written.
pub(super) struct Line(Vec<u8>);

/// Bytes of which most lines have fewer.
const USUAL_BYTES: usize = 384;

impl Line {
    /// An empty line.
    pub(super) fn new() -> Self {
        Self(Vec::with_capacity(USUAL_BYTES))
    }

    /// The bytes so far.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Adds a text as it is.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// Adds a whole number.
    pub(super) fn number(&mut self, number: u64) -> &mut Self {
        self.text(itoa::Buffer::new().format(number))
    }

    /// Adds a duration as milliseconds with three digits behind the point.
    pub(super) fn milliseconds(&mut self, duration: Duration) -> &mut Self {
        let us = duration.as_nanos().saturating_add(500) / 1_000;
        let us = u64::try_from(us).unwrap_or(u64::MAX);
        // The 1 in front keeps the zeros behind the point.
        let fraction = us % 1_000 + 1_000;
        self.number(us / 1_000);
        let point = self.0.len();
        self.number(fraction);
        if let Some(one) = self.0.get_mut(point) {
            *one = b'.';
        }
        self
    }

    /// Adds a time of day in UTC, with microseconds.
    pub(super) fn time(&mut self, time: Timestamp) -> &mut Self {
        const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(6));
        // Writing to memory does not fail.
        let _ = PRINTER.print_timestamp(&time, &mut self.0);
        self
    }

    /// Adds a JSON string. The values here are names that cannot need escaping; should one ever
    /// do, a line of the log must still be one JSON object.
    pub(super) fn quoted(&mut self, text: &str) -> &mut Self {
        self.0.push(b'"');
        let needs_escape = |byte: u8| byte == b'"' || byte == b'\\' || byte.is_ascii_control();
        if text.is_ascii() && !text.bytes().any(needs_escape) {
            self.text(text);
        } else {
            self.escaped(text);
        }
        self.0.push(b'"');
        self
    }

    #[cold]
    fn escaped(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '"' => self.text("\\\""),
                '\\' => self.text("\\\\"),
                c if c.is_control() => self.text(&format!("\\u{:04x}", u32::from(c))),
                c => self.text(c.encode_utf8(&mut [0; 4])),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(write: impl FnOnce(&mut Line) -> &mut Line, expect: &str) {
        let mut line = Line::new();
        write(&mut line);
        assert_eq!(String::from_utf8_lossy(line.bytes()), expect);
    }

    #[test]
    fn durations_have_three_digits_behind_the_point() {
        for (ns, expect) in [
            (0, "0.000"),
            (499, "0.000"),
            (500, "0.001"),
            (7_000, "0.007"),
            (999_499, "0.999"),
            (999_500, "1.000"),
            (1_500_000, "1.500"),
            (61_000_042_000, "61000.042"),
        ] {
            check(|line| line.milliseconds(Duration::from_nanos(ns)), expect);
        }
        check(
            |line| line.milliseconds(Duration::MAX),
            "18446744073709551.615",
        );
    }

    #[test]
    fn times_are_written_as_the_library_writes_them() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2026-11-22T23:58:31.000042Z",
            "2024-02-29T12:00:00.999999999Z",
            "9999-12-30T00:00:00Z",
            "-0044-03-15T00:00:00Z",
        ] {
            let time: Timestamp = text.parse().unwrap_or_default();
            check(|line| line.time(time), &format!("{time:.6}"));
        }
    }

    #[test]
    fn strings_are_json_whatever_is_in_them() {
        for text in ["", "POST", "\"\\\n\u{7f}", "schön\u{85}", "\0"] {
            let mut line = Line::new();
            line.quoted(text);
            let read: Result<String, _> = serde_json::from_slice(line.bytes());
            assert_eq!(read.ok().as_deref(), Some(text));
        }
    }
}
