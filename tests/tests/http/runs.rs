//! `/runs`: what is kept of runs, for whom, and that they can be made again.

use belljar_tests::{Answer, Client, ServerProcess, TestBundle, TestHost};
use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use std::process::Command;

const KEEPING: (&str, &str) = ("runs.keep", "100");

async fn host(settings: &[(&str, &str)]) -> TestHost {
    let host = TestHost::start_with(&[&[KEEPING], settings].concat()).await;
    let bundle = TestBundle::hostile("time_and_chance").tar();
    let _ = host.admin().upload(bundle).await.expect_status(201);
    host
}

fn dice() -> Value {
    json!({"model": "time_and_chance", "inputs": {"x": [1, 2]}, "parameters": {"spin": 100}})
}

/// The id under which a run is kept, of its answer.
fn id(answer: &Answer) -> String {
    let id = answer.header("x-belljar-run");
    assert!(id.starts_with("run_"), "{:?}", answer.headers);
    id.to_owned()
}

async fn replay(client: &Client, id: &str) -> Value {
    let path = format!("/runs/{id}/replay");
    let answer = client.post(&path, &json!({})).await;
    answer.expect_status(200).json()
}

/// Acts: `runs.keep`.
#[tokio::test]
async fn a_run_is_kept_with_what_was_said_and_can_be_made_again() {
    let host = host(&[]).await;
    let client = host.key("infer").await;
    let answer = client.post("/infer", &dice()).await.expect_status(200);
    let id = id(&answer);
    let shown = client
        .get(&format!("/runs/{id}"))
        .await
        .expect_status(200)
        .json();
    assert_eq!(shown["model"], "time_and_chance@1.0.0");
    assert_eq!(shown["request_id"], answer.header("x-request-id"));
    assert_eq!(
        (&shown["outcome"], &shown["resumed"]),
        (&json!("done"), &json!(false))
    );
    assert_eq!(shown["time_ms"], answer.json()["outputs"]["wall_ms"]);
    assert!(shown["fuel"].as_u64().unwrap() > 100);
    let call = &shown["calls"][0];
    assert_eq!(call["capability"], "tensors");
    assert_eq!(call["asked"]["infer"]["inputs"][0]["name"], "x");
    let outputs = call["answer"]["tensors"]
        .get("outputs")
        .or(call["answer"].get("outputs"));
    assert!(outputs.is_some() || call["answer"].is_object(), "{call}");
    let again = replay(&client, &id).await;
    assert_eq!(again["verdict"], "match", "{again}");
    assert_eq!(again["fuel"]["before"], shown["fuel"]);
    assert_eq!(again["differences"], json!([]));
    // The seed that it had makes the same run for whoever has it.
    let seeded = client.request(Method::POST, "/infer").json(&dice());
    let seeded = seeded
        .header("x-belljar-seed", shown["seed"].as_str().unwrap())
        .header("x-belljar-time", shown["time_ms"].to_string());
    let seeded = client.send(seeded).await.unwrap().expect_status(200);
    assert_eq!(seeded.json()["outputs"], answer.json()["outputs"]);
    let listed = client.get("/runs?limit=1").await.expect_status(200).json();
    assert_eq!(
        (
            &listed["has_more"],
            listed["data"].as_array().unwrap().len()
        ),
        (&json!(true), 1)
    );
    assert_eq!(listed["data"][0]["id"], seeded.header("x-belljar-run"));
    let after = listed["data"][0]["id"].as_str().unwrap();
    let listed = client.get(&format!("/runs?after={after}")).await.json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed["data"][0]["id"], id);
    // What was made again is not kept.
    let gone = client
        .delete(&format!("/runs/{id}"))
        .await
        .expect_status(200);
    assert_eq!(gone.json()["deleted"], true);
    let gone = client.get(&format!("/runs/{id}")).await.expect_status(404);
    assert_eq!(gone.code(), "run_not_found");
    // Off by default.
    let plain = TestHost::start().await;
    let body = json!({"model": "echo", "inputs": {"x": [1]}});
    let answer = plain
        .anonymous()
        .post("/infer", &body)
        .await
        .expect_status(200);
    assert_eq!(answer.header("x-belljar-run"), "");
    let listed = plain
        .anonymous()
        .get("/runs")
        .await
        .expect_status(200)
        .json();
    assert_eq!(listed["data"], json!([]));
}

