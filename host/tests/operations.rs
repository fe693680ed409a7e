//! What an operator does to a server and its directory: start it from anywhere, stop it behind a
//! balancer, lose half of a backup.
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
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use server::{Home, Server, http, signal};

/// A server with `echo` as its only model: it compiles in a moment.
const SMALL: [&str; 2] = ["--set", "embedded.fake=false"];

/// Waits until the server has tried its models, and gives the last answer about it.
fn settled(server: &Server) -> (u16, String) {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let answer = server.get("/health/ready");
        if !answer.1.contains("starting") {
            return answer;
        }
        assert!(Instant::now() < deadline, "{answer:?}");
        std::thread::yield_now();
    }
}

/// Whether `echo` answers.
fn echoes(server: &Server) -> bool {
    let json = [("content-type", "application/json")];
    let body = r#"{"model":"echo","inputs":{"x":[1,2]}}"#;
    http(&server.url, "POST", "/infer", &json, body).0 == 200
}

#[test]
fn a_relative_data_directory_works_and_works_again() {
    let home = Home::new();
    let arguments = ["--data-dir", "./data", SMALL[0], SMALL[1]];
    for _ in 0..2 {
        let server = Server::start(&home, &arguments);
        assert_eq!(settled(&server).0, 200);
        assert!(echoes(&server));
        assert!(
            server.banner.contains(home.path().to_str().unwrap()),
            "{}",
            server.banner
        );
        let list = home.ok(&["models", "list", "--data-dir", "data"]);
        assert!(list.contains("echo"), "{list}");
        assert_eq!(server.stop().0, Some(0));
    }
    // The same place by the file and by a variable.
    let file = home.path().join("c.toml");
    fs::write(&file, "data_dir = 'data'\n").unwrap();
    let server = Server::start(&home, &["--config", "c.toml", SMALL[0], SMALL[1]]);
    assert_eq!(settled(&server).0, 200);
    assert!(echoes(&server));
}

#[test]
fn a_service_called_like_the_program_stops_neither_a_start_nor_a_command() {
    let home = Home::new();
    let variables = [
        ("BELLJAR_PORT", "tcp://10.96.0.9:8000"),
        ("BELLJAR_SERVICE_HOST", "10.96.0.9"),
        ("BELLJAR_SERVICE_PORT", "8000"),
        ("BELLJAR_SERVICE_PORT_HTTP", "8000"),
        ("BELLJAR_PORT_8000_TCP", "tcp://10.96.0.9:8000"),
        ("BELLJAR_PORT_8000_TCP_ADDR", "10.96.0.9"),
        ("BELLJAR_METRICS_PORT", "tcp://10.96.0.7:9000"),
        ("FAKEAI_PORT", "tcp://10.96.0.9:8000"),
        ("FAKEAI_SERVICE_HOST", "10.96.0.9"),
    ];
    let mut command = home.command(&["--listen", "127.0.0.1:0", SMALL[0], SMALL[1]]);
    let server = Server::spawn({
        command.envs(variables);
        command
    });
    // A stray variable, which would stop a start, is nothing to a command that asks the server.
    let mut command = home.command(&["models", "list"]);
    let output = command.envs(variables).env("BELLJAR_API_KEY", "x").output();
    assert!(output.unwrap().status.success());
    let log = server.stop().1;
    let told: Vec<&str> = log.lines().filter(|l| l.contains("passed over")).collect();
    assert_eq!(told.len(), 1, "{log}");
    for (name, _) in variables {
        assert!(told[0].contains(name), "{name}: {log}");
    }
    let mut command = home.command(&["--listen", "127.0.0.1:0"]);
    let output = command.env("BELLJAR_PORT", "8000").output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(2),
        "a number was meant by somebody"
    );
}

#[test]
fn a_server_whose_active_model_cannot_be_loaded_is_not_ready() {
    let home = Home::new();
    let server = Server::start(&home, &SMALL);
    assert_eq!(settled(&server).0, 200);
    assert_eq!(server.stop().0, Some(0));
    fs::remove_dir_all(home.data_dir().join("bundles")).unwrap();
    let server = Server::start(&home, &SMALL);
    let (status, body) = settled(&server);
    assert_eq!((status, body.contains("failed")), (503, true), "{body}");
    assert_eq!(server.get("/health").0, 503);
    assert_eq!(server.get("/v2/health/ready").0, 503);
    assert_eq!(server.get("/health/live").0, 200);
    home.ok(&["models", "deactivate", "echo"]);
    assert_eq!(
        server.get("/health/ready").0,
        200,
        "nobody waits for it now"
    );
    let log = server.stop().1;
    assert!(
        log.contains("not ready: ") && log.contains("echo@"),
        "{log}"
    );
}

