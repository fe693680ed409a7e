//! The registry of models from its public side, without HTTP: lifecycle, durability, what is
//! acknowledged and what is seen by whom.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use belljar::auth::{self, Caller, KeyStore, NewKey, PresentedKey};
use belljar::clock::Clock;
use belljar::db::{Db, DbError};
use belljar::models::{
    Config, LiveModel, ModelError, Received, Registry, VersionState, VersionStatus,
};
use belljar_bundle::{ModelId, Store};
use belljar_sandbox::wit::tensors::{Datatype, Request, Tensor};
use belljar_sandbox::{
    CleaningChoice, Compiler, CompilerConfig, MacKey, RunLabel, Sandbox, SandboxConfig,
};
use belljar_tests::{TestBundle, TestHost, program};
use tempfile::TempDir;
use tokio::io::{AsyncWriteExt as _, DuplexStream};

/// A registry over a directory that outlives it.
struct Host {
    registry: Registry,
    admin: Caller,
    keys: KeyStore,
    db: Db,
}

impl Host {
    async fn open(directory: &Path, config: Config) -> Self {
        let db = open_db(directory).await;
        let keys = KeyStore::open(db.clone(), &auth::Config::default(), Clock::system())
            .await
            .unwrap();
        let admin = key(&keys, "infer,models:read,models:write", None).await;
        let store = Store::open(&directory.join("models")).unwrap();
        let sandbox = sandbox();
        let compiler = CompilerConfig {
            program: program(),
            artefacts: directory.join("artefacts"),
            concurrency: 2,
            wall_time: Duration::from_secs(60),
            cpu_time: Duration::from_secs(60),
            address_space_bytes_max: 64 << 30,
            component_bytes_max: 16 << 20,
            mac_key: MacKey::open(&directory.join("artefacts.key")).unwrap(),
        };
        let compiler = Compiler::new(compiler, &sandbox).unwrap();
        let registry = Registry::open(db.clone(), store, sandbox, compiler, config)
            .await
            .unwrap();
        registry.started().await;
        Self {
            registry,
            admin,
            keys,
            db,
        }
    }

    async fn close(self) {
        self.registry.close().await;
        drop((self.registry, self.keys));
        self.db.close().await;
    }

    async fn receive(
        &self,
        bundle: &TestBundle,
        activate: bool,
    ) -> Result<VersionStatus, ModelError> {
        let body = std::io::Cursor::new(bundle.tar());
        self.registry
            .receive(
                body,
                Received {
                    caller: self.admin.clone(),
                    quota: Default::default(),
                    activate,
                },
            )
            .await
    }

    /// Uploads and waits for the end of the lifecycle.
    async fn push(&self, bundle: &TestBundle) -> VersionStatus {
        let status = self.receive(bundle, true).await.unwrap();
        self.registry.settled(&status.id).await.unwrap()
    }

    fn ready(&self, reference: &str) -> Result<Arc<LiveModel>, ModelError> {
        self.registry.ready(reference, &self.admin)
    }

    fn active(&self, name: &str) -> Option<String> {
        self.ready(name)
            .ok()
            .map(|live| live.id.version.to_string())
    }

    fn state(&self, reference: &str) -> VersionState {
        self.registry
            .version(&id(reference), &self.admin)
            .unwrap()
            .state
    }

    async fn activate(&self, reference: &str) {
        let status = self
            .registry
            .activate(&id(reference), &self.admin)
            .await
            .unwrap();
        assert_eq!(status.state, VersionState::Active);
    }
}

/// Another test that starts a compiler at this moment has a copy of every open file until its
/// child has become another program, the lock of this directory among them: so try for a while.
async fn open_db(directory: &Path) -> Db {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match Db::open(directory).await {
            Err(DbError::InUse { .. }) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            opened => return opened.unwrap(),
        }
    }
}

fn sandbox() -> Sandbox {
    Sandbox::start(SandboxConfig {
        memory_bytes_max: 256 << 20,
        runs_max: 16,
        cleaning: CleaningChoice::KeepResident,
        ..SandboxConfig::default()
    })
    .unwrap()
}

fn config() -> Config {
    let mut config = Config {
        fake: false,
        echo: false,
        ..Config::default()
    };
    config.policy.budget.memory_bytes_max = 256 << 20;
    config
}

async fn key(keys: &KeyStore, scopes: &str, models: Option<&str>) -> Caller {
    let new = NewKey {
        name: "test".to_owned(),
        scopes: scopes.parse().unwrap(),
        models: models.map(|name| BTreeSet::from([name.to_owned()])),
        ..NewKey::default()
    };
    let created = keys.create(new).await.unwrap();
    let presented = PresentedKey::parse(created.secret.expose().as_bytes()).unwrap();
    keys.authenticate(Some(&presented)).unwrap()
}

