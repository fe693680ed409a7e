//! Secrets that stand in files, in variables and in Vault, for a server in a process of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use axum::http::StatusCode;
use belljar_tests::{ServerProcess, command};
use serde_json::json;

use crate::kit::{Authority, Folder, PATIENCE, connect};
use crate::vault::Vault;

pub(crate) const FIRST: &str = "first-key-of-the-test-in-vault";
pub(crate) const SECOND: &str = "second-key-of-the-test-in-vault";

pub(crate) async fn start(folder: &Folder, variables: &[(&str, &str)]) -> ServerProcess {
    ServerProcess::start_with(&folder.path("data"), |command| {
        command.env("BELLJAR_REQUIRE_API_KEY", "true");
        // Keys that are not there yet are tried until they are.
        command.env("BELLJAR_ENABLE_ABUSE_DETECTION", "false");
        command.envs(variables.iter().copied());
    })
    .await
}

/// What a server says that does not start.
pub(crate) async fn refused(folder: &Folder, variables: &[(&str, &str)]) -> String {
    let mut command = tokio::process::Command::from(command());
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(folder.path("data"))
        .envs(variables.iter().copied())
        .kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output());
    let output = output.await.expect("it does not start").unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for secret in [FIRST, SECOND, "hvs.", "secret-of-the-role"] {
        assert!(!said.contains(secret), "{said}");
    }
    said
}

pub(crate) async fn opens(server: &ServerProcess, key: &str) -> bool {
    let answer = server.with_key(key).get("/models").await;
    answer.status == 200
}

/// Waits until a condition holds that follows from what was done.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// A Vault that knows a token, and the variables that name both.
pub(crate) async fn with_token() -> (Vault, Vec<(&'static str, String)>) {
    let vault = Vault::start().await;
    vault.keep("belljar", json!({"api_keys": FIRST}));
    let variables = vec![
        (
            "BELLJAR_API_KEYS",
            "vault:secret/data/belljar#api_keys".to_owned(),
        ),
        ("BELLJAR_VAULT_ADDRESS", vault.url()),
        ("BELLJAR_VAULT_TOKEN", "env:TOKEN_OF_VAULT".to_owned()),
        ("TOKEN_OF_VAULT", vault.token()),
    ];
    (vault, variables)
}

pub(crate) fn borrowed<'a>(
    variables: &'a [(&'static str, String)],
) -> Vec<(&'static str, &'a str)> {
    let all = variables.iter();
    all.map(|(name, value)| (*name, value.as_str())).collect()
}

#[tokio::test]
async fn keys_stand_in_files_and_variables() {
    let folder = Folder::new();
    let file = folder.write("keys", &format!("{FIRST}\n{SECOND}\n"));
    let server = start(
        &folder,
        &[
            ("BELLJAR_API_KEYS", &format!("file:{file}, env:THIRD")),
            ("THIRD", "third-key-of-the-test"),
        ],
    )
    .await;
    for key in [FIRST, SECOND, "third-key-of-the-test"] {
        assert!(opens(&server, key).await, "{key}");
    }
    assert!(!opens(&server, &format!("file:{file}")).await);
}

#[tokio::test]
async fn a_reference_that_leads_nowhere_stops_the_start() {
    let folder = Folder::new();
    let large = folder.write("large", &"k".repeat((1 << 20) + 1));
    let binary = folder.path("binary");
    std::fs::write(&binary, [0xff; 32]).unwrap();
    let gone = folder.path("gone");
    let path = |path: &Path| format!("file:{}", path.display());
    for (reference, why) in [
        (path(&gone), "No such file"),
        (path(&binary), "not UTF-8"),
        (format!("file:{large}"), "1048576 bytes at most"),
        ("env:NOT_SET".to_owned(), "NOT_SET is not set"),
        ("env:".to_owned(), "the name of a variable"),
        ("vault:belljar#x".to_owned(), "vault:secret/data/belljar"),
        ("vault:secret/data/x#y".to_owned(), "vault.address"),
    ] {
        let said = refused(&folder, &[("BELLJAR_API_KEYS", &reference)]).await;
        assert!(said.contains(why), "{reference}: {said}");
    }
}

