//! The context of a trace, in and out, and who decides what is kept.

use axum::Router;
use axum::http::HeaderMap;
use belljar_tests::{Answer, Client, ServerProcess, TestHost};
use opentelemetry_proto::tonic::trace::v1::Span;
use reqwest::Method;
use tokio::sync::mpsc;

use super::collector::{Collector, Reply, Trace, expect};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

async fn get(client: &Client, headers: &[(&str, &str)]) -> Answer {
    let mut request = client.request(Method::GET, "/v1/models");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client.send(request).await.unwrap().expect_status(200)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A request after which all before it have been told.
async fn last(collector: &Collector, host: &TestHost) -> Trace {
    let _ = host.anonymous().get("/health").await.expect_status(200);
    collector.trace("GET /health").await
}

#[tokio::test]
async fn a_trace_goes_on_from_its_callers_span_and_the_answer_says_where() {
    let collector = Collector::start(&[Reply::Taken]).await;
    let host = collector.host(&[]).await;
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let state = ("tracestate", "vendor=1,other@x=2");
    let answer = get(&host.anonymous(), &[("traceparent", &parent), state]).await;
    let trace = collector.trace("GET /v1/models").await;
    assert_eq!(hex(&trace.root.trace_id), TRACE);
    assert_eq!(hex(&trace.root.parent_span_id), SPAN);
    assert_eq!(trace.root.trace_state, state.1);
    let own = hex(&trace.root.span_id);
    assert_eq!(
        answer.header("traceresponse"),
        format!("00-{TRACE}-{own}-01")
    );
    assert!(
        trace.children().len() >= 4,
        "those below are of the same trace"
    );
}

#[tokio::test]
async fn what_is_malformed_begins_a_trace_of_its_own() {
    let collector = Collector::start(&[Reply::Taken]).await;
    let host = collector.host(&[]).await;
    let good = format!("00-{TRACE}-{SPAN}-01");
    for parent in [
        format!("00-{TRACE}-{SPAN}-01-more"),
        format!("ff-{TRACE}-{SPAN}-01"),
        good.replace(SPAN, "0000000000000000"),
        good.to_uppercase(),
        "nonsense".to_owned(),
    ] {
        let headers = [("traceparent", parent.as_str()), ("tracestate", "a=1")];
        let answer = get(&host.anonymous(), &headers).await;
        let told = answer.header("traceresponse");
        assert!(
            !told.to_ascii_lowercase().contains(TRACE),
            "{parent}: {told}"
        );
    }
    let twice = [("traceparent", good.as_str()), ("traceparent", &good)];
    let answer = get(&host.anonymous(), &twice).await;
    assert!(!answer.header("traceresponse").contains(TRACE));
    let spans = collector.spans(|spans| {
        let requests = spans.iter().filter(|span| span.name == "GET /v1/models");
        requests.count() == 6
    });
    for span in spans.await {
        assert!(span.trace_state.is_empty() && hex(&span.trace_id) != TRACE);
        assert!(span.name != "GET /v1/models" || span.parent_span_id.is_empty());
    }
}

/// Acts: `traces.sample`, `traces.parent_networks`.
#[tokio::test]
async fn a_callers_no_is_heard_and_its_yes_from_trusted_networks_alone() {
    let collector = Collector::start(&[Reply::Taken]).await;
    let (yes, no) = (
        format!("00-{TRACE}-{SPAN}-01"),
        format!("00-{TRACE}-{SPAN}-00"),
    );
    let host = collector.host(&[]).await;
    let answer = get(&host.anonymous(), &[("traceparent", &no)]).await;
    assert!(answer.header("traceresponse").ends_with("-00"));
    let trace = last(&collector, &host).await;
    host.stop().await;
    assert!(hex(&trace.root.trace_id) != TRACE);
    let is_of = |span: &Span| hex(&span.trace_id) == TRACE;
    let all = || collector.exports().into_iter().flat_map(|it| it.spans());
    assert!(
        !all().any(|span| is_of(&span)),
        "a no is heard from anybody"
    );
    let host = collector.host(&[("traces.sample", "0")]).await;
    let answer = get(&host.anonymous(), &[("traceparent", &yes)]).await;
    let told = answer.header("traceresponse");
    assert!(told.contains(TRACE) && told.ends_with("-00"), "{told}");
    host.stop().await;
    assert!(!all().any(|span| is_of(&span)), "a stranger's yes is not");
    let settings = [
        ("traces.sample", "0"),
        ("traces.parent_networks", "127.0.0.0/8"),
    ];
    let host = collector.host(&settings).await;
    let _ = get(&host.anonymous(), &[("traceparent", &yes)]).await;
    collector.spans(|spans| spans.iter().any(is_of)).await;
}

#[tokio::test]
async fn without_a_collector_there_is_no_trace() {
    let host = TestHost::start().await;
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let answer = get(&host.anonymous(), &[("traceparent", &parent)]).await;
    assert!(!answer.headers.contains_key("traceresponse"));
}

/// The operator's server is called within the trace of the request that led to it.
#[tokio::test]
async fn a_webhook_carries_the_context_of_its_request() {
    let collector = Collector::start(&[Reply::Taken]).await;
    let (told, mut calls) = mpsc::unbounded_channel::<HeaderMap>();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let take = move |headers: HeaderMap| async move { drop(told.send(headers)) };
    let app = Router::new().fallback(take);
    tokio::spawn(async move { axum::serve(listener, app).await });
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start_with(&folder.path().join("data"), |command| {
        command
            .env("BELLJAR_WEBHOOK_URL", &url)
            .env(
                "BELLJAR_WEBHOOK_SECRET",
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            )
            .env("BELLJAR_TRACES_ENDPOINT", collector.url());
    })
    .await;
    let guesser = server.with_key("sk-belljar-wrong-wrong-wrong");
    let (parent, state) = (format!("00-{TRACE}-{SPAN}-01"), "a=1");
    for _ in 0..5 {
        let request = guesser.request(Method::GET, "/v1/models");
        let request = request
            .header("traceparent", &parent)
            .header("tracestate", state);
        let _ = guesser.send(request).await.unwrap().expect_status(401);
    }
    let call = tokio::time::timeout(crate::kit::PATIENCE, calls.recv()).await;
    let call = call.expect("the ban is told").unwrap();
    assert!(server.terminate().await.success());
    let carried = call["traceparent"].to_str().unwrap();
    assert_eq!(call["tracestate"], state);
    let exports = collector.exports();
    let mut spans = exports.iter().flat_map(|it| it.spans());
    let cause = spans.find(|span| carried == format!("00-{TRACE}-{}-01", hex(&span.span_id)));
    expect(&cause.unwrap(), &[("belljar.refusal", "invalid_api_key")]);
}
