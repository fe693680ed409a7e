//! How long texts take where testers say so: by header, by model and key, from profiles and
//! recorded values, in simulated servers, on the clock and in virtual time.

use belljar_tests::{Answer, Client, ServerProcess, TestHost};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const CHAT: &str = "/v1/chat/completions";
const LATENCY: &str = "x-belljar-latency";
const CLOCK: &str = "x-belljar-clock";
const RUN: &str = "x-belljar-run";
const TTFT: &str = "x-belljar-ttft-ms";
const E2E: &str = "x-belljar-e2e-ms";

/// A server that lets testers do what they like.
async fn tested(settings: &[(&str, &str)]) -> TestHost {
    let mut all = vec![("testing", "true")];
    all.extend(settings);
    TestHost::start_with(&all).await
}

fn chat(tokens: u32, stream: bool) -> Value {
    json!({
        "model": "fake", "seed": 1, "max_tokens": tokens, "stream": stream,
        "logit_bias": {"199999": -100},
        "messages": [{"role": "user", "content": "Tell me about the sea."}],
    })
}

async fn ask(caller: &Client, path: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
    let mut request = caller.request(reqwest::Method::POST, path).json(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    caller.send(request).await.expect("an answer")
}

/// When each event of a stream is said to have come, in milliseconds.
fn times(answer: &Answer) -> Vec<f64> {
    let text = answer.text();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let events = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    events
        .filter_map(|event| event["belljar"]["at_ms"].as_f64())
        .collect()
}

fn number(answer: &Answer, header: &str) -> f64 {
    answer.header(header).parse().unwrap()
}

const VIRTUAL: (&str, &str) = (CLOCK, "virtual");

#[tokio::test]
async fn a_header_sets_the_times_of_one_request_and_virtual_time_tells_them() {
    let host = tested(&[]).await;
    let caller = host.anonymous();
    let slow = [(LATENCY, "ttft=2s,itl=500ms"), VIRTUAL];
    let begun = Instant::now();
    let whole = ask(&caller, CHAT, &chat(8, false), &slow)
        .await
        .expect_status(200);
    assert_eq!(
        (number(&whole, TTFT), number(&whole, E2E)),
        (2_000.0, 5_500.0)
    );
    let stream = ask(&caller, CHAT, &chat(8, true), &slow)
        .await
        .expect_status(200);
    assert_eq!(number(&stream, TTFT), 2_000.0);
    let times = times(&stream);
    assert_eq!(times.first(), Some(&2_000.0));
    // The time of the stream is that of the answer in one piece.
    assert_eq!(times.last(), Some(&5_500.0));
    assert!(
        times
            .windows(2)
            .all(|pair| [0.0, 500.0].contains(&(pair[1] - pair[0]))),
        "{times:?}"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "nobody has waited"
    );
    // The next request asks for nothing, and has no times.
    let plain = ask(&caller, CHAT, &chat(8, true), &[])
        .await
        .expect_status(200);
    assert!(self::times(&plain).is_empty());
}

#[tokio::test]
async fn the_clock_is_waited_for() {
    let host = tested(&[]).await;
    let caller = host.anonymous();
    let slow = [(LATENCY, "ttft=300ms,itl=20ms")];
    for stream in [false, true] {
        let begun = Instant::now();
        let answer = ask(&caller, CHAT, &chat(6, stream), &slow).await;
        drop(answer.expect_status(200));
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(400), "{took:?}");
    }
}

