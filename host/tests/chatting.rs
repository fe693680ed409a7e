//! `belljar chat`, as a script uses it and as a person does.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, and says what it could not try"
)]

#[allow(dead_code, reason = "each program of tests uses its own part of it")]
#[path = "kit/server.rs"]
mod server;

use std::io::Write as _;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use server::{Home, Server};

/// A server whose models are compiled.
fn ready(home: &Home) -> Server {
    let server = Server::start(home, &[]);
    let deadline = Instant::now() + Duration::from_secs(120);
    while server.get("/health/ready").0 != 200 {
        assert!(Instant::now() < deadline, "the models are not ready");
        std::thread::yield_now();
    }
    server
}

/// Has a script say these lines.
fn chat(home: &Home, arguments: &[&str], lines: &str) -> Output {
    let mut command = home.command(&[&["chat"], arguments].concat());
    let mut process = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = process.stdin.take().unwrap();
    // A command that has ended reads no more, which is what some tests are about.
    let _ = stdin.write_all(lines.as_bytes());
    drop(stdin);
    process.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_script_talks_line_by_line() {
    let home = Home::new();
    let server = ready(&home);
    let lines = "Reply with exactly \"one\"\n\nA wish:\\\nReply with exactly \"two\"\n/stats\n/reset\n/stats\n\
        /system Reply in French.\n/system\n/frobnicate\n//x is a path, reply with exactly \"three\"\n";
    let output = chat(&home, &["--seed", "7"], lines);
    let (told, noted) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{noted}");
    assert_eq!(told, "one\ntwo\nthree\n", "{noted}");
    for part in [
        "in all: 2 answers,",
        "the conversation begins anew",
        "nothing was answered yet",
        "Reply in French.",
        "there is no /frobnicate",
    ] {
        assert!(noted.contains(part), "{part}: {noted}");
    }
    drop(server);
}

#[test]
fn options_reach_the_model_and_what_was_said_is_remembered() {
    let home = Home::new();
    let server = ready(&home);
    let lines = "Tell me about bell jars at length.\n";
    let output = chat(&home, &["gpt-4o", "--max-tokens", "5"], lines);
    assert!(text(&output.stderr).contains("as long as it may be"));
    let twice = [(); 2].map(|()| chat(&home, &["--temperature", "0"], lines).stdout);
    assert_eq!(twice[0], twice[1]);
    // The prompt of the second question has the first and its answer.
    let output = chat(
        &home,
        &["--max-tokens", "50"],
        "Hello there\n/stats\nGo on\n/stats\n",
    );
    let prompts: Vec<u64> = text(&output.stderr)
        .lines()
        .filter_map(|line| {
            line.strip_prefix("its prompt: ")?
                .split(' ')
                .next()?
                .parse()
                .ok()
        })
        .collect();
    assert!(
        matches!(prompts[..], [first, second] if second > first + 5),
        "{prompts:?}"
    );
    drop(server);
}

#[test]
fn what_fails_ends_a_script_with_its_reason() {
    let home = Home::new();
    let told = home.fails(1, &["chat"]);
    assert!(told.contains("belljar serve"), "{told}");
    let server = ready(&home);
    let output = chat(&home, &["nobody"], "Hello\nHello again\n");
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("nobody") && told.contains("model_not_found"),
        "{told}"
    );
    assert!(output.stdout.is_empty());
    let output = chat(&home, &["--temperature", "9"], "Hello\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("temperature"));
    drop(server);
}

/// A person types on while an answer is printed: the next message and the begun one after it are
/// there when the prompt comes back. All of it is there from the start here, so that it is read at
/// once.
#[test]
fn what_a_person_types_ahead_is_not_lost() {
    let home = Home::new();
    let server = ready(&home);
    let program = env!("CARGO_BIN_EXE_belljar");
    // What is lost would be waited for.
    let mut command = std::process::Command::new("timeout");
    let mut process = command
        .args([
            "60",
            "script",
            "-qec",
            &format!("{program} chat"),
            "/dev/null",
        ])
        .env_clear()
        .env("HOME", home.path())
        .env("PATH", "/usr/bin:/bin")
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = process.stdin.take().unwrap();
    let lines = "Reply with exactly \"one\"\nReply with exactly \"two\"\n\
        Reply with exactly \"three\"\n/quit\n";
    stdin.write_all(lines.as_bytes()).unwrap();
    drop(stdin);
    let output = process.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    for answer in ["\none\r\n", "\ntwo\r\n", "\nthree\r\n"] {
        assert!(told.contains(answer), "{answer:?}: {told}");
    }
    drop(server);
}
