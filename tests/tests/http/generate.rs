//! `/v2/models/{name}/generate` and `/generate_stream`: texts in Triton's words.

use crate::host::{LOCKED, SHARED};
use belljar_tests::{Answer, TestHost};
use serde_json::{Value, json};

const PATH: &str = "/v2/models/fake/generate";

/// The pieces of a stream.
fn pieces(answer: &Answer) -> Vec<Value> {
    assert_eq!(
        answer.header("content-type"),
        "text/event-stream; charset=utf-8"
    );
    let text = answer.text();
    let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn a_text_is_the_same_whole_and_in_pieces_and_as_a_completion() {
    let client = SHARED.anonymous();
    let options = json!({"max_tokens":20,"temperature":0.5,"seed":3,"stream":false});
    let body = json!({"text_input":"Tell me of the sea.","parameters":options});
    let whole = client.post(PATH, &body).await.expect_status(200).json();
    assert_eq!(whole["model_name"], "fake");
    let version = whole["model_version"].as_str().unwrap();
    let text = whole["text_output"].as_str().unwrap();
    assert!(!text.is_empty(), "{whole}");
    let completion = client
        .post(
            "/v1/completions",
            &json!({"model":"fake","prompt":"Tell me of the sea.","max_tokens":20,
                "temperature":0.5,"seed":3}),
        )
        .await
        .expect_status(200)
        .json();
    assert_eq!(completion["choices"][0]["text"], text);
    let answer = client.post("/v2/models/fake/generate_stream", &body).await;
    let parts = pieces(&answer.expect_status(200));
    assert!(parts.len() > 3, "{parts:?}");
    let texts = parts
        .iter()
        .map(|part| part["text_output"].as_str().unwrap());
    assert_eq!(texts.collect::<String>(), text);
    assert!(parts.iter().all(|part| part["model_version"] == version));
    // Options may stand beside the text, under the names of Triton's models, and a version may be
    // named.
    let body = json!({"text_input":"Tell me of the sea.","max_tokens":20,"temperature":0.5,
        "random_seed":3,"exclude_input_in_output":true});
    let path = format!("/v2/models/fake/versions/{version}/generate");
    let again = client.post(&path, &body).await.expect_status(200).json();
    assert_eq!(again["text_output"], text);
    let path = format!("/v2/models/fake/versions/{version}/generate_stream");
    let again = client.post(&path, &body).await.expect_status(200);
    assert_eq!(pieces(&again).len(), parts.len());
}

#[tokio::test]
async fn stop_words_stop_and_options_of_the_model_reach_it() {
    let client = SHARED.anonymous();
    let ask = async |options: Value| {
        let body = json!({"text_input":"Count to ten in words.","parameters":options});
        client.post(PATH, &body).await.expect_status(200).json()["text_output"].clone()
    };
    let whole = ask(json!({"max_tokens":40,"seed":1})).await;
    let whole = whole.as_str().unwrap().to_owned();
    let word = whole.split_whitespace().nth(3).unwrap();
    let cut = ask(json!({"max_tokens":40,"seed":1,"stop_words":[word]})).await;
    let cut = cut.as_str().unwrap();
    assert!(whole.starts_with(cut) && cut.len() < whole.len() && !cut.contains(word));
    // Nobody knows it, so it is the model's to read.
    let _ = ask(json!({"max_tokens":5,"own_option":"a"})).await;
}

#[tokio::test]
async fn what_is_wrong_is_a_text_beside_its_place() {
    let client = SHARED.anonymous();
    for (body, status, code, param) in [
        (json!({}), 400, "missing_required_parameter", "text_input"),
        (json!({"text_input":7}), 400, "invalid_value", "text_input"),
        (
            json!({"text_input":["a"]}),
            400,
            "invalid_value",
            "text_input",
        ),
        (
            json!({"text_input":"a","parameters":[1]}),
            400,
            "invalid_value",
            "parameters",
        ),
        (
            json!({"text_input":"a","parameters":{"text_input":"b"}}),
            400,
            "invalid_value",
            "parameters.text_input",
        ),
        (
            json!({"text_input":"a","parameters":{"temperature":"hot"}}),
            400,
            "invalid_value",
            "temperature",
        ),
        (
            json!({"text_input":"a","temperature":9}),
            400,
            "invalid_value",
            "temperature",
        ),
        (
            json!({"text_input":"a","n":2}),
            400,
            "unknown_parameter",
            "n",
        ),
        (
            json!({"text_input":"a","texts":1}),
            400,
            "unknown_parameter",
            "texts",
        ),
        (
            json!({"text_input":"'; DROP TABLE users; --"}),
            400,
            "injection_detected",
            "prompt",
        ),
    ] {
        for path in [PATH, "/v2/models/fake/generate_stream"] {
            let answer = client.post(path, &body).await.expect_status(status);
            let error = answer.json();
            assert!(error["error"].is_string(), "{error}");
            assert_eq!(
                (&error["code"], &error["param"]),
                (&json!(code), &json!(param)),
                "{body}"
            );
        }
    }
    let body = json!({"text_input":"a"});
    for (path, status, code) in [
        ("/v2/models/nope/generate", 404, "model_not_found"),
        (
            "/v2/models/fake/versions/9.9.9/generate",
            404,
            "model_not_found",
        ),
        ("/v2/models/echo/generate", 400, "capability_missing"),
    ] {
        let answer = client.post(path, &body).await.expect_status(status);
        assert_eq!(answer.code(), code, "{}", answer.text());
    }
    let twice = br#"{"text_input":"a","seed":1,"parameters":{"seed":2}}"#.to_vec();
    let answer = client.post_bytes(PATH, "application/json", twice).await;
    assert_eq!(answer.expect_status(400).json()["param"], "seed");
    let refused = LOCKED
        .anonymous()
        .post(PATH, &body)
        .await
        .expect_status(401);
    assert!(refused.json()["error"].is_string());
}

#[tokio::test]
async fn a_failure_in_the_middle_is_the_last_event() {
    let name = SHARED.guest("slow_next", "deadline = \"300 ms\"").await;
    let path = format!("/v2/models/{name}/generate_stream");
    let answer = SHARED
        .anonymous()
        .post(
            &path,
            &json!({"text_input":"a","parameters":{"max_tokens":100_000}}),
        )
        .await;
    if answer.status == 200 {
        let parts = pieces(&answer);
        assert!(parts.last().unwrap()["error"].is_string(), "{parts:?}");
    } else {
        assert_eq!(answer.status, 504, "{}", answer.text());
    }
}

#[tokio::test]
async fn tokens_of_a_text_are_counted() {
    let settings = [("rate_limit.enabled", "true"), ("rate_limit.tpm", "1000")];
    let host = TestHost::start_with(&settings).await;
    let client = host.anonymous();
    let body = json!({"text_input":"a","parameters":{"max_tokens":2_000}});
    let answer = client.post(PATH, &body).await.expect_status(400);
    assert_eq!(answer.code(), "tokens_exceed_limit");
    let body = json!({"text_input":"a","parameters":{"max_tokens":100}});
    let answer = client.post(PATH, &body).await.expect_status(200);
    let left: u32 = answer
        .header("x-ratelimit-remaining-tokens")
        .parse()
        .unwrap();
    assert!((800..1_000).contains(&left), "{left}");
}
