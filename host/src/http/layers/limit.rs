//! Keeps callers to their pace: shows each request that counts to the limiter, and writes what is
//! left of the caller's minute into the head of each answer, refusals included.
//!
//! Where a route knows only from the body how many tokens it needs, request and tokens are taken
//! together when the body has been read; here the caller is only looked at, so that one who is
//! over the limit costs no body. All other routes are counted here.

use super::check::Refusal;
use crate::clock::Clock;
use crate::http::error::ApiError;
use crate::http::policy::RoutePolicy;
use crate::inference::RequestContext;
use crate::limits::{
    Counts, Entry, LimitError, Limiter, OverQuota, RatePermit, ResetFormat, Window,
};
use axum::extract::{MatchedPath, Request};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::borrow::Cow;
use std::time::Duration;

/// The check.
pub(crate) struct Limit {
    pub(crate) limiter: Limiter,
    pub(crate) clock: Clock,
}

impl Limit {
    /// Shows a request that counts to the limiter. What is left of the minute of a refused one is
    /// told as well.
    pub(crate) fn check(
        &self,
        policy: RoutePolicy,
        context: &RequestContext,
        request: &Request,
        permit_of: &mut Option<RatePermit>,
    ) -> Result<(), Refusal> {
        if policy.counts == Counts::Nothing {
            return Ok(());
        }
        let route = request.extensions().get::<MatchedPath>();
        let route = counted_as(route.map_or("", MatchedPath::as_str));
        self.admit(context, &route, policy.counts, permit_of)
    }

    /// Shows a request of a route to the limiter.
    pub(crate) fn admit(
        &self,
        context: &RequestContext,
        route: &str,
        counts: Counts,
        permit_of: &mut Option<RatePermit>,
    ) -> Result<(), Refusal> {
        let (Some(caller), Some(address)) = (context.caller(), context.address()) else {
            let error = ApiError::internal("a limited route without its caller before it");
            return Err(Refusal::now(error));
        };
        let Entry {
            permit,
            slot,
            usage,
            outcome,
        } = self.limiter.admit(caller, address, route, counts);
        if let Some(slot) = slot {
            context.hold(slot);
        }
        if let Some(usage) = usage {
            context.count(usage);
        }
        *permit_of = permit;
        let admitted = outcome.map_err(|error| {
            if let (LimitError::Quota(OverQuota::Fuel { .. }), Some(tally)) =
                (error, context.tally())
            {
                tally.note_refused_fuel();
            }
            Refusal::now(ApiError::from(error))
        })?;
        context.admit(admitted);
        Ok(())
    }
}

impl Limit {
    /// Counts a request, unless it has been, and says in the head of its answer what is left of
    /// its caller's minute.
    pub(super) fn tell(&self, permit: &RatePermit, headers: &mut HeaderMap) {
        // A request that was refused before it took anything has been a request. Where none is
        // left, it was one too many for someone else, and has its answer all the same.
        let _ = permit.take_request();
        let status = permit.status();
        self.write_window(headers, &REQUESTS, status.requests);
        self.write_window(headers, &TOKENS, status.tokens);
    }

    fn write_window(&self, headers: &mut HeaderMap, names: &[HeaderName; 3], window: Window) {
        let [limit, remaining, reset] = names;
        headers.insert(limit, window.limit.into());
        headers.insert(remaining, window.remaining.into());
        headers.insert(reset, self.reset(window.reset));
    }

    fn reset(&self, after: Duration) -> HeaderValue {
        match self.limiter.rates().reset_format() {
            ResetFormat::Unix => {
                let now = u64::try_from(self.clock.now().as_millisecond()).unwrap_or(0);
                let after = u64::try_from(after.as_nanos().div_ceil(1_000_000)).unwrap_or(0);
                now.saturating_add(after).div_ceil(1_000).into()
            }
            // Digits and letters are always a header.
            ResetFormat::Duration => HeaderValue::from_str(&in_openai_words(after))
                .unwrap_or(HeaderValue::from_static("0s")),
        }
    }
}

const REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
const TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

/// `120ms`, `1s`, `6m0s`, `1h0m5s`; rounded up.
fn in_openai_words(duration: Duration) -> String {
    let ms = duration.as_nanos().div_ceil(1_000_000);
    if (1..1_000).contains(&ms) {
        return format!("{ms}ms");
    }
    let seconds = ms.div_ceil(1_000);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// The route that a request counts as: Azure's spelling of a route counts as that route, or its
/// limits would hold for who spells it otherwise.
fn counted_as(template: &str) -> Cow<'_, str> {
    match template.strip_prefix("/openai/deployments/{name}") {
        Some(rest) => Cow::Owned(format!("/v1{rest}")),
        None => Cow::Borrowed(template),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_spelling_of_a_route_counts_as_that_route() {
        for (template, counts_as) in [
            (
                "/openai/deployments/{name}/chat/completions",
                "/v1/chat/completions",
            ),
            ("/openai/deployments/{name}/embeddings", "/v1/embeddings"),
            ("/v1/embeddings", "/v1/embeddings"),
            ("/infer", "/infer"),
        ] {
            assert_eq!(counted_as(template), counts_as);
        }
    }

    #[test]
    fn durations_read_as_openai_writes_them() {
        let words = |ms| in_openai_words(Duration::from_millis(ms));
        assert_eq!(words(0), "0s");
        assert_eq!(words(120), "120ms");
        assert_eq!(words(1_000), "1s");
        assert_eq!(words(1_001), "2s");
        assert_eq!(words(360_000), "6m0s");
        assert_eq!(words(3_605_000), "1h0m5s");
        assert_eq!(in_openai_words(Duration::from_nanos(1)), "1ms");
    }
}
