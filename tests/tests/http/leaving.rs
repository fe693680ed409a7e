//! Callers that leave before their answer, and callers that have only finished sending.

use crate::host::{PATIENCE, SHARED};
use belljar_tests::{RawConnection, TestBundle, TestHost};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A server with models whose runs do not end by themselves while a test lasts.
async fn host_of_endless_runs(settings: &[(&str, &str)]) -> TestHost {
    let host = TestHost::start_with(settings).await;
    for guest in ["burns_fuel", "endless_generation", "never_next"] {
        let component = belljar_test_guests::bytes(guest);
        let bundle = TestBundle::new(&guest.replace('_', "-"), "1.0.0", &component);
        let bundle = bundle.with_limits("deadline = \"50 s\"\nfuel = 900_000_000_000");
        let _ = host.admin().upload(bundle.tar()).await.expect_status(201);
    }
    host
}

/// A request, word for word.
fn post(path: &str, version: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/{version}\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn chat(model: &str, stream: bool, parameters: &Value) -> Value {
    json!({"model":model,"stream":stream,"max_tokens":100_000,"parameters":parameters,
        "messages":[{"role":"user","content":"hi"}]})
}

/// Runs that hold a slot, and the fuel that runs have used.
async fn runs_and_fuel(host: &TestHost) -> (f64, f64) {
    let text = host.anonymous().get("/metrics").await.text();
    let sum = |name: &str| {
        let lines = text.lines().filter(|line| line.starts_with(name));
        let values = lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap());
        values.sum::<f64>()
    };
    (
        sum("belljar_sandbox_running "),
        sum("belljar_run_fuel_total"),
    )
}

/// Waits until so many runs hold a slot, and gives the fuel that was used by then.
async fn wait_for_runs(host: &TestHost, runs: f64, of: &str) -> f64 {
    let since = Instant::now();
    loop {
        let (running, fuel) = runs_and_fuel(host).await;
        if running.total_cmp(&runs).is_eq() {
            return fuel;
        }
        assert!(since.elapsed() < PATIENCE, "{running} runs: {of}");
        tokio::task::yield_now().await;
    }
}

/// Asks for what has no end, leaves, and waits until no run goes on.
async fn check_leaving(
    host: &TestHost,
    request: &str,
    has_begun: bool,
    leave: impl AsyncFnOnce(RawConnection),
) {
    wait_for_runs(host, 0.0, "before").await;
    let mut connection = host.raw().await;
    assert!(connection.write(request.as_bytes()).await);
    if has_begun {
        let begun = connection.read_some(PATIENCE).await;
        assert!(begun.starts_with(b"HTTP/1."), "{begun:?}");
    }
    wait_for_runs(host, 1.0, request).await;
    leave(connection).await;
    // The slot is free before what was used is on the bill; what goes on uses more with each look.
    let since = Instant::now();
    let mut used = wait_for_runs(host, 0.0, request).await;
    loop {
        let later = wait_for_runs(host, 0.0, request).await;
        if used.total_cmp(&later).is_eq() {
            return;
        }
        assert!(
            since.elapsed() < PATIENCE,
            "fuel is used on: {used}, {later}"
        );
        used = later;
    }
}

/// Acts: `http.half_close`.
#[tokio::test]
async fn a_caller_that_leaves_ends_its_run() {
    let infer = json!({"model":"burns-fuel","inputs":{"x":[1]}});
    let silent = chat("never-next", true, &json!({"words":3}));
    let requests = [
        ("/infer", infer, false),
        (
            "/v1/chat/completions",
            chat("never-next", false, &json!({})),
            false,
        ),
        (
            "/v1/chat/completions",
            chat("endless-generation", true, &json!({})),
            true,
        ),
        // Nothing more will ever be written to this one.
        ("/v1/chat/completions", silent, true),
    ];
    for half_close in ["true", "false"] {
        let host = host_of_endless_runs(&[("http.half_close", half_close)]).await;
        for (path, body, has_begun) in &requests {
            for version in ["1.0", "1.1"] {
                let request = post(path, version, body);
                check_leaving(&host, &request, *has_begun, async |left| drop(left)).await;
                check_leaving(&host, &request, *has_begun, async |mut left| {
                    left.finish().await;
                })
                .await;
                // Another request is on its way, which has no answer yet.
                let both = request.clone() + &request;
                check_leaving(&host, &both, *has_begun, async |left| drop(left)).await;
            }
        }
    }
}

#[tokio::test]
async fn a_caller_that_waits_for_its_answer_may_still_leave() {
    let host = host_of_endless_runs(&[]).await;
    let infer = json!({"model":"burns-fuel","inputs":{"x":[1]}});
    let silent = chat("never-next", true, &json!({"words":1}));
    // What shows each that it is waited for: how any answer begins, and a comment between events.
    for (path, body, sign) in [
        ("/infer", infer, "H"),
        ("/v1/chat/completions", silent, "\n:\n\n"),
    ] {
        for version in ["1.0", "1.1"] {
            let request = post(path, version, &body);
            check_leaving(&host, &request, false, async |mut waiting| {
                waiting.finish().await;
                let mut seen = String::new();
                while !seen.contains(sign) {
                    let more = waiting.read_some(PATIENCE).await;
                    assert!(!more.is_empty(), "{seen:?}");
                    seen += &String::from_utf8_lossy(&more);
                }
            })
            .await;
        }
    }
}

