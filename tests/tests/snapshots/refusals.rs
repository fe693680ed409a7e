//! Refusals as they come over the wire, one case of each status: head and body.

use std::time::Duration;

use belljar::clock::Clock;
use belljar_tests::{RawConnection, TestBundle, TestHost};

use crate::{expect, names};

/// How long a test waits for the server to close: generous, because nothing is measured.
const PATIENCE: Duration = Duration::from_secs(60);

const ECHO: &str = r#"{"model":"echo","inputs":{"x":[1,2]}}"#;

/// A server whose time stands still, so that what is left of a minute is always the same.
async fn host(settings: &[(&str, &str)]) -> TestHost {
    let (clock, _) = Clock::manual("2030-01-01T00:00:00Z".parse().unwrap());
    TestHost::start_at(clock, settings).await
}

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n")
}

fn post(path: &str, content_type: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: {content_type}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn json(path: &str, body: &str) -> String {
    post(path, "application/json", body)
}

/// Sends a request on a connection of its own and compares the answer.
async fn check(host: &TestHost, name: &str, request: &str) {
    let answer = host
        .raw()
        .await
        .exchange(request.as_bytes(), PATIENCE)
        .await;
    compare(name, request, &answer);
}

/// Compares an answer without what is another each time: its id and its date. Headers are
/// sorted, because their order means nothing.
fn compare(name: &str, request: &str, answer: &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let (status, headers) = head.split_once("\r\n").unwrap();
    let mut headers: Vec<String> = headers
        .split("\r\n")
        .map(|header| match header.split_once(": ").unwrap() {
            ("x-request-id", _) => "x-request-id: [id]".to_owned(),
            ("date", _) => "date: [date]".to_owned(),
            ("openai-processing-ms", _) => "openai-processing-ms: [ms]".to_owned(),
            _ => header.to_owned(),
        })
        .collect();
    headers.sort();
    let asked: Vec<&str> = request.split_whitespace().take(2).collect();
    let asked = asked.join(" ");
    expect(
        name,
        &format!("{asked}\n\n{status}\n{}\n\n{body}\n", headers.join("\n")),
    );
}

#[tokio::test]
async fn what_is_not_there() {
    let host = host(&[]).await;
    check(&host, "refusal-404-route", &get("/nothing", "")).await;
    let body = ECHO.replace("echo", "nobody");
    check(&host, "refusal-404-model", &json("/infer", &body)).await;
    let model = get("/v2/models/nobody", "");
    check(&host, "refusal-404-open-inference", &model).await;
    check(&host, "refusal-405", &get("/infer", "")).await;
}

#[tokio::test]
async fn who_may_not() {
    let host = host(&[("require_api_key", "true")]).await;
    check(&host, "refusal-401-no-key", &get("/v1/models", "")).await;
    let key = "authorization: Bearer sk-belljar-wrong-wrong-wrong\r\n";
    check(&host, "refusal-401-unknown-key", &get("/v1/models", key)).await;
    let caller = host.key("infer").await;
    let key = format!("authorization: Bearer {}\r\n", caller.key().unwrap());
    check(&host, "refusal-403-scope", &get("/admin/keys", &key)).await;
    let other = get("/v1/models", "").replace("localhost", "belljar.example");
    check(&host, "refusal-403-host", &other).await;
}

#[tokio::test]
async fn who_is_banned() {
    let host = host(&[("require_api_key", "true")]).await;
    let guess = get(
        "/v1/models",
        "authorization: Bearer sk-belljar-wrong-wrong-wrong\r\n",
    );
    for _ in 0..5 {
        let answer = host.raw().await.exchange(guess.as_bytes(), PATIENCE).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
    check(&host, "refusal-403-banned", &get("/v1/models", "")).await;
}

#[tokio::test]
async fn what_cannot_be_read() {
    let host = host(&[
        ("max_request_size", "1 KiB"),
        ("enable_abuse_detection", "false"),
    ])
    .await;
    check(&host, "refusal-400-json", &json("/infer", "{")).await;
    let slip = r#"{"model":"fake","messages":[],"n":"two"}"#;
    check(
        &host,
        "refusal-400-field",
        &json("/v1/chat/completions", slip),
    )
    .await;
    let attack = r#"{"model":"fake","messages":[{"role":"user","content":"1' UNION SELECT password FROM users --"}]}"#;
    check(
        &host,
        "refusal-400-injection",
        &json("/v1/chat/completions", attack),
    )
    .await;
    let long = ECHO.replace("1,2", &"1,".repeat(1_000));
    check(&host, "refusal-413", &json("/infer", &long)).await;
    check(&host, "refusal-415", &post("/infer", "text/plain", "hi")).await;
    let pickle = post("/infer", "application/x-pickle", "(dp0\nVx\np1\nI1\ns.");
    check(&host, "refusal-415-pickle", &pickle).await;
}

#[tokio::test]
async fn what_cannot_be_used_as_a_model() {
    let host = host(&[]).await;
    let component = belljar_test_guests::bytes("forbidden_import");
    let bundle = TestBundle::new("forbidden", "1.0.0", &component).tar();
    let key = host.admin();
    let mut request = format!(
        "POST /models?wait=true HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         authorization: Bearer {}\r\ncontent-type: application/x-tar\r\n\
         content-length: {}\r\n\r\n",
        key.key().unwrap(),
        bundle.len()
    )
    .into_bytes();
    let head = "POST /models?wait=true";
    request.extend(bundle);
    let answer = host.raw().await.exchange(&request, PATIENCE).await;
    compare("refusal-422", head, &answer);
}

#[tokio::test]
async fn what_a_model_does_wrong() {
    let host = host(&[]).await;
    for (guest, limits, name) in [
        ("traps", "", "refusal-502-trap"),
        ("burns_fuel", "fuel = 1_000_000", "refusal-502-fuel"),
    ] {
        let component = belljar_test_guests::bytes(guest);
        let bundle = TestBundle::new("guest", "1.0.0", &component).with_limits(limits);
        let _ = host.admin().upload(bundle.tar()).await.expect_success();
        check(&host, name, &json("/infer", &ECHO.replace("echo", "guest"))).await;
        let _ = host.admin().delete("/models/guest").await.expect_success();
    }
}

#[tokio::test]
async fn who_asks_too_often() {
    let host = host(&[("rate_limit.enabled", "true"), ("rate_limit.rpm", "1")]).await;
    let ask = json("/infer", ECHO);
    let answer = host.raw().await.exchange(ask.as_bytes(), PATIENCE).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    check(&host, "refusal-429", &ask).await;
}

/// Of two runs of a model that may have one, the other is refused at once.
#[tokio::test]
async fn where_there_is_no_room() {
    let host = host(&[
        ("sandbox.model_runs_max", "1"),
        ("sandbox.model_queue_max", "0"),
    ])
    .await;
    let component = belljar_test_guests::bytes("burns_fuel");
    let bundle = TestBundle::new("endless", "1.0.0", &component)
        .with_limits("fuel = 1_000_000_000_000\ndeadline = \"1 min\"");
    let _ = host.admin().upload(bundle.tar()).await.expect_success();
    let ask = json("/infer", &ECHO.replace("echo", "endless"));
    let exchange = async || {
        let mut connection = host.raw().await;
        connection.exchange(ask.as_bytes(), PATIENCE).await
    };
    let answer = tokio::select! {
        answer = exchange() => answer,
        answer = exchange() => answer,
    };
    compare("refusal-503", &ask, &answer);
}

#[tokio::test]
async fn what_is_no_request() {
    let host = TestHost::start_with(&[("http.header_read_timeout", "400 ms")]).await;
    let mut slow: RawConnection = host.raw().await;
    let begun = "GET /health HTTP/1.1\r\nhost: local";
    let answer = slow.exchange(begun.as_bytes(), PATIENCE).await;
    compare("refusal-408", begun, &answer);
    let many: String = (0..101).map(|n| format!("x-{n}: 1\r\n")).collect();
    check(&host, "refusal-431", &get("/health", &many)).await;
    check(
        &host,
        "refusal-400-head",
        "GET / HTTP/1.1\r\nhost localhost\r\n\r\n",
    )
    .await;
    check(
        &host,
        "refusal-505",
        "GET / HTTP/9.9\r\nhost: localhost\r\n\r\n",
    )
    .await;
}

#[test]
fn every_file_has_its_case() {
    let cases = include_str!("refusals.rs");
    let idle: Vec<String> = names("refusal-")
        .into_iter()
        .filter(|name| !cases.contains(&format!("\"{name}\"")))
        .collect();
    assert!(idle.is_empty(), "files that no test writes: {idle:?}");
}
