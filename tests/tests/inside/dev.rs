//! `belljar dev`: a project that is served while it is worked on.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use belljar::embedded::ECHO_COMPONENT;
use belljar_tests::{Answer, Client, TestHost, command, guests, warm_up};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::kit::Desk;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

const MANIFEST: &str = "schema = 1\nname = 'mine'\nversion = '0.1.0'\ncomponent = 'model.wasm'\n";

/// What stands for a compiler: it fails, waits for ever, or copies.
const BUILD: &str = "if [ -e src/broken ]; then echo 'error: it is broken' >&2; exit 3; fi; \
     if [ -e src/slow ]; then echo $$ > .pid; sleep 1000; fi; cp src/model model.wasm";

/// The command while it runs. Ended when dropped.
pub(crate) struct Dev(Child);

impl Dev {
    /// With what stands for a compiler.
    fn start(desk: &Desk, arguments: &[&str]) -> Self {
        Self::start_as_it_is(desk, &[&["--build", BUILD], arguments].concat())
    }

    pub(crate) fn start_as_it_is(desk: &Desk, arguments: &[&str]) -> Self {
        let child = command()
            .args(["dev", "mine"])
            .args(arguments)
            .current_dir(desk.path(""))
            .env("HOME", desk.path(""))
            .env("BELLJAR_DATA_DIR", desk.path("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// Ends it as a service manager does, and gives what it has printed.
    pub(crate) fn end(mut self) -> String {
        kill(self.0.id(), Signal::TERM);
        let status = self.0.wait().unwrap();
        let mut printed = String::new();
        self.0
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut printed)
            .unwrap();
        let mut told = String::new();
        self.0
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut told)
            .unwrap();
        assert!(status.success(), "{status}: {printed}\n{told}");
        printed
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            kill(self.0.id(), Signal::TERM);
            let _ = self.0.wait();
        }
    }
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).unwrap()).unwrap()
}

fn kill(id: u32, signal: Signal) {
    let _ = kill_process(pid(id), signal);
}

