//! Faults on demand, in one syntax everywhere: `status=429;retry-after=2`, `cut-after=5`,
//! `stall=2s`. What each is called, takes and does stands in [`FAULTS`].

mod edit;
mod rule;

use crate::quantity::{self, QuantityError, shown};
pub use edit::{Editor, Ending, Form, SlowBytes, Step};
pub use rule::{Asked, FaultRule, FaultRuleError, When};
use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

/// Bytes of a fault as a text.
pub const TEXT_BYTES_MAX: usize = 1_024;

/// What a fault takes behind its `=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// Nothing.
    None,
    /// A number of chunks: events of a stream, or pieces of 64 bytes of an answer in one piece.
    Chunks,
    /// The number of a chunk, from 1, which is the one where nothing is said.
    Chunk,
    /// A time.
    Time,
    /// Anything else, as described.
    Text(&'static str),
}

/// One fault that there is, or what belongs to one.
#[derive(Clone, Copy, Debug)]
pub struct FaultRow {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub argument: Argument,
    /// What a client sees.
    pub doc: &'static str,
    set: fn(&mut Fault, &str) -> Result<(), FaultError>,
}

/// All faults, and what belongs to them.
pub const FAULTS: &[FaultRow] = &[
    FaultRow {
        name: "status",
        argument: Argument::Text("a status from 400 to 599"),
        doc: "An error with this status and the body that the provider's API has for it. No model runs.",
        set: |fault, text| {
            let status = text
                .parse()
                .ok()
                .filter(|status| (400..600).contains(status));
            let status = status.ok_or_else(|| FaultError::Status(shown(text)))?;
            fault.begin(Before::Status(status))
        },
    },
    FaultRow {
        name: "retry-after",
        argument: Argument::Text("seconds"),
        doc: "With `status`: the header `Retry-After`, and with 429 the headers of a rate limit that is used up.",
        set: |fault, text| {
            let seconds = text.parse();
            fault.retry_after_s = Some(seconds.map_err(|_| FaultError::Number(shown(text)))?);
            Ok(())
        },
    },
    FaultRow {
        name: "code",
        argument: Argument::Text("a word"),
        doc: "With `status`: the `code` of the error.",
        set: |fault, text| {
            let is_word = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
            if text.is_empty() || !text.chars().all(is_word) {
                return Err(FaultError::Word(shown(text)));
            }
            fault.code = Some(text.to_owned());
            Ok(())
        },
    },
    FaultRow {
        name: "message",
        argument: Argument::Text("words without `;`"),
        doc: "With `status`: the message of the error.",
        set: |fault, text| {
            fault.message = Some(text.to_owned());
            Ok(())
        },
    },
    FaultRow {
        name: "reset",
        argument: Argument::None,
        doc: "The connection is reset before any byte of an answer. No model runs.",
        set: |fault, _| fault.begin(Before::Reset),
    },
    FaultRow {
        name: "timeout",
        argument: Argument::Time,
        doc: "Nothing comes for this long, then the connection is closed. No model runs.",
        set: |fault, text| fault.begin(Before::Timeout(quantity::time(text)?)),
    },
    FaultRow {
        name: "delay",
        argument: Argument::Time,
        doc: "The head of the answer comes so much later.",
        set: |fault, text| {
            fault.delay = Some(quantity::time(text)?);
            Ok(())
        },
    },
    FaultRow {
        name: "content-type",
        argument: Argument::Text("a media type"),
        doc: "The answer says that it is something else, such as `text/html`.",
        set: |fault, text| {
            let is_type = |c: char| c.is_ascii_graphic() || c == ' ';
            if text.is_empty() || !text.chars().all(is_type) {
                return Err(FaultError::Word(shown(text)));
            }
            fault.content_type = Some(text.to_owned());
            Ok(())
        },
    },
    FaultRow {
        name: "cut-after",
        argument: Argument::Chunks,
        doc: "The answer ends after so many chunks, as if that were all.",
        set: |fault, text| fault.end(text, Ending::Cut),
    },
    FaultRow {
        name: "reset-after",
        argument: Argument::Chunks,
        doc: "The connection is reset after so many chunks.",
        set: |fault, text| fault.end(text, Ending::Reset),
    },
    FaultRow {
        name: "half-close",
        argument: Argument::Chunks,
        doc: "After so many chunks the server ends its side of the connection in the middle of the body, and goes on listening. Over HTTP/2, which has no such thing, the stream is reset.",
        set: |fault, text| fault.end(text, Ending::HalfClose),
    },
    FaultRow {
        name: "no-done",
        argument: Argument::None,
        doc: "A stream without its last event: `[DONE]`, `message_stop`, `response.completed`.",
        set: |fault, _| {
            fault.no_done = true;
            Ok(())
        },
    },
    FaultRow {
        name: "malformed-sse",
        argument: Argument::Chunk,
        doc: "This event of a stream is cut in the middle of its JSON, and a line follows that is no field.",
        set: |fault, text| fault.spoil(text, Spoiled::Sse),
    },
    FaultRow {
        name: "malformed-json",
        argument: Argument::Chunk,
        doc: "The JSON of this event, or of the answer in one piece, has no end.",
        set: |fault, text| fault.spoil(text, Spoiled::Json),
    },
    FaultRow {
        name: "invalid-utf8",
        argument: Argument::Chunk,
        doc: "A byte in this chunk that is in no text in UTF-8.",
        set: |fault, text| fault.spoil(text, Spoiled::Utf8),
    },
    FaultRow {
        name: "duplicate",
        argument: Argument::Chunk,
        doc: "This event comes twice.",
        set: |fault, text| fault.spoil(text, Spoiled::Twice),
    },
    FaultRow {
        name: "reorder",
        argument: Argument::Chunk,
        doc: "This event comes after the one behind it.",
        set: |fault, text| fault.spoil(text, Spoiled::Later),
    },
    FaultRow {
        name: "bad-arguments",
        argument: Argument::None,
        doc: "The arguments of calls of tools are no JSON.",
        set: |fault, _| {
            fault.bad_arguments = true;
            Ok(())
        },
    },
    FaultRow {
        name: "empty-choices",
        argument: Argument::None,
        doc: "An answer without answers: `choices`, `output` or `content` is an empty list.",
        set: |fault, _| {
            fault.empty_choices = true;
            Ok(())
        },
    },
    FaultRow {
        name: "stall",
        argument: Argument::Time,
        doc: "Nothing comes for this long in the middle of the body: before its first chunk, or where `after` says.",
        set: |fault, text| {
            fault.stall = Some(quantity::time(text)?);
            Ok(())
        },
    },
    FaultRow {
        name: "after",
        argument: Argument::Chunks,
        doc: "With `stall`: so many chunks come first.",
        set: |fault, text| {
            fault.stall_after = chunks(text)?;
            Ok(())
        },
    },
    FaultRow {
        name: "slow",
        argument: Argument::Text("bytes a second, as in `100B/s`"),
        doc: "The body comes byte by byte, at this pace.",
        set: |fault, text| {
            fault.pace = Some(quantity::pace(text)?);
            Ok(())
        },
    },
];

