//! The time and the seed of a run, as callers give them by header.

use belljar_tests::{Answer, Client, TestBundle, TestHost};
use reqwest::Method;
use serde_json::{Value, json};

use crate::caps::answering;
use crate::host::SHARED;

const SEED: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const TIME: &str = "1234567890123";

async fn post(client: &Client, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let request = client.request(Method::POST, path).json(body);
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    client.send(request).await.unwrap()
}

fn body() -> Value {
    json!({"model": "time_and_chance", "inputs": {"x": [1]}})
}

async fn told(client: &Client, headers: &[(&str, &str)]) -> Answer {
    let answer = post(client, "/infer", headers, &body()).await;
    answer.expect_status(200)
}

async fn host() -> TestHost {
    let host = TestHost::start().await;
    let bundle = TestBundle::hostile("time_and_chance").tar();
    let _ = host.admin().upload(bundle).await.expect_status(201);
    host
}

#[tokio::test]
async fn a_seeded_run_is_the_same_again_and_on_another_server() {
    let (host, other) = (host().await, host().await);
    let headers = [("x-belljar-seed", SEED), ("x-belljar-time", TIME)];
    let once = told(&host.anonymous(), &headers).await;
    assert_eq!(once.header("x-belljar-seed"), SEED);
    assert_eq!(once.header("x-belljar-time"), TIME);
    assert_eq!(
        once.json()["outputs"]["wall_ms"],
        json!(1_234_567_890_123_u64)
    );
    for client in [host.anonymous(), host.admin(), other.anonymous()] {
        let again = told(&client, &headers).await;
        assert_eq!(again.json()["outputs"], once.json()["outputs"]);
    }
    // One of the two alone: the other is told, and makes the same run with it.
    let seeded = told(&host.anonymous(), &[("x-belljar-seed", SEED)]).await;
    let (outputs, time) = (&seeded.json()["outputs"], seeded.header("x-belljar-time"));
    assert_eq!(outputs["random"], once.json()["outputs"]["random"]);
    assert_eq!(outputs["wall_ms"].to_string(), time);
    let timed = told(&host.anonymous(), &[("x-belljar-time", TIME)]).await;
    assert_ne!(
        timed.json()["outputs"]["random"],
        once.json()["outputs"]["random"]
    );
    let seed = timed.header("x-belljar-seed").to_owned();
    let again = [("x-belljar-seed", seed.as_str()), ("x-belljar-time", TIME)];
    let again = told(&host.anonymous(), &again).await;
    assert_eq!(again.json()["outputs"], timed.json()["outputs"]);
}

#[tokio::test]
async fn a_run_that_nobody_seeds_is_a_new_one_at_the_moment_of_its_request() {
    let host = host().await;
    let client = host.anonymous();
    let before = jiff::Timestamp::now().as_millisecond();
    let (one, other) = (told(&client, &[]).await, told(&client, &[]).await);
    let after = jiff::Timestamp::now().as_millisecond();
    assert_ne!(
        one.json()["outputs"]["random"],
        other.json()["outputs"]["random"]
    );
    let wall = one.json()["outputs"]["wall_ms"].as_i64().unwrap();
    assert!((before..=after).contains(&wall), "{before} {wall} {after}");
    assert_eq!(
        (one.header("x-belljar-seed"), one.header("x-belljar-time")),
        ("", "")
    );
}

#[tokio::test]
async fn what_is_no_seed_and_no_moment_is_refused_on_every_route_that_runs_a_model() {
    let client = SHARED.anonymous();
    let long = format!("{SEED}0");
    let bad = [
        ("x-belljar-seed", "", "invalid_seed"),
        ("x-belljar-seed", "ff", "invalid_seed"),
        ("x-belljar-seed", &long, "invalid_seed"),
        ("x-belljar-time", "-1", "invalid_time"),
        ("x-belljar-time", "2026-01-01", "invalid_time"),
        ("x-belljar-time", "253402300800000", "invalid_time"),
    ];
    for (name, value, code) in bad {
        let answer = post(&client, "/infer", &[(name, value)], &json!({})).await;
        let answer = answer.expect_status(400);
        assert_eq!(answer.code(), code, "{value}");
        assert_eq!(answer.json()["error"]["param"], name);
    }
    let twice = [("x-belljar-seed", SEED), ("x-belljar-seed", SEED)];
    let twice = post(&client, "/infer", &twice, &json!({})).await;
    assert_eq!(twice.expect_status(400).code(), "invalid_seed");
    let policies = include_str!("policies.txt");
    let mut routes = 0;
    for line in policies.lines() {
        let Some((path, rule)) = line
            .strip_prefix("POST ")
            .and_then(|it| it.split_once(": "))
        else {
            continue;
        };
        if !rule.starts_with("scope infer,") || rule.contains("gRPC") {
            continue;
        }
        let path = path.replace("{name}", "echo").replace("{version}", "1.0.0");
        let answer = post(&client, &path, &[("x-belljar-seed", "x")], &json!({})).await;
        // Whatever the envelope is that clients of the route read.
        let told = answer.text();
        assert!(
            answer.status == 400 && told.contains("`x-belljar-seed`"),
            "{path}: {told}"
        );
        routes += 1;
    }
    assert!(routes > 20, "{routes}");
}

