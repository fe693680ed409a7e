//! What `belljar record` and `belljar replay-server` are told besides where and into which file, as
//! people tell it: each option does what its help says, in the command itself.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "each program of tests uses its own part of it")]
#[path = "kit/recorder.rs"]
mod recorder;
#[allow(dead_code, reason = "each program of tests uses its own part of it")]
#[path = "kit/server.rs"]
mod server;
#[allow(dead_code, reason = "each program of tests uses its own part of it")]
#[path = "kit/service.rs"]
mod service;

use std::fs;
use std::process::{Command, Output};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use recorder::{CHAT, Client, chat, end, record, replay};
use serde_json::{Value, json};
use server::{Home, Server};
use service::{Request, Service};

/// The operator's key, in a variable of this name.
const KEY: &str = "operators-own-key";
const VARIABLE: &str = "SERVICE_KEY";

/// What was told to `belljar record`, and the header that the key is to go into then.
const KEY_HEADERS: [(&[&str], &str); 2] = [
    (&[], "authorization"),
    (&["--key-header", "x-api-key"], "x-api-key"),
];

/// How the key stands in a header.
fn with_key(header: &str) -> String {
    match header {
        "authorization" => format!("Bearer {KEY}"),
        _ => KEY.to_owned(),
    }
}

/// `belljar record` against a service, with the key.
fn command_with_key(home: &Home, upstream: &str, arguments: &[&str]) -> Command {
    let begin = ["record", "--upstream", upstream, "--key-env", VARIABLE];
    let mut command = home.command(&[&begin, arguments].concat());
    command.env(VARIABLE, KEY);
    command
}

