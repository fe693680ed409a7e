//! The shape of most layers: look at the head of a request, and let it pass or answer it.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::future::{BoxFuture, Either, ready};
use std::convert::Infallible;
use std::task::{Context, Poll};
use tower::{Layer, Service};

/// Looks at the head of a request before anything below does.
pub(crate) trait Check: Clone {
    /// Lets a request pass, perhaps with something noted in its extensions.
    ///
    /// # Errors
    ///
    /// The answer to a request that goes no further.
    fn check(&self, request: &mut Request) -> Result<(), Refusal>;
}

/// The answer to a request that goes no further. In a box, because it is rare, and may have to
/// wait.
pub(crate) type Refusal = BoxFuture<'static, Result<Response, Infallible>>;

/// A refusal that waits for nothing.
pub(super) fn refuse(answer: impl IntoResponse) -> Refusal {
    Box::pin(ready(Ok(answer.into_response())))
}

/// The layer of a check.
#[derive(Clone)]
pub(crate) struct Checking<C>(pub(crate) C);

impl<C: Check, S> Layer<S> for Checking<C> {
    type Service = Checked<C, S>;

    fn layer(&self, inner: S) -> Checked<C, S> {
        Checked {
            check: self.0.clone(),
            inner,
        }
    }
}

#[derive(Clone)]
pub(crate) struct Checked<C, S> {
    check: C,
    inner: S,
}

impl<C, S> Service<Request> for Checked<C, S>
where
    C: Check,
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<S::Future, Refusal>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        match self.check.check(&mut request) {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(refusal) => Either::Right(refusal),
        }
    }
}
