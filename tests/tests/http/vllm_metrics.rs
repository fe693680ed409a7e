//! What the metrics under vLLM's names tell of each answer: its tokens, its phases and why it ended,
//! whoever says how long it takes. Each server is a process of its own, for there is one set of
//! metrics in each.

use belljar_tests::{Answer, Client, ServerProcess};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const SLOW: (&str, &str) = ("x-belljar-latency", "ttft=2s,itl=500ms");
const VIRTUAL: (&str, &str) = ("x-belljar-clock", "virtual");

/// All metrics at one moment.
struct Page(String);

impl Page {
    async fn of(admin: &Client) -> Self {
        Self(admin.get("/metrics").await.expect_status(200).text())
    }

    /// The value of a series of the model `fake`, by its name and the labels that it has besides
    /// those of all; 0 before there is one.
    fn value(&self, name: &str, labels: &str) -> f64 {
        let series = format!(r#"vllm:{name}{{model_name="fake",engine="0"{labels}}} "#);
        let mut lines = self.0.lines();
        let value = lines.find_map(|line| line.strip_prefix(series.as_str()));
        value.map_or(0.0, |value| value.parse().unwrap())
    }

    fn ended(&self, reason: &str) -> f64 {
        let label = format!(r#",finished_reason="{reason}""#);
        self.value("request_success_total", &label)
    }
}

/// How a histogram has grown: by how many values, and by how much in all.
fn grown(name: &str, before: &Page, after: &Page) -> (f64, f64) {
    let by = |part: &str| {
        let series = format!("{name}_{part}");
        after.value(&series, "") - before.value(&series, "")
    };
    (by("count"), by("sum"))
}

/// Holds histograms to what they should have grown by.
fn expect_grown(before: &Page, after: &Page, expected: &[(&str, f64, f64)]) {
    for (name, count, sum) in expected {
        let (counted, summed) = grown(name, before, after);
        assert_eq!(counted, *count, "{name}");
        assert!((summed - sum).abs() < 1e-6, "{name}: {summed}, not {sum}");
    }
}

/// Waits until a gauge has this value.
async fn until(admin: &Client, name: &str, value: f64) {
    let patience = Instant::now() + Duration::from_secs(30);
    while Page::of(admin).await.value(name, "") != value {
        assert!(Instant::now() < patience, "{name} does not become {value}");
        tokio::task::yield_now().await;
    }
}

/// A prompt of 13 tokens, and an answer of exactly so many.
fn chat(tokens: u32, stream: bool) -> Value {
    json!({
        "model": "fake", "seed": 1, "max_tokens": tokens, "stream": stream,
        "logit_bias": {"199999": -100},
        "messages": [{"role": "user", "content": "Tell me about the sea."}],
    })
}

async fn ask(caller: &Client, body: &Value, headers: &[(&str, &str)]) -> Answer {
    let request = caller.request(reqwest::Method::POST, "/v1/chat/completions");
    let request = headers
        .iter()
        .fold(request.json(body), |request, (name, value)| {
            request.header(*name, *value)
        });
    caller.send(request).await.expect("an answer")
}

#[tokio::test]
async fn each_answer_has_its_tokens_and_its_phases_in_the_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(&folder.path().join("data")).await;
    let (caller, admin) = (server.anonymous(), server.admin());
    for stream in [false, true] {
        let before = Page::of(&admin).await;
        let answer = ask(&caller, &chat(8, stream), &[SLOW, VIRTUAL]).await;
        drop(answer.expect_status(200));
        let after = Page::of(&admin).await;
        expect_grown(
            &before,
            &after,
            &[
                ("request_prompt_tokens", 1.0, 13.0),
                ("request_generation_tokens", 1.0, 8.0),
                ("request_max_num_generation_tokens", 1.0, 8.0),
                ("request_params_max_tokens", 1.0, 8.0),
                ("time_to_first_token_seconds", 1.0, 2.0),
                ("inter_token_latency_seconds", 7.0, 3.5),
                ("time_per_output_token_seconds", 7.0, 3.5),
                ("request_time_per_output_token_seconds", 1.0, 0.5),
                ("request_queue_time_seconds", 1.0, 0.0),
                ("request_prefill_time_seconds", 1.0, 2.0),
                ("request_decode_time_seconds", 1.0, 3.5),
                ("request_inference_time_seconds", 1.0, 5.5),
                ("e2e_request_latency_seconds", 1.0, 5.5),
            ],
        );
        assert_eq!(after.ended("length") - before.ended("length"), 1.0);
        assert_eq!(after.ended("stop"), 0.0);
    }

    // Of several answers to one prompt the longest is told, once.
    let before = Page::of(&admin).await;
    let mut two = chat(4, false);
    two["n"] = json!(2);
    drop(ask(&caller, &two, &[VIRTUAL]).await.expect_status(200));
    let after = Page::of(&admin).await;
    expect_grown(
        &before,
        &after,
        &[
            ("request_generation_tokens", 2.0, 8.0),
            ("request_max_num_generation_tokens", 1.0, 4.0),
            ("request_params_max_tokens", 2.0, 8.0),
        ],
    );

    // The buckets are those of vLLM, up to the last of each.
    for (name, bounds) in [
        ("request_prompt_tokens", ["10", "20", "1000000"]),
        ("inter_token_latency_seconds", ["0.4", "0.5", "80"]),
        ("e2e_request_latency_seconds", ["5", "10", "7680"]),
    ] {
        let bucket = |bound| {
            let label = format!(r#",le="{bound}""#);
            after.value(&format!("{name}_bucket"), &label)
        };
        let [below, around, last] = bounds.map(bucket);
        assert!(below < around && around <= last, "{name}: {around}, {last}");
    }
}

/// A model that waits for nothing, on the clock, in one piece and as a stream: all of its tokens
/// are due at once, and come of one step.
#[tokio::test]
async fn phases_of_answers_at_the_pace_of_their_model_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(&folder.path().join("data")).await;
    let (caller, admin) = (server.anonymous(), server.admin());
    for stream in [false, true] {
        let before = Page::of(&admin).await;
        drop(ask(&caller, &chat(5, stream), &[]).await.expect_status(200));
        let after = Page::of(&admin).await;
        let one = |name| {
            let (count, sum) = grown(name, &before, &after);
            assert_eq!(count, 1.0, "{name}, a stream: {stream}");
            sum
        };
        let first = one("time_to_first_token_seconds");
        let prefill = one("request_prefill_time_seconds");
        let decode = one("request_decode_time_seconds");
        let inference = one("request_inference_time_seconds");
        let whole = one("e2e_request_latency_seconds");
        assert!(prefill > 0.0 && (prefill - first).abs() < 1e-6);
        assert!((prefill + decode - inference).abs() < 1e-6);
        assert!(inference <= whole + 1e-6, "{inference} of {whole}");
        let (gaps, rest) = grown("inter_token_latency_seconds", &before, &after);
        assert_eq!(gaps, 0.0);
        assert!((rest - decode).abs() < 1e-6, "{rest}, not {decode}");
    }
}

/// Two places, steps of 20 ms, and a millisecond for each token of a prompt.
const SMALL: &str = r#"
[small]
about = "a small server"
source = "https://example.com"

[small.engine]
step = "20ms"
step_per_prefill_token = "1ms"
max_num_seqs = 2
max_num_batched_tokens = 4096
num_gpu_blocks = 60
"#;

#[tokio::test]
async fn an_answer_that_waits_for_its_place_has_its_wait_apart_from_its_phases() {
    let folder = tempfile::tempdir().unwrap();
    let profiles = folder.path().join("small.toml");
    std::fs::write(&profiles, SMALL).unwrap();
    let server = ServerProcess::start_with(&folder.path().join("data"), |command| {
        command
            .env("BELLJAR_TEST_LATENCY", "profile=small")
            .env("BELLJAR_TEST_LATENCY_PROFILES", &profiles);
    })
    .await;
    let (caller, admin) = (server.anonymous(), server.admin());
    let asked = |body: Value| {
        let caller = caller.clone();
        tokio::spawn(async move { ask(&caller, &body, &[]).await })
    };
    // Each takes eight seconds; the third is seen to wait long before.
    let streams = [(); 2].map(|()| asked(chat(400, true)));
    until(&admin, "num_requests_running", 2.0).await;
    let before = Page::of(&admin).await;
    let third = asked(chat(2, false));
    until(&admin, "num_requests_waiting", 1.0).await;
    for stream in streams {
        stream.abort();
        drop(stream.await);
    }
    drop(third.await.unwrap().expect_status(200));
    let after = Page::of(&admin).await;
    // Answers that were left are told of nowhere.
    expect_grown(
        &before,
        &after,
        &[
            ("request_prompt_tokens", 1.0, 13.0),
            ("request_generation_tokens", 1.0, 2.0),
            ("request_prefill_time_seconds", 1.0, 0.033),
            ("request_decode_time_seconds", 1.0, 0.02),
            ("request_inference_time_seconds", 1.0, 0.053),
            ("request_time_per_output_token_seconds", 1.0, 0.02),
        ],
    );
    assert_eq!(after.ended("length") - before.ended("length"), 1.0);
    let (count, waited) = grown("request_queue_time_seconds", &before, &after);
    assert_eq!(count, 1.0);
    assert!(waited > 0.0, "{waited}");
    let (_, whole) = grown("e2e_request_latency_seconds", &before, &after);
    assert!(whole >= waited + 0.053 - 1e-6, "{whole} with {waited}");
}
