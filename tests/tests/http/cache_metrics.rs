//! What the metrics tell of the KV cache of a simulated server and of the answers that are made, in
//! a process of its own, for there is one set of metrics in each.

use belljar_tests::{Answer, Client, ServerProcess};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const CHAT: &str = "/v1/chat/completions";
const LATENCY: &str = "x-belljar-latency";

/// Eight blocks of 16 tokens, which one answer of a hundred tokens fills.
const TINY: &str = r#"
[tiny]
about = "a tiny server"
source = "https://example.com"

[tiny.engine]
step = "10ms"
max_num_seqs = 4
max_num_batched_tokens = 4096
num_gpu_blocks = 8
"#;

/// A request for so many tokens, no fewer.
fn chat(text: &str, tokens: u32) -> Value {
    json!({
        "model": "fake", "seed": 1, "max_tokens": tokens,
        "logit_bias": {"199999": -100},
        "messages": [{"role": "user", "content": text}],
    })
}

async fn simulated(caller: &Client, body: &Value) -> Answer {
    let request = caller.request(Method::POST, CHAT).json(body);
    let request = request.header(LATENCY, "profile=tiny");
    let request = request.header("x-belljar-clock", "virtual");
    caller.send(request).await.unwrap().expect_status(200)
}

/// The value of one of vLLM's metrics of the model `fake`; 0 before there is one.
async fn value(admin: &Client, name: &str) -> f64 {
    let page = admin.get("/metrics").await.expect_status(200).text();
    let series = format!(r#"vllm:{name}{{model_name="fake",engine="0"}} "#);
    let mut lines = page.lines();
    let value = lines.find_map(|line| line.strip_prefix(series.as_str()));
    value.map_or(0.0, |value| value.parse().unwrap())
}

/// Waits until a gauge has this value.
async fn until(admin: &Client, name: &str, wanted: f64) {
    let patience = Instant::now() + Duration::from_secs(30);
    while value(admin, name).await != wanted {
        assert!(Instant::now() < patience, "{name} is never {wanted}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_metrics_rise_with_the_cache_and_are_those_of_open_streams() {
    let folder = tempfile::tempdir().unwrap();
    let profiles = folder.path().join("tiny.toml");
    std::fs::write(&profiles, TINY).unwrap();
    let server = ServerProcess::start_with(&folder.path().join("data"), |command| {
        command.env("BELLJAR_TEST_LATENCY_PROFILES", &profiles);
    })
    .await;
    let (caller, admin) = (server.anonymous(), server.admin());
    hits_and_preemptions(&caller, &admin).await;
    open_streams(&caller, &admin).await;
}

async fn hits_and_preemptions(caller: &Client, admin: &Client) {
    const QUERIES: &str = "prefix_cache_queries_total";
    const HITS: &str = "prefix_cache_hits_total";
    const PREEMPTIONS: &str = "num_preemptions_total";
    let text = "The sea is wide and deep and old. ".repeat(6);
    let cold = simulated(caller, &chat(&text, 2)).await.json();
    let tokens = cold["usage"]["prompt_tokens"].as_f64().unwrap();
    assert!(tokens > 48.0 && tokens < 120.0, "{tokens}");
    let seen = (value(admin, QUERIES).await, value(admin, HITS).await);
    assert_eq!(seen, (tokens, 0.0));
    let _ = simulated(caller, &chat(&text, 2)).await;
    assert_eq!(value(admin, QUERIES).await, 2.0 * tokens);
    let hits = value(admin, HITS).await;
    // Whole blocks, and never all of a prompt.
    assert!((32.0..tokens).contains(&hits), "{hits} of {tokens}");
    assert_eq!(hits % 16.0, 0.0, "{hits}");
    assert_eq!(value(admin, PREEMPTIONS).await, 0.0);
    // Two answers at once, each of which needs all blocks before its end.
    let mut two = chat("Tell me about the sea.", 100);
    two["n"] = json!(2);
    let answer = simulated(caller, &two).await.json();
    assert_eq!(answer["usage"]["completion_tokens"], 200);
    let preemptions = value(admin, PREEMPTIONS).await;
    assert!(preemptions >= 1.0, "{preemptions}");
    // In virtual time nothing runs now.
    for gauge in ["num_requests_running", "num_requests_waiting"] {
        assert_eq!(value(admin, gauge).await, 0.0, "{gauge}");
    }
}

/// Streams of a model that has no simulated server.
async fn open_streams(caller: &Client, admin: &Client) {
    const RUNNING: &str = "num_requests_running";
    let open = async || {
        let mut body = chat("Tell me about the sea.", 8);
        body["stream"] = json!(true);
        let request = caller.request(Method::POST, CHAT).json(&body);
        let response = request.header(LATENCY, "ttft=1h").send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response
    };
    let one = open().await;
    assert_eq!(value(admin, RUNNING).await, 1.0);
    let other = open().await;
    assert_eq!(value(admin, RUNNING).await, 2.0);
    assert_eq!(value(admin, "num_requests_waiting").await, 0.0);
    drop(one);
    until(admin, RUNNING, 1.0).await;
    drop(other);
    until(admin, RUNNING, 0.0).await;
}
