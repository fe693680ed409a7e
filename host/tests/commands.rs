//! What people type against a server, and what they are told: names instead of ids, folders
//! instead of bundles, tables in a pipe, and mistakes.
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
use std::process::Command;

use server::{Home, Server};

/// A server with `echo` as its only model: it compiles in a moment.
const SMALL: [&str; 2] = ["--set", "embedded.fake=false"];

fn project(version: &str) -> String {
    format!("schema = 1\nname = 'mine'\nversion = '{version}'\ncomponent = 'model.wasm'\n")
}

/// Makes a key and returns its id.
fn key(home: &Home, name: &str, scopes: &str) -> String {
    let created = home.json(&[
        "keys", "create", "--name", name, "--scopes", scopes, "--json",
    ]);
    created["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_key_is_called_by_its_name() {
    let home = Home::new();
    let server = Server::start(&home, &SMALL);
    let first = key(&home, "ci", "infer");
    assert!(home.ok(&["keys", "show", "ci"]).starts_with(&first));
    assert!(
        home.ok(&["keys", "rotate", "ci"])
            .starts_with("sk-belljar-")
    );
    assert_eq!(
        home.ok(&["keys", "revoke", "ci"]),
        format!("{first} is revoked\n")
    );
    // Another one takes its place: what ends a key means the one that works.
    let second = key(&home, "ci", "infer");
    let told = home.fails(1, &["keys", "delete", "ci"]);
    assert!(told.contains(&first) && told.contains(&second), "{told}");
    assert_eq!(
        home.ok(&["keys", "revoke", "ci"]),
        format!("{second} is revoked\n")
    );
    home.ok(&["keys", "delete", &first]);
    assert_eq!(
        home.ok(&["keys", "delete", "ci"]),
        format!("{second} is deleted\n")
    );
    let told = home.fails(1, &["keys", "show", "ci"]);
    assert!(told.contains("belljar keys list"), "{told}");
    drop(server);
}

#[test]
fn a_key_is_changed_by_its_name_or_its_id() {
    let home = Home::new();
    let server = Server::start(&home, &SMALL);
    let id = key(&home, "ci", "infer");
    let set = |key: &str, more: &[&str]| {
        let arguments = [&["keys", "set", key, "--json"], more].concat();
        home.json(&arguments)
    };
    let changed = set(
        "ci",
        &[
            "--budget-tokens-month",
            "9000",
            "--requests-per-month",
            "7",
            "--models",
            "echo,fake",
            "--scopes",
            "infer,metrics",
            "--expires",
            "30 d",
            "--name",
            "build",
        ],
    );
    assert_eq!(changed["id"], id);
    assert_eq!(changed["tokens_per_month"], 9000);
    assert_eq!(changed["requests_per_month"], 7);
    assert_eq!(changed["models"], serde_json::json!(["echo", "fake"]));
    assert_eq!(changed["scopes"], serde_json::json!(["infer", "metrics"]));
    assert!(changed["expires"].is_string());
    let changed = set(&id, &["--unset", "models,expires,tokens-per-month"]);
    assert!(changed["models"].is_null() && changed["expires"].is_null());
    assert!(changed["tokens_per_month"].is_null());
    assert_eq!(changed["requests_per_month"], 7);
    let told = home.ok(&["keys", "set", "build", "--rpm", "5"]);
    assert!(told.contains("rpm                5"), "{told}");
    for (code, arguments, why) in [
        (2, &["build"][..], "what is to be changed"),
        (2, &["build", "--rpm", "5", "--unset", "rpm"], "contradict"),
        (2, &["build", "--unset", "name"], "possible values"),
        (2, &["build", "--rpm", "0"], "--rpm"),
        (1, &["build", "--expires", "2001-01-01T00:00:00Z"], "future"),
        (1, &["ci", "--rpm", "5"], "no key has that name"),
    ] {
        let told = home.fails(code, &[&["keys", "set"], arguments].concat());
        assert!(told.contains(why), "{arguments:?}: {told}");
    }
    drop(server);
}

#[test]
fn a_table_in_a_pipe_is_a_line_a_row() {
    let home = Home::new();
    let server = Server::start(&home, &SMALL);
    let name = "the key of the pipeline that builds and pushes the models of the vision team";
    let id = key(&home, name, "infer,models:read,models:write,admin");
    let list = home.ok(&["keys", "list"]);
    let row: Vec<&str> = list.lines().filter(|line| line.contains(&id)).collect();
    assert_eq!(row.len(), 1, "{list}");
    for part in [name, "infer models:read models:write admin", "valid"] {
        assert!(row[0].contains(part), "{list}");
    }
    drop(server);
}

#[test]
fn activating_without_a_version_lists_the_versions() {
    let home = Home::new();
    let server = Server::start(&home, &SMALL);
    for version in ["1.0.0", "1.1.0"] {
        let folder = home.project(version, &project(version));
        // A folder is packed on the way.
        assert_eq!(
            home.ok(&["push", folder.to_str().unwrap()]),
            format!("mine@{version} is active\n")
        );
    }
    home.ok(&["models", "deactivate", "mine"]);
    let told = home.fails(2, &["models", "activate", "mine"]);
    assert_eq!(
        told,
        "error: name a version: mine@1.0.0 (ready), mine@1.1.0 (ready)\n"
    );
    assert!(
        home.fails(1, &["models", "activate", "none"])
            .contains("`none` does not exist")
    );
    assert_eq!(
        home.ok(&["models", "activate", "mine@1.1.0"]),
        "mine@1.1.0 is active\n"
    );
    // What nothing answers for any more is said.
    let removed = home.run(&["models", "remove", "mine@1.1.0"]);
    assert_eq!(removed.stdout, b"mine@1.1.0 is removed\n");
    let told = String::from_utf8(removed.stderr).unwrap();
    for part in ["the active version", "`mine`", "mine@1.0.0"] {
        assert!(told.contains(part), "{told}");
    }
    let removed = home.run(&["models", "remove", "mine@1.0.0"]);
    assert!(removed.status.success() && removed.stderr.is_empty());
    drop(server);
}

#[test]
fn a_wrong_key_is_not_called_a_missing_one() {
    let home = Home::new();
    let server = Server::start(&home, &SMALL);
    fs::write(home.path().join("wrong"), "not-a-key-of-this-server").unwrap();
    let told = home.fails(1, &["keys", "list", "--admin-key-file", "wrong"]);
    assert!(told.contains("none of this server's"), "{told}");
    assert!(told.contains("(invalid_api_key)"), "{told}");
    let ours = format!("sk-belljar-{}", "0".repeat(64));
    fs::write(home.path().join("wrong"), ours).unwrap();
    let told = home.fails(1, &["keys", "list", "--admin-key-file", "wrong"]);
    assert!(told.contains("not valid"), "{told}");
    drop(server);
}

#[test]
fn without_a_temporary_folder_the_variable_is_named() {
    let home = Home::new();
    let folder = home.project("project", &project("1.0.0"));
    let folder = folder.to_str().unwrap();
    for arguments in [
        &["check", folder][..],
        &["run", folder, "--input", "{\"x\":[1]}"],
    ] {
        let mut command = home.command(arguments);
        let output = command.env("TMPDIR", home.path().join("none")).output();
        let output = output.unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("set TMPDIR"), "{told}");
        assert_eq!(told.matches("No such file").count(), 1, "{told}");
    }
}

