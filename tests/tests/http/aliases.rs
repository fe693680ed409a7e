//! Other names of models: those of well-known ones, and those of the settings.

use belljar_tests::{Answer, Client, TestHost};
use serde_json::{Value, json};

async fn chat(client: &Client, model: &str) -> Answer {
    let body = json!({"model": model, "max_tokens": 4,
        "messages": [{"role": "user", "content": "hello"}]});
    client.post("/v1/chat/completions", &body).await
}

async fn names(client: &Client) -> Vec<String> {
    let list = client.get("/v1/models").await.expect_status(200).json();
    let data = list["data"].as_array().unwrap();
    let name = |model: &Value| model["id"].as_str().unwrap().to_owned();
    data.iter().map(name).collect()
}

#[tokio::test]
async fn the_names_of_well_known_models_stand_for_the_fake_one() {
    let host = TestHost::start().await;
    let client = host.anonymous();
    for name in [
        "gpt-4o",
        "gpt-4o-2024-08-06",
        "gpt-4.1",
        "gpt-5-mini",
        "o4-mini",
        "openai/gpt-oss-120b",
        "claude-sonnet-4-5",
    ] {
        let answer = chat(&client, name).await.expect_status(200).json();
        assert_eq!(answer["model"], name, "the name that was asked for");
        let path = format!("/v1/models/{}", name.replace('/', "%2F"));
        let model = client.get(&path).await.expect_status(200).json();
        assert_eq!(model["id"], name);
    }
    let names = names(&client).await;
    for name in ["fake", "echo", "gpt-4o", "text-embedding-3-small"] {
        assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
    }
    let embedding = json!({"model": "text-embedding-ada-002", "input": "hello"});
    let answer = client.post("/v1/embeddings", &embedding).await;
    let _ = answer.expect_status(200);
    let unknown = chat(&client, "gpt-9").await.expect_status(404);
    assert_eq!(unknown.code(), "model_not_found");
}

#[tokio::test]
async fn a_model_is_found_by_what_it_is_made_of() {
    let host = TestHost::start().await;
    let fake = host.admin().get("/models/fake").await.expect_status(200);
    let digest = fake.json()["versions"][0]["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    let name = format!("fake@{digest}");
    let _ = chat(&host.anonymous(), &name).await.expect_status(200);
    let other = format!("echo@{digest}");
    let _ = chat(&host.anonymous(), &other).await.expect_status(404);
}

/// Acts: `embedded.aliases`, `models.aliases`.
#[tokio::test]
async fn the_settings_add_aliases_and_take_the_known_ones_away() {
    let host = TestHost::start_with(&[
        (
            "models.aliases",
            "support-bot=fake, gpt-4o=fake@0.1.0, lost=nothing",
        ),
        ("embedded.aliases", "false"),
    ])
    .await;
    let client = host.anonymous();
    for name in ["support-bot", "gpt-4o", "gpt-4o-2024-08-06"] {
        let _ = chat(&client, name).await.expect_status(200);
    }
    for name in ["gpt-4o-mini", "lost", "other"] {
        let answer = chat(&client, name).await.expect_status(404);
        assert!(answer.text().contains(name), "{}", answer.text());
    }
    let names = names(&client).await;
    assert_eq!(names, ["echo", "fake", "gpt-4o", "support-bot"]);
}

/// Acts: `models.any`.
#[tokio::test]
async fn any_name_can_stand_for_the_fake_model() {
    let host = TestHost::start_with(&[("models.any", "true")]).await;
    for name in ["gpt-9", "my-own-model", "a/b:c"] {
        let answer = chat(&host.anonymous(), name).await.expect_status(200);
        assert_eq!(answer.json()["model"], name);
    }
}

#[tokio::test]
async fn an_alias_opens_no_model_that_the_key_does_not() {
    let host = TestHost::start_with(&[("require_api_key", "true")]).await;
    let client = host.key_for("infer,models:read", Some(&["echo"])).await;
    let _ = chat(&client, "gpt-4o").await.expect_status(404);
    assert_eq!(names(&client).await, ["echo"]);
}
