//! Heads that are no HTTP: refused in the usual envelope, with an id, and the connection ends.

use belljar_tests::{RawConnection, TestHost};
use std::time::Duration;

/// How long a test waits for the server to close: generous, because nothing is measured.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Asserts that an answer is a refusal in the envelope with that status and code, and whole.
#[track_caller]
pub(crate) fn assert_refused(answer: &str, status: u16, code: &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    let head = head.to_ascii_lowercase();
    for header in [
        "content-type: application/json",
        "connection: close",
        "x-request-id: ",
        "x-content-type-options: nosniff",
        "cache-control: no-store",
        &format!("content-length: {}", body.len()),
    ] {
        assert!(head.contains(header), "{header}: {answer}");
    }
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["error"]["code"], code, "{answer}");
    assert!(body["error"]["message"].is_string(), "{answer}");
}

#[tokio::test]
async fn what_is_no_request_is_refused_in_the_envelope() {
    let host = TestHost::start_with(&[("http.header_bytes_max", "16 KiB")]).await;
    let long = "x".repeat(20 << 10);
    let many: String = (0..101).map(|n| format!("x-{n}: 1\r\n")).collect();
    let uri = "y".repeat(70_000);
    for (request, status, code) in [
        ("\0\0\0\0\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("GET\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("G@T / HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("GET / HTTP/1.1\r\nhost localhost\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("GET / HTTP/1.1\r\nhost : localhost\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("GET / HTTP/1.1\r\nhost: localhost\r\n folded: 1\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("GET / HTTP/1.1\r\nhost: localhost\r\nx: a\0b\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("GET / HTTP/9.9\r\nhost: localhost\r\n\r\n".to_owned(), 505, "http_version_not_supported"),
        (format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {long}\r\n\r\n"), 431, "headers_too_large"),
        (format!("GET / HTTP/1.1\r\nhost: localhost\r\n{many}\r\n"), 431, "headers_too_large"),
        (format!("GET /{uri} HTTP/1.1\r\nhost: localhost\r\n\r\n"), 431, "headers_too_large"),
        // What two programs could read as two different lengths.
        ("POST /infer HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab".to_owned(), 400, "malformed_request"),
        ("POST /infer HTTP/1.1\r\nhost: localhost\r\ncontent-length: +1\r\n\r\na".to_owned(), 400, "malformed_request"),
        ("POST /infer HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: gzip\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("POST /infer HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked, identity\r\n\r\n".to_owned(), 400, "malformed_request"),
    ] {
        let answer = host.raw().await.exchange(request.as_bytes(), PATIENCE).await;
        assert_refused(&answer, status, code);
    }
}

/// Clients of the Open Inference Protocol read a text there, whoever refuses.
#[tokio::test]
async fn a_head_that_asks_for_v2_is_refused_in_the_words_of_its_protocol() {
    let host = TestHost::start_with(&[
        ("http.header_bytes_max", "16 KiB"),
        ("http.header_read_timeout", "300 ms"),
    ])
    .await;
    let long = "x".repeat(20 << 10);
    let good = "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for (request, status, code) in [
        (
            format!("POST /v2/models/m/infer HTTP/1.1\r\nhost: localhost\r\nx: {long}\r\n\r\n"),
            431,
            "headers_too_large",
        ),
        (
            format!("GET http://localhost/v2?{long} HTTP/1.1\r\n\r\n"),
            431,
            "headers_too_large",
        ),
        (
            "GET /v2 HTTP/9.9\r\nhost: localhost\r\n\r\n".to_owned(),
            505,
            "http_version_not_supported",
        ),
        (
            "GET /v2/health/live HTTP/1.1\r\nhost localhost\r\n\r\n".to_owned(),
            400,
            "malformed_request",
        ),
        (
            "GET /v2/models/m/ready HTTP/1.1\r\nhost: local".to_owned(),
            408,
            "header_timeout",
        ),
    ] {
        let mut connection = host.raw().await;
        // What was asked before on the connection is not what is asked now.
        let first = connection.exchange_some(good.as_bytes(), PATIENCE).await;
        assert!(first.starts_with(b"HTTP/1.1 200 "));
        let answer = connection.exchange(request.as_bytes(), PATIENCE).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert!(body["error"].is_string(), "{answer}");
        assert_eq!(body["code"], code, "{answer}");
    }
}

#[tokio::test]
async fn a_url_is_too_long_where_heads_may_be_long() {
    let host = TestHost::start_with(&[("http.header_bytes_max", "200 KiB")]).await;
    let request = format!(
        "GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "y".repeat(70_000)
    );
    let answer = host
        .raw()
        .await
        .exchange(request.as_bytes(), PATIENCE)
        .await;
    assert_refused(&answer, 414, "uri_too_long");
}

/// Acts: `http.headers_max`.
#[tokio::test]
async fn the_number_of_headers_is_a_setting() {
    let host = TestHost::start_with(&[("http.headers_max", "5")]).await;
    let with = |count: usize| {
        let more: String = (2..count).map(|n| format!("x-{n}: 1\r\n")).collect();
        format!("GET /health HTTP/1.1\r\nhost: localhost\r\n{more}connection: close\r\n\r\n")
    };
    let answer = host
        .raw()
        .await
        .exchange(with(5).as_bytes(), PATIENCE)
        .await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let answer = host
        .raw()
        .await
        .exchange(with(6).as_bytes(), PATIENCE)
        .await;
    assert_refused(&answer, 431, "headers_too_large");
}

#[tokio::test]
async fn nonsense_after_a_good_request_is_refused_after_its_answer() {
    let host = TestHost::start().await;
    let mut connection = host.raw().await;
    let both = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\nGET / HTTP/9.9\r\n\r\n";
    let answer = connection.exchange(both, PATIENCE).await;
    let second = answer.find("HTTP/1.1 505 ").unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && second > 0,
        "{answer}"
    );
    assert_refused(&answer[second..], 505, "http_version_not_supported");
}

/// The server keeps back what the HTTP library says by itself; an answer that looks the same
/// is none of that.
#[tokio::test]
async fn an_answer_that_looks_like_a_refusal_arrives_as_it_is() {
    let host = TestHost::start().await;
    let text = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
    let body = serde_json::json!({"model": "echo", "inputs": {"x": [text]}});
    let answer = host
        .anonymous()
        .send(
            host.anonymous()
                .request(reqwest::Method::POST, "/infer")
                .header("accept", "application/msgpack")
                .json(&body),
        )
        .await
        .unwrap()
        .expect_status(200);
    let whole = answer
        .body
        .windows(text.len())
        .any(|part| part == text.as_bytes());
    assert!(whole, "{answer:?}");
}

#[tokio::test]
async fn known_routes_refuse_in_the_envelope() {
    let host = TestHost::start_with(&[("max_request_size", "1 KiB")]).await;
    let send = async |request: &str| {
        let mut connection = RawConnection::open(host.address()).await;
        connection.exchange(request.as_bytes(), PATIENCE).await
    };
    let close = "host: localhost\r\nconnection: close\r\n";
    let answer = send(&format!("GET /nothing HTTP/1.1\r\n{close}\r\n")).await;
    assert_refused(&answer, 404, "unknown_url");
    let answer = send(&format!(
        "PUT /infer HTTP/1.1\r\n{close}content-length: 0\r\n\r\n"
    ))
    .await;
    assert_refused(&answer, 405, "method_not_allowed");
    assert!(
        answer.to_ascii_lowercase().contains("\r\nallow: post"),
        "{answer}"
    );
    let answer = send(&format!(
        "POST /infer HTTP/1.1\r\n{close}content-type: application/json\r\ncontent-length: 2000\r\n\r\n"
    ))
    .await;
    assert_refused(&answer, 413, "payload_too_large");
    let answer = send(&format!(
        "POST /infer HTTP/1.1\r\n{close}content-type: text/plain\r\ncontent-length: 2\r\n\r\nhi"
    ))
    .await;
    assert_refused(&answer, 415, "unsupported_media_type");
    // Asked for permission to send too much, the server refuses instead of saying 100.
    let answer = send(
        "POST /infer HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         expect: 100-continue\r\ncontent-length: 2000\r\n\r\n",
    )
    .await;
    assert_refused(&answer, 413, "payload_too_large");
}
