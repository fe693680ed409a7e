//! Keeps callers to their pace: a ticket for each limited request, and what is left of the
//! caller's minute in the head of each answer, refusals included.
//!
//! Where a route knows only from the body how many tokens it needs, it takes request and tokens
//! together from the ticket ([`Limited`]); here the caller is only looked at, so that one who
//! is over the limit costs no body. All other routes are counted here.

use super::Record;
use crate::auth::Caller;
use crate::clock::Clock;
use crate::http::error::ApiError;
use crate::limits::{Quotas, RateLimiter, Reservation, ResetFormat, Ticket, Window};
use crate::net::ClientAddress;
use axum::extract::{FromRequestParts, MatchedPath, Request};
use axum::response::{IntoResponse as _, Response};
use futures_util::future::{Either, Ready, ready};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready as ready_or_pending};
use std::time::Duration;
use tower::{Layer, Service};

/// The routes that take their tokens themselves.
const TOKEN_ROUTES: [&str; 2] = ["/v1/chat/completions", "/v1/embeddings"];

/// Whether requests to a route are counted. Operations are not: who is over the limit must
/// still be able to look at the metrics and to change keys, and those who may are few.
fn is_limited(route: Option<&str>) -> bool {
    route.is_none_or(|route| {
        !super::gate::OPEN_ROUTES.contains(&route)
            && !route.starts_with("/admin/")
            && !["/", "/metrics", "/openapi.json"].contains(&route)
    })
}

/// The layer.
#[derive(Clone)]
pub(crate) struct Limit {
    pub(crate) rates: RateLimiter,
    pub(crate) quotas: Quotas,
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

    fn call(&mut self, mut request: Request) -> Self::Future {
        let (ticket, admitted) = self.limit.admit(&mut request);
        let inner = match admitted {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(refusal) => Either::Right(ready(Ok(refusal.into_response()))),
        };
        LimitedFuture {
            inner,
            told: ticket.map(|ticket| Told {
                ticket,
                clock: self.limit.clock.clone(),
                format: self.limit.rates.reset_format(),
            }),
        }
    }
}

impl Limit {
    fn admit(&self, request: &mut Request) -> (Option<Ticket>, Result<(), ApiError>) {
        let extensions = request.extensions();
        let route = extensions.get::<MatchedPath>().map(MatchedPath::as_str);
        // Open routes have no caller, and no limit.
        let Some(caller) = extensions.get::<Caller>().filter(|_| is_limited(route)) else {
            return (None, Ok(()));
        };
        if let Some(usage) = caller.usage() {
            let used = || usage.fuel_today();
            if let Err(over) = self.quotas.check_fuel(caller, used, self.clock.now()) {
                return (None, Err(over.into()));
            }
        }
        match self.quotas.enter_request(caller) {
            Ok(None) => {}
            Ok(Some(slot)) => {
                if let Some(record) = extensions.get::<Record>() {
                    record.hold(slot);
                }
            }
            Err(over) => return (None, Err(over.into())),
        }
        if !self.rates.is_enabled() {
            return (None, Ok(()));
        }
        let Some(address) = extensions.get::<ClientAddress>().copied() else {
            let refusal = ApiError::internal("a limited route without the address before it");
            return (None, Err(refusal));
        };
        let route = route.unwrap_or_default();
        let ticket = self.rates.ticket(caller, address, route);
        let Some(ticket) = ticket else {
            return (None, Ok(()));
        };
        let admitted = if TOKEN_ROUTES.contains(&route) {
            ticket.check()
        } else {
            ticket.take_request()
        };
        if admitted.is_ok() {
            request.extensions_mut().insert(ticket.clone());
        }
        (Some(ticket), admitted.map_err(ApiError::from))
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

/// The ticket of a request, for a route that takes its tokens itself.
pub(crate) struct Limited(Option<Ticket>);

impl Limited {
    /// Takes the request and the most tokens that it may use.
    pub(crate) fn reserve(&self, tokens: u32) -> Result<Reservation, ApiError> {
        match &self.0 {
            Some(ticket) => Ok(ticket.reserve(tokens)?),
            None => Ok(Reservation::unlimited()),
        }
    }

    /// Tokens that one request can have at most.
    pub(crate) fn tokens_max(&self) -> u32 {
        self.0.as_ref().map_or(u32::MAX, Ticket::tokens_max)
    }
}

impl<S: Sync> FromRequestParts<S> for Limited {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get().cloned()))
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

    #[test]
    fn operations_are_not_limited() {
        for open in [
            "/health/live",
            "/metrics",
            "/admin/keys",
            "/admin/keys/{id}",
        ] {
            assert!(!is_limited(Some(open)), "{open}");
        }
        for limited in [Some("/infer"), Some("/v1/models"), Some("/models"), None] {
            assert!(is_limited(limited), "{limited:?}");
        }
    }
}
