//! How many connections there may be.

use crate::heads::{PATIENCE, assert_refused};
use belljar_tests::{RawConnection, TestHost};

const GET: &[u8] = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Opens a connection and has one request answered on it.
async fn used(host: &TestHost) -> RawConnection {
    let mut connection = host.raw().await;
    assert!(connection.write(GET).await);
    let answer = connection.read_some(PATIENCE).await;
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{answer:?}");
    connection
}

/// Acts: `http.connections_max`.
#[tokio::test]
async fn connections_are_bounded_in_all() {
    let settings = [
        ("http.connections_max", "2"),
        ("http.connections_per_address_max", "2"),
    ];
    let host = TestHost::start_with(&settings).await;
    let (first, second) = (used(&host).await, used(&host).await);
    let answer = host.raw().await.exchange(GET, PATIENCE).await;
    assert_refused(&answer, 503, "overloaded");
    assert!(
        answer.to_ascii_lowercase().contains("retry-after: "),
        "{answer}"
    );
    let v2 = b"GET /v2/health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let answer = host.raw().await.exchange(v2, PATIENCE).await;
    assert!(
        answer.contains("\r\n\r\n{\"error\":\"The server"),
        "{answer}"
    );
    drop(first);
    // The place is free when the server has seen the end.
    let mut third = host.raw().await;
    let mut answer = third.exchange_some(GET, PATIENCE).await;
    while answer.starts_with(b"HTTP/1.1 503 ") {
        third = host.raw().await;
        answer = third.exchange_some(GET, PATIENCE).await;
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{answer:?}");
    drop((second, third));
}

/// Acts: `http.connections_per_address_max`.
#[tokio::test]
async fn connections_are_bounded_for_an_address() {
    let host = TestHost::start_with(&[("http.connections_per_address_max", "2")]).await;
    let open = (used(&host).await, used(&host).await);
    let answer = host.raw().await.exchange(GET, PATIENCE).await;
    assert_refused(&answer, 429, "too_many_connections");
    // Another address has places of its own.
    let mut other = RawConnection::open_from([127, 0, 0, 9], host.address()).await;
    let answer = other.exchange_some(GET, PATIENCE).await;
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{answer:?}");
    drop(open);
}
