//! The time of a whole request, from its head to the head of its answer: the net under all
//! time-outs of the parts, which are shorter.

use crate::http::error::{ApiError, ErrorType, Status};
use crate::http::grpc;
use crate::http::policy::{Protocol, RoutePolicy, TimeLimit};
use http::HeaderMap;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// The time that is left of a request. By default it may take as long as its route lets it.
#[derive(Default)]
pub(crate) struct Deadline {
    /// None where there is no deadline, or no more.
    time: Option<Duration>,
    /// Made when the request has to wait for something: most do not wait for long, and a timer
    /// costs more than a look at the clock.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    /// The deadline of a request of a route. Callers of gRPC say how long they wait, and are held to
    /// that where it is less.
    pub(crate) fn of(policy: RoutePolicy, request_timeout: Duration, headers: &HeaderMap) -> Self {
        let own = (policy.time_limit == TimeLimit::Request).then_some(request_timeout);
        let theirs = match policy.protocol {
            Protocol::Http => None,
            Protocol::Grpc => grpc::timeout(headers),
        };
        Self {
            time: own.into_iter().chain(theirs).min(),
            timer: None,
        }
    }

    /// Ready when the time is over. `has_run`: whether the request has reached its model.
    pub(super) fn poll(
        &mut self,
        has_run: impl FnOnce() -> bool,
        context: &mut Context<'_>,
    ) -> Poll<ApiError> {
        let Some(time) = self.time else {
            return Poll::Pending;
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + time)));
        ready!(timer.as_mut().poll(context));
        self.time = None;
        Poll::Ready(timed_out(has_run()))
    }
}

/// A request that has reached its model was whole, so the time is the server's; one that has
/// not is still arriving.
fn timed_out(has_run: bool) -> ApiError {
    const CODE: &str = "request_timeout";
    if has_run {
        let message = "The request took longer than the server, or its caller, allows.";
        ApiError::new(Status::GatewayTimeout, ErrorType::Server, CODE, message)
    } else {
        let message = "The request did not arrive in time.";
        ApiError::new(
            Status::RequestTimeout,
            ErrorType::InvalidRequest,
            CODE,
            message,
        )
        .closing()
    }
}
