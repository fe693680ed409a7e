//! Examples that a manifest requires: run by the server before a version serves.

use std::fs;

use belljar::embedded::ECHO_COMPONENT;
use belljar_tests::{Client, TestHost};
use serde_json::{Value, json};

use crate::kit::Desk;

const GOOD: &str =
    "[[example]]\nname = 'gives back'\ninput = {x = [1, 2]}\noutput = {x = [1, 2]}\n";
const BAD: &str = "[[example]]\nname = 'adds one'\ninput = {x = [1, 2]}\noutput = {x = [1, 3]}\n";
const REQUIRED: &str = "[examples]\nrequired = true\n";

/// The bundle of a model that gives back what it gets.
fn bundle(version: &str, rest: &str, examples: &[&str]) -> (Desk, Vec<u8>) {
    let desk = Desk::new();
    let manifest = format!(
        "schema = 1\nname = 'mine'\nversion = '{version}'\ncomponent = 'model.wasm'\n{rest}"
    );
    desk.write("mine/model.toml", manifest);
    desk.write("mine/model.wasm", ECHO_COMPONENT);
    for (index, text) in examples.iter().enumerate() {
        desk.write(&format!("mine/tests/{index}.toml"), text);
    }
    desk.ok(&["pack", "mine", "--output", "mine.tar"]);
    let tar = fs::read(desk.path("mine.tar")).unwrap();
    (desk, tar)
}

async fn active(admin: &Client) -> Value {
    let model = admin.get("/models/mine").await;
    model.expect_status(200).json()["active"].clone()
}

#[tokio::test]
async fn a_version_whose_examples_fail_is_failed_and_the_one_before_serves_on() {
    // Whoever uploads is bounded, and these requests are nobody's.
    let settings = [
        ("rate_limit.enabled", "true"),
        ("rate_limit.rpm", "10"),
        ("require_api_key", "true"),
        ("runs.keep", "10"),
    ];
    let host = TestHost::start_with(&settings).await;
    let admin = host.admin();
    let (_, good) = bundle("1.0.0", REQUIRED, &[GOOD; 12]);
    let uploaded = admin.upload(good).await.expect_status(201).json();
    assert_eq!(uploaded["state"], "active", "{uploaded}");
    let (_, bad) = bundle("2.0.0", REQUIRED, &[GOOD, BAD]);
    let refused = admin.upload(bad.clone()).await.expect_status(422);
    let told = refused.text();
    for part in [
        "examples_failed",
        "tests/1.toml: adds one",
        "output.x[1] is 2, and not 3",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let shown = admin.get("/models/mine/2.0.0").await.json();
    assert_eq!(shown["state"], "failed");
    assert_eq!(shown["error"]["code"], "examples_failed");
    assert_eq!(active(&admin).await, "1.0.0");
    let ask = json!({"model": "mine", "inputs": {"x": [5]}});
    let answer = admin.post("/infer", &ask).await.expect_status(200);
    assert_eq!(answer.json()["outputs"]["x"], json!([5]));
    let ask = json!({"model": "mine@2.0.0", "inputs": {"x": [5]}});
    assert!(
        admin.post("/infer", &ask).await.status >= 400,
        "it is found by nobody"
    );
    // Nothing of the examples is on record: neither of their callers, of whom there are none.
    let runs = admin.get("/runs").await.expect_status(200).json();
    assert_eq!(runs["data"].as_array().unwrap().len(), 1, "{runs}");
    // It is tried again when it comes again, and fails again.
    let again = admin.upload(bad).await.expect_status(422);
    assert!(again.text().contains("examples_failed"), "{}", again.text());
}

#[tokio::test]
async fn what_requires_examples_has_some_and_what_does_not_is_not_held_to_them() {
    let host = TestHost::start().await;
    let admin = host.admin();
    let (_, none) = bundle("1.0.0", REQUIRED, &[]);
    let refused = admin.upload(none).await.expect_status(422);
    assert!(
        refused.text().contains("tests/*.toml"),
        "{}",
        refused.text()
    );
    let (_, wrong) = bundle(
        "1.0.1",
        REQUIRED,
        &["[[example]]\nprompt = 'x'\nexpect = 'y'\n"],
    );
    let refused = admin.upload(wrong).await.expect_status(422);
    let told = refused.text();
    assert!(
        told.contains("tests/0.toml") && told.contains("expect"),
        "{told}"
    );
    let (_, text) = bundle(
        "1.0.2",
        REQUIRED,
        &["[[example]]\nprompt = 'x'\ntext = 'y'\n"],
    );
    let refused = admin.upload(text).await.expect_status(422);
    assert!(
        refused.text().contains("takes no text"),
        "{}",
        refused.text()
    );
    let (_, bad) = bundle("1.0.3", "", &[BAD]);
    let _ = admin.upload(bad).await.expect_status(201);
    assert_eq!(active(&admin).await, "1.0.3");
}

#[test]
fn check_holds_a_bundle_to_them_and_test_and_run_show_what_is_wrong() {
    let (desk, _) = bundle("1.0.0", REQUIRED, &[GOOD, BAD]);
    let (_, told) = desk.fails(&["check", "mine.tar"]);
    assert!(
        told.contains("is refused") && told.contains("tests/1.toml: adds one"),
        "{told}"
    );
    let (out, told) = desk.fails(&["test", "mine"]);
    assert!(
        out.contains("ok    tests/0.toml") && out.contains("FAIL  tests/1.toml"),
        "{out}"
    );
    assert!(told.contains("1 of 2 examples failed"), "{told}");
    desk.ok(&["run", "mine", "--input", r#"{"x":[1]}"#]);
}
