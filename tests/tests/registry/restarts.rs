//! What a restart takes up again.

use std::time::Duration;

use belljar::models::VersionState;
use belljar_tests::{TestBundle, TestHost, files_in};
use tempfile::TempDir;

use crate::kit::{Host, config, open_db, wait_for, works};

#[tokio::test]
async fn what_was_going_on_is_taken_up_again() {
    let directory = TempDir::new().unwrap();
    let host = Host::open(directory.path(), config()).await;
    let status = host
        .upload(&TestBundle::echo("m", "1.0.0"), true)
        .await
        .unwrap();
    host.close().await;
    // And files that no row names are cleared away.
    let stray = directory.path().join("models/blobs/sha256/00");
    std::fs::create_dir_all(&stray).unwrap();
    std::fs::write(stray.join("00".repeat(32)), b"stray").unwrap();
    let host = Host::open(directory.path(), config()).await;
    let settled = host.registry.settled(&status.id).await.unwrap();
    assert_eq!(settled.state, VersionState::Active, "{:?}", settled.error);
    assert_eq!(settled.created, status.created);
    wait_for("stray files are deleted", || files_in(&stray) == 0).await;
}

#[tokio::test]
async fn clean_stops_are_not_held_against_a_compilation() {
    let directory = TempDir::new().unwrap();
    let mut host = Host::open(directory.path(), config()).await;
    let status = host
        .upload(&TestBundle::echo("m", "1.0.0"), true)
        .await
        .unwrap();
    // More often than a version may be interrupted by a crash.
    for _ in 0..7 {
        while host.state("m@1.0.0") == VersionState::Received {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        host.close().await;
        host = Host::open(directory.path(), config()).await;
    }
    let settled = host.registry.settled(&status.id).await.unwrap();
    assert_eq!(settled.state, VersionState::Active, "{:?}", settled.error);
}

#[tokio::test]
async fn what_was_compiled_is_not_compiled_again() {
    let directory = TempDir::new().unwrap();
    let host = Host::open(directory.path(), config()).await;
    let status = host.push(&TestBundle::echo("m", "1.0.0")).await;
    host.close().await;
    let no_compiler = directory.path().join("no-such-program");
    let host = Host::open_with(directory.path(), config(), no_compiler).await;
    let settled = host.registry.settled(&status.id).await.unwrap();
    assert_eq!(settled.state, VersionState::Active, "{:?}", settled.error);
}

#[tokio::test]
async fn a_version_whose_files_are_gone_says_so() {
    let directory = TempDir::new().unwrap();
    let host = Host::open(directory.path(), config()).await;
    let bundle = TestBundle::echo("m", "1.0.0");
    let status = host.push(&bundle).await;
    host.close().await;
    std::fs::remove_dir_all(directory.path().join("models")).unwrap();
    let host = Host::open(directory.path(), config()).await;
    let settled = host.registry.settled(&status.id).await.unwrap();
    assert_eq!(settled.error.unwrap().code, "files_damaged");
    // Sending it again heals it.
    let healed = host.push(&bundle).await;
    assert_eq!(healed.state, VersionState::Active, "{:?}", healed.error);
    assert!(works(&host.ready("m").unwrap()).await);
}

#[tokio::test]
async fn a_server_that_is_stopped_lets_go_of_its_directory() {
    let host = TestHost::start().await;
    let admin = host.admin();
    let bundle = TestBundle::echo("m", "1.0.0");
    let answer = admin.upload(bundle.tar()).await.expect_status(201);
    assert_eq!(answer.json()["state"], "active");
    let directory = host.stop().await;
    assert!(admin.try_get("/health/live").await.is_none());
    open_db(directory.path()).await;
}