/// What a text that should be a fault is instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// There is nothing in it.
    #[error("an empty fault")]
    Empty,
    /// More than [`TEXT_BYTES_MAX`].
    #[error("a fault of more than {TEXT_BYTES_MAX} bytes")]
    TooLong,
    /// A name that no fault has.
    #[error("there is no fault `{name}`{}", nearest_text(.nearest))]
    Unknown {
        /// The name.
        name: String,
        /// The nearest that there is.
        nearest: Option<&'static str>,
    },
    /// Something behind `=` where nothing is taken.
    #[error("`{0}` takes nothing behind it")]
    TakesNothing(&'static str),
    /// Nothing behind `=` where something is needed.
    #[error("`{0}` needs {1} behind it, as in `{0}=…`")]
    Needs(&'static str, &'static str),
    /// The same twice, or two that exclude one another.
    #[error("`{0}` does not go with what stands before it")]
    Clash(&'static str),
    /// What belongs to another that is not there.
    #[error("`{0}` goes with `{1}`, which is not there")]
    Alone(&'static str, &'static str),
    /// Not a status of an error.
    #[error("`{0}` is no status of an error: expected 400 to 599")]
    Status(String),
    /// Not a number.
    #[error("`{0}` is no number from 0 to 1000000")]
    Number(String),
    /// Not a word.
    #[error("`{0}` has characters that cannot stand there")]
    Word(String),
    /// Not a time or a pace.
    #[error(transparent)]
    Quantity(#[from] QuantityError),
}

fn nearest_text(nearest: &Option<&'static str>) -> String {
    match nearest {
        Some(name) => format!(": did you mean `{name}`?"),
        None => String::new(),
    }
}

/// What happens in place of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// An error with this status.
    Status(u16),
    /// The connection is reset.
    Reset,
    /// Nothing for so long, and then the end of the connection.
    Timeout(Duration),
}

/// What is wrong with one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoiled {
    /// It is no event.
    Sse,
    /// Its JSON has no end.
    Json,
    /// It has a byte that is in no text.
    Utf8,
    /// It comes twice.
    Twice,
    /// It comes after the next one.
    Later,
}

