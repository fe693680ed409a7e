//! A ban that somebody was told about outlives the server, whichever way that ends.

use belljar_tests::{Client, ServerProcess};

use crate::kit::{expect_banned, get_with, guess, guess_with, local};

/// How often the server is killed.
const KILLS: u8 = 12;

async fn start(data: &std::path::Path) -> ServerProcess {
    ServerProcess::start_with(data, |command| {
        command
            .env("BELLJAR_EMBEDDED_FAKE", "false")
            .env("BELLJAR_EMBEDDED_ECHO", "false")
            .env("BELLJAR_TRUSTED_PROXIES", "127.0.0.1");
    })
    .await
}

/// Gets an address banned and returns as soon as it was told so.
async fn ban(client: &Client, address: &str) {
    let header = [("x-forwarded-for", address)];
    guess_with(client, 5, &header).await;
    expect_banned(&get_with(client, "/v1/models", &header).await);
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut server = start(&data).await;
    for life in 1..=KILLS {
        let (client, admin) = (server.anonymous(), server.admin());
        let (banned, lifted) = (format!("192.0.2.{life}"), format!("198.51.100.{life}"));
        ban(&client, &lifted).await;
        let lift = format!("/admin/bans/{lifted}");
        let _ = admin.delete(&lift).await.expect_status(200);
        let exempt = format!("203.0.113.{life}");
        let body = serde_json::json!({"network": exempt, "note": "a test"});
        let _ = admin
            .post("/admin/exemptions", &body)
            .await
            .expect_status(201);
        // The last thing before the kill is the first refusal.
        ban(&client, &banned).await;
        server.kill();
        server = start(&data).await;
        let client = server.anonymous();
        for before in 1..=life {
            let there = format!("192.0.2.{before}");
            let header = [("x-forwarded-for", there.as_str())];
            expect_banned(&get_with(&client, "/v1/models", &header).await);
        }
        let header = [("x-forwarded-for", lifted.as_str())];
        let _ = get_with(&client, "/v1/models", &header)
            .await
            .expect_status(200);
        let header = [("x-forwarded-for", exempt.as_str())];
        guess_with(&client, 6, &header).await;
    }
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn a_ban_that_nobody_was_told_about_survives_an_orderly_stop() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let server = start(&data).await;
    guess(&server.anonymous().at(local(5)), 5).await;
    assert!(server.terminate().await.success());
    let server = start(&data).await;
    let caller = server.anonymous().at(local(5));
    expect_banned(&caller.get("/v1/models").await);
}
