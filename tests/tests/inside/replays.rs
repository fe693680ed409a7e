//! What the command `belljar replay` says of a run on record, and its exit code.

use std::process::Output;

use belljar_tests::{Answer, TestBundle, TestHost, command};
use serde_json::{Value, json};

/// A server that keeps runs, on which `weights@1.0.0` answers with another byte than `1.0.1`.
async fn host() -> TestHost {
    let host = TestHost::start_with(&[("runs.keep", "10")]).await;
    for (version, first) in [("1.0.0", 1), ("1.0.1", 9)] {
        let component = belljar_tests::guests::bytes("loads_assets");
        let bundle = TestBundle::new("weights", version, &component);
        let bundle = bundle.with_asset("weights", &[first, 2, 3, 4]);
        let _ = host.admin().upload(bundle.tar()).await.expect_status(201);
    }
    host
}

fn ask() -> Value {
    json!({"model": "weights@1.0.0",
        "inputs": {"at": {"datatype": "INT64", "shape": [1], "data": [0]}}})
}

/// The exit code of the command for the run of an answer to the server's admin, and what it printed.
fn replayed(host: &TestHost, answer: &Answer, arguments: &[&str]) -> (i32, String) {
    let Output { status, stdout, .. } = command()
        .args(["replay", answer.header("x-belljar-run")])
        .args(arguments)
        .args(["--server", &format!("http://{}", host.address())])
        .env("BELLJAR_ADMIN_KEY_FILE", host.data_dir().join("admin.key"))
        .output()
        .unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_says_whether_a_run_is_the_same() {
    let host = host().await;
    let answer = host.admin().post("/infer", &ask()).await.expect_status(200);
    let (code, printed) = replayed(&host, &answer, &[]);
    assert_eq!(code, 0, "{printed}");
    assert!(
        printed.contains("on weights@1.0.0: the same\n"),
        "{printed}"
    );

    // On another version, with the first places that differ.
    let other = ["--model", "weights@1.0.1"];
    let (code, printed) = replayed(&host, &answer, &other);
    assert_eq!(code, 4, "{printed}");
    assert!(
        printed.contains("on weights@1.0.1: not the same\n") && printed.contains(", now sha256:"),
        "{printed}"
    );
    let (code, printed) = replayed(&host, &answer, &[&other[..], &["--json"]].concat());
    let told: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((code, &told["verdict"]), (4, &json!("mismatch")), "{told}");
    assert!(!told["differences"].as_array().unwrap().is_empty());

    // One that has ended for want of time may have ended otherwise with more of it.
    let late = TestBundle::hostile("burns_fuel").with_limits("deadline = \"50 ms\"");
    let _ = host.admin().upload(late.tar()).await.expect_status(201);
    let late = json!({"model": "burns_fuel", "inputs": {"x": [1]}});
    let answer = host.admin().post("/infer", &late).await;
    assert_eq!(answer.code(), "deadline_exceeded", "{}", answer.text());
    let component = belljar_tests::guests::bytes("burns_fuel");
    let short = TestBundle::new("burns_fuel", "1.0.1", &component);
    let short = short.with_limits("fuel = 100_000");
    let _ = host.admin().upload(short.tar()).await.expect_status(201);
    let short = ["--model", "burns_fuel@1.0.1"];
    let (code, printed) = replayed(&host, &answer, &short);
    assert_eq!(code, 3, "{printed}");
    assert!(printed.contains("not to be compared"), "{printed}");
}
