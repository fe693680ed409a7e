//! What becomes of a version, from its upload to its removal.

use std::sync::Arc;
use std::time::Duration;

use belljar::models::{Config, ModelError, VersionState};
use belljar_sandbox::Capability;
use belljar_tests::{TestBundle, files_in};
use tempfile::TempDir;

use crate::kit::{Host, config, id, sandbox, wait_for, works};

#[tokio::test]
async fn an_upload_becomes_active_and_runs() {
    let directory = TempDir::new().unwrap();
    let host = Host::open(directory.path(), config()).await;
    let bundle = TestBundle::echo("m", "1.0.0").with_line("license = \"MIT\"");
    let received = host.upload(&bundle, true).await.unwrap();
    assert!(!received.state.is_settled(), "{}", received.state);
    let settled = host.registry.settled(&received.id).await.unwrap();
    assert_eq!(settled.state, VersionState::Active, "{:?}", settled.error);
    assert_eq!(settled.license.as_deref(), Some("MIT"));
    assert!(settled.capabilities.unwrap().has(Capability::Tensors));
    assert!(works(&host.ready("m").unwrap()).await);
    assert!(works(&host.ready("m@1.0.0").unwrap()).await);
    let list = host.registry.list(&host.admin);
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].active_version(), Some(&settled));
    let uploader = host.admin.key_id().unwrap().clone();
    assert_eq!(host.registry.stored_by(&uploader), (1, settled.bytes));
    // A restart keeps all of it, and what it says of it.
    host.close().await;
    let host = Host::open(directory.path(), config()).await;
    assert_eq!(host.registry.stored_by(&uploader), (1, settled.bytes));
    let other = host.admin.key_id().unwrap();
    assert_eq!(host.registry.stored_by(other), (0, 0));
    assert_eq!(
        host.registry.version(&settled.id, &host.admin).unwrap(),
        settled
    );
    assert!(works(&host.ready("m").unwrap()).await);
}

#[tokio::test]
async fn embedded_models_are_there_and_the_operator_has_the_last_word() {
    let directory = TempDir::new().unwrap();
    let only_echo = || Config {
        fake: false,
        echo: true,
        ..config()
    };
    let host = Host::open(directory.path(), only_echo()).await;
    let embedded = host
        .registry
        .model(&"echo".parse().unwrap(), &host.admin)
        .unwrap();
    let version = embedded.active_version().unwrap().clone();
    assert!(version.embedded && version.uploaded_by.is_none());
    assert!(works(&host.ready("echo").unwrap()).await);
    // Removal would not last, so it is refused.
    let refused = host
        .registry
        .remove_version(&version.id, &host.admin)
        .await
        .unwrap_err();
    assert!(matches!(refused, ModelError::Embedded { .. }), "{refused}");
    let refused = host
        .registry
        .remove_model(&version.id.name, &host.admin)
        .await
        .unwrap_err();
    assert!(matches!(refused, ModelError::Embedded { .. }), "{refused}");
    // Deactivation lasts.
    host.registry
        .deactivate(&version.id.name, &host.admin)
        .await
        .unwrap();
    assert!(matches!(
        host.ready("echo"),
        Err(ModelError::NoActiveVersion { .. })
    ));
    host.close().await;
    let host = Host::open(directory.path(), only_echo()).await;
    assert_eq!(host.active("echo"), None);
    let settled = host.registry.settled(&version.id).await.unwrap();
    assert_eq!(settled.state, VersionState::Ready);
    assert!(works(&host.ready(&version.id.to_string()).unwrap()).await);
    // An upload of the same name lasts too, beside the embedded version.
    host.push(&TestBundle::echo("echo", "77.0.0")).await;
    host.close().await;
    let host = Host::open(directory.path(), only_echo()).await;
    assert_eq!(host.active("echo").as_deref(), Some("77.0.0"));
    // Turned off, only the upload is left; with that gone and turned on again, it is as new.
    host.close().await;
    let host = Host::open(directory.path(), config()).await;
    assert!(matches!(
        host.ready(&version.id.to_string()),
        Err(ModelError::NotFound { .. })
    ));
    host.registry
        .remove_model(&version.id.name, &host.admin)
        .await
        .unwrap();
    assert!(host.registry.list(&host.admin).is_empty());
    host.close().await;
    let host = Host::open(directory.path(), only_echo()).await;
    assert_eq!(host.active("echo"), Some(version.id.version.to_string()));
}

