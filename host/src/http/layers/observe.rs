//! The outermost layer: gives each request its id, and writes its line in the log and its
//! metrics when the last byte of the answer has gone, or when the caller has.

use super::matched::Matched;
use crate::audit::AuditLog;
use crate::http::error::LogDetail;
use crate::http::policy::{MethodPolicies, RoutePolicies};
use crate::ids::RequestId;
use crate::inference::RequestContext;
use crate::telemetry::AccessRecord;
use crate::telemetry::metrics::{self, Counter, Gauge, Histogram};
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use http_body::{Frame, SizeHint};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tower::{Layer, Service};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What was found in the request and let through all the same.
const X_BELLJAR_REPORT: HeaderName = HeaderName::from_static("x-belljar-report");

/// What is logged as the status where the caller left before there was one. Never sent.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// The layer.
#[derive(Clone, Debug)]
pub(crate) struct Observe {
    /// Where each request's security events go.
    pub(crate) audit: AuditLog,
    /// What holds for each route.
    pub(crate) policies: Arc<RoutePolicies>,
}

impl<S> Layer<S> for Observe {
    type Service = Observed<S>;

    /// Called once for each route, so each has its own handles on its metrics and its own
    /// policies: looking them up by their names would cost as much on each request as
    /// everything else here.
    fn layer(&self, inner: S) -> Observed<S> {
        Observed {
            inner,
            route: Arc::default(),
            audit: self.audit.clone(),
            policies: Arc::clone(&self.policies),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Observed<S> {
    inner: S,
    route: Arc<OnceLock<Route>>,
    audit: AuditLog,
    policies: Arc<RoutePolicies>,
}

impl<S> Service<Request> for Observed<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response;
    type Error = Infallible;
    type Future = ObservedFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let started = Instant::now();
        let id = request.headers().get(&X_REQUEST_ID);
        let id = id
            .and_then(|id| RequestId::accept(id.as_bytes()))
            .unwrap_or_else(RequestId::random);
        let context = RequestContext::new(id, self.audit.clone());
        let route = self.route.get_or_init(|| {
            let template = request.extensions().get::<MatchedPath>();
            Route::new(template.map(MatchedPath::as_str), &self.policies)
        });
        route.in_flight.increment(1.0);
        let policy = route.policies.of(request.method());
        request.extensions_mut().insert(Matched {
            policy,
            context: context.clone(),
        });
        let watch = Watch {
            context,
            route: Arc::clone(&self.route),
            method: MethodLabel::of(request.method()),
            started,
            status: CLIENT_CLOSED_REQUEST,
            bytes_out: 0,
        };
        ObservedFuture {
            inner: self.inner.call(request),
            watch: Some(watch),
        }
    }
}

pub(crate) struct ObservedFuture<F> {
    inner: F,
    watch: Option<Watch>,
}

impl<F> Future for ObservedFuture<F>
where
    F: Future<Output = Result<Response, Infallible>> + Unpin,
{
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Ok(mut response) = ready!(Pin::new(&mut self.inner).poll(context));
        let Some(mut watch) = self.watch.take() else {
            return Poll::Ready(Ok(response));
        };
        watch.status = response.status().as_u16();
        if let Some(LogDetail(detail)) = response.extensions().get() {
            tracing::error!(
                request.id = %watch.context.id(),
                status = watch.status,
                "a request failed: {detail}"
            );
        }
        // The id is one that headers can carry: it was made or accepted so.
        if let Ok(id) = HeaderValue::from_str(watch.context.id().as_str()) {
            response.headers_mut().insert(X_REQUEST_ID, id);
        }
        if let Some(report) = watch.context.reports()
            && let Ok(report) = HeaderValue::from_str(&report)
        {
            response.headers_mut().insert(X_BELLJAR_REPORT, report);
        }
        Poll::Ready(Ok(
            response.map(|body| Body::new(WatchedBody { body, watch }))
        ))
    }
}

/// The body of an answer, which counts its bytes and ends the watch when it is dropped.
struct WatchedBody {
    body: Body,
    watch: Watch,
}

impl http_body::Body for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.watch.bytes_out += u64::try_from(data.len()).unwrap_or(0);
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

/// A request in the works. Its end, whatever that is, is this value's drop.
struct Watch {
    context: RequestContext,
    route: Arc<OnceLock<Route>>,
    method: MethodLabel,
    started: Instant,
    status: u16,
    bytes_out: u64,
}

impl Drop for Watch {
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
        let (model, fuel) = (self.context.model(), self.context.fuel());
        if AccessRecord::enabled() {
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
            }
            .log();
        }
    }
}

/// The name of what no route matches. A path that a caller made up is never a label.
const UNMATCHED: &str = "unmatched";

/// What is the same for every request of one route: its policies, and handles on its metrics.
struct Route {
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