/// What goes wrong with one answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// The text that it was read from.
    text: String,
    /// What comes in place of an answer.
    pub before: Option<Before>,
    /// How much later the head of the answer comes.
    pub delay: Option<Duration>,
    /// In how many seconds to ask again, of an error.
    pub retry_after_s: Option<u32>,
    /// The code of an error.
    pub code: Option<String>,
    /// The message of an error.
    pub message: Option<String>,
    /// What the answer says that it is.
    pub content_type: Option<String>,
    /// How it ends, after so many chunks.
    pub ending: Option<(u32, Ending)>,
    /// Whether the last event of a stream is missing.
    pub no_done: bool,
    /// Which chunk is spoiled, from 1, and how.
    pub spoiled: Vec<(u32, Spoiled)>,
    /// Whether arguments of tools are no JSON.
    pub bad_arguments: bool,
    /// Whether there are no answers in the answer.
    pub empty_choices: bool,
    /// How long nothing comes in the middle of the body.
    pub stall: Option<Duration>,
    /// How many chunks come before that.
    pub stall_after: u32,
    /// Bytes a second of the body.
    pub pace: Option<NonZeroU64>,
}

/// A number of chunks.
fn chunks(text: &str) -> Result<u32, FaultError> {
    const CHUNKS_MAX: u32 = 1_000_000;
    let number = text.parse().ok().filter(|number| *number <= CHUNKS_MAX);
    number.ok_or_else(|| FaultError::Number(shown(text)))
}

impl Fault {
    fn begin(&mut self, before: Before) -> Result<(), FaultError> {
        match self.before.replace(before) {
            None => Ok(()),
            Some(_) => Err(FaultError::Clash(match before {
                Before::Status(_) => "status",
                Before::Reset => "reset",
                Before::Timeout(_) => "timeout",
            })),
        }
    }

    fn end(&mut self, text: &str, ending: Ending) -> Result<(), FaultError> {
        match self.ending.replace((chunks(text)?, ending)) {
            None => Ok(()),
            Some(_) => Err(FaultError::Clash(match ending {
                Ending::Cut => "cut-after",
                Ending::Reset => "reset-after",
                Ending::HalfClose => "half-close",
            })),
        }
    }

    fn spoil(&mut self, text: &str, spoiled: Spoiled) -> Result<(), FaultError> {
        let chunk = match text {
            "" => 1,
            text => chunks(text)?.max(1),
        };
        self.spoiled.push((chunk, spoiled));
        Ok(())
    }

