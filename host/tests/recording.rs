//! `belljar record` and `belljar replay-server` as people use them: processes, a real service behind
//! them, and a real client in front.
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
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use recorder::{Answer, CHAT, Client, chat, end, record, replay, with};
use serde_json::{Value, json};
use server::{Home, Server, signal};
use service::Service;

/// A server that asks for a key, whose models are compiled, and its key.
fn belljar(home: &Home) -> (Server, String) {
    let server = Server::start(home, &["--require-api-key=true"]);
    let deadline = Instant::now() + Duration::from_secs(120);
    while server.get("/health/ready").0 != 200 {
        assert!(Instant::now() < deadline, "the models are not ready");
        std::thread::yield_now();
    }
    let key = fs::read_to_string(home.data_dir().join("admin.key")).unwrap();
    (server, key.trim().to_owned())
}

/// Every API of a real server, in one piece and as streams: what is replayed are its bytes, and no
/// secret that went through is in a file.
#[test]
fn what_was_recorded_is_replayed_byte_for_byte_and_no_secret_is_kept() {
    let home = Home::new();
    let (service, key) = belljar(&home);
    let mut command = home.command(&[
        "record",
        "--upstream",
        &service.url,
        "-o",
        "case.tar",
        "--key-env",
        "SERVICE_KEY",
    ]);
    command.env("SERVICE_KEY", &key);
    let recording = Server::spawn(command);
    let client = Client::new();
    let message = |text: &str| json!({"model": "fake", "max_tokens": 32, "messages": [{"role": "user", "content": text}]});
    let stream = json!({"stream": true});
    let secret = "jane.doe@example.org";
    let tell = format!("Reply with exactly \"{secret} and sk-live-abcdefghijkl12345 it is\"");
    let asked = [
        (CHAT, chat("What is a bell jar?")),
        (CHAT, with(chat("What is a bell jar?"), &stream)),
        ("/v1/messages", message("What is a bell jar?")),
        (
            "/v1/messages",
            with(message("What is a bell jar?"), &stream),
        ),
        (
            "/v1/embeddings",
            json!({"model": "fake", "input": ["a", "b"], "dimensions": 8}),
        ),
        ("/v1/models", Value::Null),
        (CHAT, json!({"model": "fake"})),
        (CHAT, chat(&tell)),
        (CHAT, with(chat(&tell), &stream)),
    ];
    let live: Vec<Answer> = asked
        .iter()
        .map(|(path, body)| {
            // What an SDK sends where nobody has told it a key.
            let request = client.request(&recording.url, path, body);
            client.send(request.bearer_auth("the-clients-own-key"))
        })
        .collect();
    let statuses: Vec<u16> = live.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 400, 200, 200]);
    assert!(live[7].text().contains(secret));
    assert!(live[8].kind.starts_with("text/event-stream"));

    let part = home.path().join("case.tar.part");
    let without_secrets = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        let pieces = [
            "jane.doe",
            "example.org",
            "sk-live-",
            "clients-own-key",
            "Bearer",
            &key,
        ];
        for piece in pieces {
            let found = bytes
                .windows(piece.len())
                .any(|part| part == piece.as_bytes());
            assert!(!found, "{piece} is in {}", path.display());
        }
    };
    without_secrets(&part);
    end(recording);
    without_secrets(&home.path().join("case.tar"));
    assert!(!part.exists());
    drop(service);

    let replaying = replay(&home, &["--gaps", "none"]);
    let again: Vec<Answer> = asked
        .iter()
        .map(|(path, body)| client.ask(&replaying.url, path, body))
        .collect();
    for (live, again) in live.iter().zip(&again).take(7) {
        assert_eq!((live.status, &live.kind), (again.status, &again.kind));
        assert_eq!(live.text(), again.text());
    }
    assert!(
        again[7]
            .text()
            .contains("[scrubbed:email] and [scrubbed:key] it is")
    );
    assert!(again[8].text().ends_with("data: [DONE]\n\n"));
    assert_eq!(
        again[8].text().matches("data: ").count(),
        live[8].text().matches("data: ").count()
    );

    // What was not recorded, in the words of each API.
    let miss = client.ask(&replaying.url, CHAT, &chat("What is a bell jug?"));
    assert_eq!(miss.status, 404);
    assert_eq!(miss.json()["error"]["code"], "not_recorded");
    let told = miss.json()["error"]["message"].to_string();
    assert!(told.contains("exchange 1 is the nearest"), "{told}");
    assert!(told.contains("$.messages[0].content"), "{told}");
    let miss = client.ask(&replaying.url, "/v1/messages", &message("?"));
    assert_eq!(miss.status, 404);
    assert_eq!(miss.json()["error"]["type"], "not_found_error");
    signal(replaying.process(), "INT");
    assert_eq!(replaying.wait().0, Some(0));
}