#[tokio::test]
async fn keys_in_vault_are_read_and_change_with_it() {
    let (vault, mut variables) = with_token().await;
    variables.push(("BELLJAR_VAULT_REFRESH", "50 ms".to_owned()));
    let folder = Folder::new();
    let server = start(&folder, &borrowed(&variables)).await;
    assert!(opens(&server, FIRST).await && !opens(&server, SECOND).await);
    vault.keep("belljar", json!({"api_keys": SECOND}));
    until("the new key opens", async || opens(&server, SECOND).await).await;
    assert!(!opens(&server, FIRST).await, "the old one is gone");
    // What cannot be read leaves what was read, and is told once.
    let path = "secret/data/belljar".to_owned();
    vault.set(|contract| contract.secrets.insert(path, None));
    let told = "secrets stay as they were read last";
    until("it is told", async || server.log().contains(told)).await;
    let asked = vault.count("/v1/secret");
    until("it is tried again", async || {
        vault.count("/v1/secret") > asked + 2
    })
    .await;
    assert!(opens(&server, SECOND).await);
    assert_eq!(server.log().matches(told).count(), 1);
    vault.keep("belljar", json!({"api_keys": FIRST}));
    until("it can be read again", async || opens(&server, FIRST).await).await;
    assert!(server.log().contains("can be read from Vault again"));
    let shown = server.admin().get("/admin/config").await.text();
    for secret in [FIRST, SECOND, "hvs."] {
        assert!(!server.log().contains(secret) && !shown.contains(secret));
    }
}

/// Acts: `vault.namespace`, `vault.auth`, `vault.auth_mount`, `vault.role_id`, `vault.secret_id`,
/// `vault.role`, `vault.jwt_file`.
#[tokio::test]
async fn a_server_logs_in_by_role_and_again_when_its_token_ends() {
    let folder = Folder::new();
    let jwt = folder.write("jwt", "jwt-of-the-pod\n");
    let role = json!({"role_id": "the-role", "secret_id": "secret-of-the-role"});
    let pod = json!({"role": "belljar", "jwt": "jwt-of-the-pod"});
    for (way, mount, login, variables) in [
        (
            "approle",
            "approle",
            &role,
            vec![
                ("BELLJAR_VAULT_ROLE_ID", "the-role"),
                ("BELLJAR_VAULT_SECRET_ID", "secret-of-the-role"),
            ],
        ),
        (
            "kubernetes",
            "clusters/a",
            &pod,
            vec![
                ("BELLJAR_VAULT_ROLE", "belljar"),
                ("BELLJAR_VAULT_JWT_FILE", &jwt),
                ("BELLJAR_VAULT_AUTH_MOUNT", "clusters/a"),
                ("BELLJAR_VAULT_NAMESPACE", "team"),
            ],
        ),
    ] {
        let vault = Vault::start().await;
        vault.keep("belljar", json!({"api_keys": FIRST}));
        vault.set(|contract| {
            contract.logins.insert(mount, login.clone());
            contract.namespace = (way == "kubernetes").then_some("team");
            // Renewed once or twice, and then at the end of what it can be renewed to.
            contract.ttl = std::time::Duration::from_secs(1);
            contract.life = std::time::Duration::from_secs(2);
        });
        let url = vault.url();
        let mut all = vec![
            ("BELLJAR_API_KEYS", "vault:secret/data/belljar#api_keys"),
            ("BELLJAR_VAULT_ADDRESS", &url),
            ("BELLJAR_VAULT_AUTH", way),
            ("BELLJAR_VAULT_REFRESH", "200 ms"),
        ];
        all.extend(variables);
        let server = start(&folder, &all).await;
        until("it renews", async || vault.count("renew-self") > 0).await;
        until("it logs in again", async || vault.count("/login") > 1).await;
        vault.keep("belljar", json!({"api_keys": SECOND}));
        until("the new token is good", async || {
            opens(&server, SECOND).await
        })
        .await;
        server.terminate().await;
    }
}

