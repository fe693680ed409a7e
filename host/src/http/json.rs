//! JSON as it crosses the wire: the extractor for bodies, and the words for what is wrong in
//! one. An error's text never repeats a value of the body: only names, types and places.

mod input;
mod objects;
mod words;
mod write;

pub use input::{InputConfig, InvalidUnknownMembers, PARSER_DEPTH_MAX, UnknownMembers};
use objects::Objects;
use words::{Field, reword};
pub(crate) use write::{APPLICATION_JSON, is_json, write_string};

use super::body::{self, RequestBody};
use super::error::ApiError;
use super::workers;
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
    T: DeserializeOwned + Send + 'static,
    S: Send + Sync,
    body::Limits: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let body = read_body(request, state).await?;
        let bounds = body::Limits::from_ref(state).json.bounds();
        read(body, bounds).await.map(Self)
    }
}

/// A JSON body of texts for a model, with its size, because the route's own work grows with it.
/// Control characters in it are left to the screening, which every such text goes through.
pub(crate) struct SizedJson<T> {
    pub(crate) value: T,
    /// Of the body as it was read.
    pub(crate) bytes: usize,
}

impl<S, T> FromRequest<S> for SizedJson<T>
where
    T: DeserializeOwned + Send + 'static,
    S: Send + Sync,
    body::Limits: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let body = read_body(request, state).await?;
        let bytes = body.len();
        let bounds = body::Limits::from_ref(state).json.text_bounds();
        let value = read(body, bounds).await?;
        Ok(Self { value, bytes })
    }
}

/// A JSON body that may be left out, which says the default. Those who send none do not say
/// what type it would have, so the type is not looked at.
pub(crate) struct OptionalJson<T>(pub(crate) T);

impl<S, T> FromRequest<S> for OptionalJson<T>
where
    T: DeserializeOwned + Default + Send + 'static,
    S: Send + Sync,
    body::Limits: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let RequestBody(body) = RequestBody::from_request(request, state).await?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        let bounds = body::Limits::from_ref(state).json.bounds();
        read(body, bounds).await.map(Self)
    }
}

/// The whole body of a request that says nothing else than that it is JSON.
async fn read_body<S>(request: Request, state: &S) -> Result<Bytes, ApiError>
where
    S: Send + Sync,
    body::Limits: FromRef<S>,
{
    let content_type = request.headers().get(http::header::CONTENT_TYPE);
    if let Some(content_type) = content_type
        && !is_json(content_type.as_bytes())
    {
        return Err(ApiError::unsupported_media_type(
            "send the body as application/json",
        ));
    }
    let RequestBody(body) = RequestBody::from_request(request, state).await?;
    Ok(body)
}

/// Checks a whole body and makes of it what a route wants.
async fn read<T>(body: Bytes, bounds: Bounds) -> Result<T, ApiError>
where
    T: DeserializeOwned + Send + 'static,
{
    workers::run(body.len(), move || {
        check(&body, &bounds)?;
        parse(&body)
    })
    .await
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let mut body = Vec::with_capacity(USUAL_BYTES);
        match serde_json::to_writer(&mut body, &self.0) {
            Ok(()) => ([(http::header::CONTENT_TYPE, APPLICATION_JSON)], body).into_response(),
            Err(error) => {
                ApiError::internal(format!("a response has no JSON: {error}")).into_response()
            }
        }
    }
}

/// Room for a usual answer, in bytes. Others make room as they grow.
const USUAL_BYTES: usize = 1 << 10;

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

/// Reads a whole body as JSON.
pub(crate) fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, ApiError> {
    // Keeping track of the path costs on each field, so it is done for bodies that failed.
    let first = match whole::<T>(body) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if first.classify() != Category::Data {
        return Err(ApiError::invalid_json(describe(&first)));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    match serde_path_to_error::deserialize::<_, T>(Objects(&mut deserializer)) {
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

fn whole<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = T::deserialize(Objects(&mut deserializer))?;
    deserializer.end()?;
    Ok(value)
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
            ApiError::unknown_argument(param, None)
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
