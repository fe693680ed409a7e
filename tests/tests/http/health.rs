//! `GET /health*`, `GET /`, `GET /metrics`, `GET /admin/config`.

use belljar_tests::TestHost;

use crate::host::{LOCKED, SHARED};
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
