//! One exchange of a recording: what was asked, and what was answered when.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::RecordingError;

/// Bytes of the body of a request, or of an answer with all its events.
pub const BODY_BYTES_MAX: usize = 16 << 20;
/// Events of one answer.
pub const EVENTS_MAX: usize = 100_000;
/// Headers of a request or of an answer.
pub const HEADERS_MAX: usize = 64;
/// Bytes of a path, of a query, and of a header with its name.
pub const HEAD_BYTES_MAX: usize = 8 << 10;
/// Objects and arrays inside of one another in the JSON of a body: as deep as it is read.
const DEPTH_MAX: usize = 127;
/// The longest time before an answer or between two of its events, in milliseconds.
pub const GAP_MS_MAX: f64 = 600_000.0;

/// What was asked and what was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// What was asked.
    pub request: Request,
    /// What was answered.
    pub answer: Answer,
}

/// What was asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// In upper case, as in `POST`.
    pub method: String,
    /// From its first `/` on, without the query.
    pub path: String,
    /// What follows the `?`, where there is one.
    pub query: Option<String>,
    /// By name in lower case.
    pub headers: Headers,
    /// The body.
    pub body: Body,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status of HTTP, 200 to 599.
    pub status: u16,
    /// By name in lower case.
    pub headers: Headers,
    /// From the request to the head of a stream, or to the end of an answer in one piece.
    pub after: Duration,
    /// What came.
    pub content: Content,
}

/// Headers by name in lower case.
pub type Headers = BTreeMap<String, String>;

/// What an answer is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// One piece.
    Whole(Body),
    /// Events, one after another.
    Stream(Vec<Event>),
}

/// One event of a stream, with what ends it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// From the event before it, or from the head.
    pub after: Duration,
    /// Every byte of it.
    pub body: Body,
}

/// Bytes, byte for byte those that were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body(Vec<u8>);

impl Body {
    /// A body of these bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text, where they are UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The JSON that the bytes are, where they are some: an object or an array.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        let first = self.0.iter().find(|byte| !byte.is_ascii_whitespace())?;
        if !matches!(first, b'{' | b'[') {
            return None;
        }
        serde_json::from_slice(&self.0).ok()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Answer {
    /// Bytes of its body, or of all its events.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.content {
            Content::Whole(body) => body.bytes().len(),
            Content::Stream(events) => events.iter().map(|event| event.body.bytes().len()).sum(),
        }
    }
}

