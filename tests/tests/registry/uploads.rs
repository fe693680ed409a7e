//! Uploads: bounds, cut-off bodies, many at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use belljar::models::{Config, ModelError, UploadRequest, VersionState};
use belljar_tests::{TestBundle, files_in};
use tempfile::TempDir;
use tokio::io::{AsyncWriteExt as _, DuplexStream};

use crate::kit::{Host, config, id, wait_for, works};

#[tokio::test]
async fn a_manifest_that_asks_for_too_much_is_refused() {
    let directory = TempDir::new().unwrap();
    let host = Host::open(directory.path(), config()).await;
    let greedy = TestBundle::echo("m", "1.0.0").with_limits("memory = \"257 MiB\"");
    let refused = host.upload(&greedy, true).await.unwrap_err();
    assert_eq!(refused.code(), "limit_over_policy");
    let message = refused.to_string();
    assert!(
        message.contains("257 MiB") && message.contains("256 MiB"),
        "{message}"
    );
    assert!(host.registry.list(&host.admin).is_empty());
    assert_eq!(files_in(&directory.path().join("models")), 0);
    let modest = TestBundle::echo("m", "1.0.0").with_limits("memory = \"8 MiB\"\nfuel = 1000000");
    let status = host.push(&modest).await;
    assert_eq!(status.state, VersionState::Active, "{:?}", status.error);
    let limits = status.limits.unwrap();
    assert_eq!((limits.memory_bytes, limits.fuel), (8 << 20, 1_000_000));
    assert_eq!(host.ready("m").unwrap().budget.memory_bytes_max, 8 << 20);
}

#[tokio::test]
async fn bounds_of_the_server() {
    let directory = TempDir::new().unwrap();
    let small = Config {
        versions_max: 1,
        ..config()
    };
    let host = Host::open(directory.path(), small).await;
    host.push(&TestBundle::echo("m", "1.0.0")).await;
    let refused = host
        .upload(&TestBundle::echo("m", "2.0.0"), true)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, ModelError::TooManyVersions { limit: 1 }),
        "{refused}"
    );
    host.close().await;
    let full = Config {
        stored_bytes_max: 1,
        ..config()
    };
    let host = Host::open(directory.path(), full).await;
    let refused = host
        .upload(&TestBundle::echo("m", "2.0.0"), true)
        .await
        .unwrap_err();
    assert!(matches!(refused, ModelError::StoreFull { .. }), "{refused}");
    // What is there is served, whatever the bounds are now.
    assert!(works(&host.ready("m").unwrap()).await);
}

/// A bundle whose component is none, of some size.
fn broken(version: &str) -> TestBundle {
    TestBundle::new("broken", version, b"\0asm\x0d\0\x01\0 and no component")
        .with_asset("a", &[7; 1000])
}

#[tokio::test]
async fn versions_that_failed_take_no_place_from_others() {
    let directory = TempDir::new().unwrap();
    let narrow = Config {
        versions_max: 1,
        failed_max: 3,
        ..config()
    };
    let host = Host::open(directory.path(), narrow).await;
    for patch in 0..5 {
        let status = host.push(&broken(&format!("1.0.{patch}"))).await;
        assert_eq!(status.state, VersionState::Failed);
    }
    // The oldest have gone.
    let model = host.registry.model(&"broken".parse().unwrap(), &host.admin);
    let left: Vec<String> = model
        .unwrap()
        .versions
        .iter()
        .map(|version| version.id.to_string())
        .collect();
    assert_eq!(left, ["broken@1.0.2", "broken@1.0.3", "broken@1.0.4"]);
    assert_eq!(
        host.registry.stored_by(host.admin.key_id().unwrap()),
        (0, 0)
    );
    let good = host.push(&TestBundle::echo("m", "1.0.0")).await;
    assert_eq!(good.state, VersionState::Active);
    // Versions that work are counted as before.
    let refused = host
        .upload(&TestBundle::echo("m", "2.0.0"), true)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, ModelError::TooManyVersions { limit: 1 }),
        "{refused}"
    );
    // One that failed and is mended under its version is no second one.
    host.registry
        .remove_model(&"m".parse().unwrap(), &host.admin)
        .await
        .unwrap();
    let mended = host.push(&TestBundle::echo("broken", "1.0.4")).await;
    assert_eq!(mended.state, VersionState::Active);
}

