//! Models that leave memory when nobody asks for them (`models.memory_budget`), and come back.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use belljar_tests::{Answer, Client, ServerProcess, TestBundle, TestHost, noise};
use futures_util::future::join_all;
use serde_json::{Value, json};

/// Bytes of the file that a model keeps in memory.
const WEIGHTS_BYTES: usize = 2 << 20;
/// Models of a test, and how many of them the budget has room for.
const MODELS: u64 = 7;
const ROOM: u64 = 3;
/// Longer than it takes until what was busy leaves.
const PATIENCE: Duration = Duration::from_secs(20);

/// What distinguishes a model from all others: bytes that follow from its number.
fn weights(number: u64) -> Vec<u8> {
    noise(number.wrapping_mul(0x9e37_79b9_7f4a_7c15), WEIGHTS_BYTES)
}

fn bundle(number: u64, version: &str) -> TestBundle {
    let component = belljar_tests::guests::bytes("loads_assets");
    let bundle = TestBundle::new(&format!("m{number}"), version, &component);
    bundle.with_asset("weights.bin", &weights(number))
}

/// Bytes that are spread over the weights, so that all of them must be there.
const OFFSETS: [usize; 5] = [
    0,
    4_097,
    WEIGHTS_BYTES / 2,
    WEIGHTS_BYTES - 4_096,
    WEIGHTS_BYTES - 1,
];

async fn ask(client: &Client, model: &str) -> Answer {
    let at = json!({"name": "at", "shape": [OFFSETS.len()], "datatype": "INT64", "data": OFFSETS});
    let path = format!("/v2/models/{model}/infer");
    client.post(&path, &json!({"inputs": [at]})).await
}

/// Insists on the right answer, and says whether the model had to come back for it.
#[track_caller]
fn came_back(answer: Answer, number: u64) -> bool {
    let answer = answer.expect_status(200);
    let body = answer.json();
    let outputs = body["outputs"].as_array().unwrap();
    let bytes = outputs.iter().find(|output| output["name"] == "bytes");
    let weights = weights(number);
    let expected: Vec<u8> = OFFSETS.iter().map(|at| weights[*at]).collect();
    assert_eq!(bytes.unwrap()["data"], json!(expected), "m{number}");
    let told = answer.header("server-timing");
    if told.is_empty() {
        return false;
    }
    let took: f64 = told.strip_prefix("load;dur=").unwrap().parse().unwrap();
    assert!(took > 0.0, "{told}");
    true
}

async fn memory(server: &ServerProcess) -> Value {
    let status = server.admin().get("/admin/status").await;
    status.expect_status(200).json()["memory"].clone()
}

/// The compiled models that the process has mapped, wherever: as they are, or as the memory of a slot.
fn mapped(server: &ServerProcess) -> BTreeSet<String> {
    let maps = fs::read_to_string(format!("/proc/{}/maps", server.pid())).unwrap();
    let paths = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5));
    paths
        .filter(|path| path.ends_with(".cwasm"))
        .map(str::to_owned)
        .collect()
}

/// Writes the settings of a server; 0 is no bound.
fn settings(data: &Path, budget: u64) {
    let budget = match budget {
        0 => "\"none\"".to_owned(),
        bytes => bytes.to_string(),
    };
    let text = format!("[models]\nmemory_budget = {budget}\n");
    fs::write(data.join("belljar.toml"), text).unwrap();
}

async fn start(data: &Path, budget: u64) -> ServerProcess {
    fs::create_dir_all(data).unwrap();
    settings(data, budget);
    ServerProcess::start_with(data, |command| {
        command
            .env("BELLJAR_EMBEDDED_FAKE", "false")
            .env("BELLJAR_EMBEDDED_ECHO", "false");
    })
    .await
}

/// A data directory with the models, and the bytes that one of them takes.
async fn filled(data: &Path) -> u64 {
    let server = start(data, 0).await;
    for number in 0..MODELS {
        let uploaded = server.admin().upload(bundle(number, "1.0.0").tar()).await;
        assert_eq!(uploaded.expect_status(201).json()["resident"], true);
    }
    let memory = memory(&server).await;
    assert_eq!(memory["models_bytes_max"], Value::Null);
    assert_eq!(memory["models_resident"], MODELS);
    assert_eq!(mapped(&server).len() as u64, MODELS);
    let bytes = memory["models_bytes"].as_u64().unwrap() / MODELS;
    assert!(server.terminate().await.success());
    bytes
}