#[tokio::test]
async fn a_run_is_its_keys_alone_and_goes_with_it() {
    let host = host(&[]).await;
    let body = json!({"name": "one", "scopes": ["infer"]});
    let created = host
        .admin()
        .post("/admin/keys", &body)
        .await
        .expect_status(201)
        .json();
    let key_id = created["id"].as_str().unwrap();
    let one = host.anonymous().with_key(created["key"].as_str().unwrap());
    let other = host.key("infer").await;
    let id = id(&one.post("/infer", &dice()).await.expect_status(200));
    for stranger in [&other, &host.admin(), &host.anonymous()] {
        let _ = stranger
            .get(&format!("/runs/{id}"))
            .await
            .expect_status(404);
        let _ = stranger
            .delete(&format!("/runs/{id}"))
            .await
            .expect_status(404);
        let path = format!("/runs/{id}/replay");
        let _ = stranger.post(&path, &json!({})).await.expect_status(404);
        assert_eq!(stranger.get("/runs").await.json()["data"], json!([]));
    }
    let reader = host.key("models:read").await;
    let _ = reader.get("/runs").await.expect_status(403);
    // A backup has all rows that there are.
    let kept = async || {
        let backup = host
            .admin()
            .post("/admin/backup", &json!({}))
            .await
            .expect_status(200);
        backup
            .body
            .windows(id.len())
            .any(|window| window == id.as_bytes())
    };
    assert!(kept().await);
    let deleted = host.admin().delete(&format!("/admin/keys/{key_id}")).await;
    let _ = deleted.expect_success();
    assert!(!kept().await);
}

#[tokio::test]
async fn another_version_is_compared_place_by_place() {
    let host = host(&[]).await;
    let client = host.anonymous();
    let before = id(&client.post("/infer", &dice()).await.expect_status(200));
    let other = TestBundle::new(
        "time_and_chance",
        "2.0.0",
        &belljar_test_guests::bytes("counter"),
    );
    let _ = host.admin().upload(other.tar()).await.expect_status(201);
    // The version that ran is asked, whichever is active.
    assert_eq!(replay(&client, &before).await["verdict"], "match");
    let path = format!("/runs/{before}/replay?model=time_and_chance@2.0.0");
    let compared = client
        .post(&path, &json!({}))
        .await
        .expect_status(200)
        .json();
    assert_eq!(compared["verdict"], "mismatch");
    assert_eq!(compared["model"], "time_and_chance@2.0.0");
    let differences = compared["differences"].as_array().unwrap();
    assert!(
        differences
            .iter()
            .any(|it| it["path"].as_str().unwrap().ends_with("/name")),
        "{compared}"
    );
    let missing = format!("/runs/{before}/replay?model=nobody@1.0.0");
    let _ = client.post(&missing, &json!({})).await.expect_status(404);
    // With its version it goes.
    let removed = host.admin().delete("/models/time_and_chance/1.0.0").await;
    let _ = removed.expect_success();
    let _ = client
        .get(&format!("/runs/{before}"))
        .await
        .expect_status(404);
}

/// A run that fails is kept as well, and fails again.
#[tokio::test]
async fn a_run_that_fails_fails_again() {
    let host = host(&[("policy.default_fuel", "50000000")]).await;
    for (guest, outcome) in [
        ("burns_fuel", "fuel_exhausted"),
        ("traps", "model_trapped"),
        ("wrong_shape", "invalid_model_output"),
        ("errs", "model_failed"),
    ] {
        let _ = host
            .admin()
            .upload(TestBundle::hostile(guest).tar())
            .await
            .expect_status(201);
        let body = json!({"model": guest, "inputs": {"x": [1]}, "parameters": {"kind": "failed"}});
        let answer = host.anonymous().post("/infer", &body).await;
        let again = replay(&host.anonymous(), &id(&answer)).await;
        assert_eq!(again["verdict"], "match", "{guest}: {again}");
        assert_eq!(
            again["outcome"],
            json!({"before": outcome, "after": outcome})
        );
    }
}

