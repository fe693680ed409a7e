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
use belljar_testing::recording::Request as Asked;
use belljar_testing::world::{World, WorldClock};
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
    /// The world of requests that name none; none where testers may do nothing.
    shared: Option<Arc<World>>,
}

impl Recordings {
    pub(crate) fn new(state: &HttpState) -> Self {
        Self {
            registry: state.registry().clone(),
            limits: Limits::from_ref(state),
            shared: state
                .testing()
                .map(|testing| Arc::clone(testing.worlds().shared())),
        }
    }

    /// Whether the request may be for a recording, which only its body tells.
    pub(super) fn may_be_asked(&self, request: &Request, policy: RoutePolicy) -> bool {
        self.shared.is_some()
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
            shared: self.shared.clone(),
            context: context.clone(),
        }
    }
}

/// A route with the recordings in front of it, for one request.
pub(super) struct SaidAgain<S> {
    inner: S,
    registry: Registry,
    limits: Limits,
    shared: Option<Arc<World>>,
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
        let shared = self.shared.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let body = match body::whole(&parts.headers, body, limits, &context).await {
                Ok(body) => body,
                Err(error) => return Ok(error.into_response()),
            };
            let caller = context.caller();
            let recorded = caller.and_then(|caller| named(&registry, &parts, &body, caller));
            match recorded {
                Some(model) => {
                    let (world, gaps) = match (context.tested(), &shared) {
                        (Some(tested), _) => (Some(&tested.world), gaps(tested.clock)),
                        (None, shared) => (shared.as_ref(), Gaps::Recorded),
                    };
                    // A world that begins anew is at the beginning of recordings as well.
                    let run = world.map_or(String::new(), |world| world.begun().to_string());
                    Ok(said_again(&model, &run, gaps, asked(&parts, body)).await)
                }
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

/// Pauses that are as long as they were where time passes as it does.
fn gaps(clock: WorldClock) -> Gaps {
    match clock {
        WorldClock::Real => Gaps::Recorded,
        WorldClock::Virtual => Gaps::None,
    }
}

/// The recorded answer to what a test asks.
async fn said_again(model: &RecordedModel, run: &str, gaps: Gaps, asked: Asked) -> Response {
    match model.replay.find(run, &asked) {
        Ok(found) => answer(found, gaps).await,
        Err(miss) => ApiError::from(&*miss).into_response(),
    }
}