#[tokio::test]
async fn a_version_stands_for_one_content() {
    let directory = TempDir::new().unwrap();
    let host = Host::open(directory.path(), config()).await;
    let bundle = TestBundle::echo("m", "1.0.0");
    let first = host.push(&bundle).await;
    let again = host.upload(&bundle, false).await.unwrap();
    assert_eq!(again, first);
    let other = TestBundle::echo("m", "1.0.0").with_asset("a", b"a");
    let refused = host.upload(&other, true).await.unwrap_err();
    assert!(matches!(refused, ModelError::Conflict { .. }), "{refused}");
    assert_eq!(
        host.registry.version(&first.id, &host.admin).unwrap(),
        first
    );
    // Nothing of what was refused is kept: a manifest and a component are left.
    wait_for("a swept store", || {
        files_in(&directory.path().join("models")) == 2
    })
    .await;
}

#[tokio::test]
async fn a_failure_is_kept_and_can_be_made_good() {
    let directory = TempDir::new().unwrap();
    let host = Host::open(directory.path(), config()).await;
    let broken = TestBundle::new("m", "1.0.0", b"\0asm\x0d\0\x01\0 and then nothing of sense");
    let failed = host.push(&broken).await;
    assert_eq!(failed.state, VersionState::Failed);
    assert_eq!(failed.error.as_ref().unwrap().code, "invalid_component");
    assert!(matches!(
        host.ready("m"),
        Err(ModelError::NoActiveVersion { .. })
    ));
    let refused = host.ready("m@1.0.0").unwrap_err();
    assert!(
        matches!(
            refused,
            ModelError::NotReady {
                state: VersionState::Failed,
                ..
            }
        ),
        "{refused}"
    );
    let refused = host
        .registry
        .activate(&failed.id, &host.admin)
        .await
        .unwrap_err();
    assert!(matches!(refused, ModelError::NotReady { .. }), "{refused}");
    host.close().await;
    let host = Host::open(directory.path(), config()).await;
    let kept = host.registry.settled(&failed.id).await.unwrap();
    assert_eq!(kept.error, failed.error);
    // Nobody can have used it: the author may send better content under the same version.
    let settled = host.push(&TestBundle::echo("m", "1.0.0")).await;
    assert_eq!(settled.state, VersionState::Active, "{:?}", settled.error);
    assert_eq!(settled.error, None);
    wait_for("the failed files are swept", || {
        files_in(&directory.path().join("models")) == 2
    })
    .await;
}

#[tokio::test]
async fn switching_and_rolling_back() {
    let directory = TempDir::new().unwrap();
    let host = Host::open(directory.path(), config()).await;
    host.push(&TestBundle::echo("m", "1.0.0")).await;
    let second = host
        .upload(&TestBundle::echo("m", "2.0.0"), false)
        .await
        .unwrap();
    let second = host.registry.settled(&second.id).await.unwrap();
    assert_eq!(second.state, VersionState::Ready);
    assert_eq!(host.active("m").as_deref(), Some("1.0.0"));
    let old = host.ready("m").unwrap();
    host.activate("m@2.0.0").await;
    assert_eq!(host.active("m").as_deref(), Some("2.0.0"));
    assert_eq!(host.state("m@1.0.0"), VersionState::Ready);
    assert!(works(&old).await, "who has the old one keeps it");
    host.activate("m@1.0.0").await;
    assert_eq!(host.active("m").as_deref(), Some("1.0.0"));
    // Sending what is there again, to be active, is a switch as well.
    host.push(&TestBundle::echo("m", "2.0.0")).await;
    assert_eq!(host.active("m").as_deref(), Some("2.0.0"));
}