/// Acts: `runs.bytes_max`, `runs.retention`.
#[tokio::test]
async fn what_is_kept_has_bounds() {
    let (clock, hand) = belljar::clock::Clock::manual("2030-01-01T00:00:00Z".parse().unwrap());
    let settings = [
        KEEPING,
        ("runs.bytes_max", "4 KiB"),
        ("runs.retention", "1 min"),
    ];
    let host = TestHost::start_at(clock, &settings).await;
    let client = host.anonymous();
    let send = async |elements: usize| {
        let body = json!({"model": "echo", "inputs": {"x": vec![1; elements]}});
        let _ = client.post("/infer", &body).await.expect_status(200);
        let listed = client.get("/runs").await.expect_status(200).json();
        listed["data"].as_array().unwrap().len()
    };
    let not_kept = async || {
        let metrics = client.get("/metrics").await.expect_status(200).text();
        let lines = metrics.lines();
        let mut counts = lines.filter_map(|it| it.strip_prefix("belljar_runs_not_kept_total "));
        counts
            .next()
            .map_or(0, |count| count.parse::<u64>().unwrap())
    };
    assert_eq!(send(10).await, 1);
    let before = not_kept().await;
    assert_eq!(send(10_000).await, 1, "alone it is more than all may be");
    assert_eq!(not_kept().await, before + 1);
    let mut most = 0;
    for _ in 0..20 {
        most = most.max(send(10).await);
    }
    assert!((2..20).contains(&most), "{most}");
    hand.advance(std::time::Duration::from_secs(60));
    let listed = client.get("/runs").await.expect_status(200).json();
    assert_eq!(listed["data"], json!([]));
}

/// Acts: `audit.runs`.
#[tokio::test]
async fn the_audit_log_has_each_run_without_content() {
    let host = TestHost::start_with(&[("audit.runs", "true")]).await;
    let client = host.key("infer").await;
    let seed = "5".repeat(64);
    for word in ["sesame", "sesame", "poppy"] {
        let body = json!({"model": "echo", "inputs": {"word": [word]}});
        let request = client.request(Method::POST, "/infer").json(&body);
        let request = request.header("x-belljar-seed", &seed);
        let answer = client.send(request).await.unwrap().expect_status(200);
        assert_eq!(answer.header("x-belljar-run"), "", "it is not kept");
    }
    host.audit().flush().await;
    let log = std::fs::read_to_string(host.data_dir().join("audit.log")).unwrap();
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let runs: Vec<Value> = lines.filter(|line| line["event"] == "run").collect();
    assert_eq!(runs.len(), 3, "{log}");
    let about = |index: usize, field: &str| runs[index]["about"][field].clone();
    assert_eq!(about(0, "seed"), seed);
    assert_eq!(about(0, "outcome"), "done");
    assert!(about(0, "fuel").as_u64().unwrap() > 0);
    assert!(runs[0]["key_id"].as_str().unwrap().starts_with("key_"));
    for field in ["input_digest", "output_digest"] {
        assert_eq!(about(0, field), about(1, field));
        assert_ne!(about(0, field), about(2, field), "{field}");
    }
    assert!(!log.contains("sesame"), "no content");
}

/// A request of each kind, by a number that makes it another than the others.
fn mixed(number: u64) -> (&'static str, Value) {
    let text = format!("request number {number}");
    let messages = json!([{"role": "user", "content": text}]);
    match number % 10 {
        0 => ("/infer", dice()),
        1 => (
            "/infer",
            json!({"model": "echo", "inputs": {"x": vec![number; 50], "s": [text]}}),
        ),
        2 => (
            "/v1/chat/completions",
            json!({"model": "fake", "messages": messages, "max_tokens": 40}),
        ),
        3 => (
            "/v1/chat/completions",
            json!({"model": "fake", "messages": messages, "stream": true, "max_tokens": 60}),
        ),
        4 => (
            "/v1/completions",
            json!({"model": "fake", "prompt": text, "n": 3, "max_tokens": 9}),
        ),
        5 => (
            "/v1/embeddings",
            json!({"model": "fake", "input": [text, "other"]}),
        ),
        6 => (
            "/v1/rerank",
            json!({"model": "fake", "query": text, "documents": ["one", "two", "three"]}),
        ),
        7 => ("/v1/moderations", json!({"model": "fake", "input": text})),
        8 => (
            "/v2/models/slow_next/generate_stream",
            json!({"text_input": text, "parameters": {"turns": 2000, "max_tokens": 30 + number % 40}}),
        ),
        _ => (
            "/infer",
            json!({"model": "kernels", "inputs": {"x": [number]}}),
        ),
    }
}

/// Requests that are made at once.
const AT_ONCE: usize = 64;

