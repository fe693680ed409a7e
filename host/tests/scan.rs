//! `belljar keys scan`: what is found in files, and what is said of it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "each program of tests uses its own part of it")]
#[path = "kit/server.rs"]
mod server;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use server::{Home, Server};

/// A server with `echo` as its only model: it compiles in a moment.
const SMALL: [&str; 2] = ["--set", "embedded.fake=false"];

fn create(home: &Home, name: &str, more: &[&str]) -> Value {
    let mut arguments = vec![
        "keys", "create", "--name", name, "--scopes", "infer", "--json",
    ];
    arguments.extend(more);
    home.json(&arguments)
}

fn text<'a>(key: &'a Value, field: &str) -> &'a str {
    key[field].as_str().unwrap()
}

/// The states by file, and the exit code.
fn scan(home: &Home, more: &[&str]) -> (Vec<(String, String)>, Option<i32>) {
    let mut arguments = vec!["keys", "scan", "--json", "leaks"];
    arguments.extend(more);
    let output = home.run(&arguments);
    let told = String::from_utf8(output.stdout).unwrap();
    let told: Value = serde_json::from_str(&told)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let places = told["places"].as_array().unwrap();
    let states = places.iter().map(|place| {
        let file = text(place, "file").strip_prefix("leaks/").unwrap();
        (
            format!("{file}:{}", place["line"]),
            text(place, "state").to_owned(),
        )
    });
    (states.collect(), output.status.code())
}

#[test]
fn leaked_keys_are_found_and_told_apart() {
    let home = Home::new();
    let server = Server::start(&home, &SMALL);
    let (live, revoked) = (create(&home, "live", &[]), create(&home, "revoked", &[]));
    let signs = create(&home, "signs", &["--signing", "required"]);
    let unknown = format!("sk-belljar-{}", "0".repeat(64));
    home.ok(&["keys", "revoke", "revoked"]);
    let leaks = home.path().join("leaks");
    fs::create_dir_all(leaks.join("deep/er")).unwrap();
    fs::create_dir_all(leaks.join(".git/objects/aa")).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(leaks.join(name), bytes).unwrap();
    let line = |key: &Value| format!("# a file\nexport OPENAI_API_KEY={}\n", text(key, "key"));
    write("a.env", line(&live).as_bytes());
    let wide: Vec<u8> = line(&revoked)
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    write("deep/b.txt", &wide);
    let basic = format!("Basic {}", STANDARD.encode(format!("user:{unknown}")));
    write("deep/er/c.http", basic.as_bytes());
    let binary = [
        &b"\0\xff\n"[..],
        text(&signs, "signing_secret").as_bytes(),
        b"\0",
    ]
    .concat();
    write("d.bin", &binary);
    write("e.gz", b"\x1f\x8b\x08\x00");
    write(".git/objects/aa/bb", text(&live, "key").as_bytes());
    write("empty", b"");
    symlink(leaks.join("a.env"), leaks.join("link")).unwrap();
    symlink(&leaks, leaks.join("deep/circle")).unwrap();

    let expect = |standings: [&str; 4]| -> Vec<(String, String)> {
        let files = ["a.env:2", "d.bin:2", "deep/b.txt:2", "deep/er/c.http:1"];
        let both = files.iter().zip(standings);
        both.map(|(file, state)| ((*file).to_owned(), state.to_owned()))
            .collect()
    };
    let found = expect(["live", "live", "revoked", "unknown"]);
    // However often: whoever asks guesses nothing.
    for _ in 0..8 {
        assert_eq!(scan(&home, &[]), (found.clone(), Some(3)));
    }
    // What people read has nothing of a secret in it, and says what was left alone.
    let output = home.run(&["keys", "scan", "leaks"]);
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8(told).unwrap();
    for part in [
        "leaks/a.env:2: sk-belljar-… (sha256 ",
        &format!("is live, {} \"live\"", text(&live, "id")),
        "leaks/d.bin:2: ss-belljar-…",
        "in UTF-16",
        "in base64",
        "1 archives",
        "1 folders of git objects",
        "2 links",
        "4 places in 5 files",
    ] {
        assert!(told.contains(part), "no {part:?}: {told}");
    }
    for secret in [text(&live, "key"), text(&signs, "signing_secret"), &unknown] {
        assert!(!told.contains(&secret[11..31]), "{told}");
    }
    // A key that does not sign any more, and one that is gone.
    home.ok(&["keys", "signing", "signs", "none"]);
    home.ok(&["keys", "delete", "live"]);
    let found = expect(["unknown", "revoked", "revoked", "unknown"]);
    assert_eq!(scan(&home, &[]), (found.clone(), Some(0)));
    let offline = expect(["not asked"; 4]);
    assert_eq!(scan(&home, &["--offline"]), (offline, Some(4)));
    // Without a server its directory is asked, and is as it was.
    assert_eq!(server.stop().0, Some(0));
    let database = home.data_dir().join("belljar.db");
    let before = fs::read(&database).unwrap();
    assert_eq!(scan(&home, &[]), (found, Some(0)));
    assert!(fs::read(&database).unwrap() == before);
    let told = home.fails(1, &["keys", "scan", "leaks", "--data-dir", "none"]);
    assert!(told.contains("--offline"), "{told}");
}

#[test]
fn what_comes_on_stdin_is_looked_into() {
    let home = Home::new();
    let feed = |bytes: &[u8]| {
        let mut command = home.command(&["keys", "scan", "--offline", "-"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        let output = child.wait_with_output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    assert_eq!(feed(b"nothing"), (Some(0), String::new()));
    let key = format!("-\n+key = 'sk-belljar-{}'\n", "a".repeat(64));
    let (code, told) = feed(key.as_bytes());
    assert_eq!(code, Some(4));
    assert!(told.starts_with("-:2: sk-belljar-… (sha256 "), "{told}");
    let told = home.fails(1, &["keys", "scan", "no/such/path"]);
    assert!(told.contains("no/such/path cannot be read"), "{told}");
    home.fails(2, &["keys", "scan"]);
}

/// A key that must sign manages a server by commands that sign, uploads included.
#[test]
fn commands_sign_with_a_key_that_must() {
    let home = Home::new();
    let server = Server::start(&home, &SMALL);
    let created = home.ok(&[
        "keys",
        "create",
        "--name",
        "robot",
        "--scopes",
        "admin,models:read,models:write",
        "--signing",
        "required",
        "--json",
    ]);
    fs::write(home.path().join("robot.json"), &created).unwrap();
    let sign = ["--signing-file", "robot.json"];
    let with = |arguments: &[&'static str]| [arguments, &sign[..]].concat();
    assert!(home.ok(&with(&["keys", "list"])).contains("robot"));
    home.ok(&with(&[
        "keys", "create", "--name", "other", "--scopes", "infer",
    ]));
    let project = "schema = 1\nname = 'mine'\nversion = '1.0.0'\ncomponent = 'model.wasm'\n";
    home.project("mine", project);
    assert_eq!(home.ok(&with(&["push", "mine"])), "mine@1.0.0 is active\n");
    home.ok(&with(&["models", "remove", "mine@1.0.0"]));
    // Its key alone does not do.
    let key: Value = serde_json::from_str(&created).unwrap();
    fs::write(home.path().join("key"), text(&key, "key")).unwrap();
    let told = home.fails(1, &["keys", "list", "--admin-key-file", "key"]);
    assert!(told.contains("(signature_required)"), "{told}");
    let told = home.fails(1, &["keys", "list", "--signing-file", "key"]);
    assert!(told.contains("keys create"), "{told}");
    drop(server);
}
