//! Times in answers: they are those of the server's clock, which a test moves.

use belljar::clock::Clock;
use belljar_tests::{TestBundle, TestHost};
use serde_json::{Value, json};
use std::time::Duration;

const START: &str = "2030-01-01T00:00:00Z";
/// [`START`] in seconds.
const START_S: i64 = 1_893_456_000;

#[tokio::test]
async fn a_version_is_created_when_the_clock_says() {
    let (clock, hand) = Clock::manual(START.parse().unwrap());
    let host = TestHost::start_at(clock, &[]).await;
    let admin = host.admin();
    hand.advance(Duration::from_secs(90));
    let bundle = TestBundle::echo("timed", "1.0.0");
    let uploaded = admin.upload(bundle.tar()).await.expect_status(201).json();
    assert_eq!(uploaded["created"], "2030-01-01T00:01:30Z");
    let openai = admin.get("/v1/models/timed").await.expect_status(200);
    assert_eq!(openai.json()["created"], START_S + 90);
}

#[tokio::test]
async fn a_chat_is_created_when_the_clock_says() {
    let (clock, hand) = Clock::manual(START.parse().unwrap());
    let host = TestHost::start_at(clock, &[]).await;
    let caller = host.anonymous();
    let mut ask = json!({
        "model": "fake",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 2,
    });
    let answer = caller.post("/v1/chat/completions", &ask).await;
    assert_eq!(answer.expect_status(200).json()["created"], START_S);
    hand.advance(Duration::from_secs(90));
    ask["stream"] = json!(true);
    let answer = caller.post("/v1/chat/completions", &ask).await;
    let text = answer.expect_status(200).text();
    let chunks: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
        .collect();
    assert!(!chunks.is_empty(), "{text}");
    for chunk in chunks {
        assert_eq!(chunk["created"], START_S + 90);
    }
}