/// How many runs are made again: 200, or as many as `REPLAYS` says.
fn count() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a test's own variable")]
    let asked = std::env::var("REPLAYS");
    asked
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(200)
}

/// Runs of all kinds that were made under load, and in another process are made again: the same
/// bytes for the same fuel. A bit that is changed in between is noticed.
#[tokio::test(flavor = "multi_thread")]
async fn runs_under_load_are_the_same_in_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    belljar_tests::warm_up(&data).await;
    let prepare = |command: &mut Command| {
        command.env("BELLJAR_RUNS_KEEP", "100000");
    };
    let server = ServerProcess::start_with(&data, prepare).await;
    for guest in ["time_and_chance", "kernels", "slow_next"] {
        let bundle = TestBundle::hostile(guest).tar();
        let _ = server.admin().upload(bundle).await.expect_status(201);
    }
    let client = server.admin();
    let ids: Vec<String> = futures_util::stream::iter(0..count())
        .map(|number| {
            let client = client.clone();
            async move {
                let (path, body) = mixed(number);
                let answer = client.post(path, &body).await;
                id(&answer.expect_status(200))
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    assert!(server.terminate().await.success());
    let server = ServerProcess::start_with(&data, prepare).await;
    let client = server.admin();
    let wrong: Vec<Value> = futures_util::stream::iter(ids.clone())
        .map(|id| {
            let client = client.clone();
            async move { replay(&client, &id).await }
        })
        .buffer_unordered(AT_ONCE)
        .filter(|again| std::future::ready(again["verdict"] != "match"))
        .collect()
        .await;
    assert_eq!(wrong, [Value::Null; 0], "of {}", ids.len());
    assert!(server.terminate().await.success());
}

/// One bit of the seed, of what was asked, or of the weights.
#[tokio::test]
async fn a_flipped_bit_is_caught() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    belljar_tests::warm_up(&data).await;
    let prepare = |command: &mut Command| {
        command.env("BELLJAR_RUNS_KEEP", "100");
    };
    let weights = |version: &str, first: u8| {
        let component = belljar_test_guests::bytes("loads_assets");
        let bundle = TestBundle::new("weights", version, &component);
        bundle.with_asset("weights", &[first, 2, 3, 4]).tar()
    };
    let server = ServerProcess::start_with(&data, prepare).await;
    let admin = server.admin();
    let dice_bundle = TestBundle::hostile("time_and_chance").tar();
    let _ = admin.upload(dice_bundle).await.expect_status(201);
    let _ = admin.upload(weights("1.0.0", 1)).await.expect_status(201);
    let _ = admin.upload(weights("1.0.1", 0)).await.expect_status(201);
    let ask = json!({"model": "weights@1.0.0", "inputs": {
        "at": {"datatype": "INT64", "shape": [1], "data": [0]}}});
    let of_weights = id(&admin.post("/infer", &ask).await.expect_status(200));
    let of_seed = id(&admin.post("/infer", &dice()).await.expect_status(200));
    let input = json!({"model": "echo", "inputs": {"word": ["sesame"]}});
    let of_input = id(&admin.post("/infer", &input).await.expect_status(200));
    let path = format!("/runs/{of_weights}/replay?model=weights@1.0.1");
    let other = admin
        .post(&path, &json!({}))
        .await
        .expect_status(200)
        .json();
    assert_eq!(other["verdict"], "mismatch", "{other}");
    let shown = admin.get(&format!("/runs/{of_seed}")).await.json();
    let seed = hex::decode(shown["seed"].as_str().unwrap()).unwrap();
    assert!(server.terminate().await.success());
    let database = data.join("belljar.db");
    let mut bytes = std::fs::read(&database).unwrap();
    for flipped in [seed.as_slice(), b"sesame"] {
        let places = bytes.windows(flipped.len()).enumerate();
        let places = places.filter(|(_, window)| *window == flipped);
        // What was asked stands before what was given.
        let place = places.map(|(place, _)| place).next().expect("it is there");
        bytes[place] ^= 1;
    }
    std::fs::write(&database, bytes).unwrap();
    let server = ServerProcess::start_with(&data, prepare).await;
    for id in [of_seed, of_input] {
        let again = replay(&server.admin(), &id).await;
        assert_eq!(again["verdict"], "mismatch", "{again}");
    }
    assert_eq!(
        replay(&server.admin(), &of_weights).await["verdict"],
        "match"
    );
}