#[tokio::test]
async fn bytes_of_versions_that_failed_give_way() {
    let directory = TempDir::new().unwrap();
    let good = TestBundle::echo("m", "1.0.0");
    let tight = Config {
        stored_bytes_max: good.tar().len() as u64 + 2_000,
        ..config()
    };
    let host = Host::open(directory.path(), tight).await;
    for patch in 0..4 {
        let status = host.push(&broken(&format!("1.0.{patch}"))).await;
        assert_eq!(status.state, VersionState::Failed);
    }
    assert_eq!(host.push(&good).await.state, VersionState::Active);
    let model = host.registry.model(&"broken".parse().unwrap(), &host.admin);
    assert!(model.is_err(), "all of them had to go: {model:?}");
}

#[tokio::test]
async fn one_keys_failures_do_not_push_out_anothers() {
    let directory = TempDir::new().unwrap();
    let narrow = Config {
        failed_max: 3,
        ..config()
    };
    let host = Host::open(directory.path(), narrow).await;
    let other = crate::kit::key(&host.keys, "models:read,models:write", None).await;
    let request = UploadRequest {
        caller: other.clone(),
        quota: Default::default(),
        activate: true,
    };
    let bundle = TestBundle::new("theirs", "1.0.0", b"\0asm\x0d\0\x01\0 nothing");
    let body = std::io::Cursor::new(bundle.tar());
    let status = host.registry.upload(body, request).await.unwrap();
    host.registry.settled(&status.id).await.unwrap();
    for patch in 0..5 {
        host.push(&broken(&format!("1.0.{patch}"))).await;
    }
    assert!(
        host.registry
            .version(&id("theirs@1.0.0"), &host.admin)
            .is_ok()
    );
    assert!(
        host.registry
            .version(&id("broken@1.0.0"), &host.admin)
            .is_err()
    );
}

#[tokio::test]
async fn a_version_that_failed_has_an_age() {
    let directory = TempDir::new().unwrap();
    let brief = Config {
        failed_time: Duration::from_micros(1),
        ..config()
    };
    let host = Host::open(directory.path(), brief).await;
    host.push(&broken("1.0.0")).await;
    host.push(&TestBundle::echo("m", "1.0.0")).await;
    host.registry.remove_old_failures().await.unwrap();
    assert!(
        host.registry
            .version(&id("broken@1.0.0"), &host.admin)
            .is_err()
    );
    assert!(host.registry.version(&id("m@1.0.0"), &host.admin).is_ok());
}

/// A sender that has sent the first half and nothing since.
async fn half(bundle: &TestBundle) -> (DuplexStream, DuplexStream) {
    let tar = bundle.tar();
    let (mut sender, receiver) = tokio::io::duplex(tar.len());
    sender.write_all(&tar[..tar.len() / 2]).await.unwrap();
    (receiver, sender)
}