/// Whether a process is there and is no zombie.
fn runs(id: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// Waits until something can be told.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(since.elapsed() < PATIENCE, "{what} does not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The server that the command has started, once it is there: its process, and who asks it.
async fn own_server(data: &Path) -> (u32, Client) {
    until("a server", async || {
        let text = fs::read(data.join("server.json")).ok()?;
        let file: Value = serde_json::from_slice(&text).ok()?;
        let address = file["url"]
            .as_str()?
            .strip_prefix("http://")?
            .parse()
            .ok()?;
        let key = fs::read_to_string(data.join("admin.key")).ok()?;
        let id = u32::try_from(file["pid"].as_u64()?).ok()?;
        Some((id, Client::new(address, Some(key.trim()))))
    })
    .await
}

async fn ended(id: u32) {
    until("an end", async || (!runs(id)).then_some(())).await;
}

async fn ask(client: &Client) -> Answer {
    let body = json!({"model": "mine", "inputs": {"x": [5]}});
    client.post("/infer", &body).await
}

/// Waits until a version is the active one, and gives all that there are.
async fn active(client: &Client, version: &str) -> Vec<String> {
    until(version, async || {
        let model = client.get("/models/mine").await;
        let model = (model.status == 200).then(|| model.json())?;
        let versions = model["versions"].as_array()?.iter();
        let versions = versions.map(|it| it["version"].as_str().unwrap().to_owned());
        (model["active"] == version).then(|| versions.collect())
    })
    .await
}

/// Waits until answers tell of a failure with these words.
async fn told(client: &Client, words: &str) {
    until(words, async || {
        let answer = ask(client).await;
        let told = answer.header("x-belljar-dev-error").to_owned();
        (answer.status == 200 && told.contains(words)).then_some(())
    })
    .await;
}

fn project() -> Desk {
    let desk = Desk::new();
    desk.write("mine/model.toml", MANIFEST);
    desk.write("mine/src/model", ECHO_COMPONENT);
    desk
}

#[tokio::test(flavor = "multi_thread")]
async fn saves_become_versions_and_what_fails_is_told_while_the_last_good_one_serves() {
    let desk = project();
    warm_up(&desk.path("data")).await;
    let dev = Dev::start(&desk, &[]);
    let (server, client) = own_server(&desk.path("data")).await;
    active(&client, "0.1.0-dev.1").await;
    assert_eq!(ask(&client).await.json()["outputs"]["x"], json!([5]));
    // A build that fails.
    desk.write("mine/src/broken", "");
    told(&client, "the build ended with 3: error: it is broken").await;
    active(&client, "0.1.0-dev.1").await;
    // Back to what serves: nothing is pushed, and nothing told any more.
    fs::remove_file(desk.path("mine/src/broken")).unwrap();
    until("no header", async || {
        let answer = ask(&client).await;
        answer
            .header("x-belljar-dev-error")
            .is_empty()
            .then_some(())
    })
    .await;
    // Another content is another version, and the one before goes.
    desk.write("mine/src/model", guests::bytes("counter"));
    active(&client, "0.1.0-dev.2").await;
    until("one version", async || {
        (active(&client, "0.1.0-dev.2").await == ["0.1.0-dev.2"]).then_some(())
    })
    .await;
    assert_eq!(ask(&client).await.json()["outputs"]["count"], json!(1));
    // What is built and cannot be served is told as well, and is not kept.
    desk.write("mine/src/model", guests::bytes("forbidden_import"));
    told(&client, "evil:host/backdoor").await;
    until("one version", async || {
        (active(&client, "0.1.0-dev.2").await == ["0.1.0-dev.2"]).then_some(())
    })
    .await;
    // What can not even be packed is told, too.
    desk.write("mine/src/model", "no component");
    told(&client, "not a WebAssembly component").await;
    // The next version of the project gets numbers of its own, and what was before it goes.
    desk.write("mine/src/model", ECHO_COMPONENT);
    desk.write("mine/model.toml", MANIFEST.replace("0.1.0", "0.2.0"));
    until("one version", async || {
        (active(&client, "0.2.0-dev.1").await == ["0.2.0-dev.1"]).then_some(())
    })
    .await;
    assert_eq!(ask(&client).await.header("x-belljar-dev-error"), "");
    let printed = dev.end();
    for line in printed.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(printed.contains("started for this"), "{printed}");
    assert!(
        printed.contains("FAILED") && printed.contains("it is broken"),
        "{printed}"
    );
    assert!(!runs(server), "the server that it has started ends with it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_ends_the_build_before_it_and_so_does_the_end_of_the_command() {
    let desk = project();
    let host = TestHost::start().await;
    let server = format!("http://{}", host.address());
    let key = host.data_dir().join("admin.key");
    let key = key.to_str().unwrap();
    let dev = Dev::start(&desk, &["--server", &server, "--admin-key-file", key]);
    let client = host.admin();
    active(&client, "0.1.0-dev.1").await;
    let build = async || {
        until("a build", async || {
            let text = fs::read_to_string(desk.path("mine/.pid")).ok()?;
            text.trim().parse::<u32>().ok()
        })
        .await
    };
    desk.write("mine/src/slow", "");
    let first = build().await;
    fs::remove_file(desk.path("mine/.pid")).unwrap();
    desk.write("mine/src/slow", "more");
    let second = build().await;
    ended(first).await;
    assert!(runs(second));
    // The server is somebody else's: it stays, and tells of nothing that nobody mends.
    desk.write("mine/src/broken", "");
    told(&client, "it is broken").await;
    ended(second).await;
    fs::remove_file(desk.path("mine/.pid")).unwrap();
    fs::remove_file(desk.path("mine/src/broken")).unwrap();
    let third = build().await;
    let printed = dev.end();
    ended(third).await;
    assert!(!printed.contains("started for this"), "{printed}");
    let answer = ask(&client).await;
    assert_eq!(
        (answer.status, answer.header("x-belljar-dev-error")),
        (200, "")
    );
}

#[tokio::test]
async fn a_folder_without_a_project_is_refused_at_once() {
    let desk = Desk::new();
    desk.write("empty/readme", "");
    for folder in ["empty", "none"] {
        let output = desk.run(&["dev", folder]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
}

#[tokio::test]
async fn who_may_upload_has_answers_tell_of_a_failure_until_another_version_is_active() {
    let host = TestHost::start().await;
    let admin = host.admin();
    for version in ["1.0.0", "1.1.0"] {
        let bundle = belljar_tests::TestBundle::echo("mine", version);
        let _ = admin.upload(bundle.tar()).await.expect_status(201);
    }
    let path = "/models/mine/dev-error";
    let message = json!({"message": "error:\n caf\u{e9}\t[2J"});
    let put = async |client: &Client, path: &str, body: &Value| {
        let request = client.request(reqwest::Method::PUT, path).json(body);
        client.send(request).await.unwrap()
    };
    let reader = host.key("infer,models:read").await;
    assert_eq!(put(&reader, path, &message).await.status, 403);
    let other = host.key_for("models:write", Some(&["another"])).await;
    assert_eq!(put(&other, path, &message).await.status, 404);
    assert_eq!(
        put(&admin, "/models/none/dev-error", &message).await.status,
        404
    );
    assert_eq!(put(&admin, path, &json!({"message": 1})).await.status, 400);
    let noted = put(&admin, path, &message).await.expect_status(200).json();
    assert_eq!(noted["model"], "mine@1.1.0");
    assert_eq!(noted["message"], "error: caf? [2J");
    // Of this model, and of its active version, for whoever asks.
    let answer = ask(&host.anonymous()).await.expect_status(200);
    assert_eq!(answer.header("x-belljar-dev-error"), "error: caf? [2J");
    for other in ["mine@1.0.0", "echo"] {
        let body = json!({"model": other, "inputs": {"x": [5]}});
        let answer = admin.post("/infer", &body).await.expect_status(200);
        assert_eq!(answer.header("x-belljar-dev-error"), "", "{other}");
    }
    let _ = admin.delete(path).await.expect_status(204);
    assert_eq!(ask(&admin).await.header("x-belljar-dev-error"), "");
    let _ = put(&admin, path, &message).await.expect_status(200);
    for version in ["1.0.0", "1.1.0"] {
        let path = format!("/models/mine/{version}/activate");
        let _ = admin.post(&path, &json!({})).await.expect_status(200);
        assert_eq!(
            ask(&admin).await.header("x-belljar-dev-error"),
            "",
            "{version}"
        );
    }
}
