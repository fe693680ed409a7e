//! A server whose testers may do nothing: what they ask for and what is set for them is as if it
//! were not there.

use belljar_tests::{Answer, Client, TestBundle, TestHost};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const CHAT: &str = "/v1/chat/completions";

/// Whoever breaks the rules as often as these tests do would be banned.
const OFF: [(&str, &str); 2] = [("testing", "false"), ("exempt_networks", "127.0.0.0/8")];

fn chat(model: &str, stream: bool) -> Value {
    json!({
        "model": model, "seed": 1, "max_tokens": 8, "stream": stream,
        "messages": [{"role": "user", "content": "Tell me about the sea."}],
    })
}

async fn ask(caller: &Client, body: &Value, header: Option<(&str, &str)>) -> Answer {
    let request = caller.request(Method::POST, CHAT).json(body);
    let request = header.into_iter().fold(request, |request, (name, value)| {
        request.header(name, value)
    });
    caller.send(request).await.unwrap()
}

/// The headers of Belljar's own that an answer has.
fn own_headers(answer: &Answer) -> BTreeSet<&str> {
    let names = answer.headers.keys().map(|name| name.as_str());
    names
        .filter(|name| name.starts_with("x-belljar-"))
        .collect()
}

/// Acts: `testing`.
#[tokio::test]
async fn headers_of_testers_mean_nothing_be_they_right_or_wrong() {
    let host = TestHost::start_with(&OFF).await;
    let caller = host.anonymous();
    let said = |answer: &Answer| answer.json()["choices"][0]["message"].clone();
    let plain = ask(&caller, &chat("fake", false), None).await;
    let plain = plain.expect_status(200);
    for header in [
        ("x-belljar-run", "test-1"),
        ("x-belljar-run", "no name"),
        ("x-belljar-strict", "true"),
        ("x-belljar-strict", "maybe"),
        ("x-belljar-fault", "status=500"),
        ("x-belljar-fault", "empty-choices"),
        ("x-belljar-fault", "stats=500"),
        ("x-belljar-latency", "ttft=30s"),
        ("x-belljar-latency", "ttft=fast"),
        ("x-belljar-clock", "virtual"),
        ("x-belljar-clock", "sometimes"),
    ] {
        let begun = Instant::now();
        let answer = ask(&caller, &chat("fake", false), Some(header)).await;
        let answer = answer.expect_status(200);
        assert!(begun.elapsed() < Duration::from_secs(30), "{header:?}");
        assert_eq!(said(&answer), said(&plain), "{header:?}");
        assert_eq!(own_headers(&answer), own_headers(&plain), "{header:?}");
        let stream = ask(&caller, &chat("fake", true), Some(header)).await;
        let stream = stream.expect_status(200).text();
        assert!(stream.ends_with("data: [DONE]\n\n"), "{header:?}: {stream}");
        assert!(!stream.contains("\"belljar\":"), "{header:?}: {stream}");
    }
}

/// A file of rules, faults, times and a journal.
///
/// Acts: `testing`.
#[tokio::test]
async fn settings_of_testers_mean_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.toml");
    let text = "strict = true\n[[rule]]\nname = 'all'\nanswer.text = 'By a rule.'";
    std::fs::write(&rules, text).unwrap();
    let settings = [
        ("test.rules", rules.to_str().unwrap()),
        ("test.faults", r#"["status=503", "no-done"]"#),
        ("test.clock", "virtual"),
        ("test.latency", "ttft=30s"),
        ("test.journal_max", "10"),
    ];
    let plain = TestHost::start_with(&OFF).await;
    let host = TestHost::start_with(&[&OFF[..], &settings].concat()).await;
    for stream in [false, true] {
        let body = chat("fake", stream);
        let plain = ask(&plain.anonymous(), &body, None).await;
        let plain = plain.expect_status(200);
        let begun = Instant::now();
        let answer = ask(&host.anonymous(), &body, None).await;
        let answer = answer.expect_status(200);
        assert!(begun.elapsed() < Duration::from_secs(30));
        assert_eq!(own_headers(&answer), own_headers(&plain));
        for sign in ["By a rule.", "\"belljar\":"] {
            assert!(!answer.text().contains(sign), "{}", answer.text());
        }
        let is_whole = |answer: &Answer| answer.text().ends_with("data: [DONE]\n\n");
        assert_eq!(is_whole(&answer), stream);
    }
    let models = host.anonymous().get("/v1/models").await;
    let _ = models.expect_status(200);
    let journal = host.admin().get("/admin/journal").await;
    assert_eq!(journal.expect_status(409).code(), "testing_is_off");
}