/// All APIs that stream texts, each in its own words.
#[tokio::test]
async fn every_api_tells_its_simulated_times() {
    let host = tested(&[]).await;
    let caller = host.anonymous();
    let headers = [(LATENCY, "ttft=1s,itl=10ms"), VIRTUAL];
    let message = json!([{"role": "user", "content": "Tell me about the sea."}]);
    let messages = json!({"model": "fake", "max_tokens": 4, "messages": message, "stream": true});
    for (path, body) in [
        ("/v1/messages", messages),
        (
            "/v1/completions",
            json!({"model": "fake", "prompt": "The sea", "max_tokens": 4, "stream": true}),
        ),
        (
            "/v1/responses",
            json!({"model": "fake", "input": "The sea", "stream": true}),
        ),
    ] {
        let answer = ask(&caller, path, &body, &headers).await.expect_status(200);
        let times = times(&answer);
        assert_eq!(times.first(), Some(&1_000.0), "{path}: {}", answer.text());
        assert!(times.is_sorted() && times.len() > 2, "{path}: {times:?}");
        assert_eq!(number(&answer, TTFT), 1_000.0);
        let mut whole = body;
        whole["stream"] = json!(false);
        let answer = ask(&caller, path, &whole, &headers)
            .await
            .expect_status(200);
        let json = answer.json();
        let usage = &json["usage"];
        let tokens = usage["output_tokens"].as_f64();
        let tokens = tokens.or(usage["completion_tokens"].as_f64()).unwrap();
        // A second for the first token, and ten milliseconds for each other.
        let end = number(&answer, E2E);
        assert_eq!(end, 990.0 + 10.0 * tokens, "{path}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_world_has_the_same_times_again_and_another_world_has_others() {
    let host = tested(&[]).await;
    let caller = host.anonymous();
    let times_in = async |world: &str| {
        let headers = [
            (LATENCY, "ttft=normal(200ms,50ms),itl=gamma(20ms,5ms)"),
            VIRTUAL,
            (RUN, world),
        ];
        let mut all = Vec::new();
        for _ in 0..3 {
            let answer = ask(&caller, CHAT, &chat(8, true), &headers).await;
            all.push(times(&answer.expect_status(200)));
        }
        all
    };
    let first = times_in("one").await;
    assert!(first.iter().all(|times| times.is_sorted()));
    assert_ne!(first[0], first[1], "each request has its own");
    let admin = host.admin();
    drop(admin.delete("/admin/worlds/one").await.expect_success());
    assert_eq!(
        times_in("one").await,
        first,
        "the same again, from its beginning"
    );
    assert_ne!(times_in("two").await, first);
}

/// Acts: `test.latency`, `test.latency_rules`, `test.latency_profiles`, `test.latency_recorded`.
#[tokio::test]
async fn latencies_are_set_by_model_and_by_key_with_profiles_and_recorded_values() {
    let folder = tempfile::tempdir().unwrap();
    let profiles = folder.path().join("mine.toml");
    let mine = "[mine]\nabout = \"ours\"\nsource = \"https://example.com\"\nttft = \"recorded(lab.ttft_ms)\"\nitl = \"1ms\"\n";
    std::fs::write(&profiles, mine).unwrap();
    let recorded = folder.path().join("lab.csv");
    std::fs::write(&recorded, "ttft_ms\n700\n").unwrap();
    let host = tested(&[
        ("test.latency", "ttft=100ms"),
        (
            "test.latency_rules",
            r#"["gpt-4o* profile=mine", "fake@key_* ttft=900ms,prefill=10/s"]"#,
        ),
        ("test.latency_profiles", profiles.to_str().unwrap()),
        ("test.latency_recorded", recorded.to_str().unwrap()),
    ])
    .await;
    let caller = host.anonymous();
    let first = async |caller: &Client, model: &str| {
        let mut body = chat(4, false);
        body["model"] = json!(model);
        let answer = ask(caller, CHAT, &body, &[VIRTUAL])
            .await
            .expect_status(200);
        number(&answer, TTFT)
    };
    assert_eq!(first(&caller, "fake").await, 100.0);
    assert_eq!(first(&caller, "gpt-4o-mini").await, 700.0);
    let with_key = host.key("infer").await;
    // A prompt of 13 tokens at 10 tokens a second.
    assert_eq!(first(&with_key, "fake").await, 2_200.0);
    let none = [(LATENCY, "none"), VIRTUAL];
    let answer = ask(&caller, CHAT, &chat(4, false), &none)
        .await
        .expect_status(200);
    assert_eq!(number(&answer, TTFT), 0.0);
}

#[tokio::test]
async fn a_header_that_is_wrong_is_refused_and_says_why() {
    let host = tested(&[]).await;
    let caller = host.anonymous();
    for (text, message) in [
        ("ttft=fast", "there is no distribution `fast`"),
        ("profile=x", "there is no profile `x`"),
        ("ttft=recorded(x)", "there is no recorded column `x`"),
    ] {
        let answer = ask(&caller, CHAT, &chat(4, false), &[(LATENCY, text)]).await;
        let answer = answer.expect_status(400);
        assert_eq!(answer.code(), "invalid_latency");
        assert!(answer.text().contains(message), "{}", answer.text());
    }
}

/// Off is off: the header is one that nobody knows, wrong or not.
#[tokio::test]
async fn a_server_that_does_not_test_takes_as_long_as_its_model() {
    let host = TestHost::start_with(&[("testing", "false")]).await;
    let caller = host.anonymous();
    let headers = [(LATENCY, "ttft=1h"), VIRTUAL];
    let answer = ask(&caller, CHAT, &chat(4, true), &headers)
        .await
        .expect_status(200);
    assert!(times(&answer).is_empty());
}

/// Blocks of 16 tokens, steps of 10 ms, and a millisecond for each token of a prompt.
const SMALL: &str = r#"
[small]
about = "a small server"
source = "https://example.com"

[small.engine]
step = "10ms"
step_per_prefill_token = "1ms"
max_num_seqs = 2
max_num_batched_tokens = 4096
num_gpu_blocks = 60
"#;

/// A folder with a file of profiles, and the path of that.
fn small() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let profiles = folder.path().join("small.toml");
    std::fs::write(&profiles, SMALL).unwrap();
    let path = profiles.to_str().unwrap().to_owned();
    (folder, path)
}

#[tokio::test]
async fn prompts_that_begin_alike_are_read_once_in_a_world_and_by_a_key() {
    let (_folder, profiles) = small();
    let settings = [
        ("test.latency", "profile=small"),
        ("test.latency_profiles", profiles.as_str()),
    ];
    let host = tested(&settings).await;
    let caller = host.anonymous();
    let long = "The sea is wide and deep and old. ".repeat(12);
    let first = async |caller: &Client, end: &str, world: &str| {
        let mut body = chat(2, false);
        body["messages"][0]["content"] = json!(format!("{long}{end}"));
        let headers = [VIRTUAL, (RUN, world)];
        let answer = ask(caller, CHAT, &body, &headers).await.expect_status(200);
        let tokens = answer.json()["usage"]["prompt_tokens"].as_f64().unwrap();
        (number(&answer, TTFT), tokens)
    };
    // A millisecond a token, and ten for the step.
    let (cold, tokens) = first(&caller, "One", "a").await;
    assert_eq!(cold, tokens + 10.0);
    let (warm, tokens) = first(&caller, "Two", "a").await;
    // What is different, and up to a block before it.
    let read = warm - 10.0;
    assert!(
        (5.0..=22.0).contains(&read) && tokens > 100.0,
        "{read} of {tokens}"
    );
    // Another world, and another key, have a cache of their own.
    assert_eq!(first(&caller, "One", "b").await.0, cold);
    let with_key = host.key("infer").await;
    assert_eq!(first(&with_key, "One", "a").await.0, cold);
}

/// Three streams at once where there are two places, and what the metrics say meanwhile. In a process
/// of its own, for there is one set of metrics in each.
///
/// Acts: `test.adapters`.
#[tokio::test]
async fn streams_share_a_simulated_server_and_the_metrics_move_with_it() {
    let (folder, profiles) = small();
    let server = ServerProcess::start_with(&folder.path().join("data"), |command| {
        command
            .env("BELLJAR_TEST_LATENCY", "profile=small")
            .env("BELLJAR_TEST_LATENCY_PROFILES", &profiles)
            .env("BELLJAR_TEST_ADAPTERS", "gpt-4o, gpt-4o-mini");
    })
    .await;
    let (caller, admin) = (server.anonymous(), server.admin());
    let metric = async |name: &str| {
        let text = admin.get("/metrics").await.expect_status(200).text();
        let line = text.lines().find(|line| line.starts_with(name));
        line.unwrap_or_default().to_owned()
    };
    let value = async |name: &str| {
        let line = metric(name).await;
        line.rsplit(' ')
            .next()
            .unwrap_or_default()
            .parse::<f64>()
            .unwrap_or(-1.0)
    };
    let running = r#"vllm:num_requests_running{model_name="fake",engine="0"}"#;
    let waiting = r#"vllm:num_requests_waiting{model_name="fake",engine="0"}"#;
    let mut body = chat(400, true);
    body["model"] = json!("gpt-4o");
    let streams = [(); 3].map(|()| {
        let (caller, body) = (caller.clone(), body.clone());
        tokio::spawn(async move {
            let answer = ask(&caller, CHAT, &body, &[]).await;
            answer.status
        })
    });
    // Each takes four seconds; that two run and one waits is seen long before.
    let patience = Instant::now() + Duration::from_secs(30);
    while (value(running).await, value(waiting).await) != (2.0, 1.0) {
        assert!(Instant::now() < patience, "{}", metric(running).await);
        tokio::task::yield_now().await;
    }
    let usage = value("vllm:kv_cache_usage_perc").await;
    assert!(usage > 0.0 && usage < 1.0, "{usage}");
    assert!(value("vllm:gpu_cache_usage_perc").await > 0.0);
    let adapters = metric("vllm:lora_requests_info").await;
    let labels = r#"{max_lora="2",running_lora_adapters="gpt-4o",waiting_lora_adapters="gpt-4o"}"#;
    assert!(adapters.contains(labels), "{adapters}");
    for stream in streams {
        stream.abort();
        drop(stream.await);
    }
    while (value(running).await, value(waiting).await) != (0.0, 0.0) {
        assert!(Instant::now() < patience, "{}", metric(running).await);
        tokio::task::yield_now().await;
    }
    let whole = ask(&caller, CHAT, &chat(3, false), &[VIRTUAL]).await;
    drop(whole.expect_status(200));
    let labels = r#"{model_name="fake",engine="0""#;
    for (name, least) in [
        ("time_to_first_token_seconds_count", 1.0),
        ("inter_token_latency_seconds_count", 2.0),
        ("time_per_output_token_seconds_count", 1.0),
        ("e2e_request_latency_seconds_count", 1.0),
        ("request_queue_time_seconds_count", 3.0),
        ("prompt_tokens_total", 13.0),
        ("generation_tokens_total", 3.0),
        ("prefix_cache_queries_total", 13.0),
        ("prefix_cache_hits_total", 0.0),
        ("num_preemptions_total", 0.0),
    ] {
        let line = format!("vllm:{name}{labels}");
        assert!(
            value(&line).await >= least,
            "{name}: {}",
            metric(&line).await
        );
    }
    let config = metric("vllm:cache_config_info").await;
    assert!(
        config.contains(r#"block_size="16",num_gpu_blocks="60""#),
        "{config}"
    );
    let cut = format!(r#"vllm:request_success_total{labels},finished_reason="length"}}"#);
    assert!(value(&cut).await >= 1.0, "{}", metric(&cut).await);
}

/// A thousand answers of half a minute each.
#[tokio::test]
async fn a_thousand_slow_answers_in_virtual_time_take_seconds() {
    let host = tested(&[("rate_limit.enabled", "false")]).await;
    let caller = host.anonymous();
    let begun = Instant::now();
    let workers = (0..20).map(|worker| {
        let caller = caller.clone();
        tokio::spawn(async move {
            let world = format!("worker-{worker}");
            let headers = [(LATENCY, "ttft=10s,itl=5s"), VIRTUAL, (RUN, world.as_str())];
            for _ in 0..50 {
                let answer = ask(&caller, CHAT, &chat(5, false), &headers).await;
                assert_eq!(number(&answer.expect_status(200), E2E), 30_000.0);
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    // Eight hours of them, one after the other.
    assert!(
        begun.elapsed() < Duration::from_secs(300),
        "{:?}",
        begun.elapsed()
    );
}
