//! Recordings: what was asked of a service and what it answered, kept in a file, found again for
//! the same request, and held against what the service answers later.
//!
//! The file is text, a JSON object a line: [`Header`], then an [`Exchange`] a line, in the order in
//! which they ended. It is written by whoever has scrubbed it ([`Scrubbed`](crate::scrub::Scrubbed)),
//! and read as something that a stranger may have sent.

mod cutter;
mod drift;
mod exchange;
mod lookup;
mod replay;
mod shape;

use std::io::{BufRead, Read as _};

use serde::{Deserialize, Serialize};

use crate::json_path::JsonPath;
pub use cutter::Cutter;
pub use drift::{Drift, drift};
pub use exchange::{
    Answer, BODY_BYTES_MAX, Body, Content, EVENTS_MAX, Event, Exchange, GAP_MS_MAX, HEAD_BYTES_MAX,
    HEADERS_MAX, Headers, Request,
};
pub use lookup::{Cursors, Miss};
pub use replay::{RUN_BYTES_MAX, RUNS_MAX, Replay};

/// The name that the file has in a bundle.
pub const EXCHANGES_FILE: &str = "exchanges.jsonl";
/// The form of the file that is read and written here.
pub const FORM: u32 = 1;
/// Exchanges of one recording.
pub const EXCHANGES_MAX: usize = 100_000;
/// Bytes of one line: a body with every byte escaped, and what stands around it.
pub const LINE_BYTES_MAX: usize = 6 * BODY_BYTES_MAX + (1 << 20);
/// Bytes of the file. It is held in memory while it answers.
pub const FILE_BYTES_MAX: u64 = 512 << 20;
/// Paths of one recording that are not compared.
pub const IGNORED_MAX: usize = 64;

/// Members of a request that say nothing about its answer: who asks, and marks for the log.
pub const IGNORED_BY_DEFAULT: [&str; 7] = [
    "$.user",
    "$.metadata",
    "$.seed",
    "$.safety_identifier",
    "$.prompt_cache_key",
    "$.request_id",
    "$.client_request_id",
];

/// Why a recording cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file could not be read.
    #[error("the recording cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// It does not begin as a recording does.
    #[error("line 1: this is no recording: {reason}")]
    Header {
        /// What is wrong.
        reason: String,
    },
    /// It is of a form that is not known here.
    #[error("line 1: the recording has the form {got}; this version reads form {FORM}")]
    Form {
        /// As written.
        got: u32,
    },
    /// A line is none of a recording.
    #[error("line {line}: {reason}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// An exchange that cannot be one of a recording.
    #[error("{reason}")]
    Exchange {
        /// What is wrong.
        reason: String,
    },
    /// The file is larger than allowed.
    #[error("the recording has more than {limit} bytes")]
    TooLarge {
        /// In bytes.
        limit: u64,
    },
    /// More exchanges than allowed.
    #[error("the recording has more than {limit} exchanges")]
    TooMany {
        /// How many are allowed.
        limit: usize,
    },
}

impl RecordingError {
    fn exchange(reason: String) -> Self {
        Self::Exchange { reason }
    }

    /// The same with the line in which it was found.
    fn at(self, line: usize) -> Self {
        match self {
            Self::Exchange { reason } => Self::Line { line, reason },
            other => other,
        }
    }
}

/// The first line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// What of requests is not compared.
    pub ignored: Vec<JsonPath>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct HeaderLine {
    recording: u32,
    ignored: Vec<String>,
}

impl Header {
    /// The one that compares everything but [`IGNORED_BY_DEFAULT`] and these paths.
    #[must_use]
    pub fn new(further: &[JsonPath]) -> Self {
        let defaults = IGNORED_BY_DEFAULT
            .iter()
            .filter_map(|path| path.parse().ok());
        let mut ignored: Vec<JsonPath> = defaults.collect();
        ignored.extend_from_slice(further);
        Self { ignored }
    }

    /// The line of the file, without its end.
    ///
    /// # Errors
    /// When there are more paths than allowed.
    pub fn to_line(&self) -> Result<String, RecordingError> {
        if self.ignored.len() > IGNORED_MAX {
            let reason = format!("more than {IGNORED_MAX} paths are not compared");
            return Err(RecordingError::exchange(reason));
        }
        let line = HeaderLine {
            recording: FORM,
            ignored: self.ignored.iter().map(ToString::to_string).collect(),
        };
        serde_json::to_string(&line).map_err(|error| RecordingError::exchange(error.to_string()))
    }

