//! `GET /health*`, `GET /`, `GET /metrics`, `GET /admin/config`.

use belljar_tests::{TestBundle, TestHost};

use crate::host::{LOCKED, PATIENCE, SHARED};
use reqwest::Method;

#[tokio::test]
async fn health_needs_no_key() {
    for host in [&*SHARED, &*LOCKED] {
        for (path, status) in [
            ("/health", "ok"),
            ("/health/live", "live"),
            ("/health/ready", "ready"),
        ] {
            let answer = host.anonymous().get(path).await.expect_status(200);
            assert_eq!(answer.json()["status"], status);
        }
    }
}

#[tokio::test]
async fn probes_of_the_open_inference_protocol_need_no_key_either() {
    for host in [&*SHARED, &*LOCKED] {
        let client = host.anonymous();
        for (path, member) in [("/v2/health/live", "live"), ("/v2/health/ready", "ready")] {
            let answer = client.get(path).await.expect_status(200);
            assert_eq!(answer.json()[member], true);
            assert_eq!(answer.header("x-ratelimit-limit-requests"), "");
            let head = client.request(Method::HEAD, path);
            let answer = client.send(head).await.unwrap();
            assert_eq!((answer.status, answer.body.len()), (200, 0));
            // A wrong key is not looked at, either.
            let wrong = client.with_key("sk-belljar-wrong").get(path).await;
            let _ = wrong.expect_status(200);
        }
    }
}

#[tokio::test]
async fn the_root_says_where_to_go() {
    let answer = SHARED.anonymous().get("/").await.expect_status(200);
    assert_eq!(answer.json()["name"], "belljar");
    let openapi = answer.json()["links"]["openapi"]
        .as_str()
        .unwrap()
        .to_owned();
    let _ = SHARED.anonymous().get(&openapi).await.expect_status(200);
}

#[tokio::test]
async fn metrics_count_what_was_asked() {
    let _ = SHARED.anonymous().get("/health/live").await;
    let answer = SHARED.anonymous().get("/metrics").await.expect_status(200);
    assert!(
        answer
            .header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    let text = answer.text();
    assert!(
        text.contains(
            r#"belljar_http_requests_total{route="/health/live",method="GET",status="2xx"}"#
        ),
        "{text}"
    );
    assert!(text.contains("belljar_sandbox_slots"));
    let _ = LOCKED
        .key("infer", &[])
        .await
        .get("/metrics")
        .await
        .expect_status(403);
    let _ = LOCKED
        .key("metrics", &[])
        .await
        .get("/metrics")
        .await
        .expect_status(200);
}

#[tokio::test]
async fn the_configuration_is_for_administrators() {
    let answer = SHARED.admin().get("/admin/config").await.expect_status(200);
    assert!(
        answer.text().contains("max_request_size"),
        "{}",
        answer.text()
    );
    assert!(!answer.text().contains("sk-belljar-"));
    assert_eq!(
        SHARED
            .anonymous()
            .get("/admin/config")
            .await
            .expect_status(401)
            .code(),
        "invalid_api_key"
    );
}

/// A balancer hears that the server is about to stop while requests are still served.
///
/// Acts: `shutdown_delay`.
#[tokio::test]
async fn a_server_that_drains_says_so_and_serves_on() {
    let host = TestHost::start_with(&[("shutdown_delay", "5 s")]).await;
    let client = host.anonymous();
    let _ = client.get("/health/ready").await.expect_status(200);
    let stopping = tokio::spawn(host.stop());
    loop {
        let answer = client.get("/health/ready").await;
        if answer.status == 503 {
            assert_eq!(answer.json()["status"], "draining");
            break;
        }
    }
    let _ = client.get("/health").await.expect_status(503);
    let _ = client.get("/v2/health/ready").await.expect_status(503);
    let _ = client.get("/health/live").await.expect_status(200);
    let _ = client.get("/v1/models").await.expect_status(200);
    let _ = stopping.await.unwrap();
    assert!(client.try_get("/health/live").await.is_none());
}

/// A stop waits for what is under way, and no longer than is said.
///
/// Acts: `shutdown_grace`.
#[tokio::test]
async fn a_stop_waits_for_streams_as_long_as_it_is_told_to() {
    let host = TestHost::start_with(&[("shutdown_grace", "50 ms")]).await;
    let slow = TestBundle::hostile("slow_next")
        .with_limits("fuel = 1_000_000_000_000\ndeadline = \"50 s\"");
    let _ = host.admin().upload(slow.tar()).await.expect_status(201);
    let body = serde_json::json!({"model": "slow_next", "stream": true, "max_tokens": 100_000,
        "parameters": {"turns": 20_000_000}, "messages": [{"role": "user", "content": "hi"}]});
    let request = host
        .anonymous()
        .request(Method::POST, "/v1/chat/completions");
    let mut stream = request.json(&body).send().await.unwrap();
    stream.chunk().await.unwrap().unwrap();
    // Less than the 30 s that a stop waits unless it is told otherwise.
    let stopped = tokio::time::timeout(PATIENCE, host.stop()).await;
    let _ = stopped.expect("the stream is cut off");
    let mut text = Vec::new();
    while let Ok(Some(piece)) = stream.chunk().await {
        text.extend_from_slice(&piece);
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(!text.contains("[DONE]"), "{text}");
}
