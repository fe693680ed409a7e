//! What a person types, or a script writes.

use std::io::{self, BufRead as _, IsTerminal as _};

use anyhow::{Context as _, Result};
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

const PROMPT: &str = "> ";
/// The prompt of a line that goes on with the one before.
const MORE: &str = ". ";
/// The longest message, in bytes.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// A line, and what it is.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    Nothing,
    Message(String),
    Command(Command),
    /// A word that begins with a slash and has no meaning.
    Unknown(String),
}

#[derive(Debug, PartialEq)]
pub(super) enum Command {
    System(Option<String>),
    Reset,
    Stats,
    Help,
    Quit,
}

#[derive(Debug, PartialEq)]
pub(super) enum Input {
    Line(Line),
    End,
}

/// Where lines come from.
pub(super) enum Lines {
    /// A terminal, whose lines can be edited and called back.
    Person(Box<DefaultEditor>),
    Script(io::Lines<io::StdinLock<'static>>),
}

impl Lines {
    pub(super) fn new() -> Result<Self> {
        if !io::stdin().is_terminal() {
            return Ok(Self::Script(io::stdin().lock().lines()));
        }
        let editor = DefaultEditor::new().context("the terminal cannot be read")?;
        Ok(Self::Person(Box::new(editor)))
    }

    pub(super) fn is_of_a_person(&self) -> bool {
        matches!(self, Self::Person(_))
    }

    /// The next message or command. Waits for it.
    pub(super) fn next(&mut self) -> Result<Input> {
        let mut whole = String::new();
        loop {
            let prompt = if whole.is_empty() { PROMPT } else { MORE };
            let Some(line) = self.read(prompt)? else {
                return Ok(match whole.is_empty() {
                    true => Input::End,
                    false => Input::Line(read(&whole)),
                });
            };
            match line.strip_suffix('\\') {
                Some(begun) => {
                    whole.push_str(begun);
                    whole.push('\n');
                }
                None => {
                    whole.push_str(&line);
                    break;
                }
            }
            anyhow::ensure!(
                whole.len() <= MESSAGE_BYTES_MAX,
                "a message may have {MESSAGE_BYTES_MAX} bytes"
            );
        }
        if let Self::Person(editor) = self {
            // A history that has no room for a line is none the worse.
            let _ = editor.add_history_entry(&whole);
        }
        Ok(Input::Line(read(&whole)))
    }

    /// A line without its end, empty where the person has taken it back; none at the end.
    fn read(&mut self, prompt: &str) -> Result<Option<String>> {
        match self {
            Self::Script(lines) => Ok(lines.next().transpose()?),
            Self::Person(editor) => match editor.readline(prompt) {
                Ok(line) => Ok(Some(line)),
                Err(ReadlineError::Interrupted) => Ok(Some(String::new())),
                Err(ReadlineError::Eof) => Ok(None),
                Err(error) => Err(error).context("the terminal cannot be read"),
            },
        }
    }
}

/// What a line is.
fn read(line: &str) -> Line {
    let line = line.trim();
    if line.is_empty() {
        return Line::Nothing;
    }
    if let Some(message) = line.strip_prefix("//") {
        return Line::Message(format!("/{message}"));
    }
    if !line.starts_with('/') {
        return Line::Message(line.to_owned());
    }
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let rest = (!rest.is_empty()).then(|| rest.to_owned());
    let command = match (word, rest) {
        ("/system", text) => Command::System(text),
        ("/reset", None) => Command::Reset,
        ("/stats", None) => Command::Stats,
        ("/help", None) => Command::Help,
        ("/quit" | "/exit", None) => Command::Quit,
        _ => return Line::Unknown(line.to_owned()),
    };
    Line::Command(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_messages_or_commands() {
        let message = |text: &str| Line::Message(text.to_owned());
        for (line, expected) in [
            ("", Line::Nothing),
            ("  \t", Line::Nothing),
            (" hello there ", message("hello there")),
            ("//etc is a path", message("/etc is a path")),
            ("/system", Line::Command(Command::System(None))),
            (
                "/system be  brief ",
                Line::Command(Command::System(Some("be  brief".to_owned()))),
            ),
            ("/reset", Line::Command(Command::Reset)),
            ("/stats ", Line::Command(Command::Stats)),
            ("/help", Line::Command(Command::Help)),
            ("/exit", Line::Command(Command::Quit)),
            ("/rest", Line::Unknown("/rest".to_owned())),
            ("/reset all", Line::Unknown("/reset all".to_owned())),
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
    }
}
