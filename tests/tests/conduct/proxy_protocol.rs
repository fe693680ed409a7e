//! With the PROXY protocol a connection is of whom the trusted proxy says, and of nobody else.

use std::time::Duration;

use belljar_tests::{RawConnection, TestHost};

const PATIENCE: Duration = Duration::from_millis(500);
const START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header that says the connection is of that address.
fn proxied(source: [u8; 4]) -> Vec<u8> {
    let ends = [source, [10, 0, 0, 1]].concat();
    [START, &[0x21, 0x11, 0, 12], &ends, &[1, 2, 0, 80]].concat()
}

fn request(key: &str) -> Vec<u8> {
    format!("GET /v1/models HTTP/1.1\r\nhost: localhost\r\nx-api-key: {key}\r\nconnection: close\r\n\r\n")
        .into_bytes()
}

async fn exchange(host: &TestHost, start: &[u8], request: &[u8]) -> String {
    let mut connection = RawConnection::open(host.address()).await;
    let bytes = [start, request].concat();
    connection.exchange(&bytes, PATIENCE).await
}

const WITHOUT_KEY: &[u8] =
    b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// Acts: `proxy_protocol`.
#[tokio::test]
async fn callers_are_told_apart() {
    let settings = [
        ("proxy_protocol", "required"),
        ("trusted_proxies", "127.0.0.1"),
    ];
    // Its own health check speaks the protocol as well.
    let host = TestHost::start_with(&settings).await;
    let (one, other) = (proxied([192, 0, 2, 7]), proxied([192, 0, 2, 8]));
    for _ in 0..5 {
        let answer = exchange(&host, &one, &request("sk-belljar-a-wrong-key")).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    }
    let banned = exchange(&host, &one, WITHOUT_KEY).await;
    assert!(banned.starts_with("HTTP/1.1 403"), "{banned}");
    let bystander = exchange(&host, &other, WITHOUT_KEY).await;
    assert!(bystander.starts_with("HTTP/1.1 200"), "{bystander}");
    // The proxy itself, as it looks whether the server lives.
    let local = [START, &[0x20, 0, 0, 0]].concat();
    let alive = exchange(&host, &local, WITHOUT_KEY).await;
    assert!(alive.starts_with("HTTP/1.1 200"), "{alive}");
    // What the connection is of cannot be changed by a header from there.
    let spoofing = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nx-forwarded-for: 192.0.2.9\r\n\
        connection: close\r\n\r\n";
    let dodging = exchange(&host, &one, spoofing).await;
    assert!(dodging.starts_with("HTTP/1.1 403"), "{dodging}");
}

#[tokio::test]
async fn what_is_not_such_a_header_is_closed() {
    let settings = [
        ("proxy_protocol", "required"),
        ("trusted_proxies", "127.0.0.1"),
    ];
    let host = TestHost::start_with(&settings).await;
    let bad_family = [START, &[0x21, 0x71, 0, 12], &[0; 12]].concat();
    let short = [START, &[0x21, 0x11, 0, 4], &[0; 4]].concat();
    for start in [
        b"".as_slice(),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n",
        &bad_family,
        &short,
    ] {
        assert_eq!(exchange(&host, start, WITHOUT_KEY).await, "", "{start:?}");
    }
}

#[tokio::test]
async fn a_stranger_cannot_speak_for_others() {
    let settings = [
        ("proxy_protocol", "required"),
        ("trusted_proxies", "127.0.0.9"),
    ];
    let host = TestHost::start_with(&settings).await;
    let answer = exchange(&host, &proxied([192, 0, 2, 7]), WITHOUT_KEY).await;
    assert_eq!(answer, "");
}

#[tokio::test]
async fn silence_is_cut_off() {
    let settings = [
        ("proxy_protocol", "required"),
        ("trusted_proxies", "127.0.0.1"),
        ("http.header_read_timeout", "50 ms"),
    ];
    let host = TestHost::start_with(&settings).await;
    let mut connection = RawConnection::open(host.address()).await;
    let begun = std::time::Instant::now();
    let _ = connection.write(&START[..5]).await;
    assert_eq!(connection.read_all(Duration::from_secs(20)).await, b"");
    assert!(begun.elapsed() < Duration::from_secs(10), "was not cut off");
}

#[tokio::test]
async fn without_the_setting_such_a_header_is_a_bad_request() {
    let host = TestHost::start().await;
    let answer = exchange(&host, &proxied([192, 0, 2, 7]), WITHOUT_KEY).await;
    assert!(!answer.contains("200 OK"), "{answer}");
}
