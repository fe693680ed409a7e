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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::http::error::LogDetail;
    use futures_util::future::BoxFuture;
    use http::StatusCode;
    use tower::{ServiceExt as _, service_fn};

    #[tokio::test]
    async fn a_panic_becomes_a_500_and_its_text_stays_inside() {
        let handler = service_fn(|text: &'static str| -> BoxFuture<'_, _> {
            Box::pin(async move { panic!("{text}") })
        });
        let response = CatchPanic
            .layer(handler)
            .oneshot("the secret reason")
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let LogDetail(detail) = response.extensions().get().cloned().unwrap();
        assert!(detail.contains("the secret reason"));
        let body = axum::body::to_bytes(response.into_body(), 10_000)
            .await
            .unwrap();
        let body = std::str::from_utf8(&body).unwrap();
        assert!(
            body.contains("internal_error") && !body.contains("secret"),
            "{body}"
        );
    }
}
