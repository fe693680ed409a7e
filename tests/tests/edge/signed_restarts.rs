//! What was signed for one life of the server is not accepted by the next.

use std::path::Path;
use std::time::{Duration, Instant};

use belljar_tests::{ServerProcess, warm_up};
use serde_json::json;

use crate::signer::{Draft, Signer, authority};

const MODELS: &str = "/v1/models";
/// How far ahead clocks may be here, in seconds: as long as a fresh signature is refused after a
/// kill.
const SKEW_S: &str = "1 s";

async fn start(data: &Path) -> ServerProcess {
    ServerProcess::start_with(data, |command| {
        command.env("BELLJAR_EMBEDDED_FAKE", "false");
        command.env("BELLJAR_SIGNED_REQUESTS_SKEW_MAX", SKEW_S);
    })
    .await
}

async fn key(server: &ServerProcess) -> Signer {
    let new = json!({"name": "signs", "scopes": ["models:read"], "signing": "required"});
    let made = server.admin().post("/admin/keys", &new).await;
    let made = made.expect_status(201).json();
    let text = |field: &str| made[field].as_str().unwrap().to_owned();
    Signer {
        id: text("id"),
        key: text("key"),
        secret: text("signing_secret").parse().unwrap(),
    }
}

#[tokio::test]
async fn what_was_accepted_before_a_kill_is_refused_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    warm_up(&data).await;
    let server = start(&data).await;
    let signer = key(&server).await;
    let client = server.anonymous();
    // The name is one that both lives have, whatever their ports are.
    let draft = || {
        let mut draft = Draft::get(MODELS).with("host", "localhost");
        draft.authority = Some("localhost".to_owned());
        draft
    };
    let sent = draft().signed(&signer, &authority(&client));
    let _ = sent.send(&client).await.expect_status(200);
    server.kill();

    let server = start(&data).await;
    let client = server.anonymous();
    // However often: it is nobody's fault, and bans nobody.
    for _ in 0..8 {
        let answer = sent.send(&client).await.expect_status(401);
        assert_eq!(answer.code(), "signature_before_start", "{}", answer.text());
        let seconds: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=3).contains(&seconds), "{seconds}");
        assert!(answer.text().contains("Sign it again"));
    }
    // The secret is the same, and fresh signatures are accepted within the skew.
    let begun = Instant::now();
    let accepted = loop {
        let fresh = draft().signed(&signer, "localhost");
        let answer = fresh.send(&client).await;
        if answer.status == 200 {
            break fresh;
        }
        assert_eq!(answer.code(), "signature_before_start");
        assert!(begun.elapsed() < Duration::from_secs(20));
    };
    // A stop in order refuses what was accepted, and no second more.
    assert!(server.terminate().await.success());
    let server = start(&data).await;
    let client = server.anonymous();
    for old in [&accepted, &sent] {
        let answer = old.send(&client).await.expect_status(401);
        assert_eq!(answer.code(), "signature_before_start");
    }
    let next = draft()
        .at(accepted.created + 1)
        .signed(&signer, "localhost");
    let _ = next.send(&client).await.expect_status(200);
}

#[tokio::test]
async fn without_its_root_no_server_starts_that_has_keys_which_sign() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    warm_up(&data).await;
    let server = start(&data).await;
    let signer = key(&server).await;
    assert!(server.terminate().await.success());
    let root = data.join("signing.key");
    std::fs::remove_file(&root).unwrap();
    let output = belljar_tests::command()
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(&data)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{told}");
    for part in ["signing.key", "1 keys", "make an empty file"] {
        assert!(told.contains(part), "{told}");
    }
    // With a new root the old secret is void.
    std::fs::write(&root, b"").unwrap();
    let server = start(&data).await;
    let client = server.anonymous();
    let answer = signer
        .send(&client, Draft::get(MODELS))
        .await
        .expect_status(401);
    assert_eq!(answer.code(), "invalid_signature");
}
