//! The harness itself: a server of a test starts from the template, serves, and ends.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use belljar_tests::{ServerProcess, TestBundle, TestHost, warm_up};
use serde_json::json;

#[tokio::test]
async fn a_host_serves_its_personas() {
    let host = TestHost::start_with(&[("require_api_key", "true")]).await;
    let request = json!({"model": "echo", "inputs": {"x": [1, 2, 3]}});
    assert_eq!(host.anonymous().post("/infer", &request).await.status, 401);
    let caller = host.key("infer").await;
    let answer = caller.post("/infer", &request).await.expect_status(200);
    assert!(answer.text().contains("[1,2,3]"), "{}", answer.text());
    assert_eq!(caller.get("/models").await.status, 403);
    let list = host.admin().get("/models").await.expect_status(200).json();
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
    let only = host.key_for("infer", Some(&["fake"])).await;
    assert_eq!(only.post("/infer", &request).await.status, 404);
    let mut raw = host.raw().await;
    let answer = raw
        .exchange(
            b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            Duration::from_secs(5),
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    host.stop().await;
}

#[tokio::test]
async fn a_process_serves_what_the_template_has_compiled() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    warm_up(&data).await;
    let server = ServerProcess::start(&data).await;
    let admin = server.admin();
    let bundle = TestBundle::echo("mine", "1.0.0");
    let answer = admin.upload(bundle.tar()).await.expect_status(201);
    assert_eq!(answer.json()["state"], "active");
    assert!(
        !server.log().contains("compiled a version model.id=fake"),
        "{}",
        server.log()
    );
    assert!(server.terminate().await.success());
}
