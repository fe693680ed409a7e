//! What models keep of prompts from one request to the next of the same key.

use std::time::Duration;

use belljar::clock::Clock;
use belljar_tests::{Client, TestBundle, TestHost};
use serde_json::{Value, json};

use crate::kit::{SHARED, chat};

/// The bytes that were kept for blocks of two tokens, after which `write` is kept for the rest.
async fn found(client: &Client, tokens: &[i64], write: u8) -> Vec<u8> {
    let body = json!({
        "model": "keeper",
        "inputs": {"tokens": {"datatype": "INT64", "shape": [tokens.len()], "data": tokens}},
        "parameters": {"write": write},
    });
    let answer = client.post("/infer", &body).await.expect_status(200).json();
    let found = &answer["outputs"]["found"];
    serde_json::from_value(found.get("data").unwrap_or(found).clone()).unwrap()
}

async fn keeper(settings: &[(&str, &str)]) -> (TestHost, belljar::clock::ManualClock) {
    let (clock, hand) = Clock::manual("2030-01-01T00:00:00Z".parse().unwrap());
    let server = TestHost::start_at(clock, settings).await;
    let component = belljar_tests::guests::bytes("keeps_blocks");
    for version in ["1.0.0", "1.0.1"] {
        let bundle = TestBundle::new("keeper", version, &component)
            // Another version is another model, whose content is another.
            .with_asset("version", version.as_bytes());
        let _ = server.admin().upload(bundle.tar()).await.expect_status(201);
    }
    (server, hand)
}

#[tokio::test]
async fn a_key_finds_what_its_own_requests_have_left() {
    let (server, _) = keeper(&[("require_api_key", "false")]).await;
    let (one, other) = (server.key("infer").await, server.key("infer").await);
    assert_eq!(found(&one, &[1, 2, 3, 4, 5], 7).await, [0; 0]);
    assert_eq!(found(&one, &[1, 2, 3, 4, 5, 6], 8).await, [7, 7]);
    assert_eq!(found(&one, &[1, 2, 3, 4, 5, 6], 9).await, [7, 7, 8]);
    assert_eq!(found(&one, &[1, 2, 4, 3], 9).await, [7]);
    assert_eq!(found(&other, &[1, 2, 3, 4], 9).await, [0; 0], "another key");
    let nobody = server.anonymous();
    for _ in 0..2 {
        assert_eq!(found(&nobody, &[1, 2], 9).await, [0; 0], "no key");
    }
    let path = "/models/keeper/1.0.0/activate";
    let _ = server.admin().post(path, &json!({})).await.expect_success();
    assert_eq!(found(&one, &[1, 2], 9).await, [0; 0], "another version");
}

/// A run that is to be the same again is made of its request and its seed, and of nothing else.
#[tokio::test]
async fn a_seeded_run_finds_nothing_and_leaves_nothing() {
    let (server, _) = keeper(&[]).await;
    let key = server.key("infer").await;
    let seeded = async |write: u8| {
        let tokens = json!({"datatype": "INT64", "shape": [2], "data": [1, 2]});
        let body = json!({
            "model": "keeper", "inputs": {"tokens": tokens}, "parameters": {"write": write},
        });
        let request = key.request(reqwest::Method::POST, "/infer").json(&body);
        let request = request.header("x-belljar-seed", "1".repeat(64));
        let answer = key.send(request).await.unwrap().expect_status(200).json();
        answer["outputs"]["found"].clone()
    };
    let nothing = seeded(7).await;
    assert_eq!(found(&key, &[1, 2], 8).await, [0; 0], "of the seeded run");
    assert_eq!(seeded(9).await, nothing);
    assert_eq!(found(&key, &[1, 2], 9).await, [8], "of the other");
}

/// Acts: `prefix_cache.time`.
#[tokio::test]
async fn what_is_kept_goes_when_its_time_is_over() {
    let (server, hand) = keeper(&[("prefix_cache.time", "1 min")]).await;
    let key = server.key("infer").await;
    found(&key, &[1, 2], 7).await;
    hand.advance(Duration::from_secs(59));
    assert_eq!(found(&key, &[1, 2], 7).await, [7]);
    hand.advance(Duration::from_secs(60));
    assert_eq!(found(&key, &[1, 2], 7).await, [0; 0]);
}

/// Acts: `prefix_cache.enabled`, `prefix_cache.memory`.
#[tokio::test]
async fn nothing_is_kept_where_that_is_off_or_has_no_room() {
    for setting in [
        ("prefix_cache.enabled", "false"),
        ("prefix_cache.memory", "100"),
    ] {
        let (server, _) = keeper(&[setting]).await;
        let key = server.key("infer").await;
        for _ in 0..2 {
            assert_eq!(found(&key, &[1, 2], 7).await, [0; 0], "{setting:?}");
        }
    }
}

async fn answer(client: &Client, messages: &Value) -> (String, u64, u64) {
    let body = chat(&json!({"messages": messages, "temperature": 0, "max_tokens": 40}));
    let answer = client.post("/v1/chat/completions", &body).await;
    let answer = answer.expect_status(200).json();
    let usage = &answer["usage"];
    (
        answer["choices"][0]["message"]["content"]
            .as_str()
            .unwrap()
            .to_owned(),
        usage["prompt_tokens"].as_u64().unwrap(),
        usage["prompt_tokens_details"]["cached_tokens"]
            .as_u64()
            .unwrap_or(0),
    )
}

/// The second turn of a conversation begins with all blocks of the first, and says the same as if
/// nothing had been kept.
#[tokio::test]
async fn a_second_turn_computes_what_is_new() {
    let (key, nobody) = (SHARED.key("infer").await, SHARED.anonymous());
    let mut messages = vec![json!({"role": "user", "content": "x".repeat(100)})];
    let (first, prompt, cached) = answer(&key, &json!(messages)).await;
    assert_eq!(cached, 0);
    messages.push(json!({"role": "assistant", "content": first}));
    messages.push(json!({"role": "user", "content": "go on"}));
    let (second, longer, cached) = answer(&key, &json!(messages)).await;
    assert!(cached >= prompt - 32, "{cached} of {prompt}");
    assert!(cached < longer);
    assert_eq!(cached % 32, 0);
    let (alone, same, cached) = answer(&nobody, &json!(messages)).await;
    assert_eq!((alone, same, cached), (second, longer, 0));
    // All but a block's worth of a prompt that is there whole.
    let (_, _, again) = answer(&key, &json!(messages)).await;
    assert!(again + 32 >= longer, "{again} of {longer}");
}
