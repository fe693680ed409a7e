//! What is counted by key alone.

use belljar::clock::Clock;
use belljar_test_guests as guests;
use belljar_tests::{Client, RawConnection, TestBundle, TestHost};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

async fn key(host: &TestHost, more: Value) -> Client {
    let mut body = json!({"name":"n","scopes":["infer","models:read","models:write"]});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let made = host.admin().post("/admin/keys", &body).await;
    let made = made.expect_status(201).json();
    host.anonymous().with_key(made["key"].as_str().unwrap())
}

fn bundle(version: &str) -> Vec<u8> {
    TestBundle::new("quota", version, &guests::bytes("counter")).tar()
}

/// Begins an upload that has its place from here on, and sends nothing of it.
async fn begin_upload(host: &TestHost, caller: &Client) -> RawConnection {
    let head = format!(
        "POST /models HTTP/1.1\r\nhost: localhost\r\nx-api-key: {}\r\n\
         content-type: application/x-tar\r\nexpect: 100-continue\r\ncontent-length: 1000\r\n\r\n",
        caller.key().unwrap()
    );
    let mut open = host.raw().await;
    // The server asks for the body.
    let asked = open.exchange_some(head.as_bytes(), PATIENCE).await;
    assert!(asked.starts_with(b"HTTP/1.1 100"), "{asked:?}");
    open
}

#[tokio::test]
async fn a_key_has_as_many_requests_at_once_as_it_may() {
    let host = TestHost::start().await;
    let one = key(&host, json!({"max_concurrent":1})).await;
    let endless = TestBundle::new("endless", "1.0.0", &guests::bytes("endless_generation"));
    host.admin().upload(endless.tar()).await.expect_status(201);
    let stream = json!({"model":"endless","stream":true,"max_tokens":100_000,
                        "messages":[{"role":"user","content":"Go on."}]});
    let request = one.request(reqwest::Method::POST, "/v1/chat/completions");
    // Not read any further: the stream stays open.
    let open = request.json(&stream).send().await.unwrap();
    let refused = one.get("/v1/models").await.expect_status(429);
    assert_eq!(refused.code(), "concurrency_limit_exceeded");
    assert_eq!(refused.header("retry-after"), "1");
    host.key("models:read")
        .await
        .get("/v1/models")
        .await
        .expect_status(200);
    drop(open);
    for _ in 0..1_000 {
        if one.get("/v1/models").await.status == 200 {
            return;
        }
    }
    panic!("the place never came free");
}

#[tokio::test]
async fn a_key_has_as_many_uploads_at_once_as_it_may() {
    let host = TestHost::start().await;
    let one = key(&host, json!({"max_uploads":1})).await;
    let archive = bundle("1.0.0");
    let open = begin_upload(&host, &one).await;
    let refused = one.upload(archive.clone()).await.expect_status(429);
    assert_eq!(refused.code(), "upload_limit_exceeded");
    let other = key(&host, json!({})).await;
    other.upload(bundle("2.0.0")).await.expect_status(201);
    drop(open);
    for _ in 0..1_000 {
        if one.upload(archive.clone()).await.status == 201 {
            return;
        }
    }
    panic!("the place never came free");
}

/// As shipped: one key's slow uploads leave places for others.
///
/// Acts: `models.uploads_max`.
#[tokio::test]
async fn a_key_holds_no_more_than_half_of_the_places_for_uploads() {
    let host = TestHost::start_with(&[("models.uploads_max", "4")]).await;
    let one = key(&host, json!({})).await;
    let archive = bundle("1.0.0");
    let _open = [
        begin_upload(&host, &one).await,
        begin_upload(&host, &one).await,
    ];
    let refused = one.upload(archive.clone()).await.expect_status(429);
    assert_eq!(refused.code(), "upload_limit_exceeded");
    assert!(
        refused.text().contains("quota.uploads_max"),
        "{}",
        refused.text()
    );
    let other = key(&host, json!({})).await;
    other.upload(bundle("2.0.0")).await.expect_status(201);
}

