//! What an operator asks of a running server and of the program itself: how it is, that it reads
//! its settings again, what a model wrote, what a shell completes, the manual.
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
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use server::{Home, Server, http, signal};

/// A server with `echo` as its only model: it compiles in a moment.
const SMALL: [&str; 2] = ["--set", "embedded.fake=false"];

const PROJECT: &str = "schema = 1\nname = 'mine'\nversion = '1.0.0'\ncomponent = 'model.wasm'\n";

/// Writes the file of settings in the data directory.
fn configure(home: &Home, text: &str) {
    fs::create_dir_all(home.data_dir()).unwrap();
    fs::write(home.data_dir().join("belljar.toml"), text).unwrap();
}

/// A server whose models are loaded.
fn start(home: &Home, arguments: &[&str]) -> Server {
    let server = Server::start(home, &[&SMALL[..], arguments].concat());
    server.logs("ready ready_ms", 1);
    server
}

/// A text with single spaces.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_status_is_a_page_and_its_exit_code_says_whether_the_server_is_ready() {
    let home = Home::new();
    let told = home.fails(1, &["status"]);
    assert!(told.contains("no server runs"), "{told}");
    let server = start(&home, &[]);
    let page = home.ok(&["status"]);
    for line in page.lines() {
        assert!(line.chars().count() <= 80 || line.contains('/'), "{line}");
    }
    let told = flat(&page);
    for part in [
        concat!("belljar ", env!("CARGO_PKG_VERSION"), " is ready, up "),
        &format!("listening {}", server.url),
        &format!("data {}", home.data_dir().display()),
        "guards off keys required, rate limits, networks",
        "audit log file",
        "reload never",
        "MODEL ACTIVE STATE RUNNING WAITING RUNS/MIN FAILS/MIN FUEL/MIN",
        "echo 0.1.0 active 0 0 0 0 0",
    ] {
        assert!(told.contains(part), "{part}: {page}");
    }
    let status = home.json(&["status", "--json"]);
    assert_eq!(status["state"], "ready");
    assert_eq!(server.stop().0, Some(0));
    // One that answers and is not ready.
    fs::remove_dir_all(home.data_dir().join("bundles")).unwrap();
    let server = Server::start(&home, &SMALL);
    server.logs("not ready", 1);
    let output = home.run(&["status"]);
    let page = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(3), "{page}");
    assert!(page.contains(" is failed, up "), "{page}");
    assert_eq!(home.run(&["status", "--json"]).status.code(), Some(3));
    drop(server);
}

