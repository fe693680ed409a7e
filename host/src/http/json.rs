//! JSON as it crosses the wire: the extractor for bodies, and the words for what is wrong in
//! one. An error's text never repeats a value of the body: only names, types and places.

use super::body::{self, RequestBody};
use super::error::ApiError;
use axum::extract::{FromRef, FromRequest, Request};
use axum::response::{IntoResponse, Response};
use belljar_screen::json::{self as screen_json, Bounds};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

/// A JSON body, in and out. A body that does not fit is refused in our own envelope, with
/// `param` naming the field.
pub(crate) struct Json<T>(pub(crate) T);

impl<S, T> FromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
    body::Limits: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let content_type = request.headers().get(http::header::CONTENT_TYPE);
        if let Some(content_type) = content_type
            && !is_json(content_type.as_bytes())
        {
            return Err(ApiError::unsupported_media_type(
                "send the body as application/json",
            ));
        }
        let RequestBody(body) = RequestBody::from_request(request, state).await?;
        read(&body, state).map(Self)
    }
}

/// A JSON body that may be left out, which says the default. Those who send none do not say
/// what type it would have, so the type is not looked at.
pub(crate) struct OptionalJson<T>(pub(crate) T);

impl<S, T> FromRequest<S> for OptionalJson<T>
where
    T: DeserializeOwned + Default,
    S: Send + Sync,
    body::Limits: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let RequestBody(body) = RequestBody::from_request(request, state).await?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        read(&body, state).map(Self)
    }
}

/// Checks a whole body and makes of it what a route wants.
fn read<T, S>(body: &Bytes, state: &S) -> Result<T, ApiError>
where
    T: DeserializeOwned,
    body::Limits: FromRef<S>,
{
    check(body, &body::Limits::from_ref(state).json.bounds())?;
    parse(body)
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(http::header::CONTENT_TYPE, APPLICATION_JSON)], body).into_response(),
            Err(error) => {
                ApiError::internal(format!("a response has no JSON: {error}")).into_response()
            }
        }
    }
}

/// What JSON may be like, whichever route reads it. Types and ranges of fields are checked
/// besides, by the types that a body becomes.
#[derive(Clone, Copy, Debug)]
pub struct InputConfig {
    /// Whether all of this is checked. Where it is not, `depth_max` still holds, and so does
    /// what no reader could take: numbers that overflow and halves of surrogate pairs. Bodies
    /// stay within their size, and fields within their types and ranges.
    pub validation: bool,
    /// Lists and objects within each other.
    pub depth_max: usize,
    /// Bytes of one string.
    pub string_bytes_max: usize,
    /// Items of one list. Lists of tensors are bounded by the size of the body alone.
    pub array_items_max: usize,
    /// Keys of one object.
    pub keys_max: usize,
    /// Bytes of one key.
    pub key_bytes_max: usize,
}

impl Default for InputConfig {
    fn default() -> Self {
        Self {
            validation: true,
            depth_max: 64,
            // Pictures come as strings, so a string may be most of a body.
            string_bytes_max: 10 << 20,
            array_items_max: 100_000,
            keys_max: 1_024,
            key_bytes_max: 512,
        }
    }
}

/// Lists and objects within each other that the parser follows; it refuses deeper ones in
/// words of its own.
pub const PARSER_DEPTH_MAX: usize = 127;

impl InputConfig {
    /// The bounds of a body whose strings are text.
    pub(crate) fn bounds(&self) -> Bounds {
        if !self.validation {
            return Bounds {
                depth_max: self.depth_max,
                array_items_max: usize::MAX,
                string_bytes_max: usize::MAX,
                keys_max: usize::MAX,
                key_bytes_max: usize::MAX,
                duplicate_keys: true,
                control_characters: true,
                lists_are_data: false,
            };
        }
        Bounds {
            depth_max: self.depth_max,
            array_items_max: self.array_items_max,
            string_bytes_max: self.string_bytes_max,
            keys_max: self.keys_max,
            key_bytes_max: self.key_bytes_max,
            duplicate_keys: false,
            control_characters: false,
            lists_are_data: false,
        }
    }

    /// The bounds of a body of tensors: its lists are data, and so are its strings.
    pub(crate) fn tensor_bounds(&self) -> Bounds {
        Bounds {
            array_items_max: usize::MAX,
            control_characters: true,
            lists_are_data: true,
            ..self.bounds()
        }
    }
}

/// Finds the place of what the reader of a tensor body refused without naming it: a number that
/// overflows.
pub(crate) fn explain(body: &[u8], bounds: &Bounds) -> Result<(), ApiError> {
    let counting = Bounds {
        lists_are_data: false,
        ..*bounds
    };
    check(body, &counting)
}

/// Refuses a body that is out of bounds, naming the field.
pub(crate) fn check(body: &[u8], bounds: &Bounds) -> Result<(), ApiError> {
    screen_json::check(body, bounds).map_err(|fault| {
        let param = (!fault.path.is_empty()).then_some(fault.path);
        ApiError::invalid_argument_at(param, fault.reason.to_string())
    })
}

/// The media type of every answer in JSON.
pub(crate) const APPLICATION_JSON: http::HeaderValue =
    http::HeaderValue::from_static("application/json");

/// Whether a `Content-Type` says JSON, in any spelling.
fn is_json(content_type: &[u8]) -> bool {
    let end = content_type
        .iter()
        .position(|byte| *byte == b';')
        .unwrap_or(content_type.len());
    let essence = content_type.get(..end).unwrap_or_default().trim_ascii();
    essence.eq_ignore_ascii_case(b"application/json")
        || (essence.len() > 5
            && essence
                .get(essence.len() - 5..)
                .is_some_and(|tail| tail.eq_ignore_ascii_case(b"+json")))
}

