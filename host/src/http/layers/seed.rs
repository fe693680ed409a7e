//! The seed and the time that a caller gives its runs by header, and tells the answer of. Any
//! caller may give them: they decide what its own runs find in place of chance, and nothing else.

use super::asked_header;
use super::check::Refusal;
use crate::http::error::ApiError;
use crate::http::own_headers::{X_BELLJAR_RUN, X_BELLJAR_SEED, X_BELLJAR_TIME};
use crate::http::policy::RoutePolicy;
use crate::inference::{AskedOrigin, RequestContext};
use http::{HeaderMap, HeaderValue};

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
            seed: asked_header::one(headers, &X_BELLJAR_SEED, "invalid_seed")?,
            time: asked_header::one(headers, &X_BELLJAR_TIME, "invalid_time")?,
        })
    };
    let asked = read().map_err(|error: ApiError| Refusal::now(error))?;
    if asked.is_something() {
        context.ask_for(asked);
    }
    Ok(())
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
