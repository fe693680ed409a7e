//! The outermost of all: gives each request its id, and writes its line in the log and its
//! metrics when the last byte of the answer has gone, or when the caller has.

use super::seed::tell_origin;
use super::traced::{Ended, RequestSpan};
use crate::audit::AuditLog;
use crate::http::error::LogDetail;
use crate::http::own_headers::{X_BELLJAR_DEV_ERROR, X_BELLJAR_REPORT};
use crate::http::policy::{MethodPolicies, RoutePolicies, RoutePolicy};
use crate::http::surface::Surface;
use crate::ids::RequestId;
use crate::inference::RequestContext;
use crate::telemetry::AccessRecord;
use crate::telemetry::metrics::{self, Counter, Gauge, Histogram};
use crate::traces::Traces;
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Instant;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The name that Anthropic has for the id of a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// How long the answer took to begin, in milliseconds, as clients of OpenAI read it.
const OPENAI_PROCESSING_MS: HeaderName = HeaderName::from_static("openai-processing-ms");

/// How long the request waited for its model to come into memory, in milliseconds, where it did.
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// What is logged as the status where the caller left before there was one. Never sent.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// A request in the works. Its end, whatever that is, is this value's drop.
pub(crate) struct Observation {
    context: RequestContext,
    policy: RoutePolicy,
    route: Arc<OnceLock<Route>>,
    method: MethodLabel,
    surface: Surface,
    started: Instant,
    status: u16,
    bytes_out: u64,
    /// None where traces are off.
    span: Option<Box<RequestSpan>>,
}

impl Observation {
    /// A request that has just come.
    pub(super) fn begin(
        audit: &AuditLog,
        policies: &RoutePolicies,
        traces: &Traces,
        route: &Arc<OnceLock<Route>>,
        request: &mut Request,
    ) -> Self {
        let started = Instant::now();
        let id = request.headers().get(&X_REQUEST_ID);
        let id = id.and_then(|id| RequestId::accept(id.as_bytes()));
        let span = RequestSpan::begin(traces, request, id.is_none()).map(Box::new);
        let id = id.unwrap_or_else(RequestId::random);
        let trace = span.as_ref().map(|span| span.trace().clone());
        let context = RequestContext::traced(id, audit.clone(), trace, None);
        let known = route.get_or_init(|| {
            let template = request.extensions().get::<MatchedPath>();
            Route::new(template.map(MatchedPath::as_str), policies)
        });
        known.in_flight.increment(1.0);
        let policy = known.policies.of(request.method());
        request.extensions_mut().insert(context.clone());
        Self {
            context,
            policy,
            route: Arc::clone(route),
            method: MethodLabel::of(request.method()),
            surface: Surface::of_request(request),
            started,
            status: CLIENT_CLOSED_REQUEST,
            bytes_out: 0,
            span,
        }
    }

    /// The context of the request.
    pub(crate) fn context(&self) -> &RequestContext {
        &self.context
    }

    /// The template of its route.
    pub(super) fn template(&self) -> &str {
        self.route.get().map_or(UNMATCHED, |route| &route.template)
    }

    /// What holds for its route.
    pub(crate) fn policy(&self) -> RoutePolicy {
        self.policy
    }

    /// Puts the request's id on its answer, which ends the request with its last byte.
    pub(super) fn finish(mut self, mut response: Response) -> Response {
        let status = response.status();
        self.status = status.as_u16();
        if status.is_client_error() || status.is_server_error() {
            self.context.note_failure();
        }
        if let Some(span) = &mut self.span {
            span.note_answer(&mut response);
        }
        response = self.surface.retell(response, self.context.id().as_str());
        if self.surface == Surface::OpenAi {
            let took = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
            let headers = response.headers_mut();
            headers.insert(OPENAI_PROCESSING_MS, HeaderValue::from(took));
        }
        if let Some(LogDetail(detail)) = response.extensions().get() {
            tracing::error!(
                request.id = %self.context.id(),
                trace_id = self.context.trace_id().map(tracing::field::display),
                status = self.status,
                "a request failed: {detail}"
            );
        }
        // The id is one that headers can carry: it was made or accepted so.
        if let Ok(id) = HeaderValue::from_str(self.context.id().as_str()) {
            if self.surface == Surface::Anthropic {
                response.headers_mut().insert(REQUEST_ID, id.clone());
            }
            response.headers_mut().insert(X_REQUEST_ID, id);
        }
        if let Some(took) = self.context.load() {
            let took = format!("load;dur={:.1}", took.as_secs_f64() * 1000.0);
            if let Ok(took) = HeaderValue::from_str(&took) {
                response.headers_mut().insert(SERVER_TIMING, took);
            }
        }
        if let Some(report) = self.context.reports()
            && let Ok(report) = HeaderValue::from_str(&report)
        {
            response.headers_mut().insert(X_BELLJAR_REPORT, report);
        }
        if let Some(line) = self.context.dev_error()
            && let Ok(line) = HeaderValue::from_str(line)
        {
            response.headers_mut().insert(X_BELLJAR_DEV_ERROR, line);
        }
        tell_origin(&self.context, response.headers_mut());
        if let Some(span) = &mut self.span {
            span.note_end_of_call(response.headers());
        }
        let observation = self;
        response.map(|body| Body::new(ObservedBody { body, observation }))
    }
}