/// Two tests that ask the same each get the answers in their order.
#[test]
fn repeats_come_in_order_for_each_test() {
    let home = Home::new();
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let service = Service::start(move |_, answer| {
        let count = count.fetch_add(1, Ordering::SeqCst);
        answer.json(200, &json!({ "count": count }));
    });
    let recording = record(&home, &service.url, &[]);
    let client = Client::new();
    for _ in 0..2 {
        client.ask(&recording.url, CHAT, &chat("again"));
    }
    end(recording);
    let replaying = replay(&home, &[]);
    let ask = |run: &str| {
        let request = client.request(&replaying.url, CHAT, &chat("again"));
        client.send(request.header("x-belljar-run", run)).json()["count"].clone()
    };
    let order = [ask("a"), ask("b"), ask("a"), ask("b"), ask("a")];
    assert_eq!(order, [0, 0, 1, 1, 1]);
}

/// A client has the first event while the service has not sent the second; and what was recorded
/// when the process is killed in the midst of it is gone on with.
#[test]
fn a_stream_passes_as_it_comes_and_a_kill_loses_only_what_had_not_ended() {
    let home = Home::new();
    let (release, waiting) = mpsc::channel::<()>();
    let waiting = std::sync::Mutex::new(waiting);
    let service = Service::start(move |request, answer| {
        if !request.body.contains("\"stream\"") {
            return answer.json(200, &json!({"id": "x-1", "echo": request.body}));
        }
        answer.begin(200, "text/event-stream");
        answer.piece("data: {\"n\":1}\n\n");
        // Until the client has read it, or is gone with its test.
        if waiting.lock().unwrap().recv().is_ok() {
            answer.piece("data: {\"n\":2}\n\n");
            answer.piece("data: [DONE]\n\n");
        }
        answer.end();
    });
    let recording = record(&home, &service.url, &[]);
    let client = Client::new();
    let streamed = |url: &str, text: &str| {
        let body = with(chat(text), &json!({"stream": true}));
        let request = client.request(url, CHAT, &body);
        // What waits needs the runtime from its first moment.
        let sent = client.runtime.block_on(async { request.send().await });
        let mut response = sent.unwrap();
        let first = client.runtime.block_on(response.chunk()).unwrap().unwrap();
        assert_eq!(first, "data: {\"n\":1}\n\n");
        response
    };
    assert_eq!(client.ask(&recording.url, CHAT, &chat("one")).status, 200);
    let mut response = streamed(&recording.url, "two");
    release.send(()).unwrap();
    let mut rest = Vec::new();
    while let Some(piece) = client.runtime.block_on(response.chunk()).unwrap() {
        rest.extend_from_slice(&piece);
    }
    assert_eq!(rest, b"data: {\"n\":2}\n\ndata: [DONE]\n\n");

    let midst = streamed(&recording.url, "three");
    signal(recording.process(), "KILL");
    assert_eq!(recording.wait().0, None);
    drop(midst);
    release.send(()).unwrap();
    let told = home.fails(2, &["record", "--upstream", &service.url, "-o", "case.tar"]);
    assert!(told.contains("--resume goes on with it"), "{told}");
    let recording = record(&home, &service.url, &["--resume"]);
    recording.logs("going on after 2 exchanges", 1);
    assert_eq!(client.ask(&recording.url, CHAT, &chat("four")).status, 200);
    end(recording);

    let replaying = replay(&home, &[]);
    for text in ["one", "four"] {
        assert_eq!(client.ask(&replaying.url, CHAT, &chat(text)).status, 200);
    }
    let body = |text| with(chat(text), &json!({"stream": true}));
    let two = client.ask(&replaying.url, CHAT, &body("two"));
    assert_eq!(
        two.text(),
        "data: {\"n\":1}\n\ndata: {\"n\":2}\n\ndata: [DONE]\n\n"
    );
    assert_eq!(client.ask(&replaying.url, CHAT, &body("three")).status, 404);
}

