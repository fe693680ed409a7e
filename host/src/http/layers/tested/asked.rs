//! What a tester's request asks for by header.

use super::super::asked_header::{one, one_by};
use crate::http::error::ApiError;
use crate::http::own_headers::{
    X_BELLJAR_CLOCK, X_BELLJAR_FAULT, X_BELLJAR_LATENCY, X_BELLJAR_RUN, X_BELLJAR_STRICT,
};
use crate::inference::{AskedOrigin, RequestContext};
use crate::testing::Testing;
use belljar_sandbox::RunSeed;
use belljar_testing::fault::Fault;
use belljar_testing::secrets::is_secret_header;
use belljar_testing::world::{AskedLatency, World, WorldClock, WorldName};
use http::{HeaderMap, HeaderName};
use sha2::{Digest as _, Sha256};

/// What a request asks for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) world: Option<WorldName>,
    pub(super) fault: Option<Fault>,
    pub(super) clock: Option<WorldClock>,
    pub(super) latency: Option<AskedLatency>,
    pub(super) is_strict: Option<bool>,
}

impl Asked {
    /// Whether it asks for anything.
    pub(super) fn is_something(&self) -> bool {
        self.world.is_some()
            || self.fault.is_some()
            || self.clock.is_some()
            || self.latency.is_some()
    }
}

/// Reads what a request asks for.
pub(super) fn read(headers: &HeaderMap, testing: &Testing) -> Result<Asked, ApiError> {
    // Most requests have none of these headers, and are not looked through for each.
    let is_ours = |name: &HeaderName| name.as_str().starts_with("x-belljar-");
    if !headers.keys().any(is_ours) {
        return Ok(Asked::default());
    }
    Ok(Asked {
        world: one(headers, &X_BELLJAR_RUN, "invalid_world")?,
        fault: one(headers, &X_BELLJAR_FAULT, "invalid_fault")?,
        clock: one(headers, &X_BELLJAR_CLOCK, "invalid_clock")?,
        latency: one_by(headers, &X_BELLJAR_LATENCY, "invalid_latency", |text| {
            testing.latencies().read(text)
        })?,
        is_strict: one(headers, &X_BELLJAR_STRICT, "invalid_strict")?,
    })
}

/// Has chance in the runs of a request follow from the seed of its world, where the request does not
/// say itself.
pub(super) fn give_seed(world: &World, number: u64, context: &RequestContext) {
    let mut hash = Sha256::new();
    hash.update(world.seed().to_le_bytes());
    hash.update(number.to_le_bytes());
    let seed: [u8; 32] = hash.finalize().into();
    context.ask_for(AskedOrigin {
        seed: Some(RunSeed::from(seed)),
        time: None,
    });
}

/// Headers as patterns and journals have them, but for those that are never written down.
pub(super) fn headers_of(headers: &HeaderMap) -> Vec<(String, String)> {
    let kept = headers
        .iter()
        .filter(|(name, _)| !is_secret_header(name.as_str()));
    kept.map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.as_str().to_owned(), value.into_owned())
    })
    .collect()
}
