//! What a project folder may lead to: its own files, and nothing else of who packs it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use belljar_bundle::pack::pack_folder;

const WASM: &[u8] = b"\0asm\x0d\0\x01\0 a component";
const SECRET: &str = "a private key";

/// A project in `project/`, and beside it what is not its own.
fn project(root: &Path, assets: &str) {
    fs::create_dir_all(root.join("project/assets/d")).unwrap();
    fs::create_dir_all(root.join("elsewhere")).unwrap();
    fs::write(root.join("elsewhere/key"), SECRET).unwrap();
    fs::write(root.join("project/model.wasm"), WASM).unwrap();
    let manifest = format!(
        "schema = 1\nname = \"m\"\nversion = \"1.0.0\"\ncomponent = \"model.wasm\"\n{assets}"
    );
    fs::write(root.join("project/model.toml"), manifest).unwrap();
}

/// Packs in a thread of its own, because a pipe would block it.
fn pack(root: &Path) -> Result<Vec<u8>, String> {
    let (sender, receiver) = mpsc::channel();
    let folder = root.join("project");
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let packed = pack_folder(&folder, None, &mut bytes);
        sender.send(packed.map(|_| bytes).map_err(|error| error.to_string()))
    });
    receiver
        .recv_timeout(Duration::from_secs(20))
        .expect("packing does not block")
}

fn refused(root: &Path, name: &str, words: &str) {
    match pack(root) {
        Err(error) => assert!(error.contains(name) && error.contains(words), "{error}"),
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            panic!("{name} was packed, secret: {}", text.contains(SECRET));
        }
    }
}

const OUT: &str = "a link leads out of the project";

#[test]
fn a_link_out_of_the_project_is_refused() {
    let listed = "[assets]\n\"secret.txt\" = \"\"\n";
    for (assets, link, target) in [
        (listed, "project/secret.txt", "../elsewhere/key"),
        (listed, "project/assets/secret.txt", "../../elsewhere/key"),
        ("", "project/assets/secret.txt", "../../elsewhere/key"),
        ("", "project/assets/d/secret.txt", "../../../elsewhere/key"),
        ("", "project/assets/secret", "../../elsewhere"),
    ] {
        let root = tempfile::tempdir().unwrap();
        project(root.path(), assets);
        symlink(target, root.path().join(link)).unwrap();
        refused(root.path(), "secret", OUT);
        fs::remove_file(root.path().join(link)).unwrap();
        let absolute = root.path().join(link).parent().unwrap().join(target);
        symlink(fs::canonicalize(absolute).unwrap(), root.path().join(link)).unwrap();
        refused(root.path(), "secret", OUT);
    }
    for file in ["model.toml", "model.wasm"] {
        let root = tempfile::tempdir().unwrap();
        project(root.path(), "");
        let path = root.path().join("project").join(file);
        fs::rename(&path, root.path().join("elsewhere").join(file)).unwrap();
        symlink(format!("../elsewhere/{file}"), &path).unwrap();
        refused(root.path(), file, OUT);
    }
    // A folder whose name begins as the project's does is another one.
    let root = tempfile::tempdir().unwrap();
    project(root.path(), "");
    fs::rename(
        root.path().join("elsewhere"),
        root.path().join("project-of-mine"),
    )
    .unwrap();
    symlink(
        "../../project-of-mine/key",
        root.path().join("project/assets/secret"),
    )
    .unwrap();
    refused(root.path(), "secret", OUT);
}

#[test]
fn links_within_the_project_are_followed() {
    let root = tempfile::tempdir().unwrap();
    project(root.path(), "");
    fs::create_dir(root.path().join("project/blobs")).unwrap();
    fs::write(root.path().join("project/blobs/1f"), "weights").unwrap();
    symlink("../blobs/1f", root.path().join("project/assets/weights")).unwrap();
    symlink("../../blobs", root.path().join("project/assets/d/all")).unwrap();
    let bytes = pack(root.path()).unwrap();
    assert!(String::from_utf8_lossy(&bytes).contains("weights"));
    // The folder itself may be reached by a link.
    let other = tempfile::tempdir().unwrap();
    symlink(root.path().join("project"), other.path().join("project")).unwrap();
    assert_eq!(pack(other.path()).unwrap(), bytes);
}

#[test]
fn a_component_may_be_built_beside_the_project() {
    let root = tempfile::tempdir().unwrap();
    project(root.path(), "");
    fs::create_dir(root.path().join("target")).unwrap();
    fs::rename(
        root.path().join("project/model.wasm"),
        root.path().join("target/model.wasm"),
    )
    .unwrap();
    let path = root.path().join("project/model.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replace("\"model.wasm\"", "\"../target/model.wasm\""),
    )
    .unwrap();
    pack(root.path()).unwrap();
}

#[test]
fn what_is_no_regular_file_is_refused_and_blocks_nothing() {
    for (path, assets) in [
        ("project/assets/pipe", ""),
        ("project/pipe", "[assets]\npipe = \"\"\n"),
        ("project/model.wasm", ""),
        ("project/model.toml", ""),
    ] {
        let root = tempfile::tempdir().unwrap();
        project(root.path(), assets);
        let _ = fs::remove_file(root.path().join(path));
        let made = Command::new("mkfifo").arg(root.path().join(path)).status();
        assert!(made.unwrap().success());
        let name = path.rsplit('/').next().unwrap();
        refused(root.path(), name, "it is not a regular file");
    }
}