#[test]
fn a_flag_that_turns_nothing_off_says_so() {
    let home = Home::new();
    let open = ["--listen", "0.0.0.0:0", "--insecure", SMALL[0], SMALL[1]];
    let server = Server::spawn(home.command(&open));
    let told = server.banner.split_whitespace().collect::<Vec<_>>();
    let told = told.join(" ");
    assert!(
        told.contains("keys required: `--insecure` allows `--require-api-key=false`"),
        "{told}"
    );
    drop(server);
    // With a space as well as with an equals sign.
    let arguments = ["--require-api-key", "true", SMALL[0], SMALL[1]];
    let server = Server::start(&home, &arguments);
    assert_eq!(server.get("/v1/models").0, 401);
}

/// Acts: `testing`.
#[test]
fn the_start_says_whether_testers_may_do_anything() {
    let home = Home::new();
    for (address, more, told) in [
        (
            "127.0.0.1:0",
            &["--set", "testing=auto"][..],
            "testing ON: ",
        ),
        ("127.0.0.1:0", &["--set", "testing=false"], "testing off "),
        ("0.0.0.0:0", &["--set", "testing=auto"], "testing off "),
        ("0.0.0.0:0", &["--set", "testing=true"], "testing ON: "),
        ("127.0.0.1:0", &[], "testing ON: "),
        ("0.0.0.0:0", &[], "testing off "),
    ] {
        let arguments = [&["--listen", address][..], &SMALL[..], more].concat();
        let server = Server::spawn(home.command(&arguments));
        let banner = server.banner.split_whitespace().collect::<Vec<_>>();
        let banner = banner.join(" ");
        assert!(banner.contains(told), "{arguments:?}: {banner}");
    }
}

