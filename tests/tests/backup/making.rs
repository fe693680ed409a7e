//! `belljar backup` and `POST /admin/backup`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use belljar_tests::ServerProcess;
use futures_util::StreamExt as _;
use reqwest::Method;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

use crate::kit::{
    Ground, backup, backup_command, done, make_key, refused, restore, run, taken, upload,
};

/// The audit log of a server that has stopped: all that has happened is in it then.
async fn record_of(server: ServerProcess) -> String {
    let data = server.data_dir().to_owned();
    assert!(server.terminate().await.success());
    fs::read_to_string(data.join("audit.log")).unwrap()
}

#[tokio::test]
async fn a_backup_is_a_whole_file_of_its_owner_and_replaces_none() {
    let ground = Ground::new();
    let server = ground.server("data").await;
    upload(&server.admin(), "m", "1.0.0", b"asset").await;
    let file = ground.path("b.tar");
    let output = backup_command(server.data_dir(), &file)
        .arg("--json")
        .output();
    let report: Value = serde_json::from_str(&done(output.unwrap())).unwrap();
    let bytes = fs::metadata(&file).unwrap().len();
    assert_eq!(report["bytes"], bytes, "{report}");
    assert_eq!(report["model_versions"], 2, "{report}");
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    // The list comes first, and a tar of the system reads it.
    let listed = Command::new("tar").arg("-tf").arg(&file).output().unwrap();
    let listed = done(listed);
    assert!(
        listed.starts_with("belljar-backup.json\ndirectory.json\n"),
        "{listed}"
    );
    assert!(listed.ends_with("belljar-backup.end\n"), "{listed}");
    for secret in ["artefacts", "server.json", "lock"] {
        assert!(!listed.contains(secret), "{listed}");
    }
    // It stays as it is.
    let told = refused(&backup_command(server.data_dir(), &file).output().unwrap());
    assert!(told.contains("is there already"), "{told}");
    assert_eq!(fs::metadata(&file).unwrap().len(), bytes);
    upload(&server.admin(), "m", "2.0.0", b"another").await;
    let again = backup_command(server.data_dir(), &file)
        .arg("--force")
        .output();
    done(again.unwrap());
    assert!(fs::metadata(&file).unwrap().len() > bytes);
    assert_eq!(ground.names(), ["b.tar", "data", "data.log"]);
    let checked = run([&"restore".into(), &"--check".into(), &file]);
    assert!(done(checked).contains("3 model versions"));
}

#[tokio::test]
async fn a_backup_goes_to_stdout_for_what_encrypts_it() {
    let ground = Ground::new();
    let server = ground.server("data").await;
    let output = backup_command(server.data_dir(), "-".as_ref())
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("every digest was checked"));
    assert_eq!(output.status.code(), Some(0));
    fs::write(ground.path("b.tar"), &output.stdout).unwrap();
    restore(&ground.path("b.tar"), &ground.path("there"));
}

#[tokio::test]
async fn a_stopped_server_is_backed_up_and_not_changed() {
    let ground = Ground::new();
    let server = ground.server("data").await;
    upload(&server.admin(), "m", "1.0.0", b"asset").await;
    let data = server.data_dir().to_owned();
    // As a power cut would: what is in the log of the database belongs to it.
    server.kill();
    let mark = fs::read(data.join("directory.json")).unwrap();
    backup(&data, &ground.path("b.tar"));
    assert_eq!(fs::read(data.join("directory.json")).unwrap(), mark);
    assert!(!data.join("backup.db.new").exists());
    let report = restore(&ground.path("b.tar"), &ground.path("there"));
    assert_eq!(report["model_versions"], 2, "{report}");
    let none = backup_command(&ground.path("nothing"), &ground.path("c.tar")).output();
    let told = refused(&none.unwrap());
    assert!(told.contains("no server runs on"), "{told}");
    assert!(!ground.path("nothing").exists(), "nothing was made");
}

#[tokio::test]
async fn a_server_without_models_is_backed_up() {
    let ground = Ground::new();
    let without = |command: &mut Command| {
        command.env("BELLJAR_EMBEDDED_ECHO", "false");
    };
    let server = ground.server_with("data", without).await;
    let (_, key) = make_key(&server.admin(), json!({"scopes": ["models:read"]})).await;
    backup(server.data_dir(), &ground.path("b.tar"));
    let report = restore(&ground.path("b.tar"), &ground.path("there"));
    assert_eq!(report["model_versions"], 0, "{report}");
    let restored = ground.server_with("there", without).await;
    restored
        .with_key(&key)
        .get("/models")
        .await
        .expect_status(200);
}

