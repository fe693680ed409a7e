//! Time-outs of a connection. They are short here, and only that they come is measured.

use crate::heads::{PATIENCE, assert_refused};
use belljar_tests::{TestBundle, TestHost};
use std::time::{Duration, Instant};

/// Short enough to wait for, long enough for a busy machine to send a head in.
const SHORT: (&str, Duration) = ("400 ms", Duration::from_millis(400));

/// Waits for the server to close. Says how long that took, and what it said before.
async fn closed_after(connection: &mut belljar_tests::RawConnection) -> (Duration, String) {
    let since = Instant::now();
    let said = connection.read_all(PATIENCE).await;
    let took = since.elapsed();
    assert!(took < PATIENCE, "the server does not close");
    (took, String::from_utf8_lossy(&said).into_owned())
}

/// Acts: `http.header_read_timeout`.
#[tokio::test]
async fn a_head_has_a_time() {
    let host = TestHost::start_with(&[("http.header_read_timeout", SHORT.0)]).await;
    let mut silent = host.raw().await;
    let (_, said) = closed_after(&mut silent).await;
    assert_eq!(said, "", "who says nothing is told nothing");

    let mut slow = host.raw().await;
    assert!(slow.write(b"GET /health HTTP/1.1\r\nhost: loc").await);
    let (took, said) = closed_after(&mut slow).await;
    assert!(took >= SHORT.1 / 2, "{took:?}");
    assert_refused(&said, 408, "header_timeout");

    // A byte now and then buys no time: the head as a whole has it.
    let mut drip = host.raw().await;
    let since = Instant::now();
    while drip.write(b"G").await {
        assert!(since.elapsed() < PATIENCE, "the server does not close");
        tokio::time::sleep(SHORT.1 / 8).await;
    }
    // The second head on a connection as well.
    let mut second = host.raw().await;
    let get = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let said = second.exchange_some(get, PATIENCE).await;
    assert!(said.starts_with(b"HTTP/1.1 200 "), "{said:?}");
    assert!(second.write(b"GET /heal").await);
    let (_, said) = closed_after(&mut second).await;
    assert_refused(&said, 408, "header_timeout");
}

/// Acts: `http.idle_timeout`.
#[tokio::test]
async fn a_connection_without_a_request_has_a_time() {
    let host = TestHost::start_with(&[("http.idle_timeout", SHORT.0)]).await;
    let mut idle = host.raw().await;
    assert!(
        idle.write(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await
    );
    let (took, said) = closed_after(&mut idle).await;
    assert!(
        took >= SHORT.1 / 2 && said.starts_with("HTTP/1.1 200 "),
        "{took:?} {said}"
    );
    assert_eq!(
        said.matches("HTTP/1.1").count(),
        1,
        "no answer without a question: {said}"
    );
}

#[tokio::test]
async fn an_idle_http2_connection_has_a_time() {
    let host = TestHost::start_with(&[("http.idle_timeout", SHORT.0)]).await;
    let mut idle = host.raw().await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    assert!(idle.write(preface).await);
    let _ = closed_after(&mut idle).await;
}

/// Acts: `http.body_read_timeout`.
#[tokio::test]
async fn a_body_has_a_time() {
    let host = TestHost::start_with(&[("http.body_read_timeout", SHORT.0)]).await;
    let mut slow = host.raw().await;
    let head = b"POST /infer HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
        content-length: 100\r\n\r\n{";
    assert!(slow.write(head).await);
    let (_, said) = closed_after(&mut slow).await;
    assert_refused(&said, 408, "body_timeout");
}

/// Acts: `http.request_timeout`.
#[tokio::test]
async fn a_whole_request_has_a_time() {
    let host = TestHost::start_with(&[("http.request_timeout", SHORT.0)]).await;
    let mut slow = host.raw().await;
    let head = b"POST /infer HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
        content-length: 100\r\n\r\n{";
    assert!(slow.write(head).await);
    let (_, said) = closed_after(&mut slow).await;
    assert_refused(&said, 408, "request_timeout");

    // One that has reached its model is the server's to finish.
    let hog = TestBundle::new("hog", "1.0.0", &belljar_test_guests::bytes("burns_fuel"))
        .with_limits("fuel = 1_000_000_000_000\ndeadline = \"20 s\"");
    let admin = host.admin();
    let _ = admin.upload(hog.tar()).await.expect_status(201);
    let body = serde_json::json!({"model": "hog", "inputs": {"x": [1]}});
    let answer = admin.post("/infer", &body).await.expect_status(504);
    assert_eq!(answer.code(), "request_timeout");
}

#[tokio::test]
async fn a_stream_may_go_on_after_its_head() {
    let host = TestHost::start_with(&[
        ("http.request_timeout", "1 s"),
        ("http.idle_timeout", SHORT.0),
        ("http.header_read_timeout", SHORT.0),
    ])
    .await;
    // A model that takes its time for each word.
    let slow = TestBundle::new("slow", "1.0.0", &belljar_test_guests::bytes("slow_next"))
        .with_limits("fuel = 1_000_000_000_000\ndeadline = \"50 s\"");
    let _ = host.admin().upload(slow.tar()).await.expect_status(201);
    let body = serde_json::json!({"model": "slow", "stream": true, "max_tokens": 600,
        "parameters": {"turns": 12_000_000}, "messages": [{"role": "user", "content": "hi"}]});
    let since = Instant::now();
    let answer = host
        .anonymous()
        .post("/v1/chat/completions", &body)
        .await
        .expect_status(200);
    assert!(
        answer.text().ends_with("data: [DONE]\n\n"),
        "{}",
        answer.text()
    );
    assert!(
        since.elapsed() > Duration::from_secs(1),
        "the stream must outlast the time-out"
    );
}
