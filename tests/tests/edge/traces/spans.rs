//! The spans of a request: which there are, what they say, and that they never have its content.

use belljar_tests::TestBundle;
use bytes::Bytes;
use opentelemetry_proto::tonic::trace::v1::Span;
use reqwest::Method;
use serde_json::json;

use super::collector::{Collector, Reply, expect, expect_none, said};

/// What the span of a request is: a server's, and the caller's own span above it is another
/// program's.
const SERVER: i32 = 2;
const INTERNAL: i32 = 1;
/// The status of a span that failed.
const ERROR: i32 = 2;

const LAYERS: [&str; 5] = [
    "address",
    "authentication",
    "limits",
    "screening",
    "authorization",
];

#[tokio::test]
async fn one_span_a_request_with_its_layers_its_queue_and_its_run() {
    let collector = Collector::start(&[Reply::Taken]).await;
    let host = collector.host(&[("require_api_key", "true")]).await;
    let client = host.key("infer").await;
    let body = json!({"model": "echo", "inputs": {"x": [1, 2]}});
    let _ = client.post("/infer", &body).await.expect_status(200);
    let trace = collector.trace("POST /infer").await;
    let names = trace.names();
    assert_eq!(names[..5], LAYERS);
    assert_eq!(names[5..], ["body", "screening", "queue", "run"]);
    assert_eq!(trace.spans.len(), 10);
    let root = &trace.root;
    assert_eq!(root.kind, SERVER);
    assert!(root.parent_span_id.is_empty() && root.status.is_none());
    expect(
        root,
        &[
            ("http.request.method", "POST"),
            ("http.route", "/infer"),
            ("http.response.status_code", "200"),
            ("url.scheme", "http"),
            ("network.protocol.name", "http"),
            ("network.protocol.version", "1.1"),
            (
                "http.request.body.size",
                &body.to_string().len().to_string(),
            ),
            ("belljar.model", "echo@0.1.0"),
        ],
    );
    let key = said(&root.attributes, "belljar.key.id").unwrap();
    assert!(key.starts_with("key_"), "{key}");
    expect_none(
        root,
        &["gen_ai.usage.input_tokens", "error.type", "belljar.refusal"],
    );
    for span in trace.children() {
        assert_eq!(span.kind, INTERNAL);
        assert_eq!(span.span_id.len(), 8);
        assert!(span.start_time_unix_nano >= root.start_time_unix_nano);
        assert!(span.end_time_unix_nano <= root.end_time_unix_nano);
        expect(span, &[("belljar.outcome", "ok")]);
    }
    let run = trace.child("run");
    expect(run, &[("belljar.model", "echo@0.1.0")]);
    let number = |name| said(&run.attributes, name).unwrap().parse::<u64>().unwrap();
    assert!(number("belljar.fuel") > 0 && number("belljar.memory") > 0);
    assert_eq!(
        said(&root.attributes, "belljar.fuel"),
        said(&run.attributes, "belljar.fuel")
    );
    assert!(trace.child("queue").end_time_unix_nano <= run.start_time_unix_nano);
}

#[tokio::test]
async fn a_text_has_its_tokens_and_a_stream_lasts_to_its_last_byte() {
    let collector = Collector::start(&[Reply::Taken]).await;
    let host = collector.host(&[]).await;
    let ask = json!({"model": "fake", "max_tokens": 12, "stream": true,
        "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": "hello there"}]});
    let request = host
        .anonymous()
        .request(Method::POST, "/v1/chat/completions");
    let mut answer = request.json(&ask).send().await.unwrap();
    let mut text = String::new();
    while let Some(piece) = answer.chunk().await.unwrap() {
        text.push_str(&String::from_utf8_lossy(&piece));
        let is_told = |name: &str| {
            let spans = collector.exports().into_iter().flat_map(|it| it.spans());
            spans.into_iter().any(|span| span.name == name)
        };
        assert!(text.contains("[DONE]") || !is_told("POST /v1/chat/completions"));
    }
    let trace = collector.trace("POST /v1/chat/completions").await;
    let mut usage = text.lines().filter_map(|line| line.strip_prefix("data: {"));
    let usage = usage.next_back().map(|line| format!("{{{line}")).unwrap();
    let usage: serde_json::Value = serde_json::from_str(&usage).unwrap();
    let usage = &usage["usage"];
    expect(
        &trace.root,
        &[
            ("gen_ai.provider.name", "belljar"),
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.request.model", "fake"),
            (
                "gen_ai.usage.input_tokens",
                &usage["prompt_tokens"].to_string(),
            ),
            (
                "gen_ai.usage.output_tokens",
                &usage["completion_tokens"].to_string(),
            ),
        ],
    );
    let version = said(&trace.root.attributes, "gen_ai.response.model").unwrap();
    assert!(version.starts_with("fake@"), "{version}");
    let run = trace.child("run");
    assert!(trace.root.end_time_unix_nano >= run.end_time_unix_nano);
    let body = json!({"model": "fake", "input": "hello"});
    let _ = host
        .anonymous()
        .post("/v1/embeddings", &body)
        .await
        .expect_status(200);
    let trace = collector.trace("POST /v1/embeddings").await;
    expect(&trace.root, &[("gen_ai.operation.name", "embeddings")]);
}