/// The body of an answer, which counts its bytes and ends the request when it is dropped.
struct ObservedBody {
    body: Body,
    observation: Observation,
}

impl http_body::Body for ObservedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame {
            if let Some(data) = frame.data_ref() {
                self.observation.bytes_out += u64::try_from(data.len()).unwrap_or(0);
            } else if let (Some(trailers), Some(span)) =
                (frame.trailers_ref(), &mut self.observation.span)
            {
                span.note_end_of_call(trailers);
            }
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

impl Drop for Observation {
    fn drop(&mut self) {
        let duration = self.started.elapsed();
        let Some(route) = self.route.get() else {
            return;
        };
        route.in_flight.decrement(1.0);
        route.duration.record(duration);
        route.bytes_in.increment(self.context.bytes_in());
        route.bytes_out.increment(self.bytes_out);
        route.count(self.method, self.status).increment(1);
        if let Some(span) = &self.span {
            span.end(&Ended {
                method: self.method.standard_name(),
                route: (route.template != UNMATCHED).then_some(&route.template),
                status: self.status,
                bytes_out: self.bytes_out,
                context: &self.context,
            });
        }
        let (model, fuel) = (self.context.model(), self.context.fuel());
        if AccessRecord::enabled() {
            let trace = self.context.trace().map(|trace| {
                let context = trace.context();
                (
                    context.trace_id().to_string(),
                    context.span_id().to_string(),
                )
            });
            AccessRecord {
                method: self.method.name(),
                route: &route.template,
                status: self.status,
                duration,
                key_id: self.context.key_id(),
                model: model.map(AsRef::as_ref),
                fuel,
                bytes_in: self.context.bytes_in(),
                bytes_out: self.bytes_out,
                request_id: self.context.id(),
                trace: trace.as_ref().map(|(trace, span)| (&**trace, &**span)),
            }
            .log();
        }
    }
}

/// The name of what no route matches. A path that a caller made up is never a label.
const UNMATCHED: &str = "unmatched";

/// What is the same for every request of one route: its policies, and handles on its metrics.
pub(crate) struct Route {
    policies: MethodPolicies,
    template: String,
    in_flight: Gauge,
    duration: Histogram,
    bytes_in: Counter,
    bytes_out: Counter,
    /// By method and class of status.
    requests: [[OnceLock<Counter>; STATUS_CLASSES.len()]; MethodLabel::COUNT],
}

impl Route {
    fn new(template: Option<&str>, policies: &RoutePolicies) -> Self {
        let policies = policies.of_route(template);
        let template = template.unwrap_or(UNMATCHED);
        Self {
            policies,
            template: template.to_owned(),
            in_flight: metrics::HTTP_IN_FLIGHT.handle(),
            duration: metrics::HTTP_DURATION.with([("route", template.to_owned().into())]),
            bytes_in: metrics::HTTP_BYTES_IN.handle(),
            bytes_out: metrics::HTTP_BYTES_OUT.handle(),
            requests: Default::default(),
        }
    }

    fn count(&self, method: MethodLabel, status: u16) -> &Counter {
        static LOST: OnceLock<Counter> = OnceLock::new();
        let class = usize::from(status / 100)
            .saturating_sub(1)
            .min(STATUS_CLASSES.len() - 1);
        let cell = self
            .requests
            .get(method as usize)
            .and_then(|row| row.get(class));
        let class = STATUS_CLASSES.get(class).copied().unwrap_or("other");
        cell.unwrap_or(&LOST).get_or_init(|| {
            metrics::HTTP_REQUESTS.with([
                ("route", self.template.clone().into()),
                ("method", method.name().into()),
                ("status", class.into()),
            ])
        })
    }
}

const STATUS_CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// A method as a label; methods that callers invent are one.
#[derive(Clone, Copy)]
enum MethodLabel {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
    Other,
}

impl MethodLabel {
    const COUNT: usize = 8;

    fn of(method: &Method) -> Self {
        match *method {
            Method::GET => Self::Get,
            Method::HEAD => Self::Head,
            Method::POST => Self::Post,
            Method::PUT => Self::Put,
            Method::PATCH => Self::Patch,
            Method::DELETE => Self::Delete,
            Method::OPTIONS => Self::Options,
            _ => Self::Other,
        }
    }

    /// The name, where it is a method of the standards.
    fn standard_name(self) -> Option<&'static str> {
        (!matches!(self, Self::Other)).then(|| self.name())
    }

    fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Other => "OTHER",
        }
    }
}
