//! `GET /v1/models`.

use crate::host::SHARED;
use serde_json::json;

#[tokio::test]
async fn active_models_are_listed() {
    let client = SHARED.anonymous();
    let list = client.get("/v1/models").await.expect_status(200).json();
    assert_eq!(list["object"], "list");
    let fake = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|model| model["id"] == "fake")
        .unwrap();
    assert_eq!(
        (&fake["object"], fake["created"].is_i64()),
        (&json!("model"), true)
    );
    assert_eq!(
        &client
            .get("/v1/models/fake")
            .await
            .expect_status(200)
            .json(),
        fake
    );
}

#[tokio::test]
async fn unknown_models_are_404_as_with_openai() {
    let answer = SHARED
        .anonymous()
        .get("/v1/models/gpt-9")
        .await
        .expect_status(404);
    assert_eq!(
        answer.json(),
        json!({"error":{
            "message":"The model `gpt-9` does not exist or you do not have access to it.",
            "type":"invalid_request_error","param":"model","code":"model_not_found"}})
    );
}
