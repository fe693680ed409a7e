//! `belljar fsck`: each thing that can be wrong with files is done by hand, found, put right, and found
//! no more; and the server starts on what is left. Rows are tested beside the checks.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use belljar_bundle::Digest;
use belljar_tests::{TestBundle, command, guests};
use serde_json::{Value, json};

use crate::kit::{Ground, infer, upload, upload_private};

fn fsck(data: &Path, repair: &[&str]) -> Output {
    let mut command = command();
    command.args(["fsck", "--json", "--data-dir"]).arg(data);
    if !repair.is_empty() {
        command.arg("--repair").arg(repair.join(","));
    }
    command.output().unwrap()
}

/// The names of what is found.
#[track_caller]
fn found(output: &Output) -> Vec<String> {
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let findings = report["findings"].as_array().unwrap();
    let names = findings
        .iter()
        .map(|finding| finding["check"].as_str().unwrap().to_owned());
    let names: Vec<String> = names.collect();
    assert_eq!(
        output.status.code(),
        Some(i32::from(!names.is_empty())),
        "{report}"
    );
    names
}

fn blob(data: &Path, content: &[u8]) -> PathBuf {
    let hex = Digest::of(content).hex();
    data.join("bundles/blobs/sha256").join(&hex[..2]).join(&hex)
}

/// A data directory of a server that was stopped, with one model beside its own.
async fn stopped(ground: &Ground) -> PathBuf {
    let server = ground.server("data").await;
    upload(&server.admin(), "m", "1.0.0", b"an asset").await;
    let data = server.data_dir().to_owned();
    assert!(server.terminate().await.success());
    data
}

#[tokio::test]
async fn what_is_wrong_with_files_is_found_and_put_right() {
    let ground = Ground::new();
    let data = stopped(&ground).await;
    assert_eq!(found(&fsck(&data, &[])), [""; 0]);
    let artefact = |extension: &str| {
        let entries = fs::read_dir(data.join("artefacts")).unwrap();
        let mut paths = entries.map(|entry| entry.unwrap().path());
        paths
            .find(|path| path.extension().is_some_and(|it| it == extension))
            .unwrap()
    };
    let stray = blob(&data, b"nobody's");
    fs::create_dir_all(stray.parent().unwrap()).unwrap();
    let close = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
    close(stray.parent().unwrap());
    let cases: [(&str, &dyn Fn(), &str); 9] = [
        (
            "blob_unreferenced",
            &|| fs::write(&stray, b"nobody's").unwrap(),
            "bundles/blobs/sha256",
        ),
        (
            "file_strange",
            &|| fs::write(data.join("bundles/blobs/sha256/notes"), b"x").unwrap(),
            "notes",
        ),
        (
            "leftover",
            &|| {
                let left = data.join("bundles/staging/receive-x");
                fs::create_dir(&left).unwrap();
                close(&left);
                fs::write(left.join("f"), b"x").unwrap();
            },
            "",
        ),
        (
            "leftover",
            &|| fs::write(data.join("backup.db.new"), b"x").unwrap(),
            "",
        ),
        (
            "leftover",
            &|| fs::write(data.join("artefacts/staging-x"), b"x").unwrap(),
            "",
        ),
        (
            "artefact_damaged",
            &|| {
                let path = artefact("cwasm");
                let mut bytes = fs::read(&path).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                fs::write(path, bytes).unwrap();
            },
            "",
        ),
        (
            "artefact_unreferenced",
            &|| fs::write(data.join("artefacts/what.cwasm"), b"x").unwrap(),
            "",
        ),
        (
            "open_to_others",
            &|| {
                let blobs = data.join("bundles/blobs");
                fs::set_permissions(blobs, fs::Permissions::from_mode(0o755)).unwrap();
            },
            "",
        ),
        (
            "mark_disagrees",
            &|| fs::remove_file(data.join("directory.json")).unwrap(),
            "",
        ),
    ];
    for (name, harm, kept) in cases {
        harm();
        let output = fsck(&data, &[]);
        assert!(
            found(&output).iter().all(|found| found == name),
            "{name}: {:?}",
            found(&output)
        );
        assert!(!found(&output).is_empty(), "{name}");
        // Another repair leaves it.
        let other = if name == "leftover" {
            "row_dangling"
        } else {
            "leftover"
        };
        assert!(!found(&fsck(&data, &[other])).is_empty(), "{name}");
        assert_eq!(found(&fsck(&data, &[name])), [""; 0], "{name}");
        assert_eq!(found(&fsck(&data, &[])), [""; 0], "{name}");
        let lost = data.join("lost+found");
        assert_eq!(lost.exists(), !kept.is_empty() || lost.exists(), "{name}");
    }
    let lost = data.join("lost+found");
    let kept = lost.join(stray.strip_prefix(&data).unwrap());
    assert_eq!(fs::read(kept).unwrap(), b"nobody's");
    assert_eq!(
        fs::read(lost.join("bundles/blobs/sha256/notes")).unwrap(),
        b"x"
    );
    let server = ground.server("data").await;
    infer(&server.anonymous(), "m").await.expect_status(200);
}

