//! Receipts of runs, and `belljar verify`, which makes the run again that one is about.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use belljar_tests::{Answer, TestBundle, TestHost};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `belljar verify` is given, in a folder of its own.
struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The exit code of the command, its verdict and its reason.
    async fn verify(&self, receipt: &str, bundle: &str, input: &str) -> (i32, String, String) {
        self.verify_with(receipt, bundle, input, &[]).await
    }

    /// The same, with settings.
    async fn verify_with(
        &self,
        receipt: &str,
        bundle: &str,
        input: &str,
        settings: &[&str],
    ) -> (i32, String, String) {
        let argument = |command: &mut Command, name: &str, path: &Path| {
            command.arg(name).arg(path);
        };
        let mut command = Command::new(belljar_tests::program());
        command.arg("verify").arg(self.file(receipt)).arg("--json");
        argument(&mut command, "--bundle", &self.file(bundle));
        argument(&mut command, "--input", &self.file(input));
        argument(&mut command, "--keys", &self.file("keys"));
        argument(&mut command, "--data-dir", &self.file("data"));
        for setting in settings {
            command.arg("--set").arg(setting);
        }
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = output.await.unwrap();
        let told: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
        (
            output.status.code().unwrap(),
            text("verdict"),
            text("reason"),
        )
    }
}

async fn receipt_of(host: &TestHost, answer: &Answer) -> Answer {
    let path = format!("/runs/{}/receipt", answer.header("x-belljar-run"));
    host.anonymous().get(&path).await.expect_status(200)
}