#[tokio::test]
async fn many_callers_that_leave_at_once_free_their_slots() {
    let host = host_of_endless_runs(&[]).await;
    let request = post(
        "/infer",
        "1.1",
        &json!({"model":"burns-fuel","inputs":{"x":[1]}}),
    );
    let mut connections = Vec::new();
    for _ in 0..8 {
        let mut connection = host.raw().await;
        assert!(connection.write(request.as_bytes()).await);
        connections.push(connection);
    }
    wait_for_runs(&host, 8.0, "eight runs hold eight slots").await;
    drop(connections);
    wait_for_runs(&host, 0.0, "the runs go on without their callers").await;
}

/// The events of a stream, without what readers leave out.
fn events(answer: &str) -> Vec<&str> {
    answer
        .lines()
        .filter(|line| line.starts_with("data: "))
        .collect()
}

#[tokio::test]
async fn a_caller_that_has_finished_sending_gets_its_answer() {
    let slow = SHARED.guest("slow_infer", "deadline = \"60 s\"").await;
    let slow_stream = SHARED.guest("slow_next", "deadline = \"60 s\"").await;
    let infer = json!({"model":slow,"inputs":{"n":[100_000_000]}});
    let mut fast = chat("fake", true, &json!({}));
    fast["max_tokens"] = json!(50);
    let mut pauses = chat(&slow_stream, true, &json!({"turns":3_000_000}));
    pauses["max_tokens"] = json!(5);
    let get = "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned();
    for version in ["1.0", "1.1"] {
        for (request, times, events_min) in [
            (get.replace("1.1", version), 50, 0),
            (post("/v1/chat/completions", version, &fast), 20, 10),
            (post("/infer", version, &infer), 2, 0),
            (post("/v1/chat/completions", version, &pauses), 2, 6),
        ] {
            for _ in 0..times {
                let mut connection = RawConnection::open(SHARED.address()).await;
                assert!(connection.write(request.as_bytes()).await);
                connection.finish().await;
                let answer = connection.read_all(PATIENCE).await;
                let answer = String::from_utf8_lossy(&answer);
                let begins = format!("HTTP/{version} 200 OK\r\n");
                assert!(answer.starts_with(&begins), "{request}: {answer:?}");
                let events = events(&answer);
                if events_min == 0 {
                    assert!(answer.ends_with('}'), "{request}: {answer:?}");
                } else {
                    assert_eq!(events.last(), Some(&"data: [DONE]"), "{answer:?}");
                    assert!(events.len() >= events_min, "{answer:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn requests_that_come_together_are_answered_though_nothing_follows() {
    let model = SHARED.guest("slow_infer", "deadline = \"60 s\"").await;
    let slow = json!({"model":model,"inputs":{"n":[100_000_000]}});
    let slow = post("/infer", "1.1", &slow);
    let get = "GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let requests = format!("{slow}{get}{slow}{get}");
    let mut connection = RawConnection::open(SHARED.address()).await;
    assert!(connection.write(requests.as_bytes()).await);
    connection.finish().await;
    let answers = String::from_utf8(connection.read_all(PATIENCE).await).unwrap();
    assert_eq!(
        answers.matches("HTTP/1.1 200 OK\r\n").count(),
        4,
        "{answers}"
    );
    assert_eq!(answers.matches("HTTP/1.").count(), 4, "{answers}");
    assert_eq!(answers.matches("\"live\"").count(), 2, "{answers}");
    assert!(answers.ends_with('}'), "{answers}");
}

#[tokio::test]
async fn a_request_that_breaks_off_gets_no_run() {
    let request = post(
        "/v1/chat/completions",
        "1.1",
        &chat("fake", false, &json!({})),
    );
    let head = request.find("\r\n\r\n").unwrap() + 4;
    for sent in (0..request.len())
        .step_by(3)
        .chain([1, head - 1, head, head + 1])
    {
        let mut connection = RawConnection::open(SHARED.address()).await;
        assert!(connection.write(&request.as_bytes()[..sent]).await);
        connection.finish().await;
        let since = Instant::now();
        let answer = connection.read_all(PATIENCE).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(since.elapsed() < PATIENCE, "{sent}: the connection stays");
        if sent < head {
            let is_refused = answer.is_empty() || answer.starts_with("HTTP/1.1 400 ");
            assert!(is_refused, "{sent}: {answer}");
        } else {
            assert!(answer.starts_with("HTTP/1.1 400 "), "{sent}: {answer}");
            assert!(answer.contains("incomplete"), "{sent}: {answer}");
        }
    }
}

#[tokio::test]
async fn hundreds_of_callers_that_have_finished_sending_are_all_answered() {
    const CALLERS: usize = 400;
    let model = SHARED.guest("slow_next", "deadline = \"60 s\"").await;
    let mut body = chat(&model, true, &json!({"turns":100_000}));
    body["max_tokens"] = json!(2);
    let request = post("/v1/chat/completions", "1.1", &body);
    let mut connections = Vec::new();
    for _ in 0..CALLERS {
        let mut connection = RawConnection::open(SHARED.address()).await;
        assert!(connection.write(request.as_bytes()).await);
        connection.finish().await;
        connections.push(connection);
    }
    for connection in &mut connections {
        let answer = connection.read_all(Duration::from_secs(60)).await;
        let answer = String::from_utf8_lossy(&answer);
        let is_whole =
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n0\r\n\r\n");
        // Those that find the queues full are told so.
        assert!(is_whole || answer.starts_with("HTTP/1.1 503 "), "{answer}");
    }
}
