//! A run on record, stopped at a point of it: the functions that its model is in there.

use belljar_tests::{Client, TestBundle, TestHost, command};
use serde_json::{Value, json};

use crate::kit::turns;

const KEEPING: (&str, &str) = ("runs.keep", "10");

/// Runs a request that is kept, and gives its id and its fuel.
async fn kept(client: &Client, path: &str, body: &Value) -> (String, u64) {
    let answer = client.post(path, body).await;
    let id = answer.header("x-belljar-run").to_owned();
    let run = client.get(&format!("/runs/{id}")).await.expect_status(200);
    let fuel = run.json()["fuel"].as_u64().unwrap();
    (id, fuel)
}

async fn stopped(client: &Client, id: &str, fuel: u64) -> Value {
    let path = format!("/runs/{id}/stack?fuel={fuel}");
    let answer = client.post(&path, &json!({})).await;
    answer.expect_status(200).json()
}

fn functions(stack: &Value) -> Vec<String> {
    let frames = stack["frames"].as_array().unwrap().iter();
    let name = |frame: &Value| frame["function"].as_str().unwrap().to_owned();
    frames.map(name).collect()
}

#[tokio::test]
async fn a_run_is_stopped_at_the_same_place_each_time_and_shows_where_it_is() {
    let host = TestHost::start_with(&[KEEPING, ("sandbox.source_lines", "true")]).await;
    let admin = host.admin();
    for guest in ["slow_infer", "traps"] {
        let bundle = TestBundle::hostile(guest).tar();
        let _ = admin.upload(bundle).await.expect_status(201);
    }
    let mut ask: Value = serde_json::from_str(&turns(10_000)).unwrap();
    ask["model"] = json!("slow_infer");
    let (id, fuel) = kept(&admin, "/infer", &ask).await;
    let half = stopped(&admin, &id, fuel / 2).await;
    assert_eq!(half["outcome"], "stopped", "{half}");
    assert_eq!(
        (&half["fuel"], &half["call"]),
        (&json!(fuel / 2), &json!(0))
    );
    assert_eq!(half["model"], "slow_infer@1.0.0");
    let names = functions(&half);
    assert!(names.iter().any(|name| name.contains("infer")), "{half}");
    let lines = half["frames"].as_array().unwrap().iter();
    let mut lines = lines.filter_map(|frame| frame["line"].as_str());
    assert!(
        lines.any(|line| line.starts_with("examples/slow_infer.rs:")),
        "{half}"
    );
    assert_eq!(stopped(&admin, &id, fuel / 2).await, half);
    // Its beginning is somewhere else, and what is beyond its end is its end.
    assert_ne!(functions(&stopped(&admin, &id, 1).await), names);
    let over = stopped(&admin, &id, fuel + 1).await;
    assert_eq!(over["outcome"], "done", "{over}");
    assert_eq!((&over["fuel"], &over["call"]), (&json!(fuel), &Value::Null));
    assert_eq!(over["frames"], json!([]));
    // To be looked at is no failure: neither the model's log nor its metrics have one.
    let logs = admin
        .get("/models/slow_infer/logs")
        .await
        .expect_status(200);
    assert!(!logs.text().contains("fuel"), "{}", logs.text());
    // One that fails before is shown where it failed.
    ask["model"] = json!("traps");
    let (id, fuel) = kept(&admin, "/infer", &ask).await;
    let failed = stopped(&admin, &id, fuel + 1_000).await;
    assert_eq!(failed["outcome"], "model_trapped", "{failed}");
    assert!(!functions(&failed).is_empty(), "{failed}");
}

#[tokio::test]
async fn the_fuel_of_calls_is_counted_on_in_their_order() {
    let host = TestHost::start_with(&[KEEPING]).await;
    let admin = host.admin();
    let body =
        json!({"model": "fake", "prompt": "Tell me of bell jars.", "n": 2, "max_tokens": 20});
    let (id, fuel) = kept(&admin, "/v1/completions", &body).await;
    let run = admin.get(&format!("/runs/{id}")).await.json();
    let first = run["calls"][0]["fuel"].as_u64().unwrap();
    for (at, call) in [
        (first / 2, json!(0)),
        (first + 1_000, json!(1)),
        (fuel + 1, Value::Null),
    ] {
        let stack = stopped(&admin, &id, at).await;
        assert_eq!(stack["call"], call, "at {at} of {fuel}: {stack}");
    }
}

#[tokio::test]
async fn stacks_are_for_the_key_of_the_run_with_the_right_to_upload() {
    let host = TestHost::start_with(&[KEEPING]).await;
    let ask = json!({"model": "echo", "inputs": {"x": [1]}});
    let author = host.key("infer,models:write").await;
    let (id, _) = kept(&author, "/infer", &ask).await;
    let path = format!("/runs/{id}/stack?fuel=10");
    let _ = author.post(&path, &json!({})).await.expect_status(200);
    let _ = host
        .admin()
        .post(&path, &json!({}))
        .await
        .expect_status(404);
    let caller = host.key("infer").await;
    let (id, _) = kept(&caller, "/infer", &ask).await;
    let path = format!("/runs/{id}/stack?fuel=10");
    let refused = caller.post(&path, &json!({})).await.expect_status(403);
    assert!(
        refused.text().contains("models:write"),
        "{}",
        refused.text()
    );
    for query in ["fuel=0", "fuel=-1", "fuel=x", "", "fuel=1&other=2"] {
        let path = format!("/runs/{id}/stack?{query}");
        let refused = author.post(&path, &json!({})).await;
        assert_eq!(refused.status, 400, "{query}: {}", refused.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_prints_the_stack() {
    let host = TestHost::start_with(&[KEEPING]).await;
    let admin = host.admin();
    let bundle = TestBundle::hostile("slow_infer").tar();
    let _ = admin.upload(bundle).await.expect_status(201);
    let mut ask: Value = serde_json::from_str(&turns(10_000)).unwrap();
    ask["model"] = json!("slow_infer");
    let (id, fuel) = kept(&admin, "/infer", &ask).await;
    let half = (fuel / 2).to_string();
    let output = command()
        .args(["replay", &id, "--until-fuel", &half])
        .args(["--server", &format!("http://{}", host.address())])
        .env("BELLJAR_ADMIN_KEY_FILE", host.data_dir().join("admin.key"))
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(printed.contains(&format!("after {half} fuel")), "{printed}");
    assert!(
        printed.lines().skip(1).any(|line| line.contains("infer")),
        "{printed}"
    );
}
