//! Profiles: the functions and source lines that fuel goes for.

use std::fs;

use belljar_tests::TestHost;
use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Desk, turns};

/// The fuel of all stacks, and of those with this in them.
fn fuel(folded: &str, part: &str) -> (u64, u64) {
    let lines = folded.lines().map(|line| line.rsplit_once(' ').unwrap());
    let mut sums = (0, 0);
    for (stack, fuel) in lines {
        let fuel: u64 = fuel.parse().unwrap();
        sums.0 += fuel;
        sums.1 += if stack.contains(part) { fuel } else { 0 };
    }
    sums
}

#[test]
fn a_profile_has_all_fuel_by_function_and_line_and_is_the_same_each_time() {
    let desk = Desk::new();
    desk.bundle("slow_infer", "");
    let input = turns(800);
    let run = |file: &str| {
        let arguments = [
            "run",
            "slow_infer.tar",
            "--input",
            &input,
            "--profile",
            file,
        ];
        let (_, told) = desk.ok(&arguments);
        (fs::read_to_string(desk.path(file)).unwrap(), told)
    };
    let (first, told) = run("a.folded");
    let (second, _) = run("b.folded");
    assert_eq!(first, second);
    let (all, of_the_function) = fuel(&first, ";infer");
    assert!(of_the_function * 2 > all, "{first}");
    assert!(fuel(&first, "examples/slow_infer.rs:").1 > 0, "{first}");
    let line = told.lines().find(|line| line.contains("memory")).unwrap();
    assert!(line.contains(&format!("fuel {all},")), "{all} of {line}");
    assert!(told.contains("a.folded"), "{told}");
}

#[test]
fn names_are_left_out_where_that_is_asked_for() {
    let desk = Desk::new();
    desk.write(
        "mine/model.wasm",
        belljar_tests::guests::bytes("slow_infer"),
    );
    desk.write(
        "mine/model.toml",
        "schema = 1\nname = 'mine'\nversion = '1.0.0'\ncomponent = 'model.wasm'\n",
    );
    desk.ok(&["pack", "mine", "--output", "whole.tar"]);
    desk.ok(&["pack", "mine", "--strip", "--output", "bare.tar"]);
    let bytes = |name| fs::metadata(desk.path(name)).unwrap().len();
    assert!(bytes("bare.tar") * 2 < bytes("whole.tar"));
    let input = turns(1_000);
    let run = |bundle, file| {
        let (answer, told) = desk.ok(&["run", bundle, "--input", &input, "--profile", file]);
        assert!(answer.contains("1000"), "{answer}");
        (fs::read_to_string(desk.path(file)).unwrap(), told)
    };
    let (folded, _) = run("whole.tar", "whole.folded");
    assert!(
        folded.contains(";infer") && folded.contains("slow_infer.rs:"),
        "{folded}"
    );
    let (folded, told) = run("bare.tar", "bare.folded");
    assert!(told.contains("no source lines"), "{told}");
    assert!(
        folded.contains("function ") && !folded.contains(".rs:"),
        "{folded}"
    );
}