#[test]
fn the_banner_names_the_address_that_is_listened_on() {
    let home = Home::new();
    let arguments = ["--listen", "0.0.0.0:0", SMALL[0], SMALL[1]];
    let server = Server::spawn(home.command(&arguments));
    let first = server.banner.lines().nth(1).unwrap();
    assert!(first.contains("listening   http://0.0.0.0:"), "{first}");
    assert!(first.contains("every address"), "{first}");
    for line in server.banner.lines().filter(|line| !line.contains('/')) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    drop(server);
    // With a space as well as with an equals sign.
    let open = home.run(&["serve", "--require-api-key", "never"]);
    let told = String::from_utf8_lossy(&open.stderr).into_owned();
    assert!(told.contains("true, false or auto"), "{told}");
}

#[test]
fn a_lost_database_deletes_no_model_and_replaces_no_key() {
    let home = Home::new();
    let server = Server::start(&home, &SMALL);
    assert_eq!(settled(&server).0, 200);
    assert_eq!(server.stop().0, Some(0));
    let data = home.data_dir();
    let key = fs::read(data.join("admin.key")).unwrap();
    let bundles = files(&data.join("bundles"));
    assert!(!bundles.is_empty());
    for name in ["belljar.db", "belljar.db-wal", "belljar.db-shm"] {
        let _ = fs::remove_file(data.join(name));
    }
    for _ in 0..2 {
        let told = home.fails(1, &["--listen", "127.0.0.1:0"]);
        assert!(
            told.contains("has no database") && told.contains("backup"),
            "{told}"
        );
    }
    assert_eq!(fs::read(data.join("admin.key")).unwrap(), key);
    assert_eq!(files(&data.join("bundles")), bundles);
}

/// A copy that was made while the server ran, brought back without the bundles that came after it.
#[test]
fn an_older_database_deletes_no_model() {
    let home = Home::new();
    let server = Server::start(&home, &SMALL);
    assert_eq!(settled(&server).0, 200);
    let data = home.data_dir();
    let copy = home.path().join("copy");
    fs::create_dir(&copy).unwrap();
    let names = ["belljar.db", "belljar.db-wal"];
    for name in names {
        fs::copy(data.join(name), copy.join(name)).unwrap();
    }
    let project = home.project("project", PROJECT);
    home.ok(&["push", project.to_str().unwrap()]);
    assert_eq!(server.stop().0, Some(0));
    let bundles = files(&data.join("bundles"));
    let newest = fs::read(data.join("belljar.db")).unwrap();
    for name in names {
        fs::copy(copy.join(name), data.join(name)).unwrap();
    }
    let told = home.fails(1, &["--listen", "127.0.0.1:0"]);
    assert!(told.contains("older than the files beside it"), "{told}");
    assert_eq!(files(&data.join("bundles")), bundles);
    // Its own database again: everything is as it was.
    let _ = fs::remove_file(data.join("belljar.db-wal"));
    let _ = fs::remove_file(data.join("belljar.db-shm"));
    fs::write(data.join("belljar.db"), newest).unwrap();
    let server = Server::start(&home, &SMALL);
    assert_eq!(settled(&server).0, 200);
    assert!(home.ok(&["models", "list"]).contains("mine@1.2.3"));
    assert_eq!(server.stop().0, Some(0));
}