/// What is no whole answer is passed on as it is, not kept, and said.
#[test]
fn what_breaks_off_is_not_kept_and_said() {
    let home = Home::new();
    let service = Service::start(|request, answer| match request.path.as_str() {
        "/packed" => answer.packed(),
        "/broken" => {
            answer.begin(200, "text/event-stream");
            answer.piece("data: 1\n\n");
            answer.break_off();
        }
        _ => answer.json(200, &json!({})),
    });
    let recording = record(&home, &service.url, &[]);
    let client = Client::new();
    let broken = client.request(&recording.url, "/broken", &Value::Null);
    let read = client
        .runtime
        .block_on(async { broken.send().await.unwrap().bytes().await });
    assert!(read.is_err(), "a broken answer is not mended: {read:?}");
    recording.logs("not recorded: GET /broken: the answer broke off", 1);
    client.ask(&recording.url, "/packed", &Value::Null);
    recording.logs("not recorded: GET /packed: the answer is compressed", 1);
    client.ask(&recording.url, "/v1/models", &Value::Null);
    signal(recording.process(), "TERM");
    let (code, log) = recording.wait();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("2 exchanges were not recorded"), "{log}");
    let replaying = replay(&home, &[]);
    let ask = |path| client.ask(&replaying.url, path, &Value::Null).status;
    assert_eq!(
        [ask("/v1/models"), ask("/broken"), ask("/packed")],
        [200, 404, 404]
    );
}

#[test]
fn what_has_changed_since_is_said_with_an_exit_code() {
    let home = Home::new();
    let is_new = Arc::new(AtomicBool::new(false));
    let service = Service::start({
        let is_new = Arc::clone(&is_new);
        move |request, answer| {
            let is_new = is_new.load(Ordering::SeqCst);
            let id = format!("chatcmpl-{:p}", &raw const *request);
            let model = if is_new { "m-2" } else { "m-1" };
            if !request.body.contains("\"stream\"") {
                let mut body = json!({"id": id, "model": model, "created": is_new as u64});
                if is_new {
                    body["service_tier"] = json!("default");
                }
                return answer.json(200, &body);
            }
            answer.begin(200, "text/event-stream");
            answer.piece(&format!("data: {{\"id\":\"{id}\",\"delta\":\"x\"}}\n\n"));
            if !is_new {
                answer.piece("data: [DONE]\n\n");
            }
            answer.end();
        }
    });
    let recording = record(&home, &service.url, &[]);
    let client = Client::new();
    client.ask(&recording.url, CHAT, &chat("a"));
    client.ask(
        &recording.url,
        CHAT,
        &with(chat("a"), &json!({"stream": true})),
    );
    end(recording);

    let check = ["record", "--upstream", &service.url, "--check", "case.tar"];
    let told = home.ok(&check);
    assert_eq!(
        told,
        "case@1.0.0: 2 exchanges asked again, nothing has changed\n"
    );
    is_new.store(true, Ordering::SeqCst);
    let output = home.run(&check);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "exchange 1, POST /v1/chat/completions\n  $.model was \"m-1\", is \"m-2\"\n  \
         $.service_tier is new: a text\nexchange 2, POST /v1/chat/completions\n  events were data, \
         [DONE], are data\ncase@1.0.0: 2 exchanges asked again, 2 of them changed\n"
    );
    let output = home.run(&[&check[..], &["--json"]].concat());
    let lines = String::from_utf8(output.stdout).unwrap();
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(
        first["drifts"][0],
        json!({"path": "$.model", "what": "was \"m-1\", is \"m-2\""})
    );
    drop(service);
    let nobody = [
        "record",
        "--upstream",
        "http://127.0.0.1:9",
        "--check",
        "case.tar",
    ];
    let told = home.fails(2, &nobody);
    assert!(
        told.contains("exchange 1, POST /v1/chat/completions"),
        "{told}"
    );
}