fn id(reference: &str) -> ModelId {
    reference.parse().unwrap()
}

/// Runs `echo` and looks whether it echoes.
async fn works(live: &LiveModel) -> bool {
    let tensor = Tensor {
        name: "x".to_owned(),
        datatype: Datatype::Uint8,
        shape: vec![3],
        data: vec![1, 2, 3],
    };
    let request = Request {
        inputs: vec![tensor],
        outputs: Vec::new(),
        parameters: Vec::new(),
    };
    let label = RunLabel::new("test");
    let answer = live.model.infer(request, &live.budget, &label).await;
    answer.is_ok_and(|answer| answer.value.outputs[0].data == [1, 2, 3])
}

fn files_in(directory: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return 0;
    };
    entries
        .map(|entry| entry.unwrap().path())
        .map(|path| if path.is_dir() { files_in(&path) } else { 1 })
        .sum()
}

/// Deleting happens in the background.
async fn wait_for(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}

#[tokio::test]
async fn an_upload_becomes_active_and_runs() {
    let directory = TempDir::new().unwrap();
    let host = Host::open(directory.path(), config()).await;
    let bundle = TestBundle::echo("m", "1.0.0").with_line("license = \"MIT\"");
    let received = host.receive(&bundle, true).await.unwrap();
    assert!(!received.state.is_settled(), "{}", received.state);
    let settled = host.registry.settled(&received.id).await.unwrap();
    assert_eq!(settled.state, VersionState::Active, "{:?}", settled.error);
    assert_eq!(settled.license.as_deref(), Some("MIT"));
    assert!(settled.capabilities.unwrap().tensors);
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
    let again = host.receive(&bundle, false).await.unwrap();
    assert_eq!(again, first);
    let other = TestBundle::echo("m", "1.0.0").with_asset("a", b"a");
    let refused = host.receive(&other, true).await.unwrap_err();
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
        .receive(&TestBundle::echo("m", "2.0.0"), false)
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
        host.receive(&TestBundle::echo("m", version), true)
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
        .receive(&TestBundle::echo("m", "1.0.0"), true)
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
async fn what_was_going_on_is_taken_up_again() {
    let directory = TempDir::new().unwrap();
    let host = Host::open(directory.path(), config()).await;
    let status = host
        .receive(&TestBundle::echo("m", "1.0.0"), true)
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
        .receive(&TestBundle::echo("m", "1.0.0"), true)
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
async fn a_manifest_that_asks_for_too_much_is_refused() {
    let directory = TempDir::new().unwrap();
    let host = Host::open(directory.path(), config()).await;
    let greedy = TestBundle::echo("m", "1.0.0").with_limits("memory = \"257 MiB\"");
    let refused = host.receive(&greedy, true).await.unwrap_err();
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
        .receive(&TestBundle::echo("m", "2.0.0"), true)
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
        .receive(&TestBundle::echo("m", "2.0.0"), true)
        .await
        .unwrap_err();
    assert!(matches!(refused, ModelError::StoreFull { .. }), "{refused}");
    // What is there is served, whatever the bounds are now.
    assert!(works(&host.ready("m").unwrap()).await);
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
    let received = || Received {
        caller: host.admin.clone(),
        quota: Default::default(),
        activate: true,
    };
    // It stalls.
    let (body, sender) = half(&bundle).await;
    let error = host.registry.receive(body, received()).await.unwrap_err();
    assert!(matches!(error, ModelError::UploadStalled { .. }), "{error}");
    assert_eq!(files_in(&staging), 0);
    drop(sender);
    // It breaks off.
    let (body, sender) = half(&bundle).await;
    drop(sender);
    let error = host.registry.receive(body, received()).await.unwrap_err();
    assert!(
        matches!(error, ModelError::Bundle(_)) && !error.is_host_fault(),
        "{error}"
    );
    // Nobody waits for it any more; and meanwhile there is no place for another.
    let (body, _sender) = half(&bundle).await;
    let registry = host.registry.clone();
    let abandoned = received();
    let upload = tokio::spawn(async move { registry.receive(body, abandoned).await });
    wait_for("it is being staged", || files_in(&staging) > 0).await;
    let refused = host.receive(&bundle, true).await.unwrap_err();
    assert!(
        matches!(refused, ModelError::TooManyUploads { limit: 1, .. }),
        "{refused}"
    );
    upload.abort();
    wait_for("its files are deleted", || files_in(&staging) == 0).await;
    assert!(host.registry.list(&host.admin).is_empty());
    // Its place is free a moment after its files are gone.
    let deadline = Instant::now() + Duration::from_secs(10);
    while let Err(error) = host.receive(&bundle, true).await {
        let full = matches!(error, ModelError::TooManyUploads { .. });
        assert!(full && Instant::now() < deadline, "{error}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(host.push(&bundle).await.state, VersionState::Active);
}

#[tokio::test]
async fn nobody_learns_of_models_that_are_not_theirs() {
    let directory = TempDir::new().unwrap();
    let host = Host::open(directory.path(), config()).await;
    host.push(&TestBundle::echo("mine", "1.0.0")).await;
    host.push(&TestBundle::echo("theirs", "1.0.0")).await;
    let caller = key(&host.keys, "infer,models:read,models:write", Some("mine")).await;
    let registry = &host.registry;
    assert!(registry.ready("mine", &caller).is_ok());
    let (theirs, name) = (id("theirs@1.0.0"), "theirs".parse().unwrap());
    let unknown = |reference: &str| {
        registry
            .ready(reference, &caller)
            .unwrap_err()
            .to_string()
            .replace(reference, "X")
    };
    assert_eq!(unknown("theirs"), unknown("nobodys"));
    assert_eq!(unknown("theirs@1.0.0"), unknown("nobodys@1.0.0"));
    assert_eq!(unknown("theirs@2.0.0"), unknown("nobodys@1.0.0"));
    for error in [
        registry.model(&name, &caller).unwrap_err(),
        registry.version(&theirs, &caller).unwrap_err(),
        registry.activate(&theirs, &caller).await.unwrap_err(),
        registry.deactivate(&name, &caller).await.unwrap_err(),
        registry.remove_version(&theirs, &caller).await.unwrap_err(),
        registry.remove_model(&name, &caller).await.unwrap_err(),
    ] {
        assert!(matches!(error, ModelError::NotFound { .. }), "{error}");
    }
    let names: Vec<_> = registry
        .list(&caller)
        .into_iter()
        .map(|model| model.name)
        .collect();
    assert_eq!(names, ["mine".parse().unwrap()]);
    let body = std::io::Cursor::new(TestBundle::echo("theirs", "2.0.0").tar());
    let refused = registry
        .receive(
            body,
            Received {
                caller,
                quota: Default::default(),
                activate: true,
            },
        )
        .await
        .unwrap_err();
    assert!(
        matches!(refused, ModelError::NameNotAllowed { .. }),
        "{refused}"
    );
    // And without the scope nothing is managed, whosever it is.
    let reader = key(&host.keys, "infer,models:read", None).await;
    for caller in [reader, Caller::anonymous()] {
        let refused = registry.remove_version(&theirs, &caller).await.unwrap_err();
        assert!(matches!(refused, ModelError::Denied(_)), "{refused}");
        let body = std::io::Cursor::new(TestBundle::echo("x", "1.0.0").tar());
        let refused = registry
            .receive(
                body,
                Received {
                    caller,
                    quota: Default::default(),
                    activate: true,
                },
            )
            .await
            .unwrap_err();
        assert!(matches!(refused, ModelError::Denied(_)), "{refused}");
    }
    assert!(registry.ready("theirs", &Caller::anonymous()).is_ok());
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
async fn odd_references_are_not_found() {
    let directory = TempDir::new().unwrap();
    let host = Host::open(directory.path(), config()).await;
    host.push(&TestBundle::echo("m", "1.0.0")).await;
    let long = "x".repeat(100_000);
    for reference in [
        "", "@", "m@", "@1.0.0", "m@1", "m@1.0.0@", "M", "../m", "m\0", "m@9.9.9", &long,
    ] {
        let error = host.ready(reference).unwrap_err();
        assert!(
            matches!(error, ModelError::NotFound { .. }),
            "{reference:?}: {error}"
        );
        assert!(error.to_string().len() < 1_000);
    }
}

#[test]
fn what_only_the_host_may_know_is_not_told() {
    let error = ModelError::Host {
        detail: "/secret/path".to_owned(),
    };
    assert!(error.is_host_fault());
    assert!(!error.to_string().contains("secret"));
}

#[tokio::test]
async fn embedded_models_are_served_by_default() {
    let directory = TempDir::new().unwrap();
    let host = Host::open(directory.path(), Config::default()).await;
    assert!(host.ready("fake").is_ok() && host.ready("echo").is_ok());
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
            host.receive(&bundle, true).await
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
                    0..=2 => host.receive(&bundle, step % 2 == 0).await.map(drop),
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
