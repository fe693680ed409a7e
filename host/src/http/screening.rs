//! Shows the texts of requests to the screening, and turns what it finds into answers, log
//! lines and counts.

use super::error::{ApiError, ErrorType};
use super::layers::Record;
use super::state::HttpState;
use crate::audit::EventKind;
use crate::guard::{Finding, Inspection, Screened, Screening, Texts, Violation};
use crate::telemetry::metrics as names;
use belljar_sandbox::wit::{embeddings::Input, text};
use belljar_screen::FieldKind;
use http::{HeaderMap, HeaderName, StatusCode, Uri, header};

/// Lets a value through, or refuses its request.
pub(crate) fn pass<T: Texts>(
    state: &HttpState,
    record: &Record,
    value: T,
) -> Result<Screened<T>, ApiError> {
    pass_with(state.screening(), Some(record), value)
}

/// The same, where there is no state yet.
pub(crate) fn pass_with<T: Texts>(
    screening: &Screening,
    record: Option<&Record>,
    value: T,
) -> Result<Screened<T>, ApiError> {
    let (screened, reported) = screening
        .pass(value)
        .map_err(|finding| refuse(record, &finding))?;
    for finding in reported {
        note(record, &finding, "report");
        if let Some(record) = record {
            record.report(finding.to_string());
        }
    }
    Ok(screened)
}

fn refuse(record: Option<&Record>, finding: &Finding) -> ApiError {
    note(record, finding, "block");
    ApiError::new(
        StatusCode::BAD_REQUEST,
        ErrorType::Security,
        "injection_detected",
        "Potential injection attack detected in request.",
    )
    .at(finding.field.clone())
    .counting_as(Violation::Injection)
}

fn note(record: Option<&Record>, finding: &Finding, outcome: &'static str) {
    let (kind, category) = (finding.hit.kind.name(), finding.hit.category.name());
    metrics::counter!(names::INJECTIONS, "kind" => kind, "category" => category, "outcome" => outcome)
        .increment(1);
    let Some(record) = record else {
        tracing::warn!(outcome, "an injection was found: {finding}");
        return;
    };
    tracing::warn!(request.id = %record.id(), outcome, "an injection was found: {finding}");
    record.security_event(
        EventKind::Injection,
        &[
            ("outcome", outcome.into()),
            ("category", category.into()),
            ("field", finding.field.as_str().into()),
            ("finding", finding.hit.to_string().into()),
        ],
    );
}

/// A request for a text, with what of it never reaches a model and is text all the same.
pub(crate) struct ChatTexts {
    /// The name of the model, as asked for.
    pub(crate) model: String,
    /// What the model gets.
    pub(crate) request: text::Request,
    /// Entries of `metadata`, and the caller's own marks such as `user`.
    pub(crate) marks: Vec<Mark>,
}

/// A text that is kept with a request.
#[derive(Debug)]
pub(crate) struct Mark {
    /// Where it stands.
    pub(crate) field: String,
    pub(crate) kind: FieldKind,
    pub(crate) text: String,
}

impl Texts for ChatTexts {
    fn visit(&self, see: &mut Inspection<'_>) -> Result<(), Box<Finding>> {
        see.text(FieldKind::Identifier, || "model".to_owned(), &self.model)?;
        match &self.request.prompt {
            text::Prompt::Messages(messages) => {
                for (index, message) in messages.iter().enumerate() {
                    visit_message(see, index, message)?;
                }
            }
            text::Prompt::Text(prompt) => {
                see.text(FieldKind::Prompt, || "prompt".to_owned(), &prompt.text)?;
                if let Some(suffix) = &prompt.suffix {
                    see.text(FieldKind::Prompt, || "suffix".to_owned(), suffix)?;
                }
            }
            text::Prompt::Tokens(_) => {}
        }
        for (index, tool) in self.request.tools.iter().enumerate() {
            let place = |field: &str| format!("tools[{index}].function.{field}");
            see.text(FieldKind::Identifier, || place("name"), &tool.name)?;
            if let Some(description) = &tool.description {
                see.text(FieldKind::Prompt, || place("description"), description)?;
            }
            if let Some(parameters) = &tool.parameters {
                see.json(FieldKind::Prompt, || place("parameters"), parameters)?;
            }
        }
        self.marks
            .iter()
            .try_for_each(|mark| see.text(mark.kind, || mark.field.clone(), &mark.text))
    }
}

fn visit_message(
    see: &mut Inspection<'_>,
    index: usize,
    message: &text::Message,
) -> Result<(), Box<Finding>> {
    let place = |field: &str| format!("messages[{index}].{field}");
    if let Some(name) = &message.name {
        see.text(FieldKind::Identifier, || place("name"), name)?;
    }
    let alone = message.content.len() == 1;
    for (at, part) in message.content.iter().enumerate() {
        let part_place = || {
            if alone {
                place("content")
            } else {
                place(&format!("content[{at}]"))
            }
        };
        match part {
            text::Part::Text(text) | text::Part::Refusal(text) => {
                see.text(FieldKind::Prompt, part_place, text)?;
            }
            text::Part::File(file) => {
                if let Some(name) = &file.name {
                    see.text(FieldKind::Identifier, part_place, name)?;
                }
            }
            text::Part::Image(text::Image { .. }) | text::Part::Audio(_) => {}
        }
    }
    for (at, call) in message.tool_calls.iter().enumerate() {
        let call_place = |field: &str| place(&format!("tool_calls[{at}].{field}"));
        see.text(FieldKind::Identifier, || call_place("id"), &call.id)?;
        see.text(
            FieldKind::Identifier,
            || call_place("function.name"),
            &call.name,
        )?;
        let arguments = || call_place("function.arguments");
        see.json(FieldKind::Prompt, arguments, &call.arguments)?;
    }
    if let Some(id) = &message.tool_call_id {
        see.text(FieldKind::Identifier, || place("tool_call_id"), id)?;
    }
    Ok(())
}

