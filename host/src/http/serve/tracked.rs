//! An open request, from its head to the last byte of its answer, as its connection counts it.

use super::date;
use super::unread::{Draining, Unread};
use super::watchdog::ConnectionWatchdog;
use crate::clock::time_of_day;
use crate::http::layers::is_of_events;
use axum::body::Body;
use axum::routing::future::RouteFuture;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body::{Body as _, Frame, SizeHint};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A request in the works. Its end, whatever that is, is this value's drop.
#[derive(Debug)]
pub(super) struct OpenRequest {
    watchdog: Arc<ConnectionWatchdog>,
    index: usize,
}

impl OpenRequest {
    pub(super) fn begin(watchdog: &Arc<ConnectionWatchdog>) -> Self {
        Self {
            index: watchdog.begin(),
            watchdog: Arc::clone(watchdog),
        }
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.watchdog.end(self.index);
    }
}

/// The answer to come.
pub(super) struct TrackedAnswer {
    answer: RouteFuture<Infallible>,
    request: Option<OpenRequest>,
    unread: Option<Unread>,
    hsts: Option<HeaderValue>,
    draining: Option<Box<Draining<Body>>>,
}

impl TrackedAnswer {
    pub(super) fn new(
        answer: RouteFuture<Infallible>,
        request: OpenRequest,
        unread: Option<Unread>,
        hsts: Option<HeaderValue>,
    ) -> Self {
        Self {
            answer,
            request: Some(request),
            unread,
            hsts,
            draining: None,
        }
    }

    /// The answer, once what nobody has read of its request is out of its way.
    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Response<Body>> {
        if self.draining.is_none() {
            let Ok(response) = ready!(Pin::new(&mut self.answer).poll(context));
            let Some(unread) = self.unread.take() else {
                return Poll::Ready(response);
            };
            match unread.before(response) {
                Ok(response) => return Poll::Ready(response),
                Err(draining) => self.draining = Some(draining),
            }
        }
        match &mut self.draining {
            Some(draining) => draining.poll(context).map(Option::unwrap_or_default),
            None => Poll::Pending,
        }
    }
}

impl Future for TrackedAnswer {
    type Output = Result<Response<TrackedBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = ready!(self.poll_answer(context));
        if let Some(date) = date::of(time_of_day()) {
            response.headers_mut().insert(header::DATE, date);
        }
        if let Some(hsts) = self.hsts.take() {
            let headers = response.headers_mut();
            headers.insert(header::STRICT_TRANSPORT_SECURITY, hsts);
        }
        let request = self.request.take();
        if let Some(OpenRequest { watchdog, .. }) = &request {
            watchdog.presence.has_head();
        }
        // A body that is there already never waits for anything.
        let is_of_events =
            response.body().size_hint().exact().is_none() && is_of_events(response.headers());
        Poll::Ready(Ok(
            response.map(|body| TrackedBody::new(body, request, is_of_events))
        ))
    }
}

/// The body of an answer, which says whose turn it is: the model's or the peer's. A peer whose
/// presence is in doubt gets a comment between events.
#[derive(Debug)]
pub(super) struct TrackedBody {
    body: Body,
    request: Option<OpenRequest>,
    is_of_events: bool,
}

impl TrackedBody {
    fn new(body: Body, request: Option<OpenRequest>, is_of_events: bool) -> Self {
        // A peer of HTTP/2 that never opens its window never asks for the first piece.
        if let Some(OpenRequest { watchdog, index }) = &request {
            watchdog.offered(*index);
        }
        Self {
            body,
            request,
            is_of_events,
        }
    }

    /// A comment between two events, where one is to show whether the peer is still there.
    fn comment(&self) -> Option<Bytes> {
        let request = self.request.as_ref().filter(|_| self.is_of_events)?;
        request.watchdog.presence.comment()
    }
}

impl http_body::Body for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(OpenRequest { watchdog, index }) = &self.request {
            watchdog.asked(*index);
        }
        let frame = match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => frame,
            Poll::Pending => match self.comment() {
                Some(comment) => Some(Ok(Frame::data(comment))),
                None => return Poll::Pending,
            },
        };
        if let Some(OpenRequest { watchdog, index }) = &self.request {
            watchdog.offered(*index);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