/// Acts: `backup.rate_max`.
#[tokio::test]
async fn one_administrator_at_a_time_takes_a_backup_and_each_is_on_record() {
    let ground = Ground::new();
    // Slow enough that the first is under way while others ask.
    let server = ground
        .server_with("data", |command| {
            command.env("BELLJAR_BACKUP_RATE_MAX", "64 KiB");
        })
        .await;
    let admin = server.admin();
    upload(&admin, "m", "1.0.0", &vec![7; 4 << 20]).await;
    let (_, key) = make_key(&admin, json!({"scopes": ["infer", "models:write"]})).await;
    let ask = |client: &belljar_tests::Client| client.request(Method::POST, "/admin/backup");
    let other = server.with_key(&key);
    let denied = other.send(ask(&other)).await.unwrap();
    denied.expect_status(403);
    let first = ask(&admin).send().await.unwrap();
    assert_eq!(first.status().as_u16(), 200);
    let length = first.content_length().unwrap();
    assert!(length > 4 << 20, "{length}");
    let busy = admin.send(ask(&admin)).await.unwrap().expect_status(409);
    assert_eq!(busy.code(), "backup_running");
    // Requests are served meanwhile, and who leaves makes room for the next.
    crate::kit::infer(&other, "m").await.expect_status(200);
    let mut body = first.bytes_stream();
    assert!(!body.next().await.unwrap().unwrap().is_empty());
    drop(body);
    let deadline = Instant::now() + Duration::from_secs(60);
    // Kept, so that it does not end as well.
    let second = loop {
        let next = ask(&admin).send().await.unwrap();
        if next.status().as_u16() == 200 {
            break next;
        }
        assert!(Instant::now() < deadline, "the first is still at it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let text = admin.get("/metrics").await.text();
    assert!(
        text.contains(r#"belljar_backups_total{outcome="left"} 1"#),
        "{text}"
    );
    drop(second);
    let log = record_of(server).await;
    assert_eq!(log.matches("\"backup_begun\"").count(), 2, "{log}");
    assert!(log.contains(r#""outcome":"left""#), "{log}");
}

/// Acts: `backup.time_max`.
#[tokio::test]
async fn a_backup_that_takes_too_long_is_broken_off_and_is_none() {
    let ground = Ground::new();
    let server = ground
        .server_with("data", |command| {
            command.env("BELLJAR_BACKUP_RATE_MAX", "64 KiB");
            command.env("BELLJAR_BACKUP_TIME_MAX", "300 ms");
        })
        .await;
    upload(&server.admin(), "m", "1.0.0", &vec![7; 4 << 20]).await;
    let file = ground.path("b.tar");
    let told = refused(&backup_command(server.data_dir(), &file).output().unwrap());
    assert!(told.contains("no backup was made"), "{told}");
    assert_eq!(ground.names(), ["data", "data.log"]);
    let log = record_of(server).await;
    assert!(log.contains(r#""outcome":"too_slow""#), "{log}");
}

#[tokio::test]
async fn a_full_disk_makes_no_backup_and_takes_nothing() {
    let ground = Ground::new();
    let server = ground
        .server_with("data", |command| {
            command.stderr(std::process::Stdio::null());
        })
        .await;
    let admin = server.admin();
    upload(&admin, "m", "1.0.0", &vec![7; 1 << 20]).await;
    let cap = |bytes| {
        let pid = Pid::from_raw(i32::try_from(server.pid()).unwrap());
        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        prlimit(pid, Resource::Fsize, limit).unwrap();
    };
    cap(Some(1));
    let request = admin.request(Method::POST, "/admin/backup");
    let full = admin.send(request).await.unwrap().expect_status(507);
    assert_eq!(full.code(), "disk_full");
    assert!(!server.data_dir().join("backup.db.new").exists());
    cap(None);
    // Where it is written there is no room: the signal is ignored, as it is by a server.
    let file = ground.path("b.tar");
    let mut capped = Command::new("sh");
    let whole = backup_command(server.data_dir(), &file);
    capped
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\""])
        .arg(whole.get_program())
        .args(whole.get_args());
    let told = refused(&capped.output().unwrap());
    assert!(told.contains("no backup was made"), "{told}");
    assert!(
        ground.names().iter().all(|name| !name.contains("backup")),
        "{:?}",
        ground.names()
    );
    assert!(!file.exists());
    // So where it is restored.
    backup(server.data_dir(), &file);
    let mut capped = Command::new("sh");
    let whole = crate::kit::restore_command(&file, &ground.path("there"));
    capped
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\""])
        .arg(whole.get_program())
        .args(whole.get_args());
    refused(&capped.output().unwrap());
    assert_eq!(ground.names(), ["b.tar", "data", "data.log"]);
    restore(&file, &ground.path("there"));
}

#[tokio::test]
async fn a_damaged_model_is_named_and_a_backup_that_has_it_is_refused() {
    let ground = Ground::new();
    let server = ground.server("data").await;
    let admin = server.admin();
    let asset = b"an asset that will be another one";
    upload(&admin, "m", "1.0.0", asset).await;
    let hex = belljar_bundle::Digest::of(asset).hex();
    let blob = server
        .data_dir()
        .join("bundles/blobs/sha256")
        .join(&hex[..2])
        .join(&hex);
    let file = ground.path("b.tar");
    fs::write(&blob, b"an asset that has become another.").unwrap();
    let told = refused(&backup_command(server.data_dir(), &file).output().unwrap());
    assert!(told.contains(&hex), "{told}");
    fs::remove_file(&blob).unwrap();
    let told = refused(&backup_command(server.data_dir(), &file).output().unwrap());
    assert!(
        told.contains("m@1.0.0") && told.contains("model_files_damaged"),
        "{told}"
    );
    assert!(!file.exists());
    admin.delete("/models/m").await.expect_status(204);
    assert_eq!(
        taken(&admin).await.header("content-type"),
        "application/x-tar"
    );
}