/// An exchange as a line of the file has it.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Line {
    request: RequestLine,
    answer: AnswerLine,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RequestLine {
    method: String,
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    #[serde(default, skip_serializing_if = "Headers::is_empty")]
    headers: Headers,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    json: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct AnswerLine {
    status: u16,
    #[serde(default, skip_serializing_if = "Headers::is_empty")]
    headers: Headers,
    after_ms: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    json: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    events: Option<Vec<EventLine>>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct EventLine {
    after_ms: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

/// The three ways in which a line has a body.
type Forms = (Option<Box<RawValue>>, Option<String>, Option<String>);

impl Exchange {
    /// The line of the file, without its end.
    ///
    /// # Errors
    /// When it is beyond the bounds of a recording.
    pub fn to_line(&self) -> Result<String, RecordingError> {
        self.check()?;
        let Self { request, answer } = self;
        let (json, text, base64) = forms(&request.body);
        let request = RequestLine {
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            headers: request.headers.clone(),
            json,
            text,
            base64,
        };
        let (forms, events) = match &answer.content {
            Content::Whole(body) => (forms(body), None),
            Content::Stream(events) => {
                let events = events.iter().map(|event| EventLine {
                    after_ms: to_ms(event.after),
                    text: event.body.text().map(str::to_owned),
                    base64: match event.body.text() {
                        Some(_) => None,
                        None => Some(STANDARD.encode(event.body.bytes())),
                    },
                });
                (Forms::default(), Some(events.collect()))
            }
        };
        let (json, text, base64) = forms;
        let answer = AnswerLine {
            status: answer.status,
            headers: answer.headers.clone(),
            after_ms: to_ms(answer.after),
            json,
            text,
            base64,
            events,
        };
        serde_json::to_string(&Line { request, answer })
            .map_err(|error| RecordingError::exchange(error.to_string()))
    }

    /// Reads a line of the file.
    ///
    /// # Errors
    /// When it is none, or beyond the bounds of a recording.
    pub fn from_line(line: &str) -> Result<Self, RecordingError> {
        let Line { request, answer } = serde_json::from_str(line)
            .map_err(|error| RecordingError::exchange(error.to_string()))?;
        let request = Request {
            method: request.method,
            path: request.path,
            query: request.query,
            headers: request.headers,
            body: body("request", (request.json, request.text, request.base64))?,
        };
        let whole = (answer.json, answer.text, answer.base64);
        let content = match answer.events {
            None => Content::Whole(body("answer", whole)?),
            Some(_) if whole.0.is_some() || whole.1.is_some() || whole.2.is_some() => {
                let reason = "answer: a body and events: one of both is allowed";
                return Err(RecordingError::exchange(reason.to_owned()));
            }
            Some(events) => {
                let mut read = Vec::with_capacity(events.len());
                for event in events {
                    read.push(Event {
                        after: from_ms(event.after_ms)?,
                        body: body("an event", (None, event.text, event.base64))?,
                    });
                }
                Content::Stream(read)
            }
        };
        let exchange = Self {
            request,
            answer: Answer {
                status: answer.status,
                headers: answer.headers,
                after: from_ms(answer.after_ms)?,
                content,
            },
        };
        exchange.check()?;
        Ok(exchange)
    }

    /// What has to hold of one, wherever it is from.
    fn check(&self) -> Result<(), RecordingError> {
        let refuse = |reason: String| Err(RecordingError::exchange(reason));
        let Self { request, answer } = self;
        let is_method = |text: &str| {
            (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase())
        };
        if !is_method(&request.method) {
            return refuse("request.method: a method such as POST is wanted".to_owned());
        }
        let is_of_url = |text: &str| {
            text.len() <= HEAD_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !request.path.starts_with('/') || !is_of_url(&request.path) {
            return refuse(format!(
                "request.path: a path from its first / on is wanted, of at most {HEAD_BYTES_MAX} \
                 bytes"
            ));
        }
        if !request.query.as_deref().is_none_or(is_of_url) {
            return refuse(format!(
                "request.query: printable characters without blanks are wanted, at most \
                 {HEAD_BYTES_MAX} bytes"
            ));
        }
        if !(200..=599).contains(&answer.status) {
            return refuse(format!(
                "answer.status: {} is not 200 to 599",
                answer.status
            ));
        }
        check_headers("request", &request.headers)?;
        check_headers("answer", &answer.headers)?;
        for (side, bytes) in [
            ("request", request.body.bytes().len()),
            ("answer", answer.bytes()),
        ] {
            if bytes > BODY_BYTES_MAX {
                return refuse(format!(
                    "{side}: its body has {bytes} bytes: at most {BODY_BYTES_MAX} are allowed"
                ));
            }
        }
        match &answer.content {
            Content::Stream(events) if events.len() > EVENTS_MAX => refuse(format!(
                "answer.events: {} events: at most {EVENTS_MAX} are allowed",
                events.len()
            )),
            _ => Ok(()),
        }
    }
}

fn check_headers(side: &str, headers: &Headers) -> Result<(), RecordingError> {
    let refuse = |reason| {
        Err(RecordingError::exchange(format!(
            "{side}.headers: {reason}"
        )))
    };
    if headers.len() > HEADERS_MAX {
        return refuse(format!("more than {HEADERS_MAX} of them"));
    }
    for (name, value) in headers {
        let is_name =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_name) {
            return refuse("a name is none of a header in lower case".to_owned());
        }
        // What stands behind a line end would be a header, or an answer, of its own.
        if !value
            .bytes()
            .all(|byte| byte == b'\t' || !byte.is_ascii_control())
        {
            return refuse(format!("`{name}` has a control character in it"));
        }
        if name.len() + value.len() > HEAD_BYTES_MAX {
            return refuse(format!("`{name}` has more than {HEAD_BYTES_MAX} bytes"));
        }
    }
    Ok(())
}

/// JSON where the line can have it as it is, byte for byte; text; and base64 for everything else.
fn forms(body: &Body) -> Forms {
    let Some(text) = body.text() else {
        return (None, None, Some(STANDARD.encode(body.bytes())));
    };
    if text.is_empty() {
        return Forms::default();
    }
    let fits = !text.contains(['\n', '\r']) && text.trim() == text && body.json().is_some();
    match RawValue::from_string(text.to_owned()) {
        Ok(raw) if fits => (Some(raw), None, None),
        _ => (None, Some(text.to_owned()), None),
    }
}

fn body(of: &str, forms: Forms) -> Result<Body, RecordingError> {
    let refuse = |reason: &str| RecordingError::exchange(format!("{of}: {reason}"));
    match forms {
        (None, None, None) => Ok(Body::default()),
        (Some(json), None, None) => {
            // Kept as it is written. Values that nothing here reads are refused.
            if depth(json.get()) > DEPTH_MAX {
                return Err(refuse(&format!("its JSON is more than {DEPTH_MAX} deep")));
            }
            Ok(Body(json.get().as_bytes().to_vec()))
        }
        (None, Some(text), None) => Ok(Body(text.into_bytes())),
        (None, None, Some(base64)) => STANDARD
            .decode(base64)
            .map(Body)
            .map_err(|_| refuse("its base64 is none")),
        _ => Err(refuse("more than one of json, text and base64")),
    }
}

/// How many objects and arrays are inside of one another in what is JSON.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => drop(bytes.next()),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    deepest
}

/// Milliseconds, to the microsecond.
fn to_ms(time: Duration) -> f64 {
    let ms = (time.as_secs_f64() * 1e6).round() / 1e3;
    ms.min(GAP_MS_MAX)
}

fn from_ms(ms: f64) -> Result<Duration, RecordingError> {
    if (0.0..=GAP_MS_MAX).contains(&ms) {
        Ok(Duration::from_secs_f64(ms / 1e3))
    } else {
        let reason = format!("after_ms: {ms} is not 0 to {GAP_MS_MAX} milliseconds");
        Err(RecordingError::exchange(reason))
    }
}

#[cfg(test)]
mod tests;
