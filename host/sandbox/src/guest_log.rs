//! What guests write, as lines of the host's log, and how many of them one model may cause.

use crate::{RunLabel, bindings::belljar::model::log::Level, printable::printable};
use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// Bytes of a guest's line that are kept.
const LINE_BYTES_MAX: usize = 4 << 10;
/// Lines of its guests that one model may have in the log within [`WINDOW`].
const GUEST_LINES_MAX: u32 = 600;
/// Lines about failed runs that one model may have in the log within [`WINDOW`].
const FAULT_LINES_MAX: u32 = 60;
/// The time for which lines are counted together.
const WINDOW: Duration = Duration::from_secs(60);

/// How loud a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loudness {
    /// For following a run step by step.
    Trace,
    /// For looking for a mistake.
    Debug,
    /// For whoever runs the model.
    Info,
    /// Something is odd.
    Warn,
    /// Something is wrong.
    Error,
}

impl From<Level> for Loudness {
    fn from(level: Level) -> Self {
        match level {
            Level::Trace => Self::Trace,
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warn => Self::Warn,
            Level::Error => Self::Error,
        }
    }
}

/// One line that a guest has written. Its text is safe to print.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct GuestLine {
    /// How loud the guest wants it to be.
    pub loudness: Loudness,
    /// The way that it came: `log`, `stdio`, or `run` for the end of a run that failed.
    pub origin: String,
    /// The text.
    pub text: String,
}

impl GuestLine {
    pub(crate) fn new(loudness: Loudness, origin: &str, text: &str) -> Self {
        Self {
            loudness,
            origin: origin.to_owned(),
            text: printable(text, LINE_BYTES_MAX),
        }
    }

    /// The same line from another process, whose word is not taken for what may be printed.
    pub(crate) fn received(self) -> Self {
        Self {
            text: printable(&self.text, LINE_BYTES_MAX),
            origin: printable(&self.origin, LINE_BYTES_MAX),
            ..self
        }
    }

    /// Writes the line to the log of this process.
    pub fn log(&self, model: &str, label: &RunLabel) {
        let (request, trace) = (label.request_id(), label.trace_id());
        let Self {
            loudness,
            origin,
            text: line,
        } = self;
        match loudness {
            Loudness::Trace => {
                tracing::trace!(target: "guest", { model.id = model, request.id = request, trace_id = trace, origin }, "{line}");
            }
            Loudness::Debug => {
                tracing::debug!(target: "guest", { model.id = model, request.id = request, trace_id = trace, origin }, "{line}");
            }
            Loudness::Info => {
                tracing::info!(target: "guest", { model.id = model, request.id = request, trace_id = trace, origin }, "{line}");
            }
            Loudness::Warn => {
                tracing::warn!(target: "guest", { model.id = model, request.id = request, trace_id = trace, origin }, "{line}");
            }
            Loudness::Error => {
                tracing::error!(target: "guest", { model.id = model, request.id = request, trace_id = trace, origin }, "{line}");
            }
        }
    }
}

/// Hears what the guests of a model write and why their runs fail, besides the log, and all of it:
/// the share of the log does not bound it.
pub trait GuestEar: std::fmt::Debug + Send + Sync {
    /// Takes a line of a run. Called while the guest runs, so it must not wait.
    fn hear(&self, line: &GuestLine, request: &str);
}

/// The share of the log that the runs of one model have together. A stranger's model that
/// crashes ten thousand times a second must not fill the operator's disk.
#[derive(Debug, Default)]
pub(crate) struct LogShare {
    guest: Window,
    faults: Window,
}

impl LogShare {
    /// Whether a line of a guest may be written now. Tells the log what was left out before.
    pub(crate) fn admits_line(&self, model: &str) -> bool {
        let (passes, left_out) = self.guest.take(Instant::now(), GUEST_LINES_MAX);
        if left_out > 0 {
            tracing::warn!(
                model.id = model,
                lines = left_out,
                "lines of this model were left out: at most {GUEST_LINES_MAX} a minute are written"
            );
        }
        passes
    }

    /// Whether a line about a failed run may be written now. Tells the log what was left out
    /// before.
    pub(crate) fn admits_fault(&self, model: &str) -> bool {
        let (passes, left_out) = self.faults.take(Instant::now(), FAULT_LINES_MAX);
        if left_out > 0 {
            tracing::warn!(
                model.id = model,
                runs = left_out,
                "further runs of this model have failed: at most {FAULT_LINES_MAX} a minute are written"
            );
        }
        passes
    }
}

#[derive(Debug, Default)]
struct Window(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    begun: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl Window {
    /// Whether one more fits, and how many did not before this window began.
    fn take(&self, now: Instant, lines_max: u32) -> (bool, u64) {
        let mut counted = self.0.lock();
        let mut left_out = 0;
        if counted
            .begun
            .is_none_or(|begun| now.saturating_duration_since(begun) >= WINDOW)
        {
            left_out = counted.left_out;
            *counted = Counted {
                begun: Some(now),
                ..Counted::default()
            };
        }
        if counted.lines < lines_max {
            counted.lines += 1;
            (true, left_out)
        } else {
            counted.left_out = counted.left_out.saturating_add(1);
            (false, left_out)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_cannot_forge_a_line() {
        let line = GuestLine::new(Loudness::Info, "log", "a\nlevel=ERROR \u{1b}[2J\u{202e}");
        assert_eq!(line.text, "a\u{fffd}level=ERROR \u{fffd}[2J\u{fffd}");
        let long = "é".repeat(LINE_BYTES_MAX);
        let line = GuestLine::new(Loudness::Info, "log", &long);
        assert!(line.text.len() <= LINE_BYTES_MAX);
        // The compiling process has seen a stranger's code: its word is cleaned again.
        let text = "a\nb".to_owned();
        assert_eq!(GuestLine { text, ..line }.received().text, "a\u{fffd}b");
    }

    #[test]
    fn a_minute_has_so_many_lines_and_the_next_tells_how_many_there_were_more() {
        let window = Window::default();
        let begun = Instant::now();
        assert_eq!(window.take(begun, 2), (true, 0));
        assert_eq!(window.take(begun + WINDOW / 2, 2), (true, 0));
        for _ in 0..1000 {
            assert_eq!(window.take(begun + WINDOW / 2, 2), (false, 0));
        }
        assert_eq!(window.take(begun + WINDOW, 2), (true, 1000));
        assert_eq!(window.take(begun + WINDOW, 2), (true, 0));
        assert_eq!(window.take(begun + 3 * WINDOW, 2), (true, 0));
    }
}
