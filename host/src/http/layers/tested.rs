//! A request of a tester: the world that it is in, the fault that it has, and its line in the
//! journal. Those that ask for nothing of it do not come here.

mod asked;
mod body;
mod journal;
mod refused;

use crate::http::asked_model::asked_model;
use crate::http::body::{self as bodies, Limits};
use crate::http::error::{ApiError, too_many_worlds};
use crate::http::own_headers::{X_BELLJAR_FAULT, X_BELLJAR_RULE};
use crate::http::policy::RoutePolicy;
use crate::http::severance::{Severance, Severed};
use crate::http::surface::Surface;
use crate::inference::RequestContext;
use crate::telemetry::metrics::FAULTS;
use crate::testing::{RuledRequest, TestedRequest, Testing};
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use belljar_testing::fault::{Before, Fault, Form};
use belljar_testing::matching::Facts;
use belljar_testing::world::{World, WorldClock};
use body::FaultedBody;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Version, header, request};
use journal::Line;
use refused::Provider;
use std::borrow::Cow;
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tower::Service;

/// What the layer does to requests of testers.
pub(crate) struct Tests {
    pub(crate) testing: Option<Testing>,
    pub(crate) limits: Limits,
}

/// A request of a tester.
pub(super) struct Tested {
    fault: Option<Fault>,
    provider: Provider,
    world: Arc<World>,
    clock: WorldClock,
    severance: Option<Arc<Severance>>,
    /// Whether the connection has other requests at the same time, as HTTP/2 has them.
    is_shared: bool,
    limits: Limits,
    context: RequestContext,
}

/// The marker of an answer whose rate headers are part of its fault.
#[derive(Clone, Copy, Debug)]
pub(super) struct ToldRate;

impl Tests {
    /// None where testers may do nothing, and for a request that nothing is done to.
    pub(super) fn asked(
        &self,
        request: &Request,
        policy: RoutePolicy,
        context: &RequestContext,
    ) -> Option<Result<Tested, ApiError>> {
        let testing = self.testing.as_ref()?;
        let surface = Surface::of_request(request);
        let is_of_models = match surface {
            Surface::OpenAi | Surface::Anthropic | Surface::OpenInference => true,
            Surface::Own => policy.is_for_runs(),
            Surface::Grpc => false,
        };
        if !is_of_models {
            return None;
        }
        self.read(testing, request, context).transpose()
    }

    fn read(
        &self,
        testing: &Testing,
        request: &Request,
        context: &RequestContext,
    ) -> Result<Option<Tested>, ApiError> {
        let asked = asked::read(request.headers(), testing)?;
        let world = match &asked.world {
            Some(name) => testing.enter(name).map_err(too_many_worlds)?,
            None => Arc::clone(testing.worlds().shared()),
        };
        let ruled = RuledRequest::new(
            testing.rules_in(&world),
            asked.is_strict,
            request.uri().path(),
            || asked::headers_of(request.headers()),
        );
        if !asked.is_something() && !world.has_something() && ruled.is_none() {
            return Ok(None);
        }
        let number = world.note_request();
        let clock = asked.clock.unwrap_or_else(|| world.clock());
        if asked.world.is_some() {
            asked::give_seed(&world, number, context);
        }
        context.set_tested(TestedRequest {
            world: Arc::clone(&world),
            number,
            clock,
            latency: asked.latency,
            ruled,
        });
        Ok(Some(Tested {
            fault: asked.fault,
            provider: Provider::of(request),
            world,
            clock,
            severance: request.extensions().get().map(Arc::clone),
            is_shared: request.version() == Version::HTTP_2,
            limits: self.limits,
            context: context.clone(),
        }))
    }
}

impl Tested {
    /// The answer of a service to this request, with what a tester has asked for.
    pub(super) fn of<S>(
        self,
        service: S,
        request: Request,
    ) -> BoxFuture<'static, Result<Response, Infallible>>
    where
        S: Service<Request, Response = Response, Error = Infallible> + Send + 'static,
        S::Future: Send + 'static,
    {
        Box::pin(async move { Ok(self.answer(service, request).await) })
    }

