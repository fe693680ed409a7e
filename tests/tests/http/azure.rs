//! `/openai/deployments/{name}/…`, as Azure's clients ask.

use crate::host::{LOCKED, SHARED};
use belljar_tests::{Answer, Client};
use reqwest::Method;
use serde_json::{Value, json};

/// What the SDK sends for `AzureOpenAI(azure_endpoint=…, api_key=…, api_version=…)`.
async fn ask(client: &Client, key: &str, path: &str, body: &Value) -> Answer {
    let path = format!("/openai/deployments/{path}?api-version=2024-10-21");
    let request = client
        .request(Method::POST, &path)
        .header("api-key", key)
        .header("accept", "application/json")
        .header("content-type", "application/json")
        .header("user-agent", "AzureOpenAI/Python 1.99.0")
        .header("x-stainless-lang", "python")
        .body(body.to_string());
    client.send(request).await.unwrap()
}

fn chat() -> Value {
    json!({"max_tokens":8,"messages":[{"role":"user","content":"hello"}]})
}

#[tokio::test]
async fn a_deployment_is_the_model() {
    let client = LOCKED.anonymous();
    let key = LOCKED.admin().key().unwrap().to_owned();
    let answer = ask(&client, &key, "gpt-4o/chat/completions", &chat()).await;
    let answer = answer.expect_status(200).json();
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["model"], "gpt-4o");
    // A model in the body is the name of another thing there.
    let mut named = chat();
    named["model"] = json!("something-else");
    let answer = ask(&client, &key, "fake/chat/completions", &named).await;
    assert_eq!(answer.expect_status(200).json()["model"], "fake");
    let body = json!({"prompt":"Once upon","max_tokens":4});
    let answer = ask(&client, &key, "fake/completions", &body).await;
    assert_eq!(
        answer.expect_status(200).json()["object"],
        "text_completion"
    );
    let body = json!({"input":"hello","dimensions":8});
    let answer = ask(&client, &key, "text-embedding-3-small/embeddings", &body).await;
    let answer = answer.expect_status(200).json();
    assert_eq!(answer["data"][0]["embedding"].as_array().unwrap().len(), 8);
}

#[tokio::test]
async fn streams_are_those_of_openai() {
    let mut body = chat();
    body["stream"] = json!(true);
    let answer = ask(&SHARED.anonymous(), "any", "gpt-4o/chat/completions", &body).await;
    let text = answer.expect_status(200).text();
    assert!(text.starts_with("data: {"), "{text}");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
}

#[tokio::test]
async fn errors_are_openais() {
    let client = LOCKED.anonymous();
    let key = LOCKED.admin().key().unwrap().to_owned();
    let answer = ask(&client, &key, "nothing/chat/completions", &chat()).await;
    assert_eq!(answer.expect_status(404).code(), "model_not_found");
    let answer = ask(
        &client,
        &key,
        "fake/chat/completions",
        &json!({"messages":[]}),
    )
    .await;
    let answer = answer.expect_status(400).json();
    assert_eq!(answer["error"]["param"], "messages");
    let answer = ask(&client, "wrong", "fake/chat/completions", &chat()).await;
    assert_eq!(answer.expect_status(401).code(), "invalid_api_key");
    let answer = ask(&client, "", "fake/chat/completions", &chat()).await;
    assert_eq!(answer.expect_status(401).code(), "invalid_api_key");
}

#[tokio::test]
async fn a_key_in_one_header_and_another_in_the_next_are_refused() {
    let client = LOCKED.anonymous();
    let key = LOCKED.admin().key().unwrap().to_owned();
    let ask = async |other: (&str, &str)| {
        let request = client.request(Method::GET, "/v1/models");
        let request = request.header("api-key", &key).header(other.0, other.1);
        let answer = client.send(request).await.unwrap();
        (answer.status, answer.code())
    };
    let ours = format!("Bearer sk-belljar-{}", "0".repeat(64));
    for other in [("x-api-key", "another"), ("authorization", ours.as_str())] {
        let refused = ask(other).await;
        assert_eq!(refused, (400, "conflicting_credentials".to_owned()));
    }
    let bearer = format!("Bearer {key}");
    for other in [
        ("x-api-key", key.as_str()),
        ("x-api-key", ""),
        ("authorization", bearer.as_str()),
        ("authorization", "Basic YTpi"),
    ] {
        assert_eq!(ask(other).await.0, 200, "{other:?}");
    }
}

#[tokio::test]
async fn what_names_no_deployment_is_the_same_as_under_v1() {
    let client = SHARED.anonymous();
    let body = json!({"model":"gpt-4o","max_tokens":8,"messages":[{"role":"user","content":"hi"}]});
    let expect = client.post("/v1/chat/completions", &body).await;
    let expect = expect.expect_status(200).json()["choices"].clone();
    for path in [
        "/openai/v1/chat/completions",
        "/openai/v1/chat/completions?api-version=preview",
        "/openai/chat/completions?api-version=2025-04-01-preview",
    ] {
        let answer = client.post(path, &body).await.expect_status(200).json();
        assert_eq!(answer["choices"], expect, "{path}");
    }
    for path in ["/openai/v1/models/fake", "/openai/models?api-version=1"] {
        let _ = client.get(path).await.expect_status(200);
    }
    // What it means more is looked at as ever.
    let listed = "/openai/v1/conversations/conv_x/items?api-version=1&limit=0";
    let refused = client.get(listed).await.expect_status(404).json();
    assert_eq!(refused["error"]["code"], "not_found", "{refused}");
    let _ = client.get("/openai/v1").await.expect_status(404);
}