/// Reads a whole body as JSON.
pub(crate) fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, ApiError> {
    // Keeping track of the path costs on each field, so it is done for bodies that failed.
    let first = match serde_json::from_slice::<T>(body) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if first.classify() != Category::Data {
        return Err(ApiError::invalid_json(describe(&first)));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Ok(_) => Err(ApiError::invalid_json(describe(&first))),
        Err(error) => {
            let path = match error.path().to_string() {
                path if path == "." => String::new(),
                path => path,
            };
            Err(refusal(&path, &error.into_inner().to_string()))
        }
    }
}

/// Writes a string with its quotes.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    // Writing a string to memory does not fail.
    let _ = serde_json::to_writer(out, text);
}

/// Words a failure to read JSON.
pub(crate) fn describe(error: &serde_json::Error) -> String {
    match error.classify() {
        Category::Data => reword(&error.to_string()).1,
        // These texts are fixed but for the line and column.
        Category::Syntax | Category::Eof | Category::Io => {
            format!("the body is not valid JSON: {error}")
        }
    }
}

fn refusal(path: &str, text: &str) -> ApiError {
    let (field, message) = reword(text);
    match field {
        Field::Unknown(name) => {
            let param = join(path_of_parent(path, &name), &name);
            ApiError::unknown_argument(param)
        }
        Field::Missing(name) => ApiError::missing_argument(join(path, &name)),
        Field::Duplicate(name) => ApiError::invalid_argument(join(path, &name), message),
        Field::Here => {
            let param = (!path.is_empty()).then(|| path.to_owned());
            ApiError::invalid_argument_at(param, message)
        }
    }
}

/// The path of an unknown field ends in its own name where the tracker had seen it.
fn path_of_parent<'a>(path: &'a str, name: &str) -> &'a str {
    path.strip_suffix(name)
        .map_or(path, |parent| parent.strip_suffix('.').unwrap_or(parent))
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// Which field an error is about, besides the one that the path names.
#[derive(Debug, PartialEq, Eq)]
enum Field {
    Here,
    Unknown(String),
    Missing(String),
    Duplicate(String),
}

/// Takes the values of the body out of the text of a `serde` error.
fn reword(text: &str) -> (Field, String) {
    let text = match text.rfind(" at line ") {
        Some(end) => text.get(..end).unwrap_or(text),
        None => text,
    };
    let expected = || {
        text.rfind(", expected ")
            .and_then(|start| text.get(start + 11..))
    };
    for (start, build) in [
        ("unknown field `", Field::Unknown as fn(String) -> Field),
        ("missing field `", Field::Missing),
        ("duplicate field `", Field::Duplicate),
    ] {
        if let Some(rest) = text.strip_prefix(start) {
            // Our own names hold no backtick; a caller's that does is cut there.
            let name = rest.split('`').next().unwrap_or_default();
            let name = name
                .get(..name.floor_char_boundary(64))
                .unwrap_or_default()
                .to_owned();
            let message = match build(String::new()) {
                Field::Duplicate(_) => "appears twice".to_owned(),
                _ => "is missing or unknown".to_owned(),
            };
            return (build(name), message);
        }
    }
    let message = if let Some(found) = text.strip_prefix("invalid type: ") {
        format!(
            "expected {}, found {}",
            expected().unwrap_or("another type"),
            kind(found)
        )
    } else if ["invalid value: ", "invalid length ", "unknown variant "]
        .iter()
        .any(|start| text.starts_with(start))
    {
        format!("expected {}", expected().unwrap_or("another value"))
    } else {
        // The words of our own types.
        text.to_owned()
    };
    (Field::Here, message)
}

/// The kind of value that `serde` found, without the value.
fn kind(found: &str) -> &'static str {
    const KINDS: [(&str, &str); 9] = [
        ("string", "a string"),
        ("integer", "an integer"),
        ("floating point", "a number with a fraction"),
        ("boolean", "a boolean"),
        ("null", "null"),
        ("map", "an object"),
        ("sequence", "a list"),
        ("unit", "null"),
        ("byte array", "bytes"),
    ];
    KINDS
        .iter()
        .find(|(start, _)| found.starts_with(start))
        .map_or("another type", |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect_field: Field, expect: &str) {
        assert_eq!(reword(text), (expect_field, expect.to_owned()), "{text}");
    }

    #[test]
    fn values_of_the_body_are_taken_out() {
        check(
            "invalid type: string \"my secret, expected nothing\", expected u32 at line 1 column 9",
            Field::Here,
            "expected u32, found a string",
        );
        check(
            "invalid type: floating point `1.5`, expected u64",
            Field::Here,
            "expected u64, found a number with a fraction",
        );
        check(
            "invalid value: integer `-4`, expected u8 at line 1 column 2",
            Field::Here,
            "expected u8",
        );
        check(
            "unknown variant `s3cret`, expected `a` or `b`",
            Field::Here,
            "expected `a` or `b`",
        );
        check(
            "unknown field `max_tokns`, expected one of `a`",
            Field::Unknown("max_tokns".to_owned()),
            "is missing or unknown",
        );
        check(
            "missing field `messages`",
            Field::Missing("messages".to_owned()),
            "is missing or unknown",
        );
        check("must be a name", Field::Here, "must be a name");
    }

    #[test]
    fn json_is_known_in_each_spelling() {
        for yes in [
            "application/json",
            "Application/JSON ; charset=utf-8",
            "application/problem+json",
        ] {
            assert!(is_json(yes.as_bytes()), "{yes}");
        }
        for no in [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "+json",
            "json",
        ] {
            assert!(!is_json(no.as_bytes()), "{no}");
        }
    }
}
