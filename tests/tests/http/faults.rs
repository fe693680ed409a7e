//! Guests that misbehave: each fault has its status and code, and the server stays well.

use crate::host::SHARED;
use belljar_tests::{TestBundle, TestHost};
use serde_json::{Value, json};
use std::time::Instant;

async fn infer(guest: &str, limits: &str, parameters: Value) -> (u16, Value) {
    let model = SHARED.guest(guest, limits).await;
    let body = json!({"model":model,"inputs":{"x":[1]},"parameters":parameters});
    let answer = SHARED.anonymous().post("/infer", &body).await;
    assert!(!answer.header("x-request-id").is_empty());
    (answer.status, answer.json()["error"].clone())
}

#[track_caller]
fn check((status, error): (u16, Value), expect_status: u16, expect_code: &str) {
    assert_eq!(
        (status, error["code"].as_str().unwrap_or_default()),
        (expect_status, expect_code),
        "{error}"
    );
    let kind = if expect_status == 400 {
        "invalid_request_error"
    } else {
        "model_error"
    };
    assert_eq!(error["type"], kind);
}

#[tokio::test]
async fn caps_name_themselves_with_both_numbers() {
    let burnt = infer("burns_fuel", "fuel = 1_000_000", json!({})).await;
    assert!(
        burnt.1["message"]
            .as_str()
            .unwrap()
            .contains("fuel cap of 1000000"),
        "{burnt:?}"
    );
    check(burnt, 502, "fuel_exhausted");
    check(
        infer(
            "burns_fuel",
            "fuel = 20_000_000_000\ndeadline = \"200 ms\"",
            json!({}),
        )
        .await,
        504,
        "deadline_exceeded",
    );
    for then in ["trap", "fail"] {
        let lacking = infer("grows_memory", "memory = \"16 MiB\"", json!({"then": then}));
        check(lacking.await, 502, "memory_exceeded");
    }
    check(
        infer(
            "huge_tensor",
            "output = \"1 MiB\"",
            json!({"bytes":2_000_000}),
        )
        .await,
        502,
        "output_too_large",
    );
    check(
        infer("deep_recursion", "", json!({})).await,
        502,
        "stack_exhausted",
    );
}

#[tokio::test]
async fn traps_and_broken_answers_are_the_models_fault() {
    check(infer("traps", "", json!({})).await, 502, "model_trapped");
    check(infer("panics", "", json!({})).await, 502, "model_trapped");
    check(
        infer("wrong_shape", "", json!({"how":"short"})).await,
        502,
        "invalid_model_output",
    );
}

#[tokio::test]
async fn the_models_own_errors_say_whose_fault_it_is() {
    check(
        infer("errs", "", json!({"kind":"invalid-input"})).await,
        400,
        "invalid_input",
    );
    check(
        infer("errs", "", json!({"kind":"unsupported"})).await,
        400,
        "unsupported_by_model",
    );
    check(
        infer("errs", "", json!({"kind":"failed"})).await,
        502,
        "model_failed",
    );
}

fn chat(model: &str, stream: bool, max_tokens: u32) -> Value {
    json!({"model":model,"stream":stream,"max_tokens":max_tokens,"messages":[{"role":"user","content":"hi"}]})
}

#[tokio::test]
async fn the_host_cuts_what_the_guest_does_not() {
    let model = SHARED.guest("endless_generation", "").await;
    let client = SHARED.anonymous();
    let answer = client
        .post("/v1/chat/completions", &chat(&model, false, 7))
        .await
        .expect_status(200)
        .json();
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    assert_eq!(answer["usage"]["completion_tokens"], 7);
    let streamed = client
        .post("/v1/chat/completions", &chat(&model, true, 7))
        .await
        .expect_status(200);
    assert!(streamed.text().ends_with("data: [DONE]\n\n"));

    let model = SHARED.guest("lies_about_usage", "").await;
    let answer = client
        .post("/v1/chat/completions", &chat(&model, false, 100))
        .await
        .expect_status(200)
        .json();
    assert!(
        answer["usage"]["completion_tokens"].as_u64().unwrap() < 100,
        "{answer}"
    );
    assert!(
        answer["usage"]["prompt_tokens"].as_u64().unwrap() < 1_000,
        "{answer}"
    );
}