    async fn answer<S>(mut self, mut service: S, request: Request) -> Response
    where
        S: Service<Request, Response = Response, Error = Infallible> + Send,
        S::Future: Send,
    {
        let (parts, body) = request.into_parts();
        let mut line = Line::begin(&self.world, &self.context, &parts);
        let (read, body) = match self.needs_body() {
            false => (Bytes::new(), body),
            true => match bodies::untouched(&parts.headers, body, self.limits, &self.context).await
            {
                Ok(read) => (read.clone(), Body::from(read)),
                Err(refused) => return line.end(refused.into_response()),
            },
        };
        let model = asked_model(parts.uri.path(), &read).map(Cow::into_owned);
        line.note_body(&read, model.as_deref());
        if self.fault.is_none() && self.world.has_faults() {
            let headers = asked::headers_of(&parts.headers);
            self.fault = self.world.fault(&Facts {
                path: parts.uri.path(),
                method: parts.method.as_str(),
                model: model.as_deref(),
                key: self.context.key_id().map(|key| key.as_str()),
                headers: &headers,
                body: std::str::from_utf8(&read).unwrap_or_default(),
            });
        }
        let Some(fault) = self.fault.take() else {
            let response = called(&mut service, parts, body).await;
            return self.ruled(response, line).await;
        };
        self.begin(&fault, &mut line).await;
        let response = match fault.before {
            None => {
                let mut response = called(&mut service, parts, body).await;
                self.wait_for_rule().await;
                self.name_rule(&mut response, &mut line);
                response
            }
            Some(before) => self.instead(before, &fault).await,
        };
        line.end(self.faulted(response, &fault))
    }

    /// Tells of a fault, and waits as long as it says.
    async fn begin(&self, fault: &Fault, line: &mut Line) {
        line.note_fault(fault);
        FAULTS.with([("fault", fault.kind().into())]).increment(1);
        if let Some(delay) = fault.delay {
            self.wait(delay).await;
        }
    }

    /// What comes in place of an answer.
    async fn instead(&self, before: Before, fault: &Fault) -> Response {
        match before {
            Before::Status(status) => self.provider.error(status, fault, self.context.id()),
            Before::Reset => self.severed(Severed::Reset).await,
            Before::Timeout(time) => {
                self.wait(time).await;
                self.severed(Severed::Closed).await
            }
        }
    }

    /// What rules see of the request, where there are any to ask.
    fn rules(&self) -> Option<&RuledRequest> {
        self.context.tested()?.ruled.as_ref()
    }

    /// Waits as long as the rule says, where what it answers is no text, which is paced elsewhere.
    async fn wait_for_rule(&self) {
        if let Some(rules) = self.rules() {
            self.wait(rules.take_delay()).await;
        }
    }

    /// Names the rule that has answered.
    fn name_rule(&self, response: &mut Response, line: &mut Line) {
        let Some(rule) = self.rules().and_then(RuledRequest::rule) else {
            return;
        };
        line.note_rule(rule);
        if let Ok(name) = HeaderValue::from_str(rule) {
            response.headers_mut().insert(X_BELLJAR_RULE, name);
        }
    }

    /// An answer with the fault of the rule that has given it, or that has refused to.
    async fn ruled(&self, mut response: Response, mut line: Line) -> Response {
        self.wait_for_rule().await;
        if let Some(fault) = self.rules().and_then(RuledRequest::fault) {
            self.begin(fault, &mut line).await;
            if let Some(before) = fault.before {
                response = self.instead(before, fault).await;
            }
            response = self.faulted(response, fault);
        }
        self.name_rule(&mut response, &mut line);
        line.end(response)
    }

    /// Whether what the body says matters before the handler reads it.
    fn needs_body(&self) -> bool {
        self.world.journal_limits().is_some()
            || (self.fault.is_none() && self.world.asks_for_body())
    }

    /// Waits, where time passes as it does.
    async fn wait(&self, time: Duration) {
        if self.clock == WorldClock::Real {
            tokio::time::sleep(time).await;
        }
    }

    /// Ends the connection, and with it this request.
    async fn severed(&self, how: Severed) -> Response {
        match &self.severance {
            Some(severance) => {
                severance.sever(how);
                pending().await
            }
            // A request that came over no connection of its own.
            None => ApiError::internal("there is no connection to be ended").into_response(),
        }
    }

    /// An answer with a fault in it.
    fn faulted(&self, response: Response, fault: &Fault) -> Response {
        let (mut head, mut body) = response.into_parts();
        let headers = &mut head.headers;
        let is_of_events = super::is_of_events(headers);
        if let Ok(text) = HeaderValue::from_str(&fault.to_string()) {
            headers.insert(X_BELLJAR_FAULT, text);
        }
        if let Some(kind) = &fault.content_type
            && let Ok(kind) = HeaderValue::from_str(kind)
        {
            headers.insert(header::CONTENT_TYPE, kind);
        }
        if fault.changes_body() {
            headers.remove(header::CONTENT_LENGTH);
            let form = match is_of_events {
                true => Form::Events,
                false => Form::Whole,
            };
            // Where others have the connection as well, their answers go on: the body ends with an
            // error, which resets its stream.
            let severance = self.severance.clone().filter(|_| !self.is_shared);
            body = Body::new(FaultedBody::new(body, fault, form, self.clock, severance));
        }
        Response::from_parts(head, body)
    }
}

async fn called<S>(service: &mut S, parts: request::Parts, body: Body) -> Response
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    let Ok(response) = service.call(Request::from_parts(parts, body)).await;
    response
}