#[tokio::test]
async fn a_vault_that_is_sealed_for_a_moment_is_asked_again() {
    let (vault, variables) = with_token().await;
    vault.set(|contract| contract.failing = (StatusCode::SERVICE_UNAVAILABLE, 2));
    let folder = Folder::new();
    let server = start(&folder, &borrowed(&variables)).await;
    assert!(opens(&server, FIRST).await);
}

/// Acts: `vault.token`.
#[tokio::test]
async fn what_vault_refuses_stops_the_start_and_says_why() {
    let (vault, variables) = with_token().await;
    let folder = Folder::new();
    let with = |name: &'static str, value: &str| {
        let mut variables = variables.clone();
        variables.retain(|(known, _)| *known != name);
        variables.push((name, value.to_owned()));
        variables
    };
    let keys = |place: &str| with("BELLJAR_API_KEYS", &format!("vault:secret/data/{place}"));
    vault.keep("odd", json!({"number": 1}));
    vault.set(|contract| contract.secrets.insert("secret/data/gone".to_owned(), None));
    for (variables, why) in [
        (
            keys("nowhere#x"),
            "secret/data/nowhere#x: there is no such secret",
        ),
        (
            keys("gone#x"),
            "secret/data/gone#x: there is no such secret",
        ),
        (
            keys("belljar#x"),
            "secret/data/belljar#x: the secret has no such field",
        ),
        (keys("odd#number"), "no such field with a text"),
        (
            with("TOKEN_OF_VAULT", "hvs.wrong"),
            "403: permission denied",
        ),
        (with("BELLJAR_VAULT_NAMESPACE", "other"), "refused with 404"),
        (
            with("BELLJAR_VAULT_ADDRESS", "http://127.0.0.1:1"),
            "Vault: ",
        ),
        (
            with("BELLJAR_VAULT_ADDRESS", "http://vault.example"),
            "https://",
        ),
        (with("BELLJAR_VAULT_AUTH", "approle"), "vault.role_id"),
        (with("BELLJAR_VAULT_ROLE", "x"), "vault.role"),
    ] {
        let said = refused(&folder, &borrowed(&variables)).await;
        assert!(said.contains(why), "{why}: {said}");
    }
    vault.set(|contract| contract.failing = (StatusCode::SERVICE_UNAVAILABLE, u32::MAX));
    let said = refused(&folder, &borrowed(&variables)).await;
    assert!(said.contains("503: Vault is sealed"), "{said}");
}

#[tokio::test]
async fn a_private_key_stands_in_vault() {
    let (vault, mut variables) = with_token().await;
    let (authority, folder) = (Authority::new("the test"), Folder::new());
    let issued = authority.issue(&["localhost"]);
    vault.keep("tls", json!({"key": issued.key}));
    let certificate = folder.write("a.pem", &issued.certificate);
    variables.push(("BELLJAR_TLS_CERT", certificate));
    variables.push(("BELLJAR_TLS_KEY", "vault:secret/data/tls#key".to_owned()));
    let (_server, address) = start_with_tls(&folder, &borrowed(&variables)).await;
    let shaken = connect(address, "localhost", authority.trusting()).await;
    shaken.expect("the key belongs to the certificate");
}

/// A server that speaks TLS, with where it does.
pub(crate) async fn start_with_tls(
    folder: &Folder,
    variables: &[(&str, &str)],
) -> (Killed, SocketAddr) {
    let child = command()
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(folder.path("data"))
        .envs(variables.iter().copied())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let child = Killed(child);
    let file = folder.path("data").join("server.json");
    let mut address = None;
    until("it says where it listens", async || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let known: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let url = known["url"].as_str().unwrap_or_default();
        address = url.strip_prefix("https://").and_then(|at| at.parse().ok());
        address.is_some()
    })
    .await;
    (child, address.unwrap())
}

/// A process that does not outlive its test.
pub(crate) struct Killed(pub(crate) std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