#[tokio::test]
async fn a_stream_that_cannot_begin_has_a_status() {
    let model = SHARED.guest("never_next", "fuel = 1_000_000").await;
    for stream in [false, true] {
        let answer = SHARED
            .anonymous()
            .post("/v1/chat/completions", &chat(&model, stream, 5))
            .await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (502, "fuel_exhausted"),
            "{}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn a_stream_that_fails_says_so_and_ends() {
    let model = SHARED
        .guest("slow_next", "deadline = \"400 ms\"\nfuel = 20_000_000_000")
        .await;
    let mut body = chat(&model, true, 100_000);
    // More than any machine does before the deadline.
    body["parameters"] = json!({"turns":100_000_000});
    let answer = SHARED.anonymous().post("/v1/chat/completions", &body).await;
    if answer.status == 200 {
        let text = answer.text();
        let last = text
            .trim_end()
            .rsplit("\n\n")
            .next()
            .unwrap()
            .strip_prefix("data: ")
            .unwrap();
        let last: Value = serde_json::from_str(last).unwrap();
        assert_eq!(last["error"]["type"], "model_error", "{last}");
        assert!(!text.contains("[DONE]"));
    } else {
        assert!(answer.status >= 502, "{}", answer.text());
    }
}

#[tokio::test]
async fn bad_vectors_are_refused() {
    let model = SHARED.guest("bad_embeddings", "").await;
    for how in ["nan", "infinity", "uneven", "few"] {
        let answer = SHARED
            .anonymous()
            .post(
                "/v1/embeddings",
                &json!({"model":model,"input":[how, "another"]}),
            )
            .await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (502, "invalid_model_output"),
            "{how}: {}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn refused_uploads_name_the_import() {
    let component = belljar_test_guests::bytes("forbidden_import");
    let bundle = TestBundle::new("forbidden", "1.0.0", &component);
    let answer = SHARED.admin().upload(bundle.tar()).await.expect_status(422);
    assert!(
        answer.text().contains("evil:host/backdoor"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn a_capability_that_no_route_asks_for_is_refused_at_upload_by_name() {
    let component = belljar_test_guests::bytes("only_transcription");
    let bundle = TestBundle::new("typist", "1.0.0", &component);
    let answer = SHARED.admin().upload(bundle.tar()).await.expect_status(422);
    let text = answer.text();
    assert!(text.contains("capability_not_served"), "{text}");
    assert!(text.contains("nothing but `transcription`"), "{text}");
}

#[tokio::test]
async fn a_full_queue_is_503_at_once() {
    let server = TestHost::start_with(&[
        ("sandbox.runs_max", "1"),
        ("sandbox.queue_max", "1"),
        ("sandbox.model_runs_max", "1"),
        ("sandbox.model_queue_max", "1"),
    ])
    .await;
    let component = belljar_test_guests::bytes("slow_infer");
    let bundle = TestBundle::new("slow", "1.0.0", &component);
    let _ = server.admin().upload(bundle.tar()).await.expect_status(201);
    let client = server.anonymous();
    let asks = (0..8).map(|_| {
        let client = client.clone();
        async move {
            let started = Instant::now();
            let body = json!({"model":"slow","inputs":{"n":[100_000_000]}});
            (client.post("/infer", &body).await, started.elapsed())
        }
    });
    let answers = futures_util::future::join_all(asks).await;
    let (served, refused): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .partition(|(answer, _)| answer.status == 200);
    assert!(!served.is_empty() && !refused.is_empty());
    for (answer, _) in &refused {
        assert_eq!((answer.status, answer.code().as_str()), (503, "overloaded"));
        assert_eq!(answer.json()["error"]["type"], "server_error");
        assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    }
    let slowest_refusal = refused.iter().map(|(_, took)| *took).max().unwrap();
    let slowest = served.iter().map(|(_, took)| *took).max().unwrap();
    assert!(slowest_refusal < slowest, "a refusal waits for nothing");
}
