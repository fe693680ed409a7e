//! The outermost layer: gives each request its id, and writes its line in the log and its
//! metrics when the last byte of the answer has gone, or when the caller has.

use super::Record;
use crate::audit::AuditLog;
use crate::http::error::LogDetail;
use crate::ids::RequestId;
use crate::telemetry::{AccessRecord, metrics as names};
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use http_body::{Frame, SizeHint};
use metrics::{Counter, Gauge, Histogram};
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
}

impl<S> Layer<S> for Observe {
    type Service = Observed<S>;

    /// Called once for each route, so each has its own handles on its metrics: looking them up
    /// by their labels would cost as much on each request as everything else here.
    fn layer(&self, inner: S) -> Observed<S> {
        Observed {
            inner,
            stats: Arc::default(),
            audit: self.audit.clone(),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Observed<S> {
    inner: S,
    stats: Arc<Stats>,
    audit: AuditLog,
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
        let record = Record::new(id, self.audit.clone());
        let handles = self
            .stats
            .handles(request.extensions().get::<MatchedPath>());
        handles.in_flight.increment(1.0);
        request.extensions_mut().insert(record.clone());
        let watch = Watch {
            record,
            stats: Arc::clone(&self.stats),
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
                request.id = %watch.record.id(),
                status = watch.status,
                "a request failed: {detail}"
            );
        }
        // The id is one that headers can carry: it was made or accepted so.
        if let Ok(id) = HeaderValue::from_str(watch.record.id().as_str()) {
            response.headers_mut().insert(X_REQUEST_ID, id);
        }
        if let Some(report) = watch.record.reports()
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
    record: Record,
    stats: Arc<Stats>,
    method: MethodLabel,
    started: Instant,
    status: u16,
    bytes_out: u64,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let duration = self.started.elapsed();
        let handles = self.stats.handles(None);
        handles.in_flight.decrement(1.0);
        handles.duration.record(duration);
        handles.bytes_in.increment(self.record.bytes_in());
        handles.bytes_out.increment(self.bytes_out);
        handles.count(self.method, self.status).increment(1);
        let (model, fuel) = (self.record.model(), self.record.fuel());
        if AccessRecord::enabled() {
            AccessRecord {
                method: self.method.name(),
                route: &handles.route,
                status: self.status,
                duration,
                key_id: self.record.key_id(),
                model: model.map(AsRef::as_ref),
                fuel,
                bytes_in: self.record.bytes_in(),
                bytes_out: self.bytes_out,
                request_id: self.record.id(),
            }
            .log();
        }
    }
}

/// The metrics of one route.
#[derive(Default)]
struct Stats(OnceLock<Handles>);

impl Stats {
    fn handles(&self, route: Option<&MatchedPath>) -> &Handles {
        self.0
            .get_or_init(|| Handles::new(route.map_or(UNMATCHED, MatchedPath::as_str)))
    }
}

/// The name of what no route matches. A path that a caller made up is never a label.
const UNMATCHED: &str = "unmatched";

struct Handles {
    route: String,
    in_flight: Gauge,
    duration: Histogram,
    bytes_in: Counter,
    bytes_out: Counter,
    /// By method and class of status.
    requests: [[OnceLock<Counter>; STATUS_CLASSES.len()]; MethodLabel::COUNT],
}

impl Handles {
    fn new(route: &str) -> Self {
        Self {
            route: route.to_owned(),
            in_flight: metrics::gauge!(names::HTTP_IN_FLIGHT),
            duration: metrics::histogram!(names::HTTP_DURATION, "route" => route.to_owned()),
            bytes_in: metrics::counter!(names::HTTP_BYTES_IN),
            bytes_out: metrics::counter!(names::HTTP_BYTES_OUT),
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
            metrics::counter!(
                names::HTTP_REQUESTS,
                "route" => self.route.clone(),
                "method" => method.name(),
                "status" => class,
            )
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
