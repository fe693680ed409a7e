//! The one envelope of every error, and the id of every answer.

use crate::host::SHARED;
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn unknown_routes_are_404_in_the_envelope() {
    for path in [
        "/nothing",
        "/v1",
        "/V1/models",
        "/v1/models/",
        "//health",
        "/%68ealthy",
    ] {
        let answer = SHARED.anonymous().get(path).await.expect_status(404);
        assert_eq!(
            answer.json(),
            json!({"error":{
                "message":"There is no such route; GET /openapi.json lists them all.",
                "type":"invalid_request_error","param":null,"code":"unknown_url"}}),
            "{path}"
        );
        assert!(!answer.header("x-request-id").is_empty());
        assert_eq!(answer.header("content-type"), "application/json");
    }
}

#[tokio::test]
async fn other_methods_are_405_with_allow() {
    let client = SHARED.anonymous();
    let answer = client.delete("/v1/models").await.expect_status(405);
    assert_eq!(answer.code(), "method_not_allowed");
    assert_eq!(answer.header("allow"), "GET,HEAD");
    let answer = client.get("/infer").await.expect_status(405);
    assert_eq!(answer.header("allow"), "POST");
    let brew = Method::from_bytes(b"BREW").unwrap();
    let answer = client
        .send(client.request(brew, "/infer"))
        .await
        .unwrap()
        .expect_status(405);
    assert_eq!(answer.header("allow"), "POST");
}

#[tokio::test]
async fn options_and_head_are_answered() {
    let client = SHARED.anonymous();
    let answer = client
        .send(client.request(Method::OPTIONS, "/models"))
        .await
        .unwrap();
    assert_eq!(
        (answer.status, answer.header("allow")),
        (204, "POST,GET,HEAD")
    );
    assert!(answer.body.is_empty());
    let answer = client
        .send(client.request(Method::HEAD, "/v1/models"))
        .await
        .unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(answer.header("content-type"), "application/json");
}

#[tokio::test]
async fn a_sane_request_id_is_kept() {
    let client = SHARED.anonymous();
    let ask = async |id: &str| {
        let request = client
            .request(Method::GET, "/health")
            .header("x-request-id", id);
        client
            .send(request)
            .await
            .unwrap()
            .header("x-request-id")
            .to_owned()
    };
    assert_eq!(ask("my.Id_7-x").await, "my.Id_7-x");
    assert_eq!(ask(&"a".repeat(128)).await, "a".repeat(128));
    for odd in ["", "a b", "a/b", &"a".repeat(129)] {
        let id = ask(odd).await;
        assert!(id != odd && id.len() == 32, "{id}");
    }
    assert_ne!(ask("").await, ask("").await);
}

#[tokio::test]
async fn odd_queries_are_400() {
    let answer = SHARED
        .admin()
        .post_bytes("/models?wait=perhaps", "application/x-tar", vec![])
        .await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "invalid_query")
    );
    let answer = SHARED
        .anonymous()
        .post("/infer?modle=echo", &json!({"inputs":{}}))
        .await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "invalid_query")
    );
}

#[tokio::test]
async fn what_is_not_offered_says_so() {
    let client = SHARED.anonymous();
    for (path, what) in [
        ("/v1/files", "files API"),
        ("/v1/audio/speech", "audio API"),
        ("/v1/images/generations", "images API"),
        ("/v1/vector_stores/vs_1/files", "vector stores API"),
        ("/openai/v1/batches", "batch API"),
    ] {
        let refused = client
            .post(path, &json!({}))
            .await
            .expect_status(404)
            .json();
        let error = &refused["error"];
        assert_eq!(error["code"], "unknown_url", "{refused}");
        assert!(
            error["message"].as_str().unwrap().contains(what),
            "{refused}"
        );
    }
}
