//! Peers that ask and do not read: they are cut off, and what they held is free again.

use crate::heads::PATIENCE;
use crate::http2::{Frames, HEADERS, SETTINGS};
use belljar_tests::{RawConnection, TestBundle, TestHost};
use serde_json::json;

const STALL: (&str, &str) = ("http.write_stall_timeout", "300 ms");

async fn post(connection: &mut RawConnection, path: &str, body: &serde_json::Value) {
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    assert!(connection.write(head.as_bytes()).await);
    assert!(connection.write(body.as_bytes()).await);
}

/// Acts: `http.write_stall_timeout`.
#[tokio::test]
async fn a_stream_that_is_not_read_is_cut_and_its_slot_is_free() {
    let host = TestHost::start_with(&[
        STALL,
        ("http.tokens_max", "10000000"),
        ("policy.output_max", "1 GiB"),
        ("policy.deadline_max", "10 min"),
        ("sandbox.runs_max", "1"),
        ("sandbox.queue_wait", "20 s"),
    ])
    .await;
    let endless = belljar_test_guests::bytes("endless_generation");
    let endless = TestBundle::new("endless", "1.0.0", &endless)
        .with_limits("fuel = 1_000_000_000_000\ndeadline = \"10 min\"\noutput = \"1 GiB\"");
    let _ = host.admin().upload(endless.tar()).await.expect_status(201);
    let mut deaf = RawConnection::open_deaf(host.address()).await;
    let ask = json!({"model": "endless", "stream": true, "max_tokens": 10_000_000,
        "messages": [{"role": "user", "content": "hi"}]});
    post(&mut deaf, "/v1/chat/completions", &ask).await;
    assert!(
        !deaf.read_some(PATIENCE).await.is_empty(),
        "the stream has begun"
    );
    // There is one slot, so this is answered when the stream has been cut.
    let echo = json!({"model": "echo", "inputs": {"x": [1]}});
    let _ = host
        .anonymous()
        .post("/infer", &echo)
        .await
        .expect_status(200);
    assert!(deaf.is_reset(PATIENCE).await, "nothing more is kept for it");
}

#[tokio::test]
async fn an_answer_that_is_not_read_is_cut() {
    let host = TestHost::start_with(&[STALL]).await;
    let mut deaf = RawConnection::open_deaf(host.address()).await;
    let big = json!({"model": "echo", "inputs": {"x": vec![1_000_000; 1_200_000]}});
    post(&mut deaf, "/infer", &big).await;
    assert!(
        !deaf.read_some(PATIENCE).await.is_empty(),
        "the answer has begun"
    );
    assert!(deaf.is_reset(PATIENCE).await, "nothing more is kept for it");
}

#[tokio::test]
async fn an_http2_stream_without_a_window_is_cut() {
    let host = TestHost::start_with(&[STALL]).await;
    let mut connection = host.raw().await;
    let mut frames = Frames::default();
    // SETTINGS_INITIAL_WINDOW_SIZE = 0: take nothing of any body.
    frames.frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    frames.frame(HEADERS, 5, 1, &Frames::get("/openapi.json", &[]));
    assert!(connection.write(&frames.bytes()).await);
    // Ends only when the server closes.
    let since = std::time::Instant::now();
    let said = connection.read_all(PATIENCE).await;
    assert!(since.elapsed() < PATIENCE, "the server does not close");
    assert!(
        Frames::kinds(&said).contains(&HEADERS),
        "the head of the answer came"
    );
}
