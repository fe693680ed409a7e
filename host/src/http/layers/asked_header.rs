//! A header by which a caller asks for something.

use crate::http::error::ApiError;
use http::{HeaderMap, HeaderName};
use std::fmt::Display;
use std::str::FromStr;

/// The value of a header that may come once.
pub(super) fn one<T>(
    headers: &HeaderMap,
    name: &HeaderName,
    code: &'static str,
) -> Result<Option<T>, ApiError>
where
    T: FromStr<Err: Display>,
{
    one_by(headers, name, code, str::parse)
}

/// The same, of a value that is read in another way.
pub(super) fn one_by<T, E: Display>(
    headers: &HeaderMap,
    name: &HeaderName,
    code: &'static str,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, ApiError> {
    let refused = |why: &dyn Display| {
        let message = format!("The header `{name}` cannot be used: {why}.");
        ApiError::invalid_request(code, message).at(name.to_string())
    };
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(refused(&"it comes more than once"));
    }
    let text = value.to_str().unwrap_or_default().trim();
    read(text).map(Some).map_err(|why| refused(&why))
}