#[tokio::test]
async fn the_last_upload_wins_however_long_each_compiles() {
    let directory = TempDir::new().unwrap();
    let host = Host::open(directory.path(), config()).await;
    let versions: Vec<String> = (0..5).map(|n| format!("{}.0.0", 9 - n)).collect();
    for version in &versions {
        host.upload(&TestBundle::echo("m", version), true)
            .await
            .unwrap();
    }
    for version in &versions {
        host.registry
            .settled(&id(&format!("m@{version}")))
            .await
            .unwrap();
    }
    assert_eq!(host.active("m").as_ref(), versions.last());
}

#[tokio::test]
async fn a_removed_version_is_gone_and_its_runs_finish() {
    let directory = TempDir::new().unwrap();
    let host = Host::open(directory.path(), config()).await;
    host.push(&TestBundle::echo("m", "1.0.0").with_asset("weights", &[7; 1000]))
        .await;
    host.push(&TestBundle::echo("m", "2.0.0")).await;
    let models = directory.path().join("models");
    let artefacts = directory.path().join("artefacts");
    let compiled = files_in(&artefacts);
    let running = host.ready("m@1.0.0").unwrap();
    host.registry
        .remove_version(&id("m@1.0.0"), &host.admin)
        .await
        .unwrap();
    assert!(matches!(
        host.ready("m@1.0.0"),
        Err(ModelError::NotFound { .. })
    ));
    assert_eq!(host.active("m").as_deref(), Some("2.0.0"));
    assert!(works(&running).await);
    wait_for("its artefact is deleted", || {
        files_in(&artefacts) < compiled
    })
    .await;
    // Two manifests, one component that both share, one asset that a run may still read.
    assert_eq!(files_in(&models), 4);
    drop(running);
    wait_for("its files are deleted", || files_in(&models) == 2).await;
    host.registry
        .remove_model(&"m".parse().unwrap(), &host.admin)
        .await
        .unwrap();
    assert!(matches!(host.ready("m"), Err(ModelError::NotFound { .. })));
    wait_for("everything is deleted", || files_in(&models) == 0).await;
    host.close().await;
    let host = Host::open(directory.path(), config()).await;
    assert!(host.registry.list(&host.admin).is_empty());
}

#[tokio::test]
async fn removal_ends_a_compilation() {
    let directory = TempDir::new().unwrap();
    let host = Host::open(directory.path(), config()).await;
    let status = host
        .upload(&TestBundle::echo("m", "1.0.0"), true)
        .await
        .unwrap();
    let waiting = host.registry.clone();
    let id = status.id.clone();
    let waiter = tokio::spawn(async move { waiting.settled(&id).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    host.registry
        .remove_version(&status.id, &host.admin)
        .await
        .unwrap();
    // Who waited hears of the removal, unless it was ready before.
    let waited = waiter.await.unwrap();
    assert!(
        waited.is_ok() || matches!(waited, Err(ModelError::NotFound { .. })),
        "{waited:?}"
    );
    assert!(host.registry.list(&host.admin).is_empty());
    wait_for("its files are deleted", || {
        files_in(&directory.path().join("models")) == 0
    })
    .await;
}

#[tokio::test]
async fn all_models_move_to_another_sandbox() {
    let directory = TempDir::new().unwrap();
    let host = Host::open(directory.path(), config()).await;
    host.push(&TestBundle::echo("m", "1.0.0")).await;
    host.push(&TestBundle::echo("m", "2.0.0")).await;
    let before = host.ready("m").unwrap();
    host.registry.reload_all(sandbox()).await.unwrap();
    let after = host.ready("m").unwrap();
    assert!(!Arc::ptr_eq(&before, &after));
    assert_eq!(before.id, after.id);
    for live in [before, after, host.ready("m@1.0.0").unwrap()] {
        assert!(works(&live).await);
    }
}

#[tokio::test]
async fn embedded_models_are_served_by_default() {
    let directory = TempDir::new().unwrap();
    let host = Host::open(directory.path(), Config::default()).await;
    assert!(host.ready("fake").is_ok() && host.ready("echo").is_ok());
}
