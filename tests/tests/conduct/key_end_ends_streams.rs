//! A key that ends takes its open streams with it, within a second.

use std::time::{Duration, Instant};

use belljar_tests::TestHost;
use serde_json::json;

use crate::keys::{MadeKey, make_key, open_stream, upload_slow, works};
use crate::kit::host_at_rest;

/// What is promised.
const PROMISED: Duration = Duration::from_secs(1);

/// Reads a stream to its end and says what the last event was.
async fn last_event(mut stream: reqwest::Response) -> String {
    let mut text = String::new();
    while let Some(piece) = stream.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&piece).unwrap());
    }
    let last = text.trim_end().rsplit("\n\n").next().unwrap_or_default();
    last.to_owned()
}

/// Opens a stream, ends the key, and looks when and how the stream ends, and whether its sandbox
/// is free then.
async fn check(host: &TestHost, key: &MadeKey, end: impl AsyncFnOnce()) {
    let stream = open_stream(&key.caller).await;
    assert_eq!(host.registry().sandbox().stats().running, 1);
    end().await;
    let since = Instant::now();
    let last = last_event(stream).await;
    let took = since.elapsed();
    assert!(took < PROMISED, "the stream went on for {took:?}");
    assert!(
        last.starts_with("data: {\"error\":") && last.contains("invalid_api_key"),
        "{last}"
    );
    assert!(!works(&key.caller).await);
    while host.registry().sandbox().stats().running > 0 {
        assert!(since.elapsed() < PROMISED, "the sandbox is not free");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_revoked_or_deleted_or_rotated_key_ends_its_streams() {
    let host = TestHost::start().await;
    upload_slow(&host).await;
    let admin = host.admin();
    for verb in ["revoke", "rotate", "delete"] {
        let key = make_key(&host, json!({})).await;
        check(&host, &key, async || {
            let answer = match verb {
                "delete" => admin.delete(&key.path("")).await,
                verb => admin.post(&key.path(&format!("/{verb}")), &json!({})).await,
            };
            let _ = answer.expect_status(200);
        })
        .await;
    }
}

#[tokio::test]
async fn a_key_that_expires_ends_its_streams() {
    let (host, hand) = host_at_rest(&[]).await;
    upload_slow(&host).await;
    let key = make_key(&host, json!({"expires":"2030-01-01T00:01:00Z"})).await;
    check(&host, &key, async || hand.advance(Duration::from_secs(60))).await;
}

#[tokio::test]
async fn an_old_secret_ends_its_streams_when_its_time_is_over() {
    let (host, hand) = host_at_rest(&[]).await;
    upload_slow(&host).await;
    let key = make_key(&host, json!({})).await;
    check(&host, &key, async || {
        let fresh = key.rotate(&host, json!({"overlap":"10m"})).await;
        assert!(works(&key.caller).await && works(&fresh).await);
        hand.advance(Duration::from_secs(599));
        assert!(works(&key.caller).await);
        hand.advance(Duration::from_secs(1));
        assert!(works(&fresh).await);
    })
    .await;
}

#[tokio::test]
async fn a_stream_of_another_key_goes_on() {
    let host = TestHost::start().await;
    upload_slow(&host).await;
    let (ended, other) = (
        make_key(&host, json!({})).await,
        make_key(&host, json!({})).await,
    );
    let mut stream = open_stream(&other.caller).await;
    let admin = host.admin();
    let revoked = admin.post(&ended.path("/revoke"), &json!({})).await;
    let _ = revoked.expect_status(200);
    for _ in 0..3 {
        let piece = stream.chunk().await.unwrap().unwrap();
        assert!(!piece.starts_with(b"data: {\"error\""));
    }
}

#[tokio::test]
async fn a_request_without_an_answer_yet_ends_as_well() {
    let host = TestHost::start().await;
    upload_slow(&host).await;
    let key = make_key(&host, json!({})).await;
    let body = json!({"model": "slow", "max_tokens": 100_000,
        "parameters": {"turns": 20_000_000}, "messages": [{"role": "user", "content": "hi"}]});
    let caller = key.caller.clone();
    let waiting = tokio::spawn(async move { caller.post("/v1/chat/completions", &body).await });
    while host.registry().sandbox().stats().running == 0 {
        tokio::task::yield_now().await;
    }
    let admin = host.admin();
    let revoked = admin.post(&key.path("/revoke"), &json!({})).await;
    let _ = revoked.expect_status(200);
    let since = Instant::now();
    let answer = waiting.await.unwrap().expect_status(401);
    assert_eq!(answer.code(), "invalid_api_key");
    assert!(since.elapsed() < PROMISED, "{:?}", since.elapsed());
}

#[tokio::test]
async fn who_ends_the_own_key_is_told_so() {
    let host = TestHost::start().await;
    let own = make_key(&host, json!({"scopes":["admin"]})).await;
    let revoked = own.caller.post(&own.path("/revoke"), &json!({})).await;
    assert!(revoked.expect_status(200).json()["revoked"].is_string());
    assert!(!works(&own.caller).await);
}