#[tokio::test]
async fn a_key_stores_as_much_as_it_may() {
    let host = TestHost::start().await;
    let two = key(&host, json!({"max_stored_bundles":1})).await;
    two.upload(bundle("1.0.0")).await.expect_status(201);
    let refused = two.upload(bundle("2.0.0")).await.expect_status(403);
    assert_eq!(refused.code(), "storage_quota_exceeded");
    // The same again is no second version.
    two.upload(bundle("1.0.0")).await.expect_status(201);
    let small = key(&host, json!({"max_stored_bytes":10})).await;
    let refused = small.upload(bundle("3.0.0")).await.expect_status(403);
    assert_eq!(refused.code(), "storage_quota_exceeded");
    let other = key(&host, json!({})).await;
    other.upload(bundle("2.0.0")).await.expect_status(201);
}

/// Acts: `quota.bundles_max`, `quota.stored_max`, `quota.uploads_max`.
#[tokio::test]
async fn a_servers_setting_holds_for_keys_without_a_limit_of_their_own() {
    let settings = [("quota.stored_max", "10 B"), ("quota.uploads_max", "1")];
    let host = TestHost::start_with(&settings).await;
    let plain = key(&host, json!({})).await;
    let refused = plain.upload(bundle("1.0.0")).await.expect_status(403);
    assert_eq!(refused.code(), "storage_quota_exceeded");
    let more = key(&host, json!({"max_stored_bytes":100_000_000})).await;
    more.upload(bundle("1.0.0")).await.expect_status(201);
    let _open = begin_upload(&host, &plain).await;
    let refused = plain.upload(bundle("2.0.0")).await.expect_status(429);
    assert_eq!(refused.code(), "upload_limit_exceeded");
    more.upload(bundle("2.0.0")).await.expect_status(201);

    let host = TestHost::start_with(&[("quota.bundles_max", "1")]).await;
    let plain = key(&host, json!({})).await;
    plain.upload(bundle("1.0.0")).await.expect_status(201);
    plain.upload(bundle("2.0.0")).await.expect_status(403);
    let more = key(&host, json!({"max_stored_bundles":2})).await;
    more.upload(bundle("2.0.0")).await.expect_status(201);
    more.upload(bundle("3.0.0")).await.expect_status(201);
}

#[tokio::test]
async fn fuel_is_given_by_the_day() {
    let start: Timestamp = "2026-01-01T23:59:00Z".parse().unwrap();
    let (clock, hand) = Clock::manual(start);
    let host = TestHost::start_at(clock, &[]).await;
    let caller = key(&host, json!({"fuel_per_day":1})).await;
    let echo = json!({"model":"echo","inputs":{"x":[1]}});
    caller.post("/infer", &echo).await.expect_status(200);
    let refused = caller.post("/infer", &echo).await.expect_status(429);
    assert_eq!(refused.code(), "insufficient_quota");
    assert_eq!(refused.header("retry-after"), "60");
    hand.advance(Duration::from_secs(59));
    caller.post("/infer", &echo).await.expect_status(429);
    hand.advance(Duration::from_secs(1));
    caller.post("/infer", &echo).await.expect_status(200);
}

/// Acts: `quota.fuel_per_day`, `quota.concurrent_max`.
#[tokio::test]
async fn a_servers_day_and_places_hold_for_keys_without_their_own() {
    let settings = [("quota.fuel_per_day", "1"), ("quota.concurrent_max", "1")];
    let host = TestHost::start_with(&settings).await;
    let plain = key(&host, json!({})).await;
    let more = key(&host, json!({"fuel_per_day":1_000_000_000_000_u64})).await;
    let echo = json!({"model":"echo","inputs":{"x":[1]}});
    for caller in [&plain, &more] {
        caller.post("/infer", &echo).await.expect_status(200);
    }
    let refused = plain.post("/infer", &echo).await.expect_status(429);
    assert_eq!(refused.code(), "insufficient_quota");
    more.post("/infer", &echo).await.expect_status(200);
    let _open = begin_upload(&host, &more).await;
    let refused = more.get("/v1/models").await.expect_status(429);
    assert_eq!(refused.code(), "concurrency_limit_exceeded");
}