/// All that a recording holds.
fn content(home: &Home) -> String {
    let bytes = fs::read(home.path().join("case.tar")).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn printed(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn what_the_rules_of_a_file_name_is_taken_out_and_no_more() {
    const RULES: &str = r#"
paths = ["$.customer_id"]
headers = ["x-tenant-tier"]

[[pattern]]
name = "order"
regex = 'ORD-(?P<secret>[0-9]+)'
"#;
    let asked = |order: u32, customer: &str| {
        let text = format!("Where is ORD-{order}?");
        json!({"customer_id": customer, "messages": [{"role": "user", "content": text}]})
    };
    let service = Service::start(|_, answer| answer.json(200, &json!({"said": "ORD-271828 left"})));
    let client = Client::new();
    let named = ["c-314159", "ORD-424242", "ORD-271828"];
    let plain: &[&str] = &[];
    for arguments in [plain, &["--scrub", "rules.toml"]] {
        let is_scrubbed = !arguments.is_empty();
        let home = Home::new();
        fs::write(home.path().join("rules.toml"), RULES).unwrap();
        let recording = record(&home, &service.url, arguments);
        let request = client.request(&recording.url, CHAT, &asked(424_242, "c-314159"));
        let answer = client.send(request.header("x-tenant-tier", "gold"));
        assert_eq!(answer.json()["said"], "ORD-271828 left");
        end(recording);

        let content = content(&home);
        for text in named {
            assert_ne!(content.contains(text), is_scrubbed, "{arguments:?}: {text}");
        }
        for left in [
            r#""customer_id":"[scrubbed:path]""#,
            "Where is ORD-[scrubbed:order]?",
            "ORD-[scrubbed:order] left",
            r#""x-tenant-tier":"gold""#,
        ] {
            assert_eq!(content.contains(left), is_scrubbed, "{arguments:?}: {left}");
        }
        if is_scrubbed {
            let replaying = replay(&home, &[]);
            let again = client.ask(&replaying.url, CHAT, &asked(1, "another"));
            assert_eq!(again.status, 200);
            assert_eq!(again.json()["said"], "ORD-[scrubbed:order] left");
        }
    }
}

#[test]
fn what_is_to_be_ignored_is_not_compared_and_all_else_is() {
    let home = Home::new();
    let service = Service::start(|_, answer| answer.json(200, &json!({})));
    let ignored = ["--ignore", "$.trace", "--ignore", "$.messages[*].id"];
    let recording = record(&home, &service.url, &ignored);
    let client = Client::new();
    let asked = |trace: &str, id: u32, user: &str, text: &str| {
        let message = json!({"id": id, "role": "user", "content": text});
        json!({"trace": trace, "user": user, "messages": [message]})
    };
    client.ask(&recording.url, CHAT, &asked("a", 1, "jane", "one"));
    end(recording);
    let replaying = replay(&home, &[]);
    let status = |body: &Value| client.ask(&replaying.url, CHAT, body).status;
    assert_eq!(status(&asked("b", 2, "jane", "one")), 200);
    // What is never compared stays so.
    assert_eq!(status(&asked("b", 2, "john", "one")), 200);
    assert_eq!(status(&asked("a", 1, "jane", "two")), 404);
}

#[test]
fn a_recording_has_the_name_and_the_version_that_it_is_given() {
    let home = Home::new();
    let service = Service::start(|_, answer| answer.json(200, &json!({})));
    let client = Client::new();
    let given = ["--model-name", "weather", "--model-version", "2.1.0"];
    let recording = record(&home, &service.url, &given);
    client.ask(&recording.url, CHAT, &chat("a"));
    end(recording);
    let replaying = replay(&home, &[]);
    let banner = &replaying.banner;
    assert!(banner.contains("weather@2.1.0,"), "{banner}");
}

/// In place of what the client has sent there, and in no file.
#[test]
fn the_key_goes_into_the_header_that_is_named() {
    for (arguments, header) in KEY_HEADERS {
        let home = Home::new();
        let (tell, told) = mpsc::channel();
        let service = Service::start(move |request, answer| {
            let of = |name: &str| request.header(name).join(" and ");
            tell.send([of("authorization"), of("x-api-key")]).unwrap();
            answer.json(200, &json!({"said": format!("Your key is {KEY}.")}));
        });
        let all = [arguments, &["-o", "case.tar"]].concat();
        let recording = Server::spawn(command_with_key(&home, &service.url, &all));
        let client = Client::new();
        let request = client.request(&recording.url, CHAT, &chat("a"));
        let answer = client.send(request.header(header, "the-clients-own-key"));
        assert_eq!(answer.status, 200);
        let seen = told.recv().unwrap();
        let wanted = ["authorization", "x-api-key"].map(|name| match name == header {
            true => with_key(name),
            false => String::new(),
        });
        assert_eq!(seen, wanted, "{arguments:?}");
        end(recording);
        let content = content(&home);
        assert!(content.contains("Your key is [scrubbed:"), "{content}");
        for secret in [KEY, "the-clients-own-key"] {
            assert!(!content.contains(secret), "{arguments:?}: {secret}");
        }
    }
}

/// A service that lets nobody in without the key, in this header.
fn locked(header: &'static str) -> Service {
    let is_let_in = move |request: &Request| request.header(header) == [with_key(header)];
    Service::start(move |request, answer| match is_let_in(request) {
        true => answer.json(200, &json!({"said": "Come in."})),
        false => answer.json(401, &json!({"error": {"code": "no_key"}})),
    })
}

#[test]
fn a_check_asks_with_the_key() {
    for (arguments, header) in KEY_HEADERS {
        let home = Home::new();
        let service = locked(header);
        let all = [arguments, &["-o", "case.tar"]].concat();
        let recording = Server::spawn(command_with_key(&home, &service.url, &all));
        let client = Client::new();
        let answer = client.ask(&recording.url, CHAT, &chat("a"));
        assert_eq!(answer.status, 200, "{arguments:?}");
        end(recording);

        let all = [arguments, &["--check", "case.tar"]].concat();
        let output = command_with_key(&home, &service.url, &all)
            .output()
            .unwrap();
        let told = printed(&output);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {told}");
        assert_eq!(
            told,
            "case@1.0.0: 1 exchange asked again, nothing has changed\n"
        );
        let without = ["record", "--upstream", &service.url, "--check", "case.tar"];
        let output = home.run(&without);
        let told = printed(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("status was 200, is 401"), "{told}");
    }
}

/// A recording of one stream, made by hand: as long before its head and between its events.
fn paused(home: &Home, pause_ms: u32) {
    let folder = home.path().join("project");
    fs::create_dir(&folder).unwrap();
    let manifest = "schema = 1\nname = \"case\"\nversion = \"1.0.0\"\nrecording = \"x.jsonl\"\n";
    fs::write(folder.join("model.toml"), manifest).unwrap();
    let exchange = json!({
        "request": {"method": "GET", "path": "/v1/stream"},
        "answer": {
            "status": 200,
            "headers": {"content-type": "text/event-stream"},
            "after_ms": pause_ms,
            "events": [
                {"after_ms": pause_ms, "text": "data: 1\n\n"},
                {"after_ms": pause_ms, "text": "data: 2\n\n"},
            ],
        },
    });
    let header = json!({"recording": 1, "ignored": []});
    fs::write(folder.join("x.jsonl"), format!("{header}\n{exchange}\n")).unwrap();
    home.ok(&["pack", folder.to_str().unwrap(), "-o", "case.tar"]);
}

/// An answer comes no sooner than it came, and with `none` while its client still waits for it,
/// though it took half an hour.
#[test]
fn pauses_are_those_of_the_recording_unless_there_are_to_be_none() {
    const EVENTS: &str = "data: 1\n\ndata: 2\n\n";
    let client = Client::new();
    let home = Home::new();
    paused(&home, 200);
    let by_default: &[&str] = &[];
    for arguments in [by_default, &["--gaps", "recorded"]] {
        let replaying = replay(&home, arguments);
        let begun = Instant::now();
        let answer = client.ask(&replaying.url, "/v1/stream", &Value::Null);
        let took = begun.elapsed();
        assert_eq!(answer.text(), EVENTS);
        assert!(
            took >= Duration::from_millis(600),
            "{arguments:?}: {took:?}"
        );
    }
    let home = Home::new();
    paused(&home, 600_000);
    let replaying = replay(&home, &["--gaps", "none"]);
    let answer = client.ask(&replaying.url, "/v1/stream", &Value::Null);
    assert_eq!(answer.text(), EVENTS);
}
