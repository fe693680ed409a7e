//! What commands print: results on stdout, everything else on stderr.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::Result;
use belljar_sandbox::deceives;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::table;

/// The columns of help and the like: those of the terminal, at most 80 (long lines are hard to
/// read), and 80 where there is none.
pub(super) fn width() -> usize {
    const COLUMNS: usize = 80;
    columns(&io::stdout())
        .or_else(|| columns(&io::stderr()))
        .unwrap_or(COLUMNS)
        .min(COLUMNS)
}

/// The columns of a terminal; none for what is none.
fn columns(stream: &impl std::os::fd::AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// Text as a person may be shown it: what a stranger wrote into it drives no terminal and turns
/// nothing around. Lines stay lines.
fn shown(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c != '\n' && c != '\t' && deceives(c) {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// Text for stdout: as it is for a program, and safe for a person.
fn for_stdout(text: String) -> String {
    if io::stdout().is_terminal() {
        shown(&text)
    } else {
        text
    }
}

/// Writes text and a line end to stdout. A reader that has gone away, as with `| head`, is not
/// a failure.
pub(super) fn line(text: impl std::fmt::Display) -> Result<()> {
    line_for_reader(text).map(drop)
}

/// [`line`], which says whether there is still somebody to read the next one.
pub(super) fn line_for_reader(text: impl std::fmt::Display) -> Result<bool> {
    match writeln!(io::stdout().lock(), "{}", for_stdout(text.to_string())) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        outcome => {
            outcome?;
            Ok(true)
        }
    }
}

/// Writes text to stdout, at once.
pub(super) fn text(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(for_stdout(text.to_owned()).as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => Ok(outcome?),
    }
}

/// Writes JSON to stdout.
pub(super) fn json(value: &impl Serialize) -> Result<()> {
    line(serde_json::to_string_pretty(value)?)
}

/// The reason of a failure with its code behind the first line; what a model has written comes
/// below.
pub(super) fn with_code(message: &str, code: &str) -> String {
    if code.is_empty() {
        return message.to_owned();
    }
    match message.split_once('\n') {
        Some((first, rest)) => format!("{first} ({code})\n{rest}"),
        None => format!("{message} ({code})"),
    }
}

/// Tells a person on stderr what went wrong.
pub(super) fn error(message: &str) {
    // Nothing is left to tell anybody about a stderr that fails.
    let _ = writeln!(io::stderr().lock(), "error: {}", shown(message));
}

/// Tells a person on stderr something that scripts do not read.
pub(super) fn note(message: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", shown(message));
}

/// A table on stdout: as wide as the terminal, and a line a row for a program that reads it.
pub(super) fn table<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> Result<()> {
    line(table::written(head, rows, columns(&io::stdout())))
}

/// A bar for bytes that are sent; silent where stderr is not a terminal.
pub(super) fn byte_bar(total: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(
        "{msg} [{bar:24}] {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}",
    );
    let bar = ProgressBar::new(total);
    bar.set_style(
        style
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> "),
    );
    bar
}

/// A spinner for a wait of unknown length; silent where stderr is not a terminal.
pub(super) fn spinner() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    // How long it has been at it is all that can be told of a compilation.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever a model, a bundle or a server says to a person.
        #[test]
        fn what_is_shown_drives_no_terminal_and_keeps_its_lines(text in any::<String>()) {
            let text = format!("{text}\u{1b}[2J\u{9b}1m\r\u{202e}\n\t");
            let shown = shown(&text);
            let deceiving = shown.chars().find(|c| !matches!(c, '\n' | '\t') && deceives(*c));
            prop_assert_eq!(deceiving, None);
            let lines = |text: &str| text.matches('\n').count();
            prop_assert_eq!(lines(&shown), lines(&text));
        }
    }
}
