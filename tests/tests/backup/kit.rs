//! What these tests share: servers, the program's commands, and what comes of them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use belljar_tests::{Answer, Client, ServerProcess, TestBundle, command};
use reqwest::Method;
use serde_json::{Value, json};

/// A folder of a test, with the places in it.
pub(crate) struct Ground(tempfile::TempDir);

impl Ground {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A server without the model that takes longest to compile.
    pub(crate) async fn server(&self, name: &str) -> ServerProcess {
        self.server_with(name, |_| {}).await
    }

    pub(crate) async fn server_with(
        &self,
        name: &str,
        prepare: impl FnOnce(&mut Command),
    ) -> ServerProcess {
        ServerProcess::start_with(&self.path(name), |command| {
            command.env("BELLJAR_EMBEDDED_FAKE", "false");
            prepare(command);
        })
        .await
    }

    /// The names of all that is in the folder.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}

/// Runs the program.
pub(crate) fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    command().args(arguments).output().unwrap()
}

/// The command that makes a backup of the server of a data directory.
pub(crate) fn backup_command(data: &Path, file: &Path) -> Command {
    let mut command = command();
    command.arg("backup").arg(file).arg("--data-dir").arg(data);
    command
}

pub(crate) fn backup(data: &Path, file: &Path) {
    done(backup_command(data, file).output().unwrap());
}

/// Makes a backup as soon as the server has noticed that who asked for the one before has left.
pub(crate) async fn backup_after_others(data: &Path, file: &Path) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !backup_command(data, file)
        .output()
        .unwrap()
        .status
        .success()
    {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn restore_command(file: &Path, data: &Path) -> Command {
    let mut command = command();
    command.arg("restore").arg(file).arg("--data-dir").arg(data);
    command
}

pub(crate) fn restore(file: &Path, data: &Path) -> Value {
    let output = restore_command(file, data).arg("--json").output().unwrap();
    serde_json::from_str(&done(output)).unwrap()
}

/// What a command that worked has printed.
#[track_caller]
pub(crate) fn done(output: Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a command that did not work has told.
#[track_caller]
pub(crate) fn refused(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    error
}

/// The tar that a server answers with.
pub(crate) async fn taken(admin: &Client) -> Answer {
    let request = admin.request(Method::POST, "/admin/backup");
    let answer = admin.send(request).await.unwrap();
    answer.expect_status(200)
}

pub(crate) async fn upload(admin: &Client, name: &str, version: &str, asset: &[u8]) -> Answer {
    let bundle = TestBundle::echo(name, version).with_asset("a", asset);
    admin.upload(bundle.tar()).await.expect_status(201)
}

/// Uploads a bundle whose files are kept apart.
pub(crate) async fn upload_private(
    admin: &Client,
    name: &str,
    version: &str,
    asset: &[u8],
) -> Answer {
    let bundle = TestBundle::echo(name, version).with_line("private = true");
    let bundle = bundle.with_asset("a", asset);
    admin.upload(bundle.tar()).await.expect_status(201)
}

pub(crate) async fn make_key(admin: &Client, more: Value) -> (String, String) {
    let mut ask = json!({"name": "n", "scopes": ["infer"]});
    for (name, value) in more.as_object().unwrap() {
        ask[name] = value.clone();
    }
    let made = admin.post("/admin/keys", &ask).await.expect_status(201);
    let made = made.json();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

pub(crate) async fn infer(caller: &Client, model: &str) -> Answer {
    let ask = json!({"model": model, "inputs": {"x": [[1, 2], [3, 4]]}});
    caller.post("/infer", &ask).await
}
