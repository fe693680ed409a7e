//! What the secrets of signed requests follow from, where a setting says it.

use std::path::Path;
use std::time::Instant;

use belljar_tests::{ServerProcess, command, warm_up};
use serde_json::json;

use crate::kit::PATIENCE;
use crate::secrets::with_token;
use crate::signer::{Draft, Signer};

const MODELS: &str = "/v1/models";
const ROOT: &str = "the root of the test, of 32 bytes and more";
const OTHER: &str = "another root of the test, which is as long";
const VARIABLE: &str = "BELLJAR_SIGNED_REQUESTS_ROOT";

async fn start(data: &Path, variables: &[(&str, &str)]) -> ServerProcess {
    ServerProcess::start_with(data, |command| {
        command.env("BELLJAR_EMBEDDED_FAKE", "false");
        command.env("BELLJAR_SIGNED_REQUESTS_SKEW_MAX", "1 s");
        command.envs(variables.iter().copied());
    })
    .await
}

/// What a start says that is refused.
fn refused(data: &Path, variables: &[(&str, &str)]) -> String {
    let output = command()
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The status and the code of a request that was signed now, or as soon as nothing can be taken any
/// more for what the life before has accepted.
async fn ask(server: &ServerProcess, signer: &Signer) -> (u16, String) {
    let begun = Instant::now();
    loop {
        let answer = signer.send(&server.anonymous(), Draft::get(MODELS)).await;
        if answer.code() != "signature_before_start" {
            return (answer.status, answer.code());
        }
        assert!(begun.elapsed() < PATIENCE, "{}", answer.text());
    }
}

/// The root stands in a file, in a variable, or in Vault, and what follows from it is the same. In
/// the data directory there is nothing from which a copy of it could sign.
///
/// Acts: `signed_requests.root`.
#[tokio::test]
async fn the_root_of_signing_secrets_stands_where_a_setting_says() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    warm_up(&data).await;
    let file = folder.path().join("root");
    std::fs::write(&file, format!("{ROOT}\n")).unwrap();
    let (vault, in_vault) = with_token().await;
    vault.keep("signing", json!({"root": ROOT}));
    let in_file = format!("file:{}", file.display());
    let vault: Vec<(&str, &str)> = in_vault
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .filter(|(name, _)| *name != "BELLJAR_API_KEYS")
        .collect();
    let mut signer = None;
    for root in [
        in_file.as_str(),
        "env:ROOT",
        "vault:secret/data/signing#root",
    ] {
        let variables = [&vault[..], &[(VARIABLE, root), ("ROOT", ROOT)]].concat();
        let server = start(&data, &variables).await;
        if signer.is_none() {
            let new = json!({"name": "signs", "scopes": ["models:read"], "signing": "required"});
            let made = server.admin().post("/admin/keys", &new).await;
            let made = made.expect_status(201).json();
            let text = |field: &str| made[field].as_str().unwrap().to_owned();
            signer = Some(Signer {
                id: text("id"),
                key: text("key"),
                secret: text("signing_secret").parse().unwrap(),
            });
        }
        assert_eq!(
            ask(&server, signer.as_ref().unwrap()).await.0,
            200,
            "{root}"
        );
        assert!(!server.log().contains(ROOT));
        assert!(server.terminate().await.success());
    }
    let mark = std::fs::read_to_string(data.join("signing.key")).unwrap();
    assert!(
        mark.starts_with("setting:") && !mark.contains(ROOT),
        "{mark}"
    );
    // Another root, or none, stops the start and changes nothing.
    for (variables, why) in [
        (&[(VARIABLE, OTHER)][..], "another value of it"),
        (&[], "which is not set"),
        (&[(VARIABLE, "too short")], "32 bytes at least"),
    ] {
        let told = refused(&data, variables);
        assert!(told.contains(why) && told.contains("root"), "{told}");
        assert!(!told.contains(OTHER), "{told}");
    }
    assert_eq!(
        std::fs::read_to_string(data.join("signing.key")).unwrap(),
        mark
    );
    // Nor does a root in a file give way to a setting while keys sign by it.
    std::fs::write(data.join("signing.key"), [7; 32]).unwrap();
    let told = refused(&data, &[(VARIABLE, ROOT)]);
    assert!(told.contains("that file"), "{told}");
    // Emptied on purpose, the secrets of before are void.
    std::fs::write(data.join("signing.key"), "").unwrap();
    let server = start(&data, &[(VARIABLE, OTHER)]).await;
    let asked = ask(&server, signer.as_ref().unwrap()).await;
    assert_eq!(asked, (401, "invalid_signature".to_owned()));
}