#[tokio::test]
async fn a_refusal_says_where_and_why() {
    let collector = Collector::start(&[Reply::Taken]).await;
    let host = collector.host(&[("require_api_key", "true")]).await;
    let client = host.anonymous();
    let _ = client.get("/v1/models").await.expect_status(401);
    let trace = collector.trace("GET /v1/models").await;
    assert_eq!(trace.names(), LAYERS[..2]);
    expect(trace.child("address"), &[("belljar.outcome", "ok")]);
    expect(
        trace.child("authentication"),
        &[("belljar.outcome", "stopped")],
    );
    let refusal = ("belljar.refusal", "invalid_api_key");
    expect(
        &trace.root,
        &[refusal, ("http.response.status_code", "401")],
    );
    assert!(
        trace.root.status.is_none(),
        "a fault of the caller's is none of the server"
    );
    expect_none(&trace.root, &["error.type", "belljar.key.id"]);
    // No path that a caller made up is a name.
    let _ = host.admin().get("/CANARY/x").await.expect_status(404);
    let trace = collector.trace("GET").await;
    expect_none(&trace.root, &["http.route"]);
}

#[tokio::test]
async fn what_fails_says_why() {
    let collector = Collector::start(&[Reply::Taken]).await;
    let settings = [
        ("sandbox.runs_max", "1"),
        ("sandbox.queue_max", "1"),
        ("sandbox.model_runs_max", "1"),
        ("sandbox.model_queue_max", "1"),
    ];
    let host = collector.host(&settings).await;
    let component = belljar_test_guests::bytes("slow_infer");
    let bundle = TestBundle::new("slow", "1.0.0", &component);
    let _ = host.admin().upload(bundle.tar()).await.expect_status(201);
    let trace = collector.trace("POST /models").await;
    let sent = said(&trace.child("body").attributes, "http.request.body.size").unwrap();
    assert!(sent.parse::<usize>().unwrap() >= component.len());
    let bundle = TestBundle::hostile("burns_fuel").with_limits("fuel = 1_000_000");
    let _ = host.admin().upload(bundle.tar()).await.expect_status(201);
    let client = host.anonymous();
    let body = json!({"model": "burns_fuel", "inputs": {"x": [1]}});
    let _ = client.post("/infer", &body).await.expect_status(502);
    let trace = collector.trace("POST /infer").await;
    let code = said(&trace.child("run").attributes, "error.type").unwrap();
    expect(
        &trace.root,
        &[("error.type", &code), ("http.response.status_code", "502")],
    );
    expect(trace.child("run"), &[("belljar.outcome", "stopped")]);
    for span in [&trace.root, trace.child("run")] {
        assert_eq!(span.status.as_ref().unwrap().code, ERROR);
    }
    let body = json!({"model": "slow", "inputs": {"n": [100_000_000]}});
    let asks = (0..8).map(|_| client.post("/infer", &body));
    let answers = futures_util::future::join_all(asks).await;
    assert!(answers.iter().any(|answer| answer.status == 503));
    let is_full = |span: &Span| {
        let why = said(&span.attributes, "error.type");
        span.name == "queue" && why.as_deref() == Some("overloaded")
    };
    collector.spans(|spans| spans.iter().any(is_full)).await;
}

/// A run whose caller has left is told of all the same.
#[tokio::test]
async fn a_caller_that_leaves_is_an_end_as_well() {
    let collector = Collector::start(&[Reply::Taken]).await;
    let host = collector.host(&[("http.half_close", "false")]).await;
    let component = belljar_test_guests::bytes("burns_fuel");
    let bundle = TestBundle::new("endless", "1.0.0", &component);
    let bundle = bundle.with_limits("deadline = \"50 s\"\nfuel = 900_000_000_000");
    let _ = host.admin().upload(bundle.tar()).await.expect_status(201);
    let body = json!({"model": "endless", "inputs": {"x": [1]}});
    let client = host.anonymous();
    let request = client.request(Method::POST, "/infer").json(&body);
    let asked = tokio::spawn(async move { client.send(request).await });
    // It has its slot.
    let is_there = |spans: &[Span], name: &str| spans.iter().any(|span| span.name == name);
    collector.spans(|spans| is_there(spans, "queue")).await;
    asked.abort();
    let ended = |spans: &[Span]| is_there(spans, "run") && is_there(spans, "POST /infer");
    let spans = collector.spans(ended).await;
    let of = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let root = of("POST /infer");
    expect(root, &[("error.type", "client_closed_request")]);
    expect_none(root, &["http.response.status_code"]);
    expect(of("run"), &[("belljar.outcome", "stopped")]);
    expect_none(of("run"), &["error.type"]);
    assert_eq!(of("run").parent_span_id, root.span_id);
}