#[test]
fn what_cannot_be_used_is_said_and_nothing_is_written() {
    let home = Home::new();
    let upstream = [
        "record",
        "--upstream",
        "http://127.0.0.1:9",
        "-o",
        "case.tar",
    ];
    fs::write(home.path().join("rules.toml"), "paths = [\"$[\"]").unwrap();
    for (arguments, told) in [
        (
            &["--scrub", "rules.toml"][..],
            "line 1, column 10: `$[` is no path",
        ),
        (&["--scrub", "none.toml"], "none.toml cannot be read"),
        (&["--key-env", "NOWHERE"], "NOWHERE of --key-env is not set"),
        (&["--model-name", "A b"], "invalid value"),
        (&["--resume"], "nothing left to go on with"),
        (&["--json"], "--check"),
    ] {
        let told_all = home.fails(2, &[&upstream, arguments].concat());
        assert!(told_all.contains(told), "{arguments:?}: {told_all}");
    }
    let mut open =
        home.command(&[&upstream[..], &["--key-env", "K", "--listen", "0.0.0.0:0"]].concat());
    let output = open
        .env("K", "0123456789")
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("could use the key")
    );
    let wrong = [
        "record",
        "--upstream",
        "http://127.0.0.1:9",
        "-o",
        "A b.tar",
    ];
    let told = home.fails(2, &wrong);
    assert!(told.contains("use --model-name"), "{told}");
    assert!(!home.path().join("case.tar.part").exists());

    // A recording of nothing is none.
    let recording = record(&home, "http://127.0.0.1:9", &[]);
    let client = Client::new();
    let refused = client.ask(&recording.url, CHAT, &chat("a"));
    assert_eq!(refused.status, 502);
    assert_eq!(refused.json()["error"]["code"], "upstream_unreachable");
    signal(recording.process(), "INT");
    let (code, log) = recording.wait();
    assert_eq!(code, Some(1));
    assert!(log.contains("nothing was recorded"), "{log}");
    assert!(!home.path().join("case.tar").exists());

    // What is no recording, and what was changed since.
    let folder = home.project(
        "model",
        "schema = 1\nname = \"m\"\nversion = \"1.0.0\"\ncomponent = \"model.wasm\"\n",
    );
    home.ok(&["pack", folder.to_str().unwrap(), "-o", "model.tar"]);
    let told = home.fails(2, &["replay-server", "model.tar"]);
    assert!(
        told.contains("m@1.0.0 is a model, and no recording"),
        "{told}"
    );
    let told = home.fails(2, &["replay-server", "none.tar"]);
    assert!(told.contains("none.tar cannot be used"), "{told}");
    let service = Service::start(|_, answer| answer.json(200, &json!({})));
    let recording = record(&home, &service.url, &["--model-name", "other"]);
    client.ask(&recording.url, CHAT, &chat("a"));
    end(recording);
    let mut bytes = fs::read(home.path().join("case.tar")).unwrap();
    let at = bytes
        .windows(6)
        .position(|part| part == b"\"POST\"")
        .unwrap();
    bytes[at + 1] = b'p';
    fs::write(home.path().join("changed.tar"), bytes).unwrap();
    let told = home.fails(2, &["replay-server", "changed.tar"]);
    assert!(told.contains("digest"), "{told}");
}

/// A page of somebody's could have a browser here spend the operator's key.
#[test]
fn pages_of_other_sites_are_not_let_through() {
    let home = Home::new();
    let service = Service::start(|_, answer| answer.json(200, &json!({})));
    let recording = record(&home, &service.url, &[]);
    let client = Client::new();
    for (name, value) in [
        ("origin", "https://attacker.example"),
        ("host", "rebound.example"),
    ] {
        let request = client.request(&recording.url, CHAT, &chat("a"));
        let refused = client.send(request.header(name, value));
        assert_eq!(refused.status, 403, "{name}");
    }
    let request = client.request(&recording.url, CHAT, &chat("a"));
    let answer = client.send(request.header("origin", "http://localhost:3000"));
    assert_eq!(answer.status, 200);
    end(recording);
}