#[tokio::test]
async fn a_stream_and_a_text_tell_their_seed_as_well() {
    let client = SHARED.anonymous();
    for stream in [true, false] {
        let body = json!({
            "model": "fake", "stream": stream, "max_tokens": 5,
            "messages": [{"role": "user", "content": "hello"}],
        });
        let path = "/v1/chat/completions";
        let answer = post(&client, path, &[("x-belljar-seed", SEED)], &body).await;
        let answer = answer.expect_status(200);
        assert_eq!(answer.header("x-belljar-seed"), SEED);
        assert!(answer.header("x-belljar-time").parse::<u64>().is_ok());
    }
    // Where no model ran there is nothing to tell.
    let body = json!({"model": "none", "inputs": {"x": [1]}});
    let answer = post(&client, "/infer", &[("x-belljar-seed", SEED)], &body).await;
    assert_eq!(answer.expect_status(404).header("x-belljar-seed"), "");
}

/// The class of a model, and why it has it, by the API.
///
/// Acts: `sandbox.canonical_nan`.
#[tokio::test]
async fn it_is_told_on_which_machines_a_model_gives_the_same_bits() {
    let class = async |settings: &[(&str, &str)], guest: &str| {
        let host = TestHost::start_with(settings).await;
        let uploaded = host.admin().upload(TestBundle::hostile(guest).tar()).await;
        uploaded.expect_status(201).json()["determinism"].clone()
    };
    let strict = json!({"class": "strict", "reasons": []});
    assert_eq!(class(&[], "calls_host").await, strict);
    let open = class(&[], "kernels").await;
    assert_eq!(open["class"], "same-cpu");
    let reasons = open["reasons"].as_array().unwrap();
    let named = |name: &str| reasons.iter().find(|it| it["instruction"] == name).cloned();
    let relaxed = named("f32x4.relaxed_madd").expect("the kernels use it");
    assert_eq!(relaxed["leaves_open"], "relaxed-simd");
    assert_eq!(relaxed["setting"], "sandbox.deterministic_simd");
    let sum = named("f32.add").or(named("f32x4.add")).unwrap();
    assert_eq!(sum["setting"], "sandbox.canonical_nan");
    let same = [
        ("sandbox.deterministic_simd", "true"),
        ("sandbox.canonical_nan", "true"),
    ];
    assert_eq!(class(&same, "kernels").await, strict);
}

/// Two NaNs of other bits go through the same addition.
#[tokio::test]
async fn every_nan_has_the_same_bits_where_that_is_asked_for() {
    for (setting, bits) in [("true", 0x7fc0_0000_u64), ("false", 0x7fc0_1234)] {
        let host = TestHost::start_with(&[("sandbox.canonical_nan", setting)]).await;
        let bundle = TestBundle::new("nan", "1.0.0", &nan());
        let _ = host.admin().upload(bundle.tar()).await.expect_status(201);
        let body = json!({"model": "nan", "inputs": {"x": [1]}});
        let answer = post(&host.anonymous(), "/infer", &[], &body).await;
        let found = answer.expect_status(200).json()["outputs"]["count"].as_u64();
        // A processor keeps the bits of the first NaN that it is given; the host's tests run on
        // those that do.
        assert_eq!(found, Some(bits), "{setting}");
    }
}

/// A component that adds to a NaN with bits of its own, and answers the bits of the sum.
fn nan() -> Vec<u8> {
    answering(
        "i64.extend_i32_u (i32.reinterpret_f32 (f32.add
           (f32.reinterpret_i32 (i32.add (memory.size) (i32.const 0x7fc01233)))
           (f32.convert_i32_u (memory.size))))",
    )
}