/// Each says that it is off, and does nothing.
#[tokio::test]
async fn what_administrators_have_of_testing_is_refused() {
    let host = TestHost::start_with(&OFF).await;
    let admin = host.admin();
    let fault = json!({"fault": "status=500"});
    let verdict = json!({"like": {"world": "default"}, "exactly": 0});
    for (method, path, body) in [
        (Method::GET, "/admin/worlds", None),
        (Method::GET, "/admin/worlds/default", None),
        (Method::PUT, "/admin/worlds/w", Some(json!({"seed": 7}))),
        (
            Method::PUT,
            "/admin/worlds/default",
            Some(json!({"clock": "virtual", "latency": "ttft=30s"})),
        ),
        (Method::DELETE, "/admin/worlds/default", None),
        (Method::GET, "/admin/worlds/default/faults", None),
        (Method::POST, "/admin/worlds/default/faults", Some(fault)),
        (Method::DELETE, "/admin/worlds/default/faults", None),
        (Method::DELETE, "/admin/worlds/default/faults/1", None),
        (Method::GET, "/admin/worlds/default/rules", None),
        (Method::DELETE, "/admin/worlds/default/rules", None),
        (Method::GET, "/admin/journal", None),
        (Method::DELETE, "/admin/journal", None),
        (Method::POST, "/admin/journal/verify", Some(verdict)),
    ] {
        let told = format!("{method} {path}");
        let mut request = admin.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let refused = admin.send(request).await.unwrap();
        assert_eq!(refused.status, 409, "{told}: {}", refused.text());
        assert_eq!(refused.code(), "testing_is_off", "{told}");
    }
    let rules = "[[rule]]\nname = 'all'\nanswer.text = 'By a rule.'";
    let request = admin.request(Method::PUT, "/admin/worlds/default/rules");
    let request = request.header("content-type", "application/toml");
    let refused = admin.send(request.body(rules)).await.unwrap();
    assert_eq!(refused.expect_status(409).code(), "testing_is_off");
    // Who may not ask is not told even that.
    let stranger = host.anonymous().get("/admin/worlds").await;
    let _ = stranger.expect_status(401);
    let answer = ask(&host.anonymous(), &chat("fake", false), None).await;
    let answer = answer.expect_status(200);
    assert!(!answer.text().contains("By a rule."), "{}", answer.text());
}

/// It is taken and kept, and says why it does not answer.
#[tokio::test]
async fn a_recording_does_not_answer() {
    let host = TestHost::start_with(&OFF).await;
    let (admin, caller) = (host.admin(), host.anonymous());
    let exchange = json!({
        "request": {"method": "POST", "path": CHAT, "json": chat("gpt", false)},
        "answer": {
            "status": 200,
            "headers": {"content-type": "application/json"},
            "after_ms": 0,
            "json": {"said": "what was recorded"},
        },
    });
    let recording = TestBundle::recording("recorded", "1.0.0", &[exchange]);
    let uploaded = admin.upload(recording.tar()).await.expect_status(201);
    assert_eq!(uploaded.json()["state"], "active");
    for header in [None, Some(("x-belljar-clock", "virtual"))] {
        let answer = ask(&caller, &chat("recorded", false), header).await;
        let answer = answer.expect_status(404);
        assert_eq!(answer.code(), "model_is_recording", "{}", answer.text());
        assert!(!answer.headers.contains_key("x-belljar-exchange"));
    }
    // Models beside it answer as ever.
    let answer = ask(&caller, &chat("fake", false), None).await;
    let answer = answer.expect_status(200).json();
    assert_eq!(answer["object"], "chat.completion");
}