/// As `docs/operations.md` has it: without what is compiled, and to another place.
#[test]
fn a_copy_of_a_stopped_directory_is_a_whole_backup() {
    let home = Home::new();
    let server = Server::start(&home, &SMALL);
    assert_eq!(settled(&server).0, 200);
    let project = home.project("project", PROJECT);
    home.ok(&["push", project.to_str().unwrap(), "--wait"]);
    let create = [
        "keys", "create", "--name", "n", "--scopes", "infer", "--json",
    ];
    let id = home.json(&create)["id"].as_str().unwrap().to_owned();
    assert_eq!(server.stop().0, Some(0));
    let copied = Command::new("tar")
        .args(["-cf", "backup.tar", "--exclude", "belljar/artefacts"])
        .args(["--exclude", "belljar/compiled", "-C"])
        .arg(home.data_dir().parent().unwrap())
        .arg("belljar")
        .current_dir(home.path())
        .status();
    assert!(copied.unwrap().success());
    fs::remove_dir_all(home.data_dir()).unwrap();
    let elsewhere = home.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let unpacked = Command::new("tar")
        .args(["-xf", "../backup.tar"])
        .current_dir(&elsewhere)
        .status();
    assert!(unpacked.unwrap().success());
    let data = elsewhere.join("belljar");
    let data = data.to_str().unwrap();
    let server = Server::start(&home, &["--data-dir", data, SMALL[0], SMALL[1]]);
    assert_eq!(settled(&server).0, 200);
    for (command, expected) in [("models", "mine@1.2.3"), ("keys", id.as_str())] {
        let list = home.ok(&[command, "list", "--data-dir", data]);
        assert!(list.contains(expected), "{list}");
    }
    home.ok(&["audit", "verify", "--data-dir", data]);
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_directory_of_everybodys_is_refused() {
    let home = Home::new();
    let open = home.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let told = home.fails(1, &["--listen", "127.0.0.1:0", "--data-dir", "open"]);
    assert!(
        told.contains("mode 0777") && told.contains("chmod 700"),
        "{told}"
    );
    // What the message advises works.
    let server = Server::start(&home, &["--data-dir", "open/belljar", SMALL[0], SMALL[1]]);
    assert_eq!(settled(&server).0, 200);
    assert_eq!(server.stop().0, Some(0));
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

/// A crash costs the log a line, whatever its functions are called, and so many a minute.
#[test]
fn a_model_that_crashes_neither_forges_nor_floods_the_log() {
    let home = Home::new();
    let component = fs::read(belljar_test_guests::path("forged_names")).unwrap();
    let project = home.project_of(&component, "project", PROJECT);
    home.ok(&["pack", project.to_str().unwrap(), "-o", "m.tar"]);
    let mut command = home.command(&["--listen", "127.0.0.1:0", SMALL[0], SMALL[1]]);
    command
        .env("RUST_BACKTRACE", "1")
        .env("BELLJAR_LOG_ACCESS", "false");
    command.env("BELLJAR_LOG_LEVEL", "info,belljar_sandbox=debug");
    let server = Server::spawn(command);
    home.ok(&["push", "m.tar"]);
    let json = [("content-type", "application/json")];
    let body = r#"{"model":"mine","inputs":{"x":[1]}}"#;
    const RUNS: usize = 200;
    for _ in 0..RUNS {
        assert_eq!(http(&server.url, "POST", "/infer", &json, body).0, 502);
    }
    let log = server.stop().1;
    let failed = log
        .lines()
        .filter(|line| line.contains("a run failed"))
        .count();
    assert!((1..RUNS / 2).contains(&failed), "{failed} lines");
    assert!(log.contains("it failed in"), "{log}");
    for line in log.lines() {
        assert!(!line.starts_with("2026-11-28T00:00:00"), "{line}");
        assert!(!line.contains(['\u{202e}', '\u{2028}', '\u{1b}']), "{line}");
        assert!(!line.contains("wasmtime::"), "a frame of the host: {line}");
    }
}

/// Whoever uploads a model reads why its `load` failed, from whichever command.
#[test]
fn what_load_says_reaches_its_author() {
    let home = Home::new();
    let component = fs::read(belljar_test_guests::path("panics_in_load")).unwrap();
    let project = home.project_of(&component, "project", PROJECT);
    let project = project.to_str().unwrap();
    let words = ["reading the weights", "weights.bin is of another model"];
    let told = home.fails(1, &["check", project]);
    let ran = home.fails(1, &["run", project, "--input", "{\"x\":[1]}"]);
    home.ok(&["pack", project, "-o", "m.tar"]);
    let server = Server::start(&home, &SMALL);
    let pushed = home.fails(1, &["push", "m.tar"]);
    let shown = home.ok(&["models", "show", "mine@1.2.3", "--json"]);
    let log = server.stop().1;
    for word in words {
        for text in [&told, &ran, &pushed, &shown, &log] {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
    assert!(
        log.lines().all(|line| !line.starts_with("2026-11-28T00")),
        "{log}"
    );
}

/// What was checked is not compiled again to be run or served.
#[test]
fn check_run_and_push_share_what_was_compiled() {
    let home = Home::new();
    let project = home.project("project", PROJECT);
    let project = project.to_str().unwrap();
    home.ok(&["check", project]);
    let again = home.run(&["check", "-v", project]);
    let log = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(
        again.status.success() && !log.contains("compiled a version"),
        "{log}"
    );
    let ran = home.run(&["run", "-v", project, "--input", "{\"x\":[1]}"]);
    let log = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(
        ran.status.success() && !log.contains("compiled a version"),
        "{log}"
    );
    assert!(log.contains("fuel ") && log.contains("memory "), "{log}");
    home.ok(&["pack", project, "-o", "m.tar"]);
    let server = Server::start(
        &home,
        &[
            "--set",
            "embedded.fake=false",
            "--set",
            "embedded.echo=false",
        ],
    );
    home.ok(&["push", "m.tar"]);
    let log = server.stop().1;
    assert!(!log.contains("compiled a version"), "{log}");
}

const PROJECT: &str = "schema = 1\nname = 'mine'\nversion = '1.2.3'\ncomponent = 'model.wasm'\n";

/// A certificate for `localhost` in a home, as its owner renews it.
fn renew(home: &Home) -> Vec<u8> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(
        home.path().join("tls.key"),
        made.signing_key.serialize_pem(),
    )
    .unwrap();
    fs::write(home.path().join("tls.pem"), made.cert.pem()).unwrap();
    made.cert.der().to_vec()
}

fn start_with_tls(home: &Home) -> Server {
    let files = ["--tls-cert", "tls.pem", "--tls-key", "tls.key"];
    let rest = [
        "--set",
        "tls.watch_period=0 s",
        "--set",
        "embedded.fake=false",
    ];
    let server = Server::start(home, &[&files[..], &rest].concat());
    server.logs("ready ready_ms", 1);
    server
}

/// Commands need neither the name of the certificate nor whoever vouches for it.
#[test]
fn commands_reach_a_server_that_speaks_tls_and_a_plain_request_is_logged_once() {
    let home = Home::new();
    renew(&home);
    let server = start_with_tls(&home);
    assert!(
        server.url.starts_with("https://127.0.0.1:"),
        "{}",
        server.url
    );
    assert!(
        server.banner.contains("1.2 and newer, with tls.pem"),
        "{}",
        server.banner
    );
    let models = home.ok(&["models", "list"]);
    assert!(models.contains("echo@0.1.0"), "{models}");
    let plain = server.url.replacen("https", "http", 1);
    for _ in 0..3 {
        let (status, text) = http(&plain, "GET", "/v1/models", &[], "");
        assert_eq!(status, 400);
        assert!(text.contains("tls_required"), "{text}");
    }
    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");
    let told = log.lines().filter(|line| line.contains("a plain request"));
    assert_eq!(told.count(), 1, "{log}");
    assert!(!home.data_dir().join("server.sock").exists());
}

#[test]
fn a_hang_up_has_certificates_read_again() {
    let home = Home::new();
    renew(&home);
    let server = start_with_tls(&home);
    let shown = || {
        let at = server.url.replacen("https://", "", 1);
        let client = Command::new("openssl")
            .args(["s_client", "-connect", &at])
            .stdin(std::process::Stdio::null())
            .output();
        // Which certificate it is says its text, as the program prints it.
        client.ok().map(|said| {
            let said = String::from_utf8_lossy(&said.stdout).into_owned();
            let begins = said.find("-----BEGIN").unwrap();
            said[begins..said.find("-----END").unwrap()].to_owned()
        })
    };
    let first = shown();
    renew(&home);
    assert_eq!(shown(), first, "nobody has said so");
    signal(server.process(), "HUP");
    server.logs("the settings have been read again", 1);
    let second = shown();
    assert!(first.is_none() || second != first);
    fs::write(home.path().join("tls.pem"), "nothing of use").unwrap();
    signal(server.process(), "HUP");
    server.logs(
        "reload: the settings stay as they are: tls.pem has no certificate",
        1,
    );
    assert_eq!(shown(), second);
    assert_eq!(server.stop().0, Some(0));
}

/// What `belljar tls dev` makes is taken by the server and by whoever trusts its authority, and
/// is never written over.
#[test]
fn a_certificate_to_try_tls_with_is_made_once() {
    let home = Home::new();
    let out = home.path().join("certificates");
    let made = [
        "tls",
        "dev",
        "--out",
        out.to_str().unwrap(),
        "--host",
        "models.test",
    ];
    let told = home.ok(&made);
    assert!(told.contains("--tls-cert"), "{told}");
    let key = out.join("key.pem");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&key), mode(&out)), (0o600, 0o700));
    let before = fs::read(&key).unwrap();
    let refused = home.fails(1, &made);
    assert!(refused.contains("is there already"), "{refused}");
    assert_eq!(fs::read(&key).unwrap(), before);
    assert!(
        home.fails(2, &["tls", "dev", "--host", "no ascii: é"])
            .contains("--host")
    );
    let files = [
        "--tls-cert",
        "certificates/cert.pem",
        "--tls-key",
        "certificates/key.pem",
    ];
    let rest = [
        "--set",
        "embedded.fake=false",
        "--set",
        "http.allowed_hosts=models.test",
    ];
    let server = Server::start(&home, &[&files[..], &rest].concat());
    let port = server.url.rsplit(':').next().unwrap();
    for name in ["localhost", "127.0.0.1", "models.test"] {
        let url = format!("https://{name}:{port}/health/live");
        let resolve = format!("models.test:{port}:127.0.0.1");
        let asked = Command::new("curl")
            .args(["-sS", "--noproxy", "*", "--resolve", &resolve, "--cacert"])
            .arg(out.join("ca.pem"))
            .arg(&url)
            .output();
        let Ok(asked) = asked else { continue };
        let said = String::from_utf8_lossy(&[asked.stdout, asked.stderr].concat()).into_owned();
        assert_eq!(said, "{\"status\":\"live\"}", "{url}");
    }
    assert_eq!(server.stop().0, Some(0));
}
