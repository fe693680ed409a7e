//! What the tests of conduct share.

use std::io::Write as _;
use std::net::IpAddr;

use belljar::clock::{Clock, ManualClock};
use belljar_tests::{Answer, Client, TestHost};
use reqwest::Method;

/// A key that no server knows.
pub(crate) const WRONG_KEY: &str = "sk-belljar-wrong-wrong-wrong";

/// A server whose time the test moves.
pub(crate) async fn host_at_rest(settings: &[(&str, &str)]) -> (TestHost, ManualClock) {
    let (clock, hand) = Clock::manual("2030-01-01T00:00:00Z".parse().unwrap());
    (TestHost::start_at(clock, settings).await, hand)
}

/// Presents a wrong key so many times; each is answered with 401.
pub(crate) async fn guess(client: &Client, times: u32) {
    let guesser = client.with_key(WRONG_KEY);
    for _ in 0..times {
        let _ = guesser.get("/v1/models").await.expect_status(401);
    }
}

/// `GET` with headers.
pub(crate) async fn get_with(client: &Client, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = client.request(Method::GET, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client.send(request).await.expect("the server answers")
}

/// Presents a wrong key so many times with headers.
pub(crate) async fn guess_with(client: &Client, times: u32, headers: &[(&str, &str)]) {
    let guesser = client.with_key(WRONG_KEY);
    for _ in 0..times {
        let _ = get_with(&guesser, "/v1/models", headers)
            .await
            .expect_status(401);
    }
}

/// Insists on the refusal of the banned, and gives the seconds that it names.
#[track_caller]
pub(crate) fn expect_banned(answer: &Answer) -> u64 {
    assert_eq!(answer.status, 403, "{}", answer.text());
    let body = answer.json();
    assert_eq!(body["error"]["code"], "ip_banned", "{body}");
    assert_eq!(body["error"]["type"], "security_error", "{body}");
    let seconds: u64 = answer.header("retry-after").parse().unwrap();
    let message = body["error"]["message"].as_str().unwrap();
    let documented =
        format!("IP address temporarily banned due to abuse. Retry after {seconds} seconds.");
    assert!(message.starts_with(&documented), "{message}");
    assert!(message.contains("`belljar bans lift "), "{message}");
    seconds
}

/// A body of gzip that comes to so many bytes, most of them blanks.
pub(crate) fn burst(bytes: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&vec![b' '; bytes]).unwrap();
    encoder.finish().unwrap()
}

/// Sends a body of gzip.
pub(crate) async fn send_packed(client: &Client, body: &[u8]) -> Answer {
    let request = client
        .request(Method::POST, "/infer")
        .header("content-type", "application/json")
        .header("content-encoding", "gzip");
    let sent = client.send(request.body(body.to_vec())).await;
    sent.expect("the server answers")
}

/// An address of the loopback network, of which each machine has many.
pub(crate) fn local(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}