/// The program that needs no belljar finds what `belljar audit verify` finds.
#[test]
fn a_cut_audit_log_is_found_without_a_belljar() {
    const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/verify_audit.py");
    let python = Command::new("python3").arg("--version").output();
    if !python.is_ok_and(|output| output.status.success()) {
        server::not_tried("python3 is not installed: examples/verify_audit.py was not run");
        return;
    }
    let home = Home::new();
    let mut arguments = SMALL.to_vec();
    arguments.extend(["--set", "audit.file_max=2 KiB"]);
    let server = Server::start(&home, &arguments);
    for _ in 0..8 {
        let id = key(&home, "k", "infer");
        home.ok(&["keys", "delete", &id]);
    }
    assert_eq!(server.stop().0, Some(0));
    let log = home.data_dir().join("audit.log");
    let check = || {
        let output = Command::new("python3").arg(PROGRAM).arg(&log).output();
        let output = output.unwrap();
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8(told).unwrap();
        assert_eq!(
            output.status.success(),
            home.run(&["audit", "verify"]).status.success(),
            "{told}"
        );
        told
    };
    assert!(check().starts_with("whole; last hash "));
    let whole = fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let (last, others) = lines.split_last().unwrap();
    fs::write(&log, others.concat()).unwrap();
    assert!(check().contains("had come to"));
    fs::write(&log, whole.replacen("key", "kex", 1)).unwrap();
    assert!(check().contains("was changed"));
    fs::write(&log, last).unwrap();
    assert!(check().contains("belongs") || others.is_empty());
    fs::write(&log, format!("{whole}no line\n")).unwrap();
    assert!(check().contains("no line of an audit log"));
    fs::write(&log, format!("{whole}{{\"sequence\"")).unwrap();
    assert!(check().starts_with("whole"), "a line that is being written");
    fs::write(&log, &whole).unwrap();
    assert!(check().starts_with("whole"));
}

#[test]
fn the_settings_of_a_running_server_are_asked_for() {
    let home = Home::new();
    let server = Server::start(&home, &SMALL);
    let address = server.url.strip_prefix("http://").unwrap();
    let shown = home.ok(&["config", "show", "--server"]);
    let row = |key: &str| {
        let row = shown.lines().find(|line| line.starts_with(key)).unwrap();
        row.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(row("listen "), ["listen", "127.0.0.1:0", "--listen"]);
    assert_eq!(row("embedded.fake "), ["embedded.fake", "false", "--set"]);
    let rows = home.json(&["config", "show", "--server", address, "--json"]);
    assert!(rows.as_array().unwrap().len() > 100, "{rows}");
    // What a start would take is another question, and says so.
    let local = home.run(&["config", "show"]);
    let told = String::from_utf8(local.stderr).unwrap();
    assert!(told.contains("belljar config show --server"), "{told}");
    let local = String::from_utf8(local.stdout).unwrap();
    assert!(local.contains("127.0.0.1:8000"), "{local}");
    assert_eq!(server.stop().0, Some(0));
    assert!(
        home.fails(1, &["config", "show", "--server"])
            .contains("no server runs")
    );
}

/// The commands that SECURITY.md names for each box before production, against a server that runs.
#[test]
fn every_command_of_the_production_list_is_answered() {
    let home = Home::new();
    let server = Server::start(&home, &SMALL);
    server.logs("ready ready_ms", 1);
    let page = include_str!("../../SECURITY.md");
    let (_, list) = page.split_once("| box | settings |").unwrap();
    let mut commands = std::collections::BTreeSet::new();
    for row in list.lines().take_while(|line| line.contains('|')) {
        let seen_by = row.split(" |").nth(2).unwrap();
        let named = seen_by.split('`').skip(1).step_by(2);
        commands.extend(named.filter_map(|line| line.strip_prefix("belljar ")));
    }
    assert!(commands.len() > 10, "{commands:?}");
    let folder = home.project("project", &project("1.0.0"));
    let file = home.path().join("backup.tar");
    // In the order of the alphabet, in which a backup is made before one is looked at.
    for command in commands {
        let placed = |word| match word {
            "FOLDER" => folder.to_str().unwrap(),
            "FILE" => file.to_str().unwrap(),
            word => word,
        };
        home.ok(&command.split(' ').map(placed).collect::<Vec<_>>());
    }
    drop(server);
}