#[tokio::test]
async fn a_damaged_bundle_is_set_aside_and_can_be_uploaded_again() {
    let ground = Ground::new();
    let server = ground.server("data").await;
    let admin = server.admin();
    upload(&admin, "m", "1.0.0", b"an asset").await;
    // Without it the server is ready.
    let _ = admin
        .post("/models/m/deactivate", &json!({}))
        .await
        .expect_status(200);
    let data = server.data_dir().to_owned();
    assert!(server.terminate().await.success());
    let asset = blob(&data, b"an asset");
    fs::write(&asset, b"an asseT").unwrap();
    assert_eq!(found(&fsck(&data, &[])), ["blob_damaged", "bundle_missing"]);
    assert_eq!(found(&fsck(&data, &["blob_damaged"])), ["bundle_missing"]);
    let kept = data
        .join("lost+found")
        .join(asset.strip_prefix(&data).unwrap());
    assert_eq!(fs::read(kept).unwrap(), b"an asseT");
    assert_eq!(found(&fsck(&data, &["all"])), [""; 0]);
    let server = ground.server("data").await;
    let admin = server.admin();
    let shown = admin.get("/models/m/1.0.0").await.json();
    assert_eq!(shown["error"]["code"], "files_damaged", "{shown}");
    upload(&admin, "m", "1.0.0", b"an asset").await;
    infer(&server.anonymous(), "m").await.expect_status(200);
}

