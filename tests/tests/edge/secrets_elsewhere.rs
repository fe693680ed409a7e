//! Vault over TLS, one that does not answer, and secrets of other parts by each kind of reference.

use std::time::Instant;

use belljar_tests::ServerProcess;
use serde_json::json;
use tokio::net::TcpListener;

use crate::kit::{Authority, Folder, PATIENCE, connect, get, shown};
use crate::reload_settings::{ban, next, receiver};
use crate::secrets::{FIRST, borrowed, opens, refused, start, start_with_tls, until, with_token};

/// The variables with another value for one of them.
fn with(
    variables: &[(&'static str, String)],
    name: &'static str,
    value: &str,
) -> Vec<(&'static str, String)> {
    let mut variables = variables.to_vec();
    variables.retain(|(known, _)| *known != name);
    variables.push((name, value.to_owned()));
    variables
}

/// Acts: `vault.ca`, `vault.address`.
#[tokio::test]
async fn a_vault_over_tls_is_one_that_its_authority_vouches_for() {
    let (vault, variables) = with_token().await;
    let (authority, other, folder) = (
        Authority::new("of Vault"),
        Authority::new("of others"),
        Folder::new(),
    );
    let url = vault.encrypted(&authority.issue(&["localhost"])).await;
    let elsewhere = vault.encrypted(&authority.issue(&["vault.example"])).await;
    let trusted = folder.write("ca.pem", &authority.pem());
    let untrusted = folder.write("other.pem", &other.pem());
    let of = |url: &str, ca: &str| {
        let variables = with(&variables, "BELLJAR_VAULT_ADDRESS", url);
        with(&variables, "BELLJAR_VAULT_CA", ca)
    };
    for wrong in [of(&url, &untrusted), of(&elsewhere, &trusted)] {
        let said = refused(&folder, &borrowed(&wrong)).await;
        assert!(said.contains("Vault: "), "{said}");
    }
    assert_eq!(vault.count("/v1/"), 0, "nothing was said to a stranger");
    let server = start(&folder, &borrowed(&of(&url, &trusted))).await;
    assert!(opens(&server, FIRST).await);
}

/// Acts: `vault.timeout`.
#[tokio::test]
async fn a_vault_that_does_not_answer_is_not_waited_for() {
    let (_, variables) = with_token().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let variables = with(&variables, "BELLJAR_VAULT_ADDRESS", &url);
    let variables = with(&variables, "BELLJAR_VAULT_TIMEOUT", "100 ms");
    let begun = Instant::now();
    // By default, three attempts would take half a minute.
    let said = refused(&Folder::new(), &borrowed(&variables)).await;
    assert!(said.contains("Vault: "), "{said}");
    assert!(begun.elapsed() < PATIENCE);
}

/// The certificate is a file and its key is in Vault: both change, and new connections are shown the
/// new one, while one that is open goes on.
///
/// Acts: `vault.refresh`, `tls.key`.
#[tokio::test]
async fn a_private_key_that_changes_in_vault_is_shown_to_new_connections() {
    let (vault, mut variables) = with_token().await;
    let (authority, folder) = (Authority::new("the test"), Folder::new());
    let (first, second) = (
        authority.issue(&["localhost"]),
        authority.issue(&["localhost"]),
    );
    vault.keep("tls", json!({"key": first.key}));
    let certificate = folder.write("a.pem", &first.certificate);
    for (name, value) in [
        ("BELLJAR_TLS_CERT", certificate.as_str()),
        ("BELLJAR_TLS_KEY", "vault:secret/data/tls#key"),
        ("BELLJAR_TLS_WATCH_PERIOD", "20 ms"),
        ("BELLJAR_VAULT_REFRESH", "50 ms"),
    ] {
        variables.push((name, value.to_owned()));
    }
    let (_server, address) = start_with_tls(&folder, &borrowed(&variables)).await;
    let now = async || {
        connect(address, "localhost", authority.trusting())
            .await
            .unwrap()
    };
    let open = now().await;
    let before = shown(&open);
    folder.write("a.pem", &second.certificate);
    vault.keep("tls", json!({"key": second.key}));
    until("another certificate is shown", async || {
        shown(&now().await) != before
    })
    .await;
    let answer = get(open, "/health/live").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// Acts: `webhook.secret`, `webhook.url`, `webhook.events`.
#[tokio::test]
async fn messages_are_signed_with_a_secret_that_stands_anywhere() {
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let (vault, in_vault) = with_token().await;
    vault.keep("hook", json!({"secret": SECRET}));
    let beside = Folder::new();
    let file = beside.write("secret", &format!("{SECRET}\n"));
    let (address, mut queue) = receiver().await;
    for reference in [
        format!("file:{file}"),
        "env:SECRET_OF_THE_HOOK".to_owned(),
        "vault:secret/data/hook#secret".to_owned(),
    ] {
        let folder = Folder::new();
        let server = ServerProcess::start_with(&folder.path("data"), |command| {
            command
                .envs(in_vault.clone())
                .env("SECRET_OF_THE_HOOK", SECRET)
                .env("BELLJAR_WEBHOOK_URL", format!("http://{address}/hook"))
                .env("BELLJAR_WEBHOOK_SECRET", &reference)
                .env("BELLJAR_WEBHOOK_EVENTS", "ban");
        })
        .await;
        ban(&server, 2).await;
        next(&mut queue).await.expect("/hook", SECRET, "127.0.0.2");
        assert!(!server.log().contains(SECRET));
        assert!(server.terminate().await.success());
    }
}