#[test]
fn a_profile_is_drawn_and_held_against_another() {
    let desk = Desk::new();
    desk.bundle("slow_infer", "");
    let (less, more) = (turns(100), turns(600));
    let of = |input, file| ["run", "slow_infer.tar", "--input", input, "--profile", file];
    desk.ok(&of(&less, "less.folded"));
    let mut arguments = of(&more, "more.svg").to_vec();
    arguments.extend(["--against", "less.folded"]);
    let (_, told) = desk.ok(&arguments);
    let svg = fs::read_to_string(desk.path("more.svg")).unwrap();
    assert!(svg.contains("<svg") && svg.contains("infer"), "{svg}");
    assert!(told.contains("(+") && told.contains("against"), "{told}");
    // A bundle runs on the same input, so nothing has changed.
    let mut arguments = of(&more, "same.folded").to_vec();
    arguments.extend(["--against", "slow_infer.tar"]);
    desk.ok(&arguments);
    assert_eq!(fs::read_to_string(desk.path("same.folded")).unwrap(), "");
    let output = desk.run(&of(&less, "picture.png"));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

/// Acts: `sandbox.source_lines`.
#[tokio::test]
async fn a_request_is_answered_with_its_profile_where_that_is_asked_for() {
    for lines in ["true", "false"] {
        let host = TestHost::start_with(&[("sandbox.source_lines", lines)]).await;
        let admin = host.admin();
        let bundle = belljar_tests::TestBundle::hostile("slow_infer");
        let _ = admin.upload(bundle.tar()).await.expect_status(201);
        let mut ask: Value = serde_json::from_str(&turns(500)).unwrap();
        ask["model"] = json!("slow_infer");
        let folded = admin
            .post("/infer?profile=folded", &ask)
            .await
            .expect_status(200);
        assert_eq!(folded.header("x-belljar-status"), "200");
        let text = folded.text();
        let (all, of_the_loop) = fuel(&text, "slow_infer.rs:");
        assert!(all > 500, "{text}");
        assert_eq!(of_the_loop > 0, lines == "true", "{text}");
        let (_, named) = fuel(&text, "infer");
        assert!(named * 2 > all, "functions have names: {text}");
        let svg = admin
            .post("/infer?profile=true", &ask)
            .await
            .expect_status(200);
        assert_eq!(svg.header("content-type"), "image/svg+xml");
        assert!(svg.text().contains("<svg"));
    }
}

#[tokio::test]
async fn profiles_are_for_those_who_may_upload_and_of_what_runs() {
    let host = TestHost::start().await;
    let admin = host.admin();
    for guest in ["slow_infer", "panics"] {
        let bundle = belljar_tests::TestBundle::hostile(guest);
        let _ = admin.upload(bundle.tar()).await.expect_status(201);
    }
    let mut ask: Value = serde_json::from_str(&turns(10)).unwrap();
    ask["model"] = json!("slow_infer");
    for (caller, status) in [(host.anonymous(), 401), (host.key("infer").await, 403)] {
        let refused = caller.post("/infer?profile=true", &ask).await;
        let refused = refused.expect_status(status);
        assert!(
            refused.text().contains("models:write"),
            "{}",
            refused.text()
        );
        let _ = caller.post("/infer", &ask).await.expect_status(200);
    }
    let author = host.key("infer,models:write").await;
    let _ = author
        .post("/infer?profile=svg", &ask)
        .await
        .expect_status(200);
    let wrong = author
        .post("/infer?profile=png", &ask)
        .await
        .expect_status(400);
    assert!(wrong.text().contains("profile"), "{}", wrong.text());
    // What runs nothing is answered as ever, and elsewhere the word means nothing.
    let nothing = author
        .post("/infer?profile=svg", &json!({"model": "none"}))
        .await;
    assert!(nothing.status >= 400 && nothing.text().contains("error"));
    let models = author.request(Method::GET, "/v1/models?profile=true");
    let models = author.send(models).await.unwrap().expect_status(200);
    assert!(models.text().contains("slow_infer"));
    // A run that fails has a profile, too, and so has a stream.
    ask["model"] = json!("panics");
    let failed = author
        .post("/infer?profile=folded", &ask)
        .await
        .expect_status(200);
    assert_eq!(failed.header("x-belljar-status"), "502");
    assert!(failed.text().contains("panic"), "{}", failed.text());
    let chat = json!({"model": "fake", "stream": true, "max_tokens": 50,
        "messages": [{"role": "user", "content": "Tell me of bell jars."}]});
    let stream = author
        .post("/v1/chat/completions?profile=folded", &chat)
        .await;
    let text = stream.expect_status(200).text();
    assert!(fuel(&text, "next").1 > 0, "{text}");
}