#[tokio::test]
async fn files_of_a_private_bundle_are_looked_at_like_all_others() {
    let ground = Ground::new();
    let server = ground.server("data").await;
    let admin = server.admin();
    upload(&admin, "m", "1.0.0", b"an asset").await;
    upload_private(&admin, "private", "1.0.0", b"an asset").await;
    let data = server.data_dir().to_owned();
    assert!(server.terminate().await.success());
    assert_eq!(found(&fsck(&data, &[])), [""; 0]);
    let apart = data.join("bundles/blobs/apart");
    let bundle = fs::read_dir(&apart)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let asset = bundle.join(Digest::of(b"an asset").hex());
    // Another one's is none of it.
    let other = blob(&data, b"an asset");
    fs::write(&asset, b"an asseT").unwrap();
    assert_eq!(found(&fsck(&data, &[])), ["blob_damaged", "bundle_missing"]);
    fs::copy(&other, &asset).unwrap();
    assert_eq!(found(&fsck(&data, &[])), [""; 0]);
    fs::write(apart.join("notes"), b"x").unwrap();
    assert_eq!(found(&fsck(&data, &["file_strange"])), [""; 0]);
    let nobodys = apart.join("00".repeat(32));
    fs::create_dir(&nobodys).unwrap();
    fs::set_permissions(&nobodys, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(nobodys.join(Digest::of(b"x").hex()), b"x").unwrap();
    assert_eq!(found(&fsck(&data, &[])), ["blob_unreferenced"]);
    assert_eq!(found(&fsck(&data, &["all"])), [""; 0]);
    let server = ground.server("data").await;
    infer(&server.anonymous(), "private")
        .await
        .expect_status(200);
    // The next start has cleared what was left of nobody's.
    infer(&server.anonymous(), "m").await.expect_status(200);
}

#[tokio::test]
async fn what_is_compiled_of_a_base_belongs_to_the_versions_on_it() {
    let ground = Ground::new();
    let server = ground.server("data").await;
    let component = guests::bytes("loads_assets");
    let base = TestBundle::new("keeper", "1.0.0", &component).with_line("is_base = true");
    let admin = server.admin();
    let _ = admin.upload(base.tar()).await.expect_status(201);
    let data = server.data_dir().to_owned();
    assert!(server.terminate().await.success());
    assert_eq!(found(&fsck(&data, &["all"])), [""; 0]);
    let compiled = fs::read_dir(data.join("artefacts")).unwrap();
    let compiled = compiled.map(|entry| entry.unwrap().path());
    let of_base = compiled.filter(|path| path.extension().is_some_and(|it| it == "cwasm"));
    // The embedded one, the base, and two that are for all models on it.
    assert_eq!(of_base.count(), 4);
}

#[tokio::test]
async fn what_cannot_be_repaired_is_told() {
    let ground = Ground::new();
    let data = stopped(&ground).await;
    let log = data.join("audit.log");
    let text = fs::read_to_string(&log).unwrap();
    fs::write(&log, text.replacen("model_uploaded", "model_activated", 1)).unwrap();
    assert_eq!(found(&fsck(&data, &["all"])), ["audit_broken"]);
    fs::write(&log, text).unwrap();
    assert_eq!(found(&fsck(&data, &[])), [""; 0]);
    for name in ["audit_broken", "nothing"] {
        let output = fsck(&data, &[name]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
    let mut database = fs::read(data.join("belljar.db")).unwrap();
    let middle = database.len() / 2;
    database[middle..].fill(0xff);
    fs::write(data.join("belljar.db"), database).unwrap();
    let names = found(&fsck(&data, &["all"]));
    assert_eq!(names, ["database_damaged"]);
    assert!(
        !data.join("lost+found").exists(),
        "without rows no file is known to be nobody's"
    );
}

#[tokio::test]
async fn a_directory_that_a_server_has_is_not_examined() {
    let ground = Ground::new();
    let server = ground.server("data").await;
    let output = fsck(server.data_dir(), &["all"]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("in use by another belljar server"), "{told}");
    let nothing = fsck(&ground.path("nothing"), &[]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(!ground.path("nothing").exists());
}

#[tokio::test]
async fn repairs_that_are_killed_are_gone_on_with() {
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};
    let ground = Ground::new();
    let data = stopped(&ground).await;
    let mut random = StdRng::seed_from_u64(9);
    let mut strays = Vec::new();
    for round in 0..12_u32 {
        for number in 0..20_u32 {
            let content = format!("stray {round} {number}").into_bytes();
            let path = blob(&data, &content);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o700)).unwrap();
            fs::write(&path, &content).unwrap();
            strays.push((path, content));
        }
        let mut command = command();
        command
            .args(["fsck", "--repair", "all", "--data-dir"])
            .arg(&data);
        command.stdout(std::process::Stdio::null());
        let mut child = command.spawn().unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(
            random.random_range(0..150),
        ))
        .await;
        let _ = child.kill();
        child.wait().unwrap();
    }
    assert_eq!(found(&fsck(&data, &["all"])), [""; 0]);
    // Each is where it was put, whole.
    for (path, content) in strays {
        let kept = data
            .join("lost+found")
            .join(path.strip_prefix(&data).unwrap());
        assert_eq!(fs::read(kept).unwrap(), content);
    }
    let server = ground.server("data").await;
    infer(&server.anonymous(), "m").await.expect_status(200);
}
