//! The command line with the real binary: what it prints, what it refuses, and its exit codes.
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
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use belljar_bundle::manifest_keys;
use serde_json::Value;
use server::{Home, Server, http, signal};

const ECHO_PROJECT: &str =
    "schema = 1\nname = 'mine'\nversion = '1.2.3'\ncomponent = 'model.wasm'\n";

#[test]
fn version_and_help_succeed_and_nonsense_is_a_usage_error() {
    let home = Home::new();
    assert_eq!(
        home.ok(&["--version"]),
        format!("belljar {}\n", env!("CARGO_PKG_VERSION"))
    );
    let help = home.ok(&["--help"]);
    assert!(
        help.lines().all(|line| line.chars().count() <= 80),
        "{help}"
    );
    assert!(
        !help.contains("compile-child"),
        "the inner command is nobody's business"
    );
    assert!(home.fails(2, &["--nonsense"]).contains("--nonsense"));
    assert!(home.fails(2, &["keys", "create"]).contains("--name"));
    assert!(
        home.fails(2, &["models", "activate", "no@version"])
            .contains("not a semantic version")
    );
}

#[test]
fn settings_come_from_file_environment_and_flags_and_secrets_are_redacted() {
    let home = Home::new();
    fs::create_dir_all(home.data_dir()).unwrap();
    fs::write(
        home.data_dir().join("belljar.toml"),
        "[sandbox]\nqueue_max = 5\n",
    )
    .unwrap();
    let mut command = home.command(&["config", "show", "--json", "--set", "sandbox.runs_max=6"]);
    command
        .env("BELLJAR_API_KEYS", "a-secret-of-mine-123")
        .env("FAKEAI_REQUIRE_API_KEY", "true");
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("a-secret-of-mine"), "{text}");
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    let row = |key: &str| {
        let row = rows.iter().find(|row| row["key"] == key).unwrap();
        (
            row["value"].as_str().unwrap().to_owned(),
            row["source"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(row("sandbox.runs_max"), ("6".into(), "--set".into()));
    assert_eq!(
        row("require_api_key"),
        ("true".into(), "FAKEAI_REQUIRE_API_KEY".into())
    );
    assert_eq!(row("api_keys").0, "1 key (redacted)");
    assert_eq!(row("listen").1, "default");
    let (value, source) = row("sandbox.queue_max");
    assert_eq!(value, "5");
    assert!(source.ends_with("belljar.toml:2"), "{source}");
    let table = home.ok(&["config", "show"]);
    assert_eq!(table.lines().count(), rows.len() + 1, "a line a row");
}

#[test]
fn what_is_not_understood_stops_the_start_with_all_problems() {
    let home = Home::new();
    let mut command = home.command(&["--set", "sandbox.quue_max=1"]);
    let output = command
        .env("BELLJAR_LISTEN", "nowhere")
        .env("FAKEAI_API_KEY", "x")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    for expected in [
        "sandbox.queue_max",
        "BELLJAR_LISTEN (listen)",
        "FAKEAI_API_KEYS",
    ] {
        assert!(stderr.contains(expected), "{stderr}");
    }
    assert!(
        !home.data_dir().exists(),
        "nothing is made before the settings are understood"
    );
}

/// Acts: `insecure`.
#[test]
fn an_open_address_without_keys_is_refused() {
    let home = Home::new();
    let open = ["--listen", "0.0.0.0:0", "--require-api-key=false"];
    assert!(home.fails(2, &open).contains("--insecure"));
    let mut arguments = open.to_vec();
    arguments.push("--insecure");
    let server = Server::spawn(home.command(&arguments));
    assert!(server.banner.contains("NOT required"), "{}", server.banner);
    assert!(server.url.starts_with("http://0.0.0.0:"), "{}", server.url);
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn the_reference_is_the_page_in_the_repository() {
    assert_eq!(
        Home::new().ok(&["config", "reference"]),
        include_str!("../../CONFIGURATION.md")
    );
}

#[test]
fn a_project_is_packed_checked_and_run_without_a_server() {
    let home = Home::new();
    let folder = home.project("project", ECHO_PROJECT);
    let folder = folder.to_str().unwrap();
    let packed = home.json(&["pack", folder, "-o", "m.tar", "--json"]);
    assert_eq!(packed["id"], "mine@1.2.3");
    let again = home.json(&["pack", folder, "--json"]);
    assert_eq!(again["digest"], packed["digest"], "packing is reproducible");
    assert_eq!(again["file"], "mine-1.2.3.tar");
    assert_eq!(
        fs::read(home.path().join("m.tar")).unwrap(),
        fs::read(home.path().join("mine-1.2.3.tar")).unwrap()
    );
    let checked = home.json(&["check", "m.tar", "--json"]);
    assert_eq!(checked["digest"], packed["digest"]);
    assert!(
        checked["capabilities"]
            .as_array()
            .unwrap()
            .contains(&"tensors".into())
    );
    assert!(
        home.ok(&["check", folder])
            .starts_with("mine@1.2.3 is sound\n")
    );
    let answer = home.json(&["run", "m.tar", "--input", r#"{"x":[[1,2],[3,4]]}"#]);
    assert!(answer.to_string().contains("[[1,2],[3,4]]"), "{answer}");
    assert!(
        home.fails(1, &["run", folder, "--prompt", "hi"])
            .contains("--input")
    );
    // What was compiled is kept for the next command, with the key of its seals, and nothing else.
    let left = fs::read_dir(home.data_dir()).unwrap().flatten();
    let mut left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    left.sort();
    assert_eq!(left, ["artefacts.key", "compiled"]);
}

/// What a run finds in place of time and chance is what it is told on the command line.
#[test]
fn a_run_is_the_same_with_the_same_seed_and_time() {
    let home = Home::new();
    let component = belljar_test_guests::bytes("time_and_chance");
    let folder = home.project_of(&component, "dice", ECHO_PROJECT);
    let folder = folder.to_str().unwrap();
    let run = |seed: &str, time: &str| {
        let input = r#"{"x":[1]}"#;
        let answer = home.json(&[
            "run", folder, "--input", input, "--seed", seed, "--time", time,
        ]);
        answer["outputs"].clone()
    };
    let (one, other) = ("1".repeat(64), "2".repeat(64));
    let once = run(&one, "86400000");
    assert_eq!(once["wall_ms"], 86_400_000);
    assert_eq!(run(&one, "86400000"), once);
    assert_eq!(run(&one, "1")["random"], once["random"]);
    assert_ne!(run(&other, "86400000")["random"], once["random"]);
    let told = home.fails(2, &["run", folder, "--input", "{}", "--seed", "1"]);
    assert!(told.contains("64 hexadecimal digits"), "{told}");
    let checked = home.json(&["check", folder, "--json"]);
    assert_eq!(checked["determinism"]["class"], "strict", "{checked}");
    assert_eq!(
        checked["requires"]["snapshot_digest"]
            .as_str()
            .unwrap()
            .len(),
        64
    );
    let told = home.ok(&["check", folder]);
    assert!(told.contains("\n  repeats       strict\n"), "{told}");
}

#[test]
fn a_text_model_is_run_as_the_server_would() {
    let home = Home::new();
    let folder = home.project_of(belljar::embedded::FAKE_COMPONENT, "fake", ECHO_PROJECT);
    let folder = folder.to_str().unwrap();
    let chat = |more: &str| {
        let messages = r#""messages":[{"role":"user","content":"hi"}]"#;
        format!(r#"{{{messages},"seed":1,"max_tokens":8{more}}}"#)
    };
    let answer = home.json(&["run", folder, "--input", &chat("")]);
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["model"], "mine@1.2.3");
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
    let streamed = home.ok(&["run", folder, "--input", &chat(r#","stream":true"#)]);
    assert_eq!(streamed, format!("{text}\n"));
    let vectors = home.json(&["run", folder, "--input", r#"{"input":"hi"}"#]);
    assert_eq!(vectors["object"], "list");
    let ranked = home.json(&[
        "run",
        folder,
        "--input",
        r#"{"query":"the sea","documents":["tax law","the blue sea"],"top_n":1}"#,
    ]);
    assert_eq!(ranked["results"][0]["index"], 1, "{ranked}");
    let pair = r#"{"text_1":"the sea","text_2":["the sea","tax law"]}"#;
    let scored = home.json(&["run", folder, "--input", pair]);
    assert_eq!(scored["data"].as_array().unwrap().len(), 2, "{scored}");
    let told = home.fails(1, &["run", folder, "--input", &chat(r#","nonsense":1"#)]);
    assert_eq!(
        told,
        "error: Unrecognized request argument supplied: nonsense (unknown_parameter)\n"
    );
    // What the server would block is blocked here.
    let attack = r#"{"input":"1' OR '1'='1' UNION SELECT password FROM users --"}"#;
    let block = "screening.document=block";
    let told = home.fails(1, &["run", folder, "--set", block, "--input", attack]);
    assert!(told.contains("(injection_detected)"), "{told}");
}

#[test]
fn a_bundle_that_the_server_would_refuse_fails_the_check() {
    let home = Home::new();
    fs::write(home.path().join("junk.tar"), b"not a tar").unwrap();
    let told = home.fails(1, &["check", "junk.tar"]);
    assert!(told.starts_with("error: junk.tar is refused: "), "{told}");
    fs::write(home.path().join("words.txt"), "x").unwrap();
    home.project("linked", ECHO_PROJECT);
    let linked = home.path().join("linked");
    fs::create_dir(linked.join("data")).unwrap();
    std::os::unix::fs::symlink("../words.txt", linked.join("words")).unwrap();
    let packed = std::process::Command::new("tar")
        .args(["--format=ustar", "-cf", "linked.tar", "-C", "linked"])
        .args(["data", "words"])
        .current_dir(home.path())
        .status();
    assert!(packed.unwrap().success());
    let told = home.fails(1, &["check", "linked.tar"]);
    for part in [
        "\"words\" is a symbolic link",
        "entry 2, header at byte 512 of the tar",
        "--dereference",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let folder = home.project("odd", ECHO_PROJECT);
    fs::remove_file(folder.join("model.wasm")).unwrap();
    fs::create_dir(folder.join("model.wasm")).unwrap();
    let told = home.fails(1, &["pack", folder.to_str().unwrap()]);
    assert_eq!(
        told.matches("it is not a regular file").count(),
        1,
        "{told}"
    );
    let greedy = format!("{ECHO_PROJECT}[limits]\nmemory = '100 GiB'\n");
    let folder = home.project("greedy", &greedy);
    let told = home.fails(1, &["check", folder.to_str().unwrap()]);
    assert!(told.contains("100 GiB") && told.contains("1 GiB"), "{told}");
    let folder = home.project("broken", ECHO_PROJECT);
    fs::write(folder.join("model.wasm"), b"\0asm\x0d\0\x01\0junk").unwrap();
    home.fails(1, &["check", folder.to_str().unwrap()]);
    assert!(
        home.fails(1, &["check", "missing.tar"])
            .contains("missing.tar")
    );
    assert!(home.fails(1, &["pack", "nowhere"]).contains("nowhere"));
}

/// What `docs/model-toml.md` says of each limit: which setting bounds it.
#[test]
fn a_limit_over_the_policy_is_refused_with_the_setting_that_decides() {
    let home = Home::new();
    let mut tried = 0;
    for key in manifest_keys().filter(|key| key.table == "limits") {
        let [setting] = key.bound_settings else {
            panic!("{}", key.full_name());
        };
        let small = match key.name {
            "memory" | "output" => "64 KiB",
            "deadline" => "1 ms",
            _ => "1000",
        };
        let limits = format!("[limits]\n{} = {}\n", key.name, key.example);
        let folder = home.project(key.name, &format!("{ECHO_PROJECT}{limits}"));
        let set = format!("{setting}={small}");
        let told = home.fails(1, &["check", folder.to_str().unwrap(), "--set", &set]);
        for part in [key.full_name().as_str(), setting, "at most"] {
            assert!(told.contains(part), "{told} lacks {part}");
        }
        tried += 1;
    }
    assert!(tried >= 5, "{tried}");
}

#[test]
fn a_server_is_found_used_and_stopped() {
    let home = Home::new();
    let server = Server::start(&home, &["--log-format", "json"]);
    let handle: Value =
        serde_json::from_str(&fs::read_to_string(home.data_dir().join("server.json")).unwrap())
            .unwrap();
    assert_eq!(handle["url"], server.url.as_str());
    assert_eq!(handle["pid"], server.process().id());
    wait_until_ready(&server);

    let folder = home.project("project", ECHO_PROJECT);
    home.ok(&["pack", folder.to_str().unwrap(), "-o", "m.tar"]);
    assert_eq!(home.ok(&["push", "m.tar"]), "mine@1.2.3 is active\n");
    let body = r#"{"model":"mine","inputs":{"x":[1,2]}}"#;
    let json = [("content-type", "application/json")];
    let (status, answer) = http(&server.url, "POST", "/infer", &json, body);
    assert_eq!(status, 200, "{answer}");
    let list = home.json(&["models", "list", "--json"]);
    let names: Vec<&str> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["name"].as_str().unwrap())
        .collect();
    assert!(
        names.contains(&"mine") && names.contains(&"fake"),
        "{names:?}"
    );
    assert!(home.ok(&["models", "list"]).contains("mine@1.2.3"));
    assert!(
        home.ok(&["models", "show", "mine@1.2.3"])
            .starts_with("mine@1.2.3 is active\n")
    );
    home.ok(&["models", "deactivate", "mine"]);
    home.ok(&["models", "activate", "mine@1.2.3"]);
    home.ok(&["models", "remove", "mine"]);
    assert!(
        home.fails(1, &["models", "show", "mine"])
            .starts_with("error: ")
    );

    let create = [
        "keys",
        "create",
        "--name",
        "ci",
        "--scopes",
        "infer,models:write",
        "--tier",
        "tier-5",
        "--expires",
        "30 d",
        "--json",
    ];
    let created = home.json(&create);
    let (id, key) = (
        created["id"].as_str().unwrap(),
        created["key"].as_str().unwrap(),
    );
    assert!(key.starts_with("sk-belljar-") && key.len() == 75);
    let bearer = format!("Bearer {key}");
    let models = || {
        http(
            &server.url,
            "GET",
            "/v1/models",
            &[("authorization", &bearer)],
            "",
        )
        .0
    };
    assert_ne!(models(), 401);
    assert!(home.ok(&["keys", "list"]).contains(id));
    let shown = home.ok(&["keys", "show", id]);
    assert!(
        shown.contains("tier-5") && shown.contains("  requests           1"),
        "{shown}"
    );
    let rotated = home.json(&["keys", "rotate", id, "--overlap", "10m", "--json"]);
    assert_eq!(rotated["id"], id);
    assert_ne!(rotated["key"], key);
    assert_ne!(models(), 401, "the old secret works on");
    let secret = home.ok(&["keys", "rotate", id]);
    assert!(secret.starts_with("sk-belljar-"), "{secret}");
    assert_eq!(models(), 401, "and does not without an overlap");
    home.ok(&["keys", "revoke", id]);
    assert_eq!(models(), 401);
    assert!(home.ok(&["keys", "list"]).contains("revoked"));
    assert!(
        home.fails(1, &["keys", "revoke", "key_0000000000000000"])
            .contains("no key has that name or id")
    );
    assert_eq!(
        home.json(&["keys", "delete", id, "--json"])["deleted"],
        true
    );
    assert!(!home.ok(&["keys", "list"]).contains(id));
    home.fails(1, &["keys", "show", id]);

    let admin = fs::read_to_string(home.data_dir().join("admin.key")).unwrap();
    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(!home.data_dir().join("server.json").exists());
    for line in log.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
    }
    assert!(
        !log.contains(key) && !log.contains(admin.trim()),
        "a secret is in the log"
    );
    assert!(home.fails(1, &["models", "list"]).contains("belljar serve"));
}

fn wait_until_ready(server: &Server) {
    let start = Instant::now();
    while server.get("/health/ready").0 != 200 {
        assert!(start.elapsed() < Duration::from_secs(120), "not ready");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_data_directory_has_one_server() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    assert!(
        home.fails(1, &["--listen", "127.0.0.1:0"])
            .contains("in use")
    );
    let taken = server.url.strip_prefix("http://").unwrap().to_owned();
    let other = home.path().join("other");
    let arguments = ["--listen", &taken, "--data-dir", other.to_str().unwrap()];
    assert!(home.fails(1, &arguments).contains("another port"));
    assert_eq!(server.stop().0, Some(0));
}

/// Acts: `listen`, `data_dir`, `log.format`, `log.level`, `log.access`.
#[test]
fn variables_move_the_server_and_its_log() {
    let home = Home::new();
    let elsewhere = home.path().join("elsewhere");
    let start = |more: &[(&str, &str)]| {
        let mut command = home.command(&[]);
        command
            .env("BELLJAR_LISTEN", "localhost:0")
            .env("BELLJAR_DATA_DIR", &elsewhere);
        command
            .env("BELLJAR_EMBEDDED_FAKE", "false")
            .env("BELLJAR_EMBEDDED_ECHO", "false");
        Server::spawn({
            command.envs(more.iter().copied());
            command
        })
    };
    let log = |more: &[(&str, &str)]| {
        let server = start(more);
        assert_eq!(server.get("/v1/models").0, 200);
        server.stop().1
    };
    let text = log(&[]);
    assert!(text.contains("access: GET /v1/models 200"), "{text}");
    assert!(elsewhere.join("admin.key").is_file() && !home.data_dir().exists());
    let json = log(&[("BELLJAR_LOG_FORMAT", "json")]);
    let lines: Vec<Value> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        lines.iter().any(|line| line["route"] == "/v1/models"),
        "{json}"
    );
    let quiet = log(&[("BELLJAR_LOG_ACCESS", "false")]);
    assert!(
        !quiet.contains("access:") && quiet.contains("serving"),
        "{quiet}"
    );
    let silent = log(&[("BELLJAR_LOG_LEVEL", "off"), ("BELLJAR_LOG_ACCESS", "off")]);
    assert_eq!(silent, "");
}

#[test]
fn a_kill_leaves_a_data_directory_that_works() {
    let home = Home::new();
    let server = Server::start(&home, &["--set", "embedded.fake=false"]);
    let id = home.json(&[
        "keys", "create", "--name", "n", "--scopes", "infer", "--json",
    ])["id"]
        .as_str()
        .unwrap()
        .to_owned();
    signal(server.process(), "KILL");
    // Until it has ended its listener still takes connections, which are then reset.
    server.wait();
    let told = home.fails(1, &["keys", "list"]);
    assert!(told.contains("no server answers"), "{told}");
    let server = Server::start(&home, &["--set", "embedded.fake=false"]);
    assert!(home.ok(&["keys", "list"]).contains(&id));
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn the_key_of_this_machine_is_not_sent_elsewhere() {
    let home = Home::new();
    fs::create_dir_all(home.data_dir()).unwrap();
    fs::write(home.data_dir().join("admin.key"), "sk-belljar-0").unwrap();
    let told = home.fails(2, &["models", "list", "--server", "http://192.0.2.1:8000"]);
    assert!(told.contains("--admin-key-file"), "{told}");
}

/// Acts: `metrics.listen`.
#[test]
fn metrics_get_a_listener_of_their_own() {
    let home = Home::new();
    let server = Server::start(
        &home,
        &["--require-api-key", "--set", "metrics.listen=127.0.0.1:0"],
    );
    let line = server
        .banner
        .lines()
        .find(|line| line.contains("metrics"))
        .unwrap();
    let url = line
        .split_whitespace()
        .last()
        .unwrap()
        .strip_suffix("/metrics")
        .unwrap();
    let (status, body) = http(url, "GET", "/metrics", &[], "");
    assert_eq!(status, 200);
    assert!(body.contains("belljar_build_info"), "{body}");
    assert_eq!(http(url, "GET", "/v1/models", &[], "").0, 404);
    assert_eq!(server.get("/metrics").0, 401);
    assert_eq!(server.stop().0, Some(0));
}

/// Whoever asks twice does not want to wait for what is open; nothing is left behind either way.
#[test]
fn a_second_signal_ends_a_server_that_still_has_an_open_request() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    // A body that is announced and never comes keeps its request open.
    let mut open = TcpStream::connect(&address).unwrap();
    let head = format!(
        "POST /infer HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: 10\r\nexpect: 100-continue\r\n\r\n"
    );
    open.write_all(head.as_bytes()).unwrap();
    // The server asks for the body: from here on the request is being worked on.
    let mut first = [0; 12];
    open.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 100");
    let data_dir = home.data_dir();
    assert!(data_dir.join("server.json").exists());
    signal(server.process(), "TERM");
    // It takes no more connections once it has heard the first signal.
    while TcpStream::connect(&address).is_ok() {
        std::thread::yield_now();
    }
    let (code, stderr) = server.stop();
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("second signal"), "{stderr}");
    assert!(!data_dir.join("server.json").exists());
}