/// What is to be embedded.
#[derive(Debug)]
pub(crate) struct EmbeddingTexts {
    /// The name of the model, as asked for.
    pub(crate) model: String,
    pub(crate) inputs: Vec<Input>,
    pub(crate) marks: Vec<Mark>,
}

impl Texts for EmbeddingTexts {
    fn visit(&self, see: &mut Inspection<'_>) -> Result<(), Box<Finding>> {
        see.text(FieldKind::Identifier, || "model".to_owned(), &self.model)?;
        let alone = self.inputs.len() == 1;
        for (index, input) in self.inputs.iter().enumerate() {
            let place = || {
                if alone {
                    "input".to_owned()
                } else {
                    format!("input[{index}]")
                }
            };
            match input {
                Input::Text(text) => see.text(FieldKind::Prompt, place, text)?,
                Input::Tokens(_) => {}
            }
        }
        self.marks
            .iter()
            .try_for_each(|mark| see.text(mark.kind, || mark.field.clone(), &mark.text))
    }
}

/// An identifier outside of a body of text: the name of a model in a body of tensors.
pub(crate) struct Identifier<'a>(pub(crate) &'static str, pub(crate) &'a str);

impl Texts for Identifier<'_> {
    fn visit(&self, see: &mut Inspection<'_>) -> Result<(), Box<Finding>> {
        if is_plain(self.1.as_bytes()) {
            return Ok(());
        }
        see.text(FieldKind::Identifier, || self.0.to_owned(), self.1)
    }
}

/// The head of a request: its path, its query and the headers that nobody else checks.
pub(crate) struct HeadTexts<'a> {
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
}

/// Headers whose values are checked against their own grammar, or are secrets, and are never
/// passed on as text.
const CHECKED_HEADERS: [HeaderName; 16] = [
    header::ACCEPT,
    header::ACCEPT_CHARSET,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::EXPECT,
    header::HOST,
    header::ORIGIN,
    header::TRANSFER_ENCODING,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-request-id"),
];

impl Texts for HeadTexts<'_> {
    fn visit(&self, see: &mut Inspection<'_>) -> Result<(), Box<Finding>> {
        if let Some(query) = self.uri.query() {
            see.text(FieldKind::Header, || "query".to_owned(), query)?;
            // A value is also seen alone: what is harmless in the middle of a query can be an
            // attack where it ends up.
            for (name, value) in pairs(query) {
                see.text(FieldKind::Header, || format!("query.{name}"), value)?;
            }
        }
        let path = self.uri.path();
        if !is_plain(path.as_bytes()) {
            see.text(FieldKind::Header, || "path".to_owned(), path)?;
        }
        for (name, value) in self.headers {
            if is_plain(value.as_bytes()) || CHECKED_HEADERS.contains(name) {
                continue;
            }
            let text = String::from_utf8_lossy(value.as_bytes());
            // The name is the caller's, too: one that is more than a name is not repeated.
            let place = || {
                if is_plain(name.as_str().as_bytes()) {
                    format!("header {name}")
                } else {
                    "header".to_owned()
                }
            };
            see.text(FieldKind::Header, place, &text)?;
        }
        Ok(())
    }
}

/// The pairs of a query whose names can be named in an answer.
fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, value)| is_plain(name.as_bytes()) && !value.is_empty())
}

/// Whether a text has nothing but letters, digits and single marks that begin no attack: most
/// headers are, and each would cost as much to screen as a sentence.
fn is_plain(text: &[u8]) -> bool {
    let mut before = 0;
    text.iter().all(|&byte| {
        let is_mark = matches!(byte, b'-' | b'_' | b'.' | b'/' | b':');
        let doubled = is_mark && matches!(before, b'.' | b'-');
        before = byte;
        (byte.is_ascii_alphanumeric() || is_mark) && !doubled
    }) && !text.starts_with(b"/etc")
        && !text.starts_with(b"/proc")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_headers_are_plain_and_nothing_else_is() {
        for plain in [
            "gzip",
            "/v1/chat/completions",
            "2026-11-22T01:02:03Z",
            "key_0a",
        ] {
            assert!(is_plain(plain.as_bytes()), "{plain}");
        }
        for other in [
            "../x",
            "a--b",
            "a b",
            "a'b",
            "%2e",
            "/etc/passwd",
            "a;b",
            "a=b",
        ] {
            assert!(!is_plain(other.as_bytes()), "{other}");
        }
    }
}
