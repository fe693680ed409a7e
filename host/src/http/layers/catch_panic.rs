//! The net under everything: a handler that panics costs its own request and no other.

use crate::http::error::ApiError;
use axum::response::{IntoResponse as _, Response};
use std::any::Any;
use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use tower::{Layer, Service};

/// The layer. A panic becomes a 500, with the panic's text in the log only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CatchPanic;

impl<S> Layer<S> for CatchPanic {
    type Service = Catching<S>;

    fn layer(&self, inner: S) -> Catching<S> {
        Catching { inner }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Catching<S> {
    inner: S,
}

impl<S, R> Service<R> for Catching<S>
where
    S: Service<R, Response = Response, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response;
    type Error = Infallible;
    type Future = CatchingFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        CatchingFuture {
            inner: self.inner.call(request),
        }
    }
}

pub(crate) struct CatchingFuture<F> {
    inner: F,
}

impl<F> Future for CatchingFuture<F>
where
    F: Future<Output = Result<Response, Infallible>> + Unpin,
{
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let inner = Pin::new(&mut self.inner);
        // What a panic leaves half done is the future itself, and it is not polled again.
        match catch_unwind(AssertUnwindSafe(|| inner.poll(context))) {
            Ok(poll) => poll,
            Err(panic) => {
                let detail = format!("panic: {}", text_of(&*panic));
                Poll::Ready(Ok(ApiError::internal(detail).into_response()))
            }
        }
    }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "without a text"
    }
}
