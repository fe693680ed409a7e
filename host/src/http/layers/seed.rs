//! The seed and the time that a caller gives its runs by header, and tells the answer of. Any
//! caller may give them: they decide what its own runs find in place of chance, and nothing else.

use super::check::Refusal;
use crate::http::error::ApiError;
use crate::http::policy::RoutePolicy;
use crate::inference::{AskedOrigin, RequestContext};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt::Display;
use std::str::FromStr;

/// The seed of a run, as 64 hexadecimal digits.
const X_BELLJAR_SEED: HeaderName = HeaderName::from_static("x-belljar-seed");

/// The moment of a run, in milliseconds since 1970.
const X_BELLJAR_TIME: HeaderName = HeaderName::from_static("x-belljar-time");

/// The id under which a run is kept.
const X_BELLJAR_RUN: HeaderName = HeaderName::from_static("x-belljar-run");

/// Takes note of what a request to run a model asks for.
pub(crate) fn note_origin(
    policy: RoutePolicy,
    context: &RequestContext,
    headers: &HeaderMap,
) -> Result<(), Refusal> {
    if !policy.is_for_runs() {
        return Ok(());
    }
    let read = || {
        Ok(AskedOrigin {
            seed: read(headers, &X_BELLJAR_SEED, "invalid_seed")?,
            time: read(headers, &X_BELLJAR_TIME, "invalid_time")?,
        })
    };
    let asked = read().map_err(|error: ApiError| Refusal::now(error))?;
    if asked.is_something() {
        context.ask_for(asked);
    }
    Ok(())
}

/// The value of a header that may come once.
fn read<T>(
    headers: &HeaderMap,
    name: &HeaderName,
    code: &'static str,
) -> Result<Option<T>, ApiError>
where
    T: FromStr<Err: Display>,
{
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
    text.parse().map(Some).map_err(|why| refused(&why))
}

/// Puts the seed and the time of the runs of a request on its answer, where it asked for either, and
/// the id under which they are kept, where they are.
pub(super) fn tell_origin(context: &RequestContext, headers: &mut HeaderMap) {
    if let Some(id) = context.run_id()
        && let Ok(id) = HeaderValue::from_str(id.as_str())
    {
        headers.insert(X_BELLJAR_RUN, id);
    }
    let Some((seed, time)) = context.asked_origin() else {
        return;
    };
    headers.insert(X_BELLJAR_TIME, HeaderValue::from(time.unix_ms()));
    // Hexadecimal digits are what headers can carry.
    if let Ok(seed) = HeaderValue::from_str(&seed.to_string()) {
        headers.insert(X_BELLJAR_SEED, seed);
    }
}
