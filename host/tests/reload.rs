//! Settings that change while a server runs: what an operator edits, and what the server makes of it
//! when it is told to read them again.
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
use std::time::{Duration, Instant};

use server::{Home, Server, http, signal};

/// The line that ends a reading that was taken up.
const READ: &str = "the settings have been read again";

/// A server with a file of settings in its data directory.
struct Edited {
    home: Home,
    server: Server,
    readings: usize,
}

impl Edited {
    fn start(file: &str) -> Self {
        let home = Home::new();
        fs::create_dir_all(home.data_dir()).unwrap();
        fs::write(home.data_dir().join("belljar.toml"), file).unwrap();
        let server = Server::start(&home, &["--set", "embedded.fake=false"]);
        server.logs("ready ready_ms", 1);
        Self {
            home,
            server,
            readings: 0,
        }
    }

    /// Writes other settings, tells the server, and waits until it has read them.
    fn edit(&mut self, file: &str) {
        self.hang_up(file);
        self.readings += 1;
        self.server.logs(READ, self.readings);
    }

    fn hang_up(&self, file: &str) {
        fs::write(self.home.data_dir().join("belljar.toml"), file).unwrap();
        signal(self.server.process(), "HUP");
    }

    /// The status and the text of a run of a model.
    fn infer(&self, model: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let body = format!(r#"{{"model":"{model}","inputs":{{"x":[1,2]}}}}"#);
        let headers = [&[("content-type", "application/json")], headers].concat();
        http(&self.server.url, "POST", "/infer", &headers, &body)
    }

    fn value(&self, key: &str) -> String {
        let rows = self.home.json(&["config", "show", "--server", "--json"]);
        let rows = rows.as_array().unwrap();
        let row = rows.iter().find(|row| row["key"] == key).unwrap();
        row["value"].as_str().unwrap().to_owned()
    }
}

#[test]
fn what_can_change_changes_and_what_cannot_is_told() {
    let mut server = Edited::start("[models]\naliases = ['one=echo']\n");
    assert_eq!(server.infer("one", &[]).0, 200);
    assert_eq!(server.infer("two", &[]).0, 404);
    server.edit("[models]\naliases = ['two=echo']\n[sandbox]\nqueue_max = 7\n");
    assert_eq!(server.infer("one", &[]).0, 404);
    assert_eq!(server.infer("two", &[]).0, 200);
    assert_eq!(server.value("models.aliases"), "two=echo");
    assert_ne!(
        server.value("sandbox.queue_max"),
        "7",
        "what holds is shown"
    );
    // A rate for everybody, and none again.
    server.edit("[rate_limit]\nenabled = true\nrpm = 1\n");
    assert_eq!(server.infer("echo", &[]).0, 200);
    assert_eq!(server.infer("echo", &[]).0, 429);
    server.edit("[rate_limit]\nenabled = true\nrpm = 2\n");
    assert_eq!(server.infer("echo", &[]).0, 200);
    server.edit("");
    assert_eq!(server.infer("echo", &[]).0, 200);
    // A network that is not served any more; the signal comes from inside.
    server.edit("deny_networks = ['127.0.0.0/8']\n");
    let (status, text) = server.infer("echo", &[]);
    assert_eq!(status, 403, "{text}");
    assert!(text.contains("address_not_allowed"), "{text}");
    server.edit("");
    assert_eq!(server.infer("echo", &[]).0, 200);
    let (code, log) = server.server.stop();
    assert_eq!(code, Some(0), "{log}");
    for line in [
        "`models.aliases` is `two=echo` now; it was `one=echo`",
        "`sandbox.queue_max` stays `",
        "`deny_networks` is `127.0.0.0/8` now",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
    let audit = server.home.ok(&["audit", "show", "--lines", "1000"]);
    let events = audit
        .lines()
        .filter(|line| line.contains("\"configuration\""));
    assert_eq!(events.count(), 7, "the start and six changes: {audit}");
}

#[test]
fn a_key_that_is_taken_out_of_the_settings_is_refused_at_once() {
    let (kept, gone) = ("the-key-that-stays-here", "the-key-that-is-taken-out");
    let both = format!("require_api_key = true\napi_keys = ['{gone}', '{kept}']\n");
    let mut server = Edited::start(&both);
    let ask = |server: &Edited, key: &str| server.infer("echo", &[("x-api-key", key)]).0;
    assert_eq!((ask(&server, gone), ask(&server, kept)), (200, 200));
    server.edit(&format!("require_api_key = true\napi_keys = ['{kept}']\n"));
    assert_eq!((ask(&server, gone), ask(&server, kept)), (401, 200));
    // What it has used goes with the key, not with its place in the list.
    let keys = server.home.json(&["keys", "list", "--json"]);
    let first = &keys["data"][0];
    assert_eq!(
        (&first["id"], &first["usage"]["requests"]),
        (&"config-1".into(), &2.into())
    );
    server.edit(&both);
    assert_eq!((ask(&server, gone), ask(&server, kept)), (200, 200));
    let keys = server.home.json(&["keys", "list", "--json"]);
    assert_eq!(keys["data"][0]["usage"]["requests"], 2, "{keys}");
    let log = server.server.stop().1;
    assert!(!log.contains(gone) && !log.contains(kept), "{log}");
}

#[test]
fn a_screen_and_bans_go_by_the_settings_that_were_read_last() {
    let mut server =
        Edited::start("[screening]\ntensor = 'block'\n[conduct]\ninjections_max = 2\n");
    let body = r#"{"model":"echo","inputs":{"x":["'; DROP TABLE users; --"]}}"#;
    let attack = |server: &Edited| {
        let json = [("content-type", "application/json")];
        http(&server.server.url, "POST", "/infer", &json, body).0
    };
    assert_eq!(attack(&server), 400);
    server.edit("[screening]\ntensor = 'report'\n");
    assert_eq!(attack(&server), 200);
    server.edit("[screening]\ntensor = 'block'\n[conduct]\ninjections_max = 2\n");
    assert_eq!(attack(&server), 400);
    assert_eq!(server.infer("echo", &[]).0, 403, "the second one bans");
    server.edit("exempt_networks = ['127.0.0.1']\n");
    assert_eq!(server.infer("echo", &[]).0, 200);
}

#[test]
fn a_log_can_be_silenced_and_heard_again() {
    let mut server = Edited::start("");
    assert_eq!(server.infer("echo", &[]).0, 200);
    server.server.logs("access: POST /infer 200", 1);
    server.edit("[log]\nlevel = 'off'\naccess = false\n");
    while server.value("log.level") != "off" {
        std::thread::yield_now();
    }
    assert_eq!(server.infer("echo", &[]).0, 200);
    // What opens it up is told when it is open.
    server.edit("");
    assert_eq!(server.infer("echo", &[]).0, 200);
    server.server.logs("access: POST /infer 200", 2);
    let log = server.server.stop().1;
    assert_eq!(log.matches("access: POST").count(), 2, "{log}");
    assert!(
        log.contains("`log.level` is `info` now; it was `off`"),
        "{log}"
    );
}

#[test]
fn a_file_that_cannot_be_used_changes_nothing() {
    let mut server = Edited::start("[models]\naliases = ['one=echo']\n");
    for (times, bad) in [
        "[models]\naliases = ['two=echo']\nno such = \n",
        "[models]\naliases = ['two=echo']\n[log]\nlevel = 'loud'\n",
        "[conduct]\nlonger_from = 60\n",
    ]
    .iter()
    .enumerate()
    {
        server.hang_up(bad);
        server
            .server
            .logs("reload: the settings stay as they are", times + 1);
        assert_eq!(server.infer("one", &[]).0, 200);
        assert_eq!(server.infer("two", &[]).0, 404);
    }
    server.edit("[models]\naliases = ['two=echo']\n");
    assert_eq!(server.infer("two", &[]).0, 200);
    assert_eq!(server.server.stop().0, Some(0));
}

/// Acts: `test.rules`. The file is read again with the settings, behind the wall too, and one that
/// cannot be used leaves the rules as they are.
#[test]
fn rules_of_answers_are_read_again() {
    let home = Home::new();
    let folder = home.path().join("rules");
    let file = folder.join("rules.toml");
    let write = |text: &str| {
        fs::write(folder.join("next"), text).unwrap();
        fs::rename(folder.join("next"), &file).unwrap();
    };
    let rule = |text: &str| format!("[[rule]]\nname = 'r'\nanswer.text = '{text}'\n");
    fs::create_dir(&folder).unwrap();
    write(&rule("one"));
    let set = format!("test.rules={}", file.display());
    let server = Server::start(&home, &["--set", &set]);
    server.logs("ready ready_ms", 1);
    let says = |text: &str| {
        let body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;
        let json = [("content-type", "application/json")];
        let (status, answer) = http(&server.url, "POST", "/v1/chat/completions", &json, body);
        assert_eq!(status, 200, "{answer}");
        assert!(
            answer.contains(&format!("\"content\":\"{text}\"")),
            "{answer}"
        );
    };
    says("one");
    write(&rule("two"));
    says("one");
    signal(server.process(), "HUP");
    server.logs(READ, 1);
    says("two");
    write("[[rule]]\nname = 'r'\nanswer.text = 3\n");
    signal(server.process(), "HUP");
    server.logs("the settings stay as they are", 1);
    server.logs("rules.toml: line 3, column 15: ", 1);
    says("two");
    fs::remove_file(&file).unwrap();
    signal(server.process(), "HUP");
    server.logs("the settings stay as they are", 2);
    says("two");
    assert_eq!(server.stop().0, Some(0));
}

/// A terminal that is closed sends the same signal, and there the server stops in order.
#[test]
fn a_terminal_that_is_closed_stops_its_server() {
    let home = Home::new();
    let command = format!(
        "{} --listen 127.0.0.1:0 --set embedded.fake=false",
        env!("CARGO_BIN_EXE_belljar")
    );
    let terminal = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .env("HOME", home.path())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn();
    let Ok(mut terminal) = terminal else {
        server::not_tried("script is not installed: no terminal was closed");
        return;
    };
    let file = home.data_dir().join("server.json");
    let until = |is_there: bool| {
        let deadline = Instant::now() + Duration::from_secs(60);
        while file.exists() != is_there {
            assert!(Instant::now() < deadline, "server.json: {}", !is_there);
            std::thread::yield_now();
        }
    };
    until(true);
    terminal.kill().unwrap();
    terminal.wait().unwrap();
    until(false);
}

/// Behind the wall around the server, what its settings name goes on to be read: files that take
/// the place of others, and folders behind links.
#[test]
fn what_is_replaced_is_read_again_behind_the_wall() {
    let home = Home::new();
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let swap = |name: &str| {
        home.ok(&["tls", "dev", "--out", &path(&format!("tls/{name}"))]);
        std::os::unix::fs::symlink(name, path("tls/next")).unwrap();
        fs::rename(path("tls/next"), path("tls/now")).unwrap();
    };
    let configure = |tls: &str, more: &str| {
        let text = format!(
            "hardening = 'required'\n{more}\
             [tls]\ncert = '{tls}/cert.pem'\nkey = '{tls}/key.pem'\nwatch_period = '0 s'\n\
             [audit]\npath = '{}'\n[unix]\npath = '{}'\n[embedded]\nfake = false\n",
            path("log/audit.log"),
            path("run/api.sock"),
        );
        fs::write(path("etc/new"), text).unwrap();
        fs::rename(path("etc/new"), path("etc/belljar.toml")).unwrap();
    };
    for folder in ["log", "run", "etc", "tls"] {
        fs::create_dir(path(folder)).unwrap();
    }
    swap("first");
    configure(&path("tls/now"), "");
    let server = Server::start(&home, &["--config", &path("etc/belljar.toml")]);
    assert!(
        server.banner.contains("files: kept: landlock"),
        "{}",
        server.banner
    );
    swap("second");
    configure(&path("tls/now"), "exempt_networks = ['192.0.2.0/24']\n");
    signal(server.process(), "HUP");
    server.logs("`exempt_networks` is `192.0.2.0/24` now", 1);
    server.logs(READ, 1);
    // A folder that nothing has named at the start is beyond it, and that is said.
    fs::create_dir(path("away")).unwrap();
    for file in ["cert.pem", "key.pem"] {
        fs::copy(path("tls/now/") + file, path("away/") + file).unwrap();
    }
    configure(&path("away"), "");
    signal(server.process(), "HUP");
    server.logs("the settings stay as they are", 1);
    server.logs("name it in `hardening_read_paths` before", 1);
    assert!(fs::metadata(path("run/api.sock")).is_ok());
    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(
        fs::metadata(path("run/api.sock")).is_err(),
        "it goes with its server"
    );
    assert!(fs::metadata(path("log/audit.log")).unwrap().len() > 0);
    // Without a wall it is read.
    let file = path("etc/belljar.toml");
    let open = Server::start(&home, &["--config", &file, "--set", "hardening=off"]);
    assert!(open.banner.contains("wall        OFF"), "{}", open.banner);
    assert_eq!(open.stop().0, Some(0));
}
