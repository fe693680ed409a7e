//! Screens the head of a request: its path, its query, and the headers that nobody else checks.
//! Bodies are screened by the routes, which know what in them is text.

use super::Record;
use super::gate::OPEN_ROUTES;
use crate::guard::Screening;
use crate::http::screening::{HeadTexts, pass_with};
use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse as _, Response};
use belljar_screen::{FieldKind, Mode};
use futures_util::future::{Either, Ready, ready};
use std::convert::Infallible;
use std::task::{Context, Poll};
use tower::{Layer, Service};

/// The layer.
#[derive(Clone)]
pub(crate) struct Screen {
    pub(crate) screening: Screening,
}

impl<S> Layer<S> for Screen {
    type Service = ScreeningHeads<S>;

    fn layer(&self, inner: S) -> ScreeningHeads<S> {
        ScreeningHeads {
            inner,
            screening: self.screening.clone(),
        }
    }
}

#[derive(Clone)]
pub(crate) struct ScreeningHeads<S> {
    inner: S,
    screening: Screening,
}

impl<S> Service<Request> for ScreeningHeads<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Response, Infallible>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let route = request.extensions().get::<MatchedPath>();
        let is_open = route.is_some_and(|route| OPEN_ROUTES.contains(&route.as_str()));
        if is_open || self.screening.mode(FieldKind::Header) == Mode::Off {
            return Either::Left(self.inner.call(request));
        }
        let texts = HeadTexts {
            uri: request.uri(),
            headers: request.headers(),
        };
        let record = request.extensions().get::<Record>();
        match pass_with(&self.screening, record, texts) {
            Ok(_) => Either::Left(self.inner.call(request)),
            Err(refusal) => Either::Right(ready(Ok(refusal.into_response()))),
        }
    }
}
