//! A registry over a directory that outlives it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use belljar::auth::{self, Caller, KeyStore, NewKey, PresentedKey};
use belljar::clock::Clock;
use belljar::db::{Db, DbError};
use belljar::models::{
    Config, LiveModel, ModelError, Registry, Served, UploadRequest, VersionState, VersionStatus,
};
use belljar_bundle::{ModelId, Store};
use belljar_sandbox::wit::tensors::{Datatype, Request, Tensor};
use belljar_sandbox::{
    CheckedRequest, Compiler, CompilerConfig, RunLabel, Sandbox, SandboxConfig, SlotCaps,
    SlotResetChoice,
};
use belljar_tests::{TestBundle, program};

/// A registry over a directory that outlives it.
pub(crate) struct Host {
    pub(crate) registry: Registry,
    pub(crate) admin: Caller,
    pub(crate) keys: KeyStore,
    pub(crate) db: Db,
}

impl Host {
    pub(crate) async fn open(directory: &Path, config: Config) -> Self {
        Self::open_with(directory, config, program()).await
    }

    /// A host whose compilations are done by `program`.
    pub(crate) async fn open_with(directory: &Path, config: Config, program: PathBuf) -> Self {
        let db = open_db(directory).await;
        let keys = KeyStore::open(db.clone(), &auth::Config::default(), Clock::system())
            .await
            .unwrap();
        let admin = key(&keys, "infer,models:read,models:write", None).await;
        let store = Store::open(&directory.join("models")).unwrap();
        let sandbox = sandbox();
        let compiler = CompilerConfig::in_folder(program, directory).unwrap();
        let compiler = Compiler::new(compiler, &sandbox).unwrap();
        let registry = Registry::open(
            db.clone(),
            store,
            sandbox,
            compiler,
            config,
            Clock::system(),
        )
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

    pub(crate) async fn close(self) {
        self.registry.close().await;
        drop((self.registry, self.keys));
        self.db.close().await;
    }

    pub(crate) async fn upload(
        &self,
        bundle: &TestBundle,
        activate: bool,
    ) -> Result<VersionStatus, ModelError> {
        let body = std::io::Cursor::new(bundle.tar());
        self.registry
            .upload(
                body,
                UploadRequest {
                    caller: self.admin.clone(),
                    quota: Default::default(),
                    activate,
                },
            )
            .await
    }

    /// Uploads and waits for the end of the lifecycle.
    pub(crate) async fn push(&self, bundle: &TestBundle) -> VersionStatus {
        let status = self.upload(bundle, true).await.unwrap();
        self.registry.settled(&status.id).await.unwrap()
    }

    /// What answers to a name. None of these tests has a bound on memory.
    pub(crate) fn ready(&self, reference: &str) -> Result<Arc<LiveModel>, ModelError> {
        match self.registry.ready(reference, &self.admin)? {
            Served::Live(live) => Ok(live),
            Served::Away(served) => panic!("{served:?} is out of memory"),
            Served::Recorded(_) => panic!("a recording runs no model"),
        }
    }

    pub(crate) fn active(&self, name: &str) -> Option<String> {
        self.ready(name)
            .ok()
            .map(|live| live.id.version.to_string())
    }

    pub(crate) fn state(&self, reference: &str) -> VersionState {
        self.registry
            .version(&id(reference), &self.admin)
            .unwrap()
            .state
    }

    /// How many bytes a model says that it keeps, which is a `loads_assets`.
    pub(crate) async fn kept_bytes(&self, reference: &str) -> u64 {
        let live = self.ready(reference).unwrap();
        let request = CheckedRequest::new(Request {
            inputs: Vec::new(),
            outputs: Vec::new(),
            parameters: Vec::new(),
        })
        .unwrap();
        let label = RunLabel::new("test");
        let answer = live.model.infer(request, &live.budget, &label).await;
        let outputs = answer.unwrap().value.outputs;
        let total = outputs
            .iter()
            .find(|output| output.name == "total")
            .unwrap();
        u64::from_le_bytes(total.data[..].try_into().unwrap())
    }

    pub(crate) async fn activate(&self, reference: &str) {
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
pub(crate) async fn open_db(directory: &Path) -> Db {
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

pub(crate) fn sandbox() -> Sandbox {
    Sandbox::start(SandboxConfig {
        slot: SlotCaps {
            memory_bytes_max: 256 << 20,
            ..SandboxConfig::default().slot
        },
        runs_max: 16,
        slot_reset: SlotResetChoice::KeepResident,
        ..SandboxConfig::default()
    })
    .unwrap()
}

pub(crate) fn config() -> Config {
    let mut config = Config {
        fake: false,
        echo: false,
        ..Config::default()
    };
    config.policy.budget.memory_bytes_max = 256 << 20;
    config
}

pub(crate) async fn key(keys: &KeyStore, scopes: &str, models: Option<&str>) -> Caller {
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

pub(crate) fn id(reference: &str) -> ModelId {
    reference.parse().unwrap()
}

/// Runs `echo` and looks whether it echoes.
pub(crate) async fn works(live: &LiveModel) -> bool {
    let tensor = Tensor {
        name: "x".to_owned(),
        datatype: Datatype::Uint8,
        shape: vec![3],
        data: vec![1, 2, 3],
    };
    let request = CheckedRequest::new(Request {
        inputs: vec![tensor],
        outputs: Vec::new(),
        parameters: Vec::new(),
    })
    .unwrap();
    let label = RunLabel::new("test");
    let answer = live.model.infer(request, &live.budget, &label).await;
    answer.is_ok_and(|answer| answer.value.outputs[0].data == [1, 2, 3])
}

/// Files that are compiled models.
pub(crate) fn artefacts(directory: &Path) -> usize {
    let entries = fs::read_dir(directory.join("artefacts")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|it| it == "cwasm"))
        .count()
}

/// Deleting happens in the background.
pub(crate) async fn wait_for(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}
