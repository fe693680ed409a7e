//! Connections: HTTP/1.1 with pipelining, HTTP/2, silence, disconnects, a graceful end.

use crate::host::{PATIENCE, SHARED};
use belljar_tests::{RawConnection, TestBundle, TestHost};
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let mut connection = RawConnection::open(SHARED.address()).await;
    let ask =
        |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{more}\r\n");
    let requests = ask("/health/live", "")
        + &ask("/nothing", "")
        + &ask("/health/ready", "connection: close\r\n");
    assert!(connection.write(requests.as_bytes()).await);
    let answer = String::from_utf8(connection.read_all(PATIENCE).await).unwrap();
    let places = ["\"live\"", "unknown_url", "\"ready\""].map(|text| answer.find(text).unwrap());
    assert!(places.is_sorted(), "{answer}");
}

#[tokio::test]
async fn http2_without_tls_is_spoken() {
    let mut connection = RawConnection::open(SHARED.address()).await;
    // The preface in two pieces, then empty settings.
    assert!(connection.write(b"PRI * HT").await);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(
        connection
            .write(b"TP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
            .await
    );
    let answer = connection.read_all(Duration::from_millis(500)).await;
    assert_eq!(
        answer.get(3),
        Some(&4),
        "the server's settings come first: {answer:?}"
    );
}

#[tokio::test]
async fn nonsense_is_400_and_the_connection_ends() {
    for nonsense in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI nonsense\r\n\r\n",
    ] {
        let mut connection = RawConnection::open(SHARED.address()).await;
        assert!(connection.write(nonsense).await);
        let answer = connection.read_all(PATIENCE).await;
        assert!(
            answer.starts_with(b"HTTP/1.1 400 ") || answer.starts_with(b"HTTP/1.1 505 "),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_stop_lets_open_requests_finish() {
    let server = TestHost::start().await;
    let component = belljar_test_guests::bytes("slow_infer");
    // Far from its deadline, also on a machine that does much else.
    let limits = "fuel = 100_000_000_000\ndeadline = \"60 s\"";
    let bundle = TestBundle::new("slow", "1.0.0", &component).with_limits(limits);
    let admin = server.admin();
    let _ = admin.upload(bundle.tar()).await.expect_status(201);
    // An idle connection and one that has said nothing must not hold the stop up.
    let mut idle = server.raw().await;
    assert!(
        idle.write(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await
    );
    let silent = server.raw().await;
    let body = json!({"model":"slow","inputs":{"n":[300_000_000]}});
    let request = tokio::spawn({
        let admin = admin.clone();
        async move { admin.post("/infer", &body).await }
    });
    while !admin
        .get("/metrics")
        .await
        .text()
        .contains("belljar_sandbox_running 1")
    {
        assert!(
            !request.is_finished(),
            "the model must be slower than this test"
        );
    }
    let stopping = Instant::now();
    drop(server.stop().await);
    assert!(
        stopping.elapsed() < Duration::from_secs(25),
        "nothing but the request was waited for"
    );
    let _ = request.await.unwrap().expect_status(200);
    assert!(
        admin.try_get("/health").await.is_none(),
        "nobody listens any more"
    );
    drop((idle, silent));
}

/// A request for which there is no route, as its head and its body.
fn lost(body: &str) -> (String, &str) {
    let head = format!(
        "POST /v1/nothing HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    (head, body)
}

#[tokio::test]
async fn a_refusal_leaves_the_connection_to_the_next_request() {
    // Clients send the head before the body, and keep the connection unless the answer says that
    // it ends. A server that answers in between has to read the body.
    let mut connection = RawConnection::open(SHARED.address()).await;
    let (head, body) = lost("{\"a\":1}");
    for turn in 0..100 {
        assert!(connection.write(head.as_bytes()).await, "{turn}");
        tokio::task::yield_now().await;
        assert!(connection.write(body.as_bytes()).await, "{turn}");
        let answer = String::from_utf8(connection.read_some(PATIENCE).await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 404 "), "{turn}: {answer:?}");
        assert!(!answer.contains("connection: close"), "{turn}: {answer}");
    }
}

#[tokio::test]
async fn an_answer_says_when_the_connection_ends_because_the_body_does_not_come() {
    let (head, _) = lost("{\"a\":1}");
    let waits = head.replace("host:", "expect: 100-continue\r\nhost:");
    for head in [head, waits] {
        let mut connection = RawConnection::open(SHARED.address()).await;
        assert!(connection.write(head.as_bytes()).await);
        let answer = String::from_utf8(connection.read_all(PATIENCE).await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer:?}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
    }
}