    /// The name of what it begins with, of those that there are.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        let first = self
            .text
            .split(['=', ';'])
            .next()
            .unwrap_or_default()
            .trim();
        let row = FAULTS.iter().find(|row| row.name == first);
        row.map_or("", |row| row.name)
    }

    /// Whether no model runs.
    #[must_use]
    pub fn is_in_place_of_an_answer(&self) -> bool {
        self.before.is_some()
    }

    /// Whether the body of an answer is another.
    #[must_use]
    pub fn changes_body(&self) -> bool {
        let Self {
            text: _,
            before: _,
            delay: _,
            retry_after_s: _,
            code: _,
            message: _,
            content_type: _,
            ending,
            no_done,
            spoiled,
            bad_arguments,
            empty_choices,
            stall,
            stall_after: _,
            pace,
        } = self;
        ending.is_some()
            || *no_done
            || !spoiled.is_empty()
            || *bad_arguments
            || *empty_choices
            || stall.is_some()
            || pace.is_some()
    }

    /// That what belongs to another is not alone.
    fn checked(self) -> Result<Self, FaultError> {
        let is_error = matches!(self.before, Some(Before::Status(_)));
        for (is_there, name) in [
            (self.retry_after_s.is_some(), "retry-after"),
            (self.code.is_some(), "code"),
            (self.message.is_some(), "message"),
        ] {
            if is_there && !is_error {
                return Err(FaultError::Alone(name, "status"));
            }
        }
        if self.stall_after > 0 && self.stall.is_none() {
            return Err(FaultError::Alone("after", "stall"));
        }
        // An error is an answer: it can be cut, slow and of the wrong type. Without one there is
        // nothing of which anything could be wrong.
        if self.before.is_some()
            && !is_error
            && (self.changes_body() || self.content_type.is_some())
        {
            return Err(FaultError::Clash(match self.before {
                Some(Before::Timeout(_)) => "timeout",
                _ => "reset",
            }));
        }
        Ok(self)
    }
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(FaultError::TooLong);
        }
        let mut fault = Self {
            text: text.trim().to_owned(),
            ..Self::default()
        };
        let mut seen = Vec::new();
        for part in text
            .split(';')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let (name, argument) = match part.split_once('=') {
                Some((name, argument)) => (name.trim(), Some(argument.trim())),
                None => (part, None),
            };
            let row = FAULTS.iter().find(|row| row.name == name);
            let row = row.ok_or_else(|| FaultError::Unknown {
                name: shown(name),
                nearest: nearest(name),
            })?;
            match (row.argument, argument) {
                (Argument::None, Some(_)) => return Err(FaultError::TakesNothing(row.name)),
                (Argument::None | Argument::Chunk, None) | (_, Some(_)) => {}
                (Argument::Chunks, None) => {
                    return Err(FaultError::Needs(row.name, "a number of chunks"));
                }
                (Argument::Time, None) => return Err(FaultError::Needs(row.name, "a time")),
                (Argument::Text(what), None) => return Err(FaultError::Needs(row.name, what)),
            }
            // Several chunks can be spoiled in the same way; everything else is said once.
            if row.argument != Argument::Chunk && seen.contains(&row.name) {
                return Err(FaultError::Clash(row.name));
            }
            seen.push(row.name);
            (row.set)(&mut fault, argument.unwrap_or_default())?;
        }
        if seen.is_empty() {
            return Err(FaultError::Empty);
        }
        fault.checked()
    }
}

impl fmt::Display for Fault {
    /// The text that it was read from.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The fault whose name is most like this one, if any is.
fn nearest(name: &str) -> Option<&'static str> {
    let alike = |row: &&FaultRow| strsim::jaro_winkler(row.name, name);
    FAULTS
        .iter()
        .max_by(|one, other| alike(one).total_cmp(&alike(other)))
        .filter(|row| alike(row) >= 0.75)
        .map(|row| row.name)
}

#[cfg(test)]
mod tests;