#[test]
fn a_reload_that_is_asked_for_tells_what_changed_what_waits_and_what_is_wrong() {
    let home = Home::new();
    configure(&home, "[log]\nlevel = 'info'\n");
    let server = start(&home, &[]);
    let told = home.ok(&["reload"]);
    assert!(told.contains("no setting is another"), "{told}");
    configure(&home, "[log]\nlevel = 'warn'\n[sandbox]\nqueue_max = 7\n");
    assert_eq!(
        home.ok(&["reload"]),
        "`log.level` is `warn` now; it was `info`\n\
         `sandbox.queue_max` stays `1024` until the next start, and is `7` then\n"
    );
    let status = home.json(&["status", "--json"]);
    let last = &status["reload"];
    assert_eq!(
        (&last["outcome"], &last["changed"], &last["waiting"]),
        (
            &"ok".into(),
            &serde_json::json!(["log.level"]),
            &serde_json::json!(["sandbox.queue_max"])
        )
    );
    assert!(last["by"].as_str().unwrap().starts_with("key_"), "{last}");
    // All that is wrong, at once, with the code of a configuration that cannot be used.
    configure(
        &home,
        "[log]\nlevl = 'info'\n[sandbox]\nqueue_max = 'many'\n",
    );
    let told = home.fails(2, &["reload"]);
    for part in [
        "(configuration_refused)",
        "belljar.toml:2: log.levl: there is no such setting: did you mean `log.level`?",
        "belljar.toml:4: sandbox.queue_max: ",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let page = flat(&home.ok(&["status"]));
    assert!(page.contains("REFUSED: "), "{page}");
    let shown = home.ok(&["config", "show", "--server"]);
    let level = shown
        .lines()
        .find(|line| line.starts_with("log.level "))
        .unwrap();
    assert!(level.contains("warn") && level.ends_with("yes"), "{level}");
    // The signal takes the same way.
    configure(&home, "[log]\nlevel = 'info'\n");
    signal(server.process(), "HUP");
    server.logs("the settings have been read again", 1);
    let by_signal = loop {
        let status = home.json(&["status", "--json"]);
        if status["reload"]["outcome"] == "ok" {
            break status["reload"].clone();
        }
    };
    assert_eq!(by_signal["by"], serde_json::Value::Null);
    assert_eq!(server.stop().0, Some(0));
    let audit = home.ok(&["audit", "show", "--lines", "1000"]);
    let events: Vec<serde_json::Value> = audit
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|event: &serde_json::Value| event["event"] == "reload")
        .collect();
    let outcomes: Vec<_> = events
        .iter()
        .map(|event| event["about"]["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["ok", "ok", "refused", "ok"]);
    assert!(events[1]["key_id"].is_string() && events[3].get("key_id").is_none());
    let told = home.fails(1, &["reload"]);
    assert!(told.contains("no server runs"), "{told}");
}

#[test]
fn reloads_at_once_come_one_after_another() {
    const ASKED: usize = 12;
    let home = Home::new();
    configure(&home, "");
    let server = start(&home, &[]);
    configure(&home, "[log]\naccess = false\n");
    let asking: Vec<_> = (0..ASKED)
        .map(|_| {
            let mut command = home.command(&["reload", "--json"]);
            command.stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let changed = asking.into_iter().map(|child| {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        told["changed"].as_array().unwrap().len()
    });
    assert_eq!(changed.sum::<usize>(), 1, "one of them finds the change");
    server.logs("the settings have been read again", ASKED);
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn what_a_model_writes_is_shown_and_followed() {
    let home = Home::new();
    let component = fs::read(belljar_test_guests::path("panics")).unwrap();
    let project = home.project_of(&component, "project", PROJECT);
    let server = start(&home, &["--set", "model_logs.readers=uploader"]);
    home.ok(&["push", project.to_str().unwrap()]);
    let run = |id: &str| {
        let headers = [("content-type", "application/json"), ("x-request-id", id)];
        let body = r#"{"model":"mine","inputs":{"x":[1]}}"#;
        assert_eq!(http(&server.url, "POST", "/infer", &headers, body).0, 502);
    };
    run("the-first");
    for model in ["mine", "mine@1.0.0"] {
        let shown = home.ok(&["models", "logs", model]);
        let panicked = "INFO  1.0.0 stdio the-first: the guest panicked at input 1";
        assert!(shown.contains(panicked), "{shown}");
        assert!(shown.contains("ERROR 1.0.0 run the-first: "), "{shown}");
    }
    let last = home.ok(&["models", "logs", "mine", "--limit", "1", "--json"]);
    let last: serde_json::Value = serde_json::from_str(&last).unwrap();
    assert_eq!(last["source"], "run");
    let mut command = home.command(&["models", "logs", "mine", "--follow", "--limit", "1"]);
    let mut following = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("the-first"));
    run("the-second");
    assert!(lines.next().unwrap().unwrap().contains("the-second"));
    following.kill().unwrap();
    following.wait().unwrap();
    let told = home.fails(1, &["models", "logs", "none"]);
    assert!(told.contains("model_not_found"), "{told}");
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn following_ends_with_the_key() {
    let home = Home::new();
    let server = start(&home, &["--set", "model_logs.readers=uploader"]);
    let key = home.ok(&[
        "keys",
        "create",
        "--name",
        "author",
        "--scopes",
        "models:read,models:write",
    ]);
    fs::write(home.path().join("author.key"), key).unwrap();
    let project = home.project("project", PROJECT);
    let with_key = ["--admin-key-file", "author.key"];
    home.ok(&[&["push", project.to_str().unwrap()], &with_key[..]].concat());
    let arguments = [&["models", "logs", "mine", "--follow"], &with_key[..]].concat();
    let following = home
        .command(&arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    home.ok(&["keys", "revoke", "author"]);
    let output = following.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("invalid_api_key"), "{told}");
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_key_whose_name_looks_like_an_id_is_found_by_it() {
    let home = Home::new();
    let server = start(&home, &[]);
    let create = |name: &str| {
        let arguments = [
            "keys", "create", "--name", name, "--scopes", "infer", "--json",
        ];
        home.json(&arguments)["id"].as_str().unwrap().to_owned()
    };
    let plain = create("ci");
    let odd = create("key_0123456789abcdef");
    let posing = create(&plain);
    assert!(
        home.ok(&["keys", "show", "key_0123456789abcdef"])
            .starts_with(&odd)
    );
    // An id is its own key's, whatever others are called.
    assert!(home.ok(&["keys", "show", &plain]).starts_with(&plain));
    for (verb, key, found) in [
        ("rotate", "key_0123456789abcdef", None),
        ("revoke", "key_0123456789abcdef", Some(&odd)),
        ("delete", "key_0123456789abcdef", Some(&odd)),
        ("revoke", &plain, Some(&plain)),
        ("delete", &plain, Some(&plain)),
        // Its id is gone, and the name is the other's.
        ("delete", &plain, Some(&posing)),
    ] {
        let told = home.ok(&["keys", verb, key]);
        if let Some(id) = found {
            assert!(told.starts_with(id.as_str()), "{verb} {key}: {told}");
        }
    }
    // Two of one name are told apart by their ids, in every command that takes one key.
    let (first, second) = (create("twice"), create("twice"));
    for verb in ["show", "rotate", "revoke", "delete"] {
        let told = home.fails(1, &["keys", verb, "twice"]);
        assert!(told.contains(&first) && told.contains(&second), "{told}");
    }
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn shells_complete_what_there_is() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = home.ok(&["completion", shell]);
        assert!(script.contains("models"), "{shell}");
        assert!(
            !script.contains("compile-child"),
            "{shell}: only the server starts it"
        );
    }
    assert!(
        home.fails(2, &["completion", "tcsh"])
            .contains("possible values")
    );
    let script = home.path().join("belljar.bash");
    fs::write(&script, home.ok(&["completion", "bash"])).unwrap();
    let bash = |arguments: &[&str]| {
        let output = Command::new("bash").args(arguments).output();
        let output = output.ok()?;
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        Some(String::from_utf8(output.stdout).unwrap())
    };
    if bash(&["-n", script.to_str().unwrap()]).is_none() {
        server::not_tried("bash is not installed: its script was not run");
        return;
    }
    for (typed, expect) in [
        ("mod", "models"),
        ("stat", "status"),
        ("models lo", "logs"),
        ("models logs --fol", "--follow"),
        ("completion z", "zsh"),
    ] {
        let words: Vec<&str> = typed.split(' ').collect();
        let (last, before) = words.split_last().unwrap();
        let previous = before.last().unwrap_or(&"belljar");
        let try_it = format!(
            "source '{}'; COMP_WORDS=(belljar {typed}); COMP_CWORD={}; \
             _belljar belljar '{last}' '{previous}'; echo \"${{COMPREPLY[@]}}\"",
            script.display(),
            words.len()
        );
        let completed = bash(&["-c", &try_it]).unwrap();
        let completed: Vec<&str> = completed.split_whitespace().collect();
        assert!(completed.contains(&expect), "{typed}: {completed:?}");
        assert!(
            completed.iter().all(|word| word.starts_with(last)),
            "{completed:?}"
        );
    }
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let home = Home::new();
    let page = home.ok(&["man"]);
    for part in [".TH belljar 1", ".SH SUBCOMMANDS", "belljar\\-status(1)"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    home.ok(&["man", "--out", "pages/man1"]);
    let folder = home.path().join("pages/man1");
    let mut pages: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    for expect in [
        "belljar.1",
        "belljar-models-logs.1",
        "belljar-keys-rotate.1",
    ] {
        assert!(
            pages.iter().any(|page| page == expect),
            "{expect}: {pages:?}"
        );
    }
    assert!(
        !pages.iter().any(|page| page.contains("compile")),
        "{pages:?}"
    );
    let told = home.fails(1, &["man", "--out", "pages/man1/belljar.1"]);
    assert!(told.contains("cannot write pages"), "{told}");
    // Each is set without a warning, and its own words are on it.
    for page in pages {
        let output = Command::new("groff")
            .args(["-man", "-Tutf8", "-ww", "-P-cbou"])
            .arg(folder.join(&page))
            .output();
        let Ok(output) = output else {
            server::not_tried("groff is not installed: no page was set");
            return;
        };
        let warned = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success() && warned.is_empty(),
            "{page}: {warned}"
        );
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("SYNOPSIS"), "{page}: {text}");
    }
}

/// Certificates for a server and for its clients, and a list of what is revoked.
fn certificates(home: &Home, days: i64) {
    let now = jiff::Timestamp::now();
    let day = |days: i64| {
        let time = now + jiff::SignedDuration::from_hours(24 * days);
        let time = time.to_zoned(jiff::tz::TimeZone::UTC);
        let (month, day) = (time.month(), time.day());
        rcgen::date_time_ymd(time.year().into(), month.unsigned_abs(), day.unsigned_abs())
    };
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![
        rcgen::KeyUsagePurpose::KeyCertSign,
        rcgen::KeyUsagePurpose::CrlSign,
        rcgen::KeyUsagePurpose::DigitalSignature,
    ];
    params.not_before = day(-1);
    params.not_after = day(days);
    let key = rcgen::KeyPair::generate().unwrap();
    let pem = key.serialize_pem();
    let issuer = rcgen::CertifiedIssuer::self_signed(params, key).unwrap();
    let list = rcgen::CertificateRevocationListParams {
        this_update: day(-2),
        next_update: day(days),
        crl_number: rcgen::SerialNumber::from_slice(&[1]),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&issuer).unwrap().pem().unwrap();
    for (name, text) in [
        ("tls.pem", issuer.pem()),
        ("tls.key", pem),
        ("list.pem", list),
    ] {
        fs::write(home.path().join(name), text).unwrap();
    }
}

const TLS: [&str; 12] = [
    "--tls-cert",
    "tls.pem",
    "--tls-key",
    "tls.key",
    "--set",
    "tls.client_auth=optional",
    "--set",
    "tls.client_ca=tls.pem",
    "--set",
    "tls.client_crl=list.pem",
    "--set",
    "unix.path=api.sock",
];

#[test]
fn what_ends_soon_is_told_and_the_start_shows_who_may_come_how() {
    let home = Home::new();
    certificates(&home, 5);
    let server = start(&home, &TLS);
    let banner = flat(&server.banner);
    for part in [
        "socket ",
        "api.sock (mode 0660)",
        "clients may show a certificate, which stands for no key; held against the lists",
    ] {
        assert!(banner.contains(part), "{part}: {banner}");
    }
    server.logs("the certificate expires soon", 2);
    server.logs("a list of revoked certificates ends soon", 1);
    let page = flat(&home.ok(&["status"]));
    assert!(page.contains("clients may show certificates"), "{page}");
    assert_eq!(page.matches("(SOON)").count(), 3, "{page}");
    assert!(page.contains("api.sock"), "{page}");
    // Renewed, nothing is told any more.
    certificates(&home, 60);
    home.ok(&["reload"]);
    let status = home.json(&["status", "--json"]);
    let files = status["tls"]["files"].as_array().unwrap();
    assert_eq!(files.len(), 3);
    assert!(files.iter().all(|file| file["soon"] == false), "{files:?}");
    // And told earlier where that is wanted.
    configure(&home, "[tls]\nexpiry_warning = '100 d'\n");
    let told = home.ok(&["reload"]);
    assert!(
        told.contains("`tls.expiry_warning` is `100 d` now"),
        "{told}"
    );
    server.logs("a list of revoked certificates ends soon", 2);
    assert_eq!(server.stop().0, Some(0));
}