#[tokio::test]
async fn uploads_that_do_not_arrive_leave_nothing() {
    let directory = TempDir::new().unwrap();
    let impatient = Config {
        uploads_max: 1,
        upload_stall: Duration::from_millis(300),
        ..config()
    };
    let host = Host::open(directory.path(), impatient).await;
    let staging = directory.path().join("models/staging");
    let bundle = TestBundle::echo("m", "1.0.0");
    let request = || UploadRequest {
        caller: host.admin.clone(),
        quota: Default::default(),
        activate: true,
    };
    // It stalls.
    let (body, sender) = half(&bundle).await;
    let error = host.registry.upload(body, request()).await.unwrap_err();
    assert!(matches!(error, ModelError::UploadStalled { .. }), "{error}");
    assert_eq!(files_in(&staging), 0);
    drop(sender);
    // It breaks off.
    let (body, sender) = half(&bundle).await;
    drop(sender);
    let error = host.registry.upload(body, request()).await.unwrap_err();
    assert!(
        matches!(error, ModelError::Bundle(_)) && !error.is_host_fault(),
        "{error}"
    );
    // Nobody waits for it any more; and meanwhile there is no place for another.
    let (body, _sender) = half(&bundle).await;
    let registry = host.registry.clone();
    let abandoned = request();
    let upload = tokio::spawn(async move { registry.upload(body, abandoned).await });
    wait_for("it is being staged", || files_in(&staging) > 0).await;
    let refused = host.upload(&bundle, true).await.unwrap_err();
    assert!(
        matches!(refused, ModelError::TooManyUploads { limit: 1, .. }),
        "{refused}"
    );
    upload.abort();
    wait_for("its files are deleted", || files_in(&staging) == 0).await;
    assert!(host.registry.list(&host.admin).is_empty());
    // Its place is free a moment after its files are gone.
    let deadline = Instant::now() + Duration::from_secs(10);
    while let Err(error) = host.upload(&bundle, true).await {
        let full = matches!(error, ModelError::TooManyUploads { .. });
        assert!(full && Instant::now() < deadline, "{error}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(host.push(&bundle).await.state, VersionState::Active);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_uploads_at_once_under_one_id_one_wins() {
    let directory = TempDir::new().unwrap();
    let host = Arc::new(Host::open(directory.path(), config()).await);
    let mut uploads = tokio::task::JoinSet::new();
    for n in 0..6_u8 {
        let host = host.clone();
        uploads.spawn(async move {
            // Two of each content.
            let bundle = TestBundle::echo("m", "1.0.0").with_asset("a", &[n / 2]);
            host.upload(&bundle, true).await
        });
    }
    let outcomes = uploads.join_all().await;
    let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (2, 4));
    for error in lost.into_iter().filter_map(Result::err) {
        assert!(matches!(error, ModelError::Conflict { .. }), "{error}");
    }
    let settled = host.registry.settled(&id("m@1.0.0")).await.unwrap();
    assert_eq!(settled.state, VersionState::Active, "{:?}", settled.error);
    // A manifest, the component, the winner's asset.
    let models = directory.path().join("models");
    wait_for("a swept store", || files_in(&models) == 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_at_once_end_in_order() {
    let directory = TempDir::new().unwrap();
    let host = Arc::new(Host::open(directory.path(), config()).await);
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..6_u32 {
        let host = host.clone();
        clients.spawn(async move {
            for step in 0..12_u32 {
                let version = (client + step) % 3;
                let reference = format!("m@1.{version}.0");
                let bundle = TestBundle::echo("m", &format!("1.{version}.0"));
                let outcome = match (client * 5 + step * 7) % 6 {
                    0..=2 => host.upload(&bundle, step % 2 == 0).await.map(drop),
                    3 => host
                        .registry
                        .activate(&id(&reference), &host.admin)
                        .await
                        .map(drop),
                    4 => {
                        host.registry
                            .remove_version(&id(&reference), &host.admin)
                            .await
                    }
                    _ => host
                        .registry
                        .deactivate(&"m".parse().unwrap(), &host.admin)
                        .await
                        .map(drop),
                };
                match outcome {
                    Ok(()) | Err(ModelError::NotFound { .. } | ModelError::NotReady { .. }) => {}
                    Err(error) => panic!("{error:?}"),
                }
                // Whoever is served is served by something that works.
                if let Ok(live) = host.ready("m") {
                    assert!(works(&live).await);
                }
            }
        });
    }
    clients.join_all().await;
    let list = host.registry.list(&host.admin);
    let versions = list
        .first()
        .map(|model| model.versions.clone())
        .unwrap_or_default();
    for version in &versions {
        let settled = host.registry.settled(&version.id).await.unwrap();
        assert_ne!(settled.state, VersionState::Failed, "{:?}", settled.error);
        assert!(works(&host.ready(&version.id.to_string()).unwrap()).await);
    }
    // A manifest each, and the component that all share.
    let expected = versions.len() + usize::from(!versions.is_empty());
    let models = directory.path().join("models");
    wait_for("a swept store", || files_in(&models) == expected).await;
    let before = host.registry.list(&host.admin);
    Arc::into_inner(host).unwrap().close().await;
    let host = Host::open(directory.path(), config()).await;
    for version in &versions {
        host.registry.settled(&version.id).await.unwrap();
    }
    assert_eq!(host.registry.list(&host.admin), before);
}