#[tokio::test]
async fn a_receipt_is_as_stated_when_the_run_is_made_again() {
    let host = TestHost::start_with(&[("runs.keep", "10")]).await;
    let client = host.anonymous();
    let case = Case::new();
    let keys = client
        .get("/.well-known/belljar.json")
        .await
        .expect_status(200);
    case.write("keys", &keys.body);
    let dice = TestBundle::hostile("time_and_chance").tar();
    let words = TestBundle::hostile("slow_next").tar();
    let _ = host.admin().upload(dice.clone()).await.expect_status(201);
    let _ = host.admin().upload(words.clone()).await.expect_status(201);
    case.write("dice.tar", &dice);
    case.write("words.tar", &words);

    let body = json!({"model": "time_and_chance", "inputs": {"x": [1, 2]}});
    let answer = client.post("/infer", &body).await.expect_status(200);
    case.write("body", body.to_string().as_bytes());
    let receipt = receipt_of(&host, &answer).await;
    case.write("receipt", &receipt.body);
    let matches = (0, "match".to_owned(), String::new());
    assert_eq!(case.verify("receipt", "dice.tar", "body").await, matches);

    let chat = json!({"model": "slow_next", "max_tokens": 7, "stream": true,
        "messages": [{"role": "user", "content": "on"}]});
    let answer = client
        .post("/v1/chat/completions", &chat)
        .await
        .expect_status(200);
    case.write("chat", chat.to_string().as_bytes());
    case.write("chat receipt", &receipt_of(&host, &answer).await.body);
    assert_eq!(
        case.verify("chat receipt", "words.tar", "chat").await,
        matches
    );

    // Another input, another bundle.
    let other = json!({"model": "time_and_chance", "inputs": {"x": [1, 3]}});
    case.write("other body", other.to_string().as_bytes());
    let (code, verdict, reason) = case.verify("receipt", "dice.tar", "other body").await;
    assert_eq!((code, verdict.as_str()), (4, "mismatch"));
    assert!(reason.contains("input"), "{reason}");
    let (code, _, reason) = case.verify("receipt", "words.tar", "chat").await;
    assert!(code == 4 && reason.contains("another bundle"), "{reason}");

    // Something was changed, or somebody else has signed.
    let mut changed = receipt.json();
    let payload = BASE64_STANDARD
        .decode(changed["payload"].as_str().unwrap())
        .unwrap();
    let payload = String::from_utf8(payload).unwrap();
    assert!(
        payload.contains("https://in-toto.io/Statement/v1"),
        "{payload}"
    );
    assert!(!payload.contains("[1,2]"), "no content: {payload}");
    let stated = payload.replace("\"outcome\":\"done\"", "\"outcome\":\"left\"");
    changed["payload"] = json!(BASE64_STANDARD.encode(stated));
    case.write("changed", changed.to_string().as_bytes());
    let (code, _, reason) = case.verify("changed", "dice.tar", "body").await;
    assert!(code == 4 && reason.contains("changed"), "{reason}");
    let theirs = json!({"receipt_keys": [{"keyid": "00", "algorithm": "ed25519",
        "public_key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}]});
    case.write("keys", theirs.to_string().as_bytes());
    let (code, _, reason) = case.verify("receipt", "dice.tar", "body").await;
    assert!(
        code == 4 && reason.contains("none of those that are believed"),
        "{reason}"
    );
    case.write("keys", &keys.body);

    // Whoever hands it on may keep what opens it.
    let mut closed = receipt.json();
    closed.as_object_mut().unwrap().remove("openings");
    case.write("closed", closed.to_string().as_bytes());
    let (code, verdict, _) = case.verify("closed", "dice.tar", "body").await;
    assert_eq!((code, verdict.as_str()), (3, "cannot-tell"));
}

/// A run that went as far as its caps let it goes as far as others let it somewhere else.
#[tokio::test]
async fn under_other_caps_nobody_can_tell_whether_a_run_is_as_stated() {
    const FUEL: &str = "policy.default_fuel";
    let host = TestHost::start_with(&[("runs.keep", "10"), (FUEL, "50000000")]).await;
    let client = host.anonymous();
    let case = Case::new();
    case.write("keys", &client.get("/.well-known/belljar.json").await.body);
    let endless = TestBundle::hostile("burns_fuel").tar();
    let _ = host
        .admin()
        .upload(endless.clone())
        .await
        .expect_status(201);
    case.write("endless.tar", &endless);
    let body = json!({"model": "burns_fuel", "inputs": {"x": [1]}});
    let answer = client.post("/infer", &body).await;
    assert_eq!(answer.code(), "fuel_exhausted", "{}", answer.text());
    case.write("body", body.to_string().as_bytes());
    case.write("receipt", &receipt_of(&host, &answer).await.body);
    let verify = async |fuel: &str| {
        let setting = format!("{FUEL}={fuel}");
        let settings = [setting.as_str()];
        case.verify_with("receipt", "endless.tar", "body", &settings)
            .await
    };
    let (code, verdict, reason) = verify("50000000").await;
    assert_eq!((code, verdict.as_str()), (0, "match"), "{reason}");
    let (code, verdict, reason) = verify("40000000").await;
    assert_eq!((code, verdict.as_str()), (3, "cannot-tell"), "{reason}");
    assert!(
        reason.contains("fuel than stated") && reason.contains("these settings"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_receipt_is_its_keys_alone_and_the_public_key_is_everybodys() {
    let settings = [("runs.keep", "10"), ("require_api_key", "true")];
    let host = TestHost::start_with(&settings).await;
    let (one, other) = (host.key("infer").await, host.key("infer").await);
    let body = json!({"model": "echo", "inputs": {"x": [1]}});
    let answer = one.post("/infer", &body).await.expect_status(200);
    let path = format!("/runs/{}/receipt", answer.header("x-belljar-run"));
    let receipt = one.get(&path).await.expect_status(200).json();
    assert_eq!(receipt, one.get(&path).await.json(), "the same each time");
    let _ = other.get(&path).await.expect_status(404);
    let keys = host.anonymous().get("/.well-known/belljar.json").await;
    let keys = keys.expect_status(200).json();
    assert_eq!(
        receipt["signatures"][0]["keyid"],
        keys["receipt_keys"][0]["keyid"]
    );
    let secret = std::fs::read(host.data_dir().join("receipts.key")).unwrap();
    assert!(!keys.to_string().contains(&BASE64_STANDARD.encode(secret)));
}
