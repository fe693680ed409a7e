//! A collector that speaks OTLP over HTTP, and what it has seen.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse as _, Response};
use belljar_tests::TestHost;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use parking_lot::Mutex;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::kit::PATIENCE;

/// What the collector does with a message.
#[derive(Clone, Copy)]
pub(super) enum Reply {
    Taken,
    /// It takes the message and not so many of its spans.
    Rejects(i64),
    Status(u16),
    /// It wants to be left alone for so many seconds.
    Later(u16, &'static str),
    /// It says nothing, ever.
    Nothing,
    /// It takes the message and answers with what is no answer.
    Garbage,
    /// It answers with a body without end.
    Endless,
}

/// A message as it came.
#[derive(Clone)]
pub(super) struct Export {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Export {
    pub(super) fn decode(&self) -> ExportTraceServiceRequest {
        ExportTraceServiceRequest::decode(self.body.clone()).unwrap()
    }

    pub(super) fn spans(&self) -> Vec<Span> {
        let resources = self.decode().resource_spans.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }
}

#[derive(Clone)]
pub(super) struct Collector {
    address: SocketAddr,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    otherwise: Reply,
    seen: Arc<watch::Sender<Vec<Export>>>,
}

impl Collector {
    /// A collector that answers with these, and with the last of them from then on.
    pub(super) async fn start(replies: &[Reply]) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), replies).await
    }

    /// The same at an address.
    pub(super) async fn start_at(address: SocketAddr, replies: &[Reply]) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let collector = Self {
            address: listener.local_addr().unwrap(),
            replies: Arc::new(Mutex::new(replies.iter().copied().collect())),
            otherwise: *replies.last().unwrap(),
            seen: Arc::new(watch::Sender::new(Vec::new())),
        };
        let app = Router::new().fallback(take).with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        collector
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts a server that sends here, at once.
    pub(super) async fn host(&self, settings: &[(&str, &str)]) -> TestHost {
        let url = self.url();
        let own = [
            ("traces.endpoint", url.as_str()),
            ("traces.batch_delay", "10 ms"),
            ("traces.retry_first", "20 ms"),
        ];
        TestHost::start_with(&[&own, settings].concat()).await
    }

    /// What has come until now.
    pub(super) fn exports(&self) -> Vec<Export> {
        self.seen.borrow().clone()
    }

    /// Waits until what has come is enough.
    pub(super) async fn wait(&self, enough: impl Fn(&[Export]) -> bool) -> Vec<Export> {
        let mut seen = self.seen.subscribe();
        let waited = tokio::time::timeout(PATIENCE, seen.wait_for(|seen| enough(seen))).await;
        waited.expect("the messages come").unwrap().clone()
    }

    /// Waits until the spans that have come are enough.
    pub(super) async fn spans(&self, enough: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let all = |seen: &[Export]| seen.iter().flat_map(Export::spans).collect::<Vec<_>>();
        all(&self.wait(|seen| enough(&all(seen))).await)
    }

    /// Waits for the span of a request, which is the last of its trace, and gives the whole trace.
    pub(super) async fn trace(&self, name: &str) -> Trace {
        let is_root = |span: &Span| span.name == name;
        let spans = self.spans(|spans| spans.iter().any(is_root)).await;
        let root = spans.iter().rfind(|span| is_root(span)).unwrap();
        let of_trace = spans.iter().filter(|span| span.trace_id == root.trace_id);
        Trace {
            root: root.clone(),
            spans: of_trace.cloned().collect(),
        }
    }
}

async fn take(
    State(collector): State<Collector>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let reply = collector.replies.lock().pop_front();
    let export = Export {
        path: uri.path().to_owned(),
        headers,
        body,
    };
    collector.seen.send_modify(|seen| seen.push(export));
    let answer = |rejected| {
        let partial_success = ExportTracePartialSuccess {
            rejected_spans: rejected,
            error_message: "no".to_owned(),
        };
        ExportTraceServiceResponse {
            partial_success: (rejected > 0).then_some(partial_success),
        }
    };
    let status = |status| axum::http::StatusCode::from_u16(status).unwrap();
    match reply.unwrap_or(collector.otherwise) {
        Reply::Taken => answer(0).encode_to_vec().into_response(),
        Reply::Rejects(count) => answer(count).encode_to_vec().into_response(),
        Reply::Status(code) => status(code).into_response(),
        Reply::Later(code, time) => (status(code), [("retry-after", time)]).into_response(),
        Reply::Nothing => std::future::pending().await,
        Reply::Garbage => "<html>\u{0}no protobuf</html>".into_response(),
        Reply::Endless => {
            let chunk = || Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 4096]));
            Body::from_stream(futures_util::stream::repeat_with(chunk)).into_response()
        }
    }
}

/// The spans of one request.
pub(super) struct Trace {
    pub(super) root: Span,
    pub(super) spans: Vec<Span>,
}

impl Trace {
    /// The spans right below the request's, in the order in which they began.
    pub(super) fn children(&self) -> Vec<&Span> {
        let below = |span: &&Span| span.parent_span_id == self.root.span_id;
        let mut children: Vec<_> = self.spans.iter().filter(below).collect();
        children.sort_by_key(|span| span.start_time_unix_nano);
        children
    }

    pub(super) fn names(&self) -> Vec<&str> {
        let children = self.children().into_iter();
        children.map(|span| span.name.as_str()).collect()
    }

    #[track_caller]
    pub(super) fn child(&self, name: &str) -> &Span {
        let mut children = self.children().into_iter();
        children.find(|span| span.name == name).unwrap()
    }
}

/// What an attribute says, as text; none where it is not there.
pub(super) fn said(attributes: &[KeyValue], name: &str) -> Option<String> {
    let mut found = attributes.iter().filter(|it| it.key == name);
    let value = found.next()?.value.clone()?.value?;
    assert!(found.next().is_none(), "{name} is there twice");
    Some(match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => panic!("{name}: {other:?}"),
    })
}

#[track_caller]
pub(super) fn expect(span: &Span, attributes: &[(&str, &str)]) {
    for (name, value) in attributes {
        let found = said(&span.attributes, name);
        assert_eq!(found.as_deref(), Some(*value), "{name} of {span:#?}");
    }
}

#[track_caller]
pub(super) fn expect_none(span: &Span, names: &[&str]) {
    for name in names {
        assert_eq!(said(&span.attributes, name), None, "{name} of {span:#?}");
    }
}

/// A number from the metrics of a host; 0 where there is none.
pub(super) async fn metric(host: &TestHost, line: &str) -> f64 {
    let text = host.admin().get("/metrics").await.text();
    let found = text.lines().find_map(|l| l.strip_prefix(line));
    found.map_or(0.0, |rest| rest.trim().parse().unwrap())
}