    /// Reads the line.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_line(line: &str) -> Result<Self, RecordingError> {
        let refuse = |reason: String| RecordingError::Header { reason };
        // The form first: a file of another time has other members.
        let form = serde_json::from_str::<serde_json::Value>(line)
            .map_err(|error| refuse(error.to_string()))?;
        let form = form.get("recording").and_then(serde_json::Value::as_u64);
        let form = form.and_then(|form| u32::try_from(form).ok());
        let form = form.ok_or_else(|| refuse("`recording`, its form, is missing".to_owned()))?;
        if form != FORM {
            return Err(RecordingError::Form { got: form });
        }
        let line: HeaderLine =
            serde_json::from_str(line).map_err(|error| refuse(error.to_string()))?;
        if line.ignored.len() > IGNORED_MAX {
            return Err(refuse(format!(
                "`ignored` has more than {IGNORED_MAX} paths"
            )));
        }
        let ignored = line.ignored.iter().map(|path| path.parse());
        let ignored: Result<_, _> = ignored.collect();
        let ignored = ignored.map_err(|error: crate::json_path::JsonPathError| {
            refuse(format!("`ignored`: {error}"))
        })?;
        Ok(Self { ignored })
    }
}

/// A recording in memory, ready to answer.
#[derive(Debug)]
pub struct Recording {
    header: Header,
    exchanges: Vec<Exchange>,
    asked: lookup::Index,
}

/// Whether the model that a request names has to be that of the recorded one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelNames {
    /// Requests name the model that was recorded.
    Recorded,
    /// Requests name the recording.
    Any,
}

impl Recording {
    /// A recording of these exchanges.
    ///
    /// # Errors
    /// When there are too many.
    pub fn new(
        header: Header,
        exchanges: Vec<Exchange>,
        names: ModelNames,
    ) -> Result<Self, RecordingError> {
        if exchanges.len() > EXCHANGES_MAX {
            let limit = EXCHANGES_MAX;
            return Err(RecordingError::TooMany { limit });
        }
        let mut ignored = header.ignored.clone();
        if names == ModelNames::Any {
            ignored.extend("$.model".parse::<JsonPath>());
        }
        let asked = lookup::Index::new(ignored, exchanges.iter().map(|one| &one.request));
        Ok(Self {
            header,
            exchanges,
            asked,
        })
    }

    /// Reads the file of a recording.
    ///
    /// # Errors
    /// When it cannot be read, is no recording, or is beyond the bounds of one.
    pub fn read(file: impl BufRead, names: ModelNames) -> Result<Self, RecordingError> {
        let mut lines = Lines::new(file);
        let first = lines.next()?.ok_or_else(|| RecordingError::Header {
            reason: "it is empty".to_owned(),
        })?;
        let header = Header::from_line(&first)?;
        let mut exchanges = Vec::new();
        while let Some(line) = lines.next()? {
            if exchanges.len() == EXCHANGES_MAX {
                let limit = EXCHANGES_MAX;
                return Err(RecordingError::TooMany { limit });
            }
            let exchange = Exchange::from_line(&line);
            exchanges.push(exchange.map_err(|error| error.at(lines.line))?);
        }
        Self::new(header, exchanges, names)
    }

    /// What it begins with.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Its exchanges, in the order in which they ended.
    #[must_use]
    pub fn exchanges(&self) -> &[Exchange] {
        &self.exchanges
    }

    /// What was answered to this request: where it was asked more than once, what comes next, and
    /// the last of it from then on.
    ///
    /// # Errors
    /// When it was not recorded: with the recorded request that is the nearest.
    pub fn find(&self, request: &Request, cursors: &mut Cursors) -> Result<Found<'_>, Box<Miss>> {
        let at = self.asked.find(request, cursors)?;
        let exchange = self.exchanges.get(at);
        let found = exchange.map(|exchange| Found {
            number: at + 1,
            answer: &exchange.answer,
        });
        found.ok_or_else(|| Box::new(Miss::default()))
    }
}

/// What was answered to a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found<'a> {
    /// Which exchange it is of, counted from 1.
    pub number: usize,
    /// The answer.
    pub answer: &'a Answer,
}

/// The lines of a file that may be anything, each within its bound.
struct Lines<R> {
    file: R,
    /// The number of the last one, counted from 1.
    line: usize,
    bytes: u64,
}

impl<R: BufRead> Lines<R> {
    fn new(file: R) -> Self {
        Self {
            file,
            line: 0,
            bytes: 0,
        }
    }

    /// The next one, without its end.
    fn next(&mut self) -> Result<Option<String>, RecordingError> {
        let mut line = Vec::new();
        let mut rest = (&mut self.file).take(LINE_BYTES_MAX as u64 + 1);
        let bytes = rest.read_until(b'\n', &mut line)?;
        if bytes == 0 {
            return Ok(None);
        }
        self.line += 1;
        self.bytes += bytes as u64;
        if self.bytes > FILE_BYTES_MAX {
            return Err(RecordingError::TooLarge {
                limit: FILE_BYTES_MAX,
            });
        }
        let refuse = |reason: String| RecordingError::Line {
            line: self.line,
            reason,
        };
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() > LINE_BYTES_MAX {
            return Err(refuse(format!("it has more than {LINE_BYTES_MAX} bytes")));
        }
        match String::from_utf8(line) {
            Ok(line) => Ok(Some(line)),
            Err(_) => Err(refuse("it is not UTF-8".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests;
