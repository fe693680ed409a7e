//! Keeps callers to their pace: shows each request that counts to the limiter, and writes what is
//! left of the caller's minute into the head of each answer, refusals included.
//!
//! Where a route knows only from the body how many tokens it needs, request and tokens are taken
//! together when the body has been read; here the caller is only looked at, so that one who is
//! over the limit costs no body. All other routes are counted here.

use super::matched::Matched;
use crate::clock::Clock;
use crate::http::error::ApiError;
use crate::limits::{Counts, Entry, Limiter, ResetFormat, Ticket, Window};
use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse as _, Response};
use futures_util::future::{Either, Ready, ready};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready as ready_or_pending};
use std::time::Duration;
use tower::{Layer, Service};

/// The layer.
#[derive(Clone)]
pub(crate) struct Limit {
    pub(crate) limiter: Limiter,
    pub(crate) clock: Clock,
}

impl<S> Layer<S> for Limit {
    type Service = Limiting<S>;

    fn layer(&self, inner: S) -> Limiting<S> {
        Limiting {
            inner,
            limit: self.clone(),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Limiting<S> {
    inner: S,
    limit: Limit,
}

impl<S> Service<Request> for Limiting<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response;
    type Error = Infallible;
    type Future = LimitedFuture<Either<S::Future, Ready<Result<Response, Infallible>>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (ticket, admitted) = self.limit.admit(&request);
        let inner = match admitted {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(refusal) => Either::Right(ready(Ok(refusal.into_response()))),
        };
        LimitedFuture {
            inner,
            told: ticket.map(|ticket| Told {
                ticket,
                clock: self.limit.clock.clone(),
                format: self.limit.limiter.rates().reset_format(),
            }),
        }
    }
}

impl Limit {
    fn admit(&self, request: &Request) -> (Option<Ticket>, Result<(), ApiError>) {
        let Matched { policy, context } = Matched::of(request.extensions());
        if policy.counts == Counts::Nothing {
            return (None, Ok(()));
        }
        let (Some(caller), Some(address)) = (context.caller(), context.address()) else {
            let refusal = ApiError::internal("a limited route without its caller before it");
            return (None, Err(refusal));
        };
        let route = request.extensions().get::<MatchedPath>();
        let route = route.map_or("", MatchedPath::as_str);
        let Entry {
            permit,
            slot,
            outcome,
        } = self.limiter.admit(caller, address, route, policy.counts);
        if let Some(slot) = slot {
            context.hold(slot);
        }
        let outcome = outcome.map(|admitted| context.admit(admitted));
        (permit, outcome.map_err(ApiError::from))
    }
}

pub(crate) struct LimitedFuture<F> {
    inner: F,
    told: Option<Told>,
}

/// What the head of the answer is written from.
struct Told {
    ticket: Ticket,
    clock: Clock,
    format: ResetFormat,
}

impl<F> Future for LimitedFuture<F>
where
    F: Future<Output = Result<Response, Infallible>> + Unpin,
{
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Ok(mut response) = ready_or_pending!(Pin::new(&mut self.inner).poll(context));
        if let Some(told) = &self.told {
            // A request that was refused before it took anything has been a request. Where none
            // is left, it was one too many for someone else, and has its answer all the same.
            let _ = told.ticket.take_request();
            told.write(response.headers_mut());
        }
        Poll::Ready(Ok(response))
    }
}

impl Told {
    fn write(&self, headers: &mut HeaderMap) {
        let standing = self.ticket.standing();
        self.write_window(headers, &REQUESTS, standing.requests);
        self.write_window(headers, &TOKENS, standing.tokens);
    }

    fn write_window(&self, headers: &mut HeaderMap, names: &[HeaderName; 3], window: Window) {
        let [limit, remaining, reset] = names;
        headers.insert(limit, window.limit.into());
        headers.insert(remaining, window.remaining.into());
        headers.insert(reset, self.reset(window.reset));
    }

    fn reset(&self, after: Duration) -> HeaderValue {
        match self.format {
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

#[cfg(test)]
mod tests {
    use super::*;

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
