//! The API on a socket of the file system.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use belljar::app::bind;
use belljar::config::{Overrides, Settings, resolve};
use belljar_tests::TestHost;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::kit::{Folder, PATIENCE, has, run};

async fn get(path: &Path, target: &str) -> String {
    let mut stream = UnixStream::connect(path).await.unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer));
    read.await.unwrap().unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Acts: `unix.path`, `unix.mode`.
#[tokio::test]
async fn the_api_is_served_on_a_socket_of_its_mode_until_the_server_stops() {
    let folder = Folder::new();
    let path = folder.path("api.sock");
    let text = path.to_str().unwrap();
    let settings = [
        ("unix.path", text),
        ("unix.mode", "600"),
        ("require_api_key", "true"),
    ];
    let host = TestHost::start_with(&settings).await;
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
    let live = get(&path, "/health/live").await;
    assert!(live.starts_with("HTTP/1.1 200"), "{live}");
    let refused = get(&path, "/v1/models").await;
    assert!(
        refused.starts_with("HTTP/1.1 401"),
        "keys are asked for here, too: {refused}"
    );
    if has("curl") {
        let key = format!("x-api-key: {}", host.admin().key().unwrap());
        let arguments = [
            "-sS",
            "--unix-socket",
            text,
            "-H",
            &key,
            "-w",
            "%{http_code}",
        ];
        let url = ["-o", "/dev/null", "http://localhost/v1/models"];
        assert_eq!(run("curl", &[&arguments[..], &url].concat()).await.1, "200");
    }
    host.stop().await;
    assert!(!path.exists(), "the socket goes with its server");
}

fn settings(data_dir: &Path, path: &Path) -> Settings {
    let mut overrides = Overrides::default();
    overrides.flag("the test", "listen", "127.0.0.1:0");
    overrides.flag("the test", "data_dir", data_dir.display());
    overrides.flag("the test", "unix.path", path.display());
    let environment = std::collections::BTreeMap::<String, String>::new();
    resolve(&overrides, &environment).unwrap().settings
}

#[tokio::test]
async fn a_socket_that_is_left_behind_is_replaced_and_what_is_in_use_stays() {
    let folder = Folder::new();
    let path = folder.path("api.sock");
    let settings = settings(&folder.path("data"), &path);
    // What a kill leaves.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let listeners = bind(&settings).await.unwrap();
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let error = bind(&settings).await.unwrap_err().to_string();
    assert!(error.contains("another program listens on it"), "{error}");
    drop(listeners);
    assert!(!path.exists());
    std::fs::write(&path, "somebody's work").unwrap();
    let error = bind(&settings).await.unwrap_err().to_string();
    assert!(error.contains("is no socket"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"somebody's work");
}

/// HTTP/2 begins as over a port without TLS: the client knows that it is spoken.
#[tokio::test]
async fn both_protocols_are_spoken_on_a_socket() {
    let folder = Folder::new();
    let path = folder.path("api.sock");
    let text = path.to_str().unwrap();
    let host = TestHost::start_with(&[("unix.path", text)]).await;
    // The preface in pieces, each of which could be the beginning of another method.
    let mut stream = UnixStream::connect(&path).await.unwrap();
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    for piece in [
        &b"P"[..],
        b"RI * HT",
        b"TP/2.0\r\n\r\nSM\r\n\r\n",
        &settings,
    ] {
        stream.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut frame = [0; 9];
    let read = tokio::time::timeout(PATIENCE, stream.read_exact(&mut frame));
    read.await.unwrap().unwrap();
    assert_eq!(frame[3], 4, "settings come first: {frame:?}");
    drop(stream);
    let live = get(&path, "/health/live").await;
    assert!(live.starts_with("HTTP/1.1 200"), "{live}");
    if has("curl") {
        let common = ["-sS", "--unix-socket", text, "-o", "/dev/null"];
        let common = [&common[..], &["-w", "%{http_version} %{http_code}"]].concat();
        let url = "http://localhost/v1/models";
        let second = [&common[..], &["--http2-prior-knowledge", url]].concat();
        assert_eq!(run("curl", &second).await.1, "2 200");
        assert_eq!(
            run("curl", &[&common[..], &[url]].concat()).await.1,
            "1.1 200"
        );
    }
    // Who says nothing, or goes at once, holds nothing up.
    drop(UnixStream::connect(&path).await.unwrap());
    let silent = UnixStream::connect(&path).await.unwrap();
    let begun = std::time::Instant::now();
    host.stop().await;
    assert!(begun.elapsed() < PATIENCE);
    drop(silent);
}
