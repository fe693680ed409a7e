//! A request for a recording, which is answered from it in place of a route: where it names the
//! recording as its model. The caller has met all checks, and no model runs.
//!
//! Where no recording answers to any name, this is one look at a flag; where `testing` is off, none
//! answers.

use crate::auth::Caller;
use crate::http::asked_model::asked_model;
use crate::http::body::{self, Limits, WholeBody};
use crate::http::error::ApiError;
use crate::http::json::is_json;
use crate::http::policy::RoutePolicy;
use crate::http::recorded::{Gaps, answer, asked};
use crate::http::state::HttpState;
use crate::http::surface::Surface;
use crate::inference::RequestContext;
use crate::models::{RecordedModel, Registry, Served};
use axum::body::Body;
use axum::extract::{FromRef as _, Request};
use axum::response::{IntoResponse as _, Response};
use belljar_testing::world::{WorldClock, WorldName};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{HeaderMap, Method, header};
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::Service;

/// Finds recordings that are asked for.
pub(crate) struct Recordings {
    registry: Registry,
    limits: Limits,
    /// Whether testers may do anything here.
    is_on: bool,
}

impl Recordings {
    pub(crate) fn new(state: &HttpState) -> Self {
        Self {
            registry: state.registry().clone(),
            limits: Limits::from_ref(state),
            is_on: state.testing().is_some(),
        }
    }

    /// Whether the request may be for a recording, which only its body tells.
    pub(super) fn may_be_asked(&self, request: &Request, policy: RoutePolicy) -> bool {
        self.is_on
            && self.registry.has_recordings()
            && policy.is_for_runs()
            && request.method() == Method::POST
            && matches!(
                Surface::of_request(request),
                Surface::OpenAi | Surface::Anthropic
            )
            && is_of_json(request.headers())
    }

    /// What answers from a recording, and asks the route where the request is for none.
    pub(super) fn before<S>(&self, inner: S, context: &RequestContext) -> SaidAgain<S> {
        SaidAgain {
            inner,
            registry: self.registry.clone(),
            limits: self.limits,
            context: context.clone(),
        }
    }
}

/// A route with the recordings in front of it, for one request.
pub(super) struct SaidAgain<S> {
    inner: S,
    registry: Registry,
    limits: Limits,
    context: RequestContext,
}

impl<S> Service<Request> for SaidAgain<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (registry, limits) = (self.registry.clone(), self.limits);
        let (context, mut inner) = (self.context.clone(), self.inner.clone());
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let body = match body::whole(&parts.headers, body, limits, &context).await {
                Ok(body) => body,
                Err(error) => return Ok(error.into_response()),
            };
            let caller = context.caller();
            let recorded = caller.and_then(|caller| named(&registry, &parts, &body, caller));
            match recorded {
                Some(model) => Ok(said_again(&model, &parts, body, &context).await),
                None => {
                    parts.extensions.insert(WholeBody(body));
                    inner.call(Request::from_parts(parts, Body::empty())).await
                }
            }
        })
    }
}

fn is_of_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_none_or(|kind| is_json(kind.as_bytes()))
}

/// The recording that a request names, if it names one that its caller may use.
fn named(
    registry: &Registry,
    parts: &Parts,
    body: &Bytes,
    caller: &Caller,
) -> Option<Arc<RecordedModel>> {
    let name = asked_model(parts.uri.path(), body)?;
    match registry.ready(&name, caller) {
        Ok(Served::Recorded(model)) => Some(model),
        // What is wrong with the name is the route's to say.
        _ => None,
    }
}

/// The recorded answer: for the world that the request is in, with pauses that are as long as they
/// were where time passes there as it does.
async fn said_again(
    model: &RecordedModel,
    parts: &Parts,
    body: Bytes,
    context: &RequestContext,
) -> Response {
    let asked = asked(parts, body);
    let shared = WorldName::shared();
    let (run, gaps) = match context.tested() {
        Some(tested) => match tested.clock {
            WorldClock::Real => (tested.world.name().as_str(), Gaps::Recorded),
            WorldClock::Virtual => (tested.world.name().as_str(), Gaps::None),
        },
        None => (shared.as_str(), Gaps::Recorded),
    };
    match model.replay.find(run, &asked) {
        Ok(found) => answer(found, gaps).await,
        Err(miss) => ApiError::from(&*miss).into_response(),
    }
}
