//! The time of a whole request, from its head to the head of its answer: the net under all
//! time-outs of the parts, which are shorter.

use super::matched::Matched;
use crate::http::error::{ApiError, ErrorType};
use crate::http::policy::TimeLimit;
use crate::inference::RequestContext;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};
use tower::{Layer, Service};

/// The layer.
#[derive(Clone, Copy)]
pub(crate) struct Deadline {
    pub(crate) request_timeout: Duration,
}

impl<S> Layer<S> for Deadline {
    type Service = WithDeadline<S>;

    fn layer(&self, inner: S) -> WithDeadline<S> {
        WithDeadline {
            inner,
            request_timeout: self.request_timeout,
        }
    }
}

#[derive(Clone)]
pub(crate) struct WithDeadline<S> {
    inner: S,
    request_timeout: Duration,
}

impl<S> Service<Request> for WithDeadline<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response;
    type Error = Infallible;
    type Future = DeadlineFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Matched { policy, context } = Matched::of(request.extensions());
        let patience = (policy.time_limit == TimeLimit::Request).then_some(self.request_timeout);
        DeadlineFuture {
            inner: self.inner.call(request),
            context,
            patience,
            timer: None,
        }
    }
}

pub(crate) struct DeadlineFuture<F> {
    inner: F,
    context: RequestContext,
    /// None where there is no deadline, or no more.
    patience: Option<Duration>,
    /// Made when the request has to wait for something: most do not wait for long, and a timer
    /// costs more than a look at the clock.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<F> Future for DeadlineFuture<F>
where
    F: Future<Output = Result<Response, Infallible>> + Unpin,
{
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(answer) = Pin::new(&mut self.inner).poll(context) {
            return Poll::Ready(answer);
        }
        let Some(patience) = self.patience else {
            return Poll::Pending;
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + patience)));
        if timer.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.patience = None;
        let was_read = self.context.model().is_some();
        Poll::Ready(Ok(timed_out(was_read).into_response()))
    }
}

/// A request that has reached its model was whole, so the time is the server's; one that has
/// not is still arriving.
fn timed_out(was_read: bool) -> ApiError {
    const CODE: &str = "request_timeout";
    if was_read {
        let message = "The request took longer than the server allows.";
        ApiError::new(
            StatusCode::GATEWAY_TIMEOUT,
            ErrorType::Server,
            CODE,
            message,
        )
    } else {
        let message = "The request did not arrive in time.";
        ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            ErrorType::InvalidRequest,
            CODE,
            message,
        )
        .closing()
    }
}
