//! `/models/{name}/logs`: what models write, and who reads it.

use std::time::{Duration, Instant};

use belljar_tests::{Client, TestBundle, TestHost};
use reqwest::Method;
use serde_json::{Value, json};

/// Longer than anything may take that happens at once.
const PATIENCE: Duration = Duration::from_secs(20);

async fn host(readers: &str) -> TestHost {
    let settings = [
        ("model_logs.readers", readers),
        ("exempt_networks", "127.0.0.0/8"),
    ];
    TestHost::start_with(&settings).await
}

/// Uploads a guest that misbehaves.
async fn upload(author: &Client, guest: &str) {
    let archive = TestBundle::hostile(guest).tar();
    let _ = author.upload(archive).await.expect_status(201);
}

/// Has a model run for a request of that id.
async fn run(caller: &Client, model: &str, id: &str) {
    let request = caller
        .request(Method::POST, "/infer")
        .header("x-request-id", id)
        .json(&json!({"model": model, "inputs": {"x": [1]}}));
    let answer = caller.send(request).await.unwrap();
    assert_eq!(answer.status, 502, "{}", answer.text());
}

async fn lines(caller: &Client, path: &str) -> Vec<Value> {
    let list = caller.get(path).await.expect_status(200).json();
    list["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn the_uploader_and_administrators_read_what_a_model_writes_and_nobody_else() {
    let host = host("uploader").await;
    let author = host.key("infer,models:write").await;
    let other = host.key("infer,models:read,models:write").await;
    upload(&author, "panics").await;
    run(&other, "panics", "asked-by-another").await;
    for reader in [&author, &host.admin()] {
        let lines = lines(reader, "/models/panics/logs").await;
        let panicked = lines
            .iter()
            .position(|line| {
                let message = line["message"].as_str().unwrap();
                message.contains("the guest panicked at input 1")
            })
            .unwrap_or_else(|| panic!("{lines:?}"));
        let line = &lines[panicked];
        for (field, expect) in [
            ("source", "stdio"),
            ("level", "info"),
            ("version", "1.0.0"),
            ("request_id", "asked-by-another"),
        ] {
            assert_eq!(line[field], expect, "{line}");
        }
        // Why the run failed comes after what led to it.
        let last = lines.last().unwrap();
        assert_eq!(
            (&last["source"], &last["level"]),
            (&json!("run"), &json!("error"))
        );
        let message = last["message"].as_str().unwrap();
        assert!(
            message.contains("trapped") && message.contains("it failed in"),
            "{message}"
        );
        assert!(
            !message.contains("wasmtime::"),
            "a frame of the host: {message}"
        );
        assert!(panicked + 1 < lines.len());
    }
    let denied = other.get("/models/panics/logs").await.expect_status(403);
    assert_eq!(denied.code(), "model_logs_denied");
    let echo = author.get("/models/echo/logs").await.expect_status(403);
    assert_eq!(echo.code(), "model_logs_denied", "it came with the server");
    let reader = host.key("infer,models:read").await;
    let refused = reader.get("/models/panics/logs").await.expect_status(403);
    assert_eq!(refused.code(), "insufficient_scope");
    let _ = host
        .anonymous()
        .get("/models/panics/logs")
        .await
        .expect_status(401);
    let elsewhere = host.key_for("models:write", Some(&["echo"])).await;
    let hidden = elsewhere
        .get("/models/panics/logs")
        .await
        .expect_status(404);
    assert_eq!(hidden.code(), "model_not_found");
    for unknown in ["none/logs", "panics/logs?version=9.9.9"] {
        let answer = author.get(&format!("/models/{unknown}")).await;
        assert_eq!(answer.expect_status(404).code(), "model_not_found");
    }
}

/// Content that is replaced, by whomever, takes its lines with it.
#[tokio::test]
async fn what_another_content_wrote_is_gone_with_it() {
    let host = host("uploader").await;
    let (first, second) = (
        host.key("models:write").await,
        host.key("models:write").await,
    );
    let broken = TestBundle::hostile("panics_in_load");
    let _ = first.upload(broken.tar()).await.expect_status(422);
    let path = "/models/panics_in_load/logs";
    let written = lines(&first, path).await;
    assert!(!written.is_empty());
    assert!(
        written.iter().all(|line| line["request_id"] == "load"),
        "{written:?}"
    );
    let odd = |line: &Value| {
        let message = line["message"].as_str().unwrap();
        message.contains(['\n', '\u{1b}', '\u{202e}', '\u{2028}'])
    };
    assert!(!written.iter().any(odd), "{written:?}");
    let echo = TestBundle::echo("panics_in_load", "1.0.0");
    let _ = second.upload(echo.tar()).await.expect_status(201);
    assert_eq!(lines(&second, path).await, Vec::<Value>::new());
    let _ = first.get(path).await.expect_status(403);
}

#[tokio::test]
async fn authors_read_nothing_unless_that_is_asked_for() {
    let host = TestHost::start_with(&[("exempt_networks", "127.0.0.0/8")]).await;
    let author = host.key("infer,models:write").await;
    upload(&author, "panics").await;
    run(&author, "panics", "r").await;
    let denied = author.get("/models/panics/logs").await.expect_status(403);
    assert_eq!(denied.code(), "model_logs_denied");
    assert!(
        denied.text().contains("model_logs.readers"),
        "{}",
        denied.text()
    );
    assert!(!lines(&host.admin(), "/models/panics/logs").await.is_empty());
    let _ = host
        .key("admin")
        .await
        .get("/models/panics/logs")
        .await
        .expect_status(200);
}

/// Acts: `model_logs.readers`.
#[tokio::test]
async fn nothing_is_kept_where_nobody_may_read() {
    let host = host("none").await;
    let admin = host.admin();
    upload(&admin, "panics").await;
    run(&admin, "panics", "r").await;
    let off = admin.get("/models/panics/logs").await.expect_status(404);
    assert_eq!(off.code(), "model_logs_off");
    assert!(off.text().contains("model_logs.readers"), "{}", off.text());
}

/// Acts: `model_logs.lines_max`.
#[tokio::test]
async fn a_log_has_an_end_and_is_read_in_pieces() {
    let settings = [
        ("model_logs.readers", "uploader"),
        ("model_logs.lines_max", "10"),
        ("exempt_networks", "127.0.0.0/8"),
    ];
    let host = TestHost::start_with(&settings).await;
    let author = host.key("infer,models:write").await;
    upload(&author, "endless_log").await;
    let path = "/models/endless_log/logs";
    for _ in 0..3 {
        run(&author, "endless_log", "r").await;
    }
    let list = author.get(path).await.expect_status(200).json();
    assert_eq!(list["truncated"], true);
    let all = list["data"].as_array().unwrap();
    assert_eq!(all.len(), 10);
    assert_eq!(
        (&all[8]["source"], &all[8]["message"]),
        (&json!("log"), &json!("and on and on and on"))
    );
    // From the first to the last, some at a time.
    let first = all[0]["sequence"].as_u64().unwrap();
    let (mut after, mut read) = (first - 1, Vec::new());
    while read.len() < 10 {
        let path = format!("{path}?after={after}&limit=3");
        let page = author.get(&path).await.expect_status(200).json();
        assert_eq!(page["truncated"], false, "{page}");
        read.extend(page["data"].as_array().unwrap().clone());
        after = page["last"].as_u64().unwrap();
    }
    assert_eq!(&read, all);
    let tail = lines(&author, &format!("{path}?limit=2")).await;
    assert_eq!(tail, all[8..]);
    for (query, param) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("wait=31", "wait"),
        ("version=x", "version"),
    ] {
        let answer = author.get(&format!("{path}?{query}")).await;
        let answer = answer.expect_status(400);
        assert_eq!(answer.json()["error"]["param"], param, "{}", answer.text());
    }
    let odd = ["limit=x", "after=-1", "colour=red", "wait=1&wait=2"];
    for query in odd {
        let answer = author.get(&format!("{path}?{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.text());
    }
}

/// Asks for lines that are not there yet.
fn waiting(reader: &Client, after: u64) -> tokio::task::JoinHandle<belljar_tests::Answer> {
    let reader = reader.clone();
    let path = format!("/models/panics/logs?after={after}&wait=30");
    tokio::spawn(async move { reader.get(&path).await })
}

#[tokio::test]
async fn who_waits_gets_the_next_line_until_the_key_or_the_server_ends() {
    let host = host("uploader").await;
    let author = host.key("infer,models:write").await;
    upload(&author, "panics").await;
    let waits = waiting(&author, 0);
    run(&author, "panics", "the-next").await;
    let answer = tokio::time::timeout(PATIENCE, waits).await.unwrap();
    let list = answer.unwrap().expect_status(200).json();
    assert_eq!(list["data"][0]["request_id"], "the-next", "{list}");
    // A number from before a start is above all there are, and does not hide what comes.
    let page = author.get("/models/panics/logs?after=100000").await;
    assert!(!page.json()["data"].as_array().unwrap().is_empty());

    let last = host.admin().get("/models/panics/logs").await.json()["last"]
        .as_u64()
        .unwrap();
    let waits = waiting(&author, last);
    let begun = Instant::now();
    let keys = host.admin().get("/admin/keys").await.json();
    let id = keys["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["name"] == "test")
        .unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let revoke = format!("/admin/keys/{id}/revoke");
    let _ = host
        .admin()
        .post(&revoke, &json!({}))
        .await
        .expect_status(200);
    let _ = waits.await.unwrap().expect_status(401);
    assert!(begun.elapsed() < PATIENCE);

    let waits = waiting(&host.admin(), last);
    // Until the server has it: a request that comes after the stop is refused.
    while host.admin().get("/admin/status").await.json()["load"]["connections"]
        .as_u64()
        .unwrap()
        < 1
    {
        tokio::task::yield_now().await;
    }
    let begun = Instant::now();
    host.stop().await;
    assert!(begun.elapsed() < PATIENCE, "a stop waits for nobody");
    // It was answered, or had not been heard yet.
    if let Ok(answer) = waits.await {
        assert_eq!(answer.json()["data"], json!([]));
    }
}