#[tokio::test]
async fn models_on_a_small_budget_all_answer_and_the_hot_one_stays() {
    let ground = tempfile::tempdir().unwrap();
    let data = ground.path().join("data");
    let bytes = filled(&data).await;
    let budget = bytes * ROOM + bytes / 2;
    let server = start(&data, budget).await;
    // After the start as many are there as there is room for, and what is away is ready all the same.
    let now = memory(&server).await;
    assert_eq!(now["models_bytes_max"], budget);
    assert_eq!(
        (&now["models_resident"], &now["models_away"]),
        (&json!(ROOM), &json!(MODELS - ROOM))
    );
    assert_eq!(mapped(&server).len() as u64, ROOM);

    // All at once, and each many times.
    let client = server.anonymous();
    let asks = (0..MODELS * 6).map(|turn| {
        let (client, number) = (client.clone(), (turn * 5) % MODELS);
        async move { came_back(ask(&client, &format!("m{number}")).await, number) }
    });
    let back = join_all(asks).await;
    assert!(back.iter().filter(|came| **came).count() as u64 >= MODELS - ROOM);

    // One after the other: what is asked for again at once was there, and says nothing.
    for number in 0..MODELS {
        came_back(ask(&client, &format!("m{number}")).await, number);
        assert!(!came_back(
            ask(&client, &format!("m{number}")).await,
            number
        ));
    }
    // The hot one stays while the others take turns.
    let mut cold = 0;
    for turn in 0..MODELS * 2 {
        assert!(!came_back(ask(&client, "m6").await, 6), "turn {turn}");
        let number = turn % (MODELS - 1);
        cold += u64::from(came_back(ask(&client, &format!("m{number}")).await, number));
    }
    assert!(cold >= MODELS, "{cold}");

    // And memory is free of what has left, the slots of the pool too.
    let begun = Instant::now();
    loop {
        let now = memory(&server).await;
        let files = mapped(&server).len() as u64;
        if now["models_bytes"].as_u64().unwrap() <= budget && files <= ROOM {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{now}, {files} files");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let metrics = server.admin().get("/metrics").await.text();
    let count = |name: &str| -> f64 {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!(count("belljar_models_resident_bytes ") <= budget as f64);
    assert!(count("belljar_models_away ") >= (MODELS - ROOM) as f64);
    assert!(count("belljar_model_evictions_total ") >= cold as f64);
    assert!(count("belljar_model_load_duration_seconds_count{outcome=\"ok\"}") >= cold as f64);
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn a_model_that_is_away_is_managed_like_any_other() {
    let ground = tempfile::tempdir().unwrap();
    let data = ground.path().join("data");
    let server = start(&data, 1).await;
    let admin = server.admin();
    for number in 0..2 {
        let _ = admin
            .upload(bundle(number, "1.0.0").tar())
            .await
            .expect_status(201);
    }
    // The first one has left for the second, which stays although there is no room even for it.
    let shown = async |path: &str| admin.get(path).await.expect_status(200).json();
    let first = shown("/models/m0/1.0.0").await;
    assert_eq!(
        (&first["state"], &first["resident"]),
        (&json!("active"), &json!(false))
    );
    assert_eq!(shown("/models/m1/1.0.0").await["resident"], true);
    // What asks nothing of the guest needs no memory.
    let _ = admin.get("/v2/models/m0").await.expect_status(200);
    let _ = admin.get("/v2/models/m0/ready").await.expect_status(200);
    let _ = admin.get("/health/ready").await.expect_status(200);
    assert_eq!(shown("/models/m0/1.0.0").await["resident"], false);

    // Activation and the way back, while the versions are away.
    let second = TestBundle::new("m0", "2.0.0", &belljar_tests::guests::bytes("loads_assets"))
        .with_asset("weights.bin", &weights(20));
    let _ = admin.upload(second.tar()).await.expect_status(201);
    assert!(!came_back(ask(&admin, "m0").await, 20));
    assert!(came_back(ask(&admin, "m1").await, 1));
    let activated = admin.post("/models/m0/1.0.0/activate", &json!({})).await;
    assert_eq!(activated.expect_status(200).json()["resident"], false);
    assert!(came_back(ask(&admin, "m0").await, 0));
    assert!(came_back(ask(&admin, "m1").await, 1));
    let _ = admin
        .post("/models/m0/deactivate", &json!({}))
        .await
        .expect_status(200);
    assert_eq!(
        ask(&admin, "m0").await.expect_status(404).code(),
        "model_not_active"
    );
    let _ = admin
        .post("/models/m0/2.0.0/activate", &json!({}))
        .await
        .expect_status(200);
    assert!(came_back(ask(&admin, "m0").await, 20));

    // Removal, and what is left of it on the disk.
    assert!(came_back(ask(&admin, "m1").await, 1));
    let _ = admin.delete("/models/m0/2.0.0").await.expect_success();
    assert_eq!(ask(&admin, "m0").await.status, 404);
    let _ = admin
        .post("/models/m0/1.0.0/activate", &json!({}))
        .await
        .expect_status(200);
    assert!(came_back(ask(&admin, "m0").await, 0));
    assert!(server.terminate().await.success());
    let server = start(&data, 1).await;
    for number in [0, 1, 0] {
        let answer = ask(&server.anonymous(), &format!("m{number}")).await;
        assert!(came_back(answer, number), "m{number}");
    }
}

/// Acts: `models.memory_budget`.
#[tokio::test]
async fn the_budget_changes_with_a_reload_and_a_damaged_model_is_made_anew() {
    let ground = tempfile::tempdir().unwrap();
    let data = ground.path().join("data");
    let server = start(&data, 0).await;
    let admin = server.admin();
    for number in 0..3 {
        let _ = admin
            .upload(bundle(number, "1.0.0").tar())
            .await
            .expect_status(201);
    }
    assert_eq!(mapped(&server).len(), 3);
    let set = async |budget: u64| {
        settings(&data, budget);
        let told = admin
            .post("/admin/reload", &json!({}))
            .await
            .expect_status(200)
            .json();
        assert_eq!(told["changed"][0]["key"], "models.memory_budget", "{told}");
    };
    set(1).await;
    let begun = Instant::now();
    while mapped(&server).len() > 1 {
        assert!(begun.elapsed() < PATIENCE, "{:?}", mapped(&server));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let now = memory(&server).await;
    assert_eq!(
        (&now["models_resident"], &now["models_away"]),
        (&json!(1), &json!(2))
    );
    set(0).await;
    for number in 0..3 {
        came_back(ask(&admin, &format!("m{number}")).await, number);
    }
    for number in 0..3 {
        assert!(!came_back(ask(&admin, &format!("m{number}")).await, number));
    }
    assert_eq!(mapped(&server).len(), 3);

    // What was changed on the disk meanwhile is not mapped: it is compiled again.
    set(1).await;
    let begun = Instant::now();
    while mapped(&server).len() > 1 {
        assert!(begun.elapsed() < PATIENCE, "{:?}", mapped(&server));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let there = mapped(&server);
    for entry in fs::read_dir(data.join("artefacts")).unwrap() {
        let path = entry.unwrap().path();
        let is_compiled = path.extension().is_some_and(|it| it == "cwasm");
        if is_compiled && !there.contains(&*path.to_string_lossy()) {
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
    for number in 0..3 {
        came_back(ask(&admin, &format!("m{number}")).await, number);
    }
}

/// What is kept apart has a file of its own for each of its files, and says so.
///
/// Acts: `models.share_weights`.
#[tokio::test]
async fn bundles_are_kept_apart_where_no_weights_are_shared() {
    for (shares, is_private) in [("true", false), ("false", true)] {
        let settings = [("models.share_weights", shares), ("embedded.fake", "false")];
        let host = TestHost::start_with(&settings).await;
        for name in ["one", "other"] {
            let bundle = TestBundle::echo(name, "1.0.0").with_asset("a", b"an asset");
            let uploaded = host.admin().upload(bundle.tar()).await.expect_status(201);
            assert_eq!(uploaded.json()["private"], is_private, "{shares}");
        }
        let apart = host.data_dir().join("bundles/blobs/apart");
        let folders = fs::read_dir(apart).unwrap().count();
        assert_eq!(folders, if is_private { 2 } else { 0 }, "{shares}");
    }
}