#[tokio::test]
async fn calls_of_grpc_have_the_names_of_calls() {
    let collector = Collector::start(&[Reply::Taken]).await;
    let host = collector.host(&[]).await;
    for (call, status) in [("ServerLive", "OK"), ("ModelMetadata", "NOT_FOUND")] {
        let stream = tokio::net::TcpStream::connect(host.address())
            .await
            .unwrap();
        let (mut requests, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let path = format!("/inference.GRPCInferenceService/{call}");
        let request = axum::http::Request::post(format!("http://{}{path}", host.address()))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let (answer, mut body) = requests.send_request(request, false).unwrap();
        // A message without fields, which names no model.
        body.send_data(Bytes::from_static(&[0; 5]), true).unwrap();
        let mut body = answer.await.unwrap().into_body();
        while let Some(piece) = body.data().await {
            let _ = body.flow_control().release_capacity(piece.unwrap().len());
        }
        let _ = body.trailers().await.unwrap();
        let trace = collector.trace(path.trim_start_matches('/')).await;
        expect(
            &trace.root,
            &[
                ("rpc.system.name", "grpc"),
                ("rpc.method", path.trim_start_matches('/')),
                ("rpc.response.status_code", status),
                ("network.protocol.version", "2"),
            ],
        );
        expect_none(&trace.root, &["http.response.status_code", "error.type"]);
        connection.abort();
    }
}

/// A word in each place that is a caller's: none of it reaches the collector, nor do keys.
#[tokio::test]
async fn spans_never_have_content() {
    let collector = Collector::start(&[Reply::Taken]).await;
    let host = collector.host(&[("require_api_key", "true")]).await;
    let client = host.key("infer,models:read,models:write").await;
    let canary = "C4N4RY";
    let ask = json!({"model": "fake", "max_tokens": 8, "user": canary,
        "stop": [canary], "metadata": {"m": canary},
        "messages": [{"role": "system", "content": canary},
            {"role": "user", "content": [{"type": "text", "text": canary},
                {"type": "file", "file": {"filename": "C4N4RY.txt",
                    "file_data": "data:text/plain;base64,QzRONFJZ"}}]}]});
    let path = "/v1/chat/completions?q=C4N4RY";
    let request = client.request(Method::POST, path).json(&ask);
    let request = request
        .header("x-request-id", canary)
        .header("user-agent", canary)
        .header("x-anything", canary)
        .header("baggage", "a=C4N4RY")
        .header("referer", "http://C4N4RY.example/");
    let answer = client.send(request).await.unwrap();
    assert!([200, 400].contains(&answer.status), "{}", answer.text());
    let trace = collector.trace("POST /v1/chat/completions").await;
    expect_none(&trace.root, &["belljar.request.id"]);
    for path in ["/C4N4RY", "/v1/models/C4N4RY", "/models/C4N4RY"] {
        let _ = client.get(path).await.expect_status(404);
    }
    let missing = json!({"model": canary, "messages": [{"role": "user", "content": "hi"}]});
    let answer = client.post("/v1/chat/completions", &missing).await;
    let _ = answer.expect_status(404);
    let form = reqwest::multipart::Part::bytes(b"no archive".to_vec()).file_name("C4N4RY.tar");
    let form = reqwest::multipart::Form::new().part("file", form);
    let request = client.request(Method::POST, "/models").multipart(form);
    let refused = client.send(request).await.unwrap();
    assert!((400..500).contains(&refused.status));
    let method = Method::from_bytes(b"C4N4RY").unwrap();
    let _ = client.send(client.request(method, "/infer")).await.unwrap();
    let wrong = client.with_key("sk-belljar-C4N4RY-C4N4RY-C4N4RY");
    let _ = wrong.get("/infer").await.expect_status(401);
    let secret = client.key().unwrap().to_owned();
    // A last one, after which all of them have come.
    let _ = client.get("/v1/models").await.expect_status(200);
    collector.trace("GET /v1/models").await;
    host.stop().await;
    let has = |body: &[u8], word: &str| body.windows(word.len()).any(|it| it == word.as_bytes());
    for export in collector.exports() {
        assert!(!has(&export.body, canary), "{:#?}", export.spans());
        assert!(!has(&export.body, &secret) && !has(&export.body, "127.0.0.1"));
    }
    let named = collector.exports().iter().any(|it| has(&it.body, "_OTHER"));
    assert!(named, "methods that callers invent are one");
}
