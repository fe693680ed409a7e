//! What a key has used is counted, also where a stream was cut, and survives a restart.

use std::time::{Duration, Instant};

use belljar_tests::{ServerProcess, TestHost};
use serde_json::{Value, json};

use crate::keys::{make_key, open_stream, upload_slow};

fn number(value: &Value, field: &str) -> u64 {
    value["usage"][field].as_u64().unwrap()
}

#[tokio::test]
async fn requests_tokens_and_fuel_are_counted_for_their_key() {
    let host = TestHost::start().await;
    let key = make_key(&host, json!({})).await;
    let bystander = make_key(&host, json!({})).await;
    let fresh = key.show(&host).await;
    assert_eq!(fresh["usage"]["last_used"], Value::Null);
    assert_eq!((number(&fresh, "requests"), number(&fresh, "fuel")), (0, 0));

    let chat =
        json!({"model":"fake","max_tokens":9,"messages":[{"role":"user","content":"Hi there"}]});
    let answer = key.caller.post("/v1/chat/completions", &chat).await;
    let said = answer.expect_status(200).json()["usage"].clone();
    let shown = key.show(&host).await;
    assert_eq!(number(&shown, "requests"), 1);
    assert_eq!(shown["usage"]["prompt_tokens"], said["prompt_tokens"]);
    assert_eq!(
        shown["usage"]["completion_tokens"],
        said["completion_tokens"]
    );
    assert!(shown["usage"]["last_used"].is_string());
    let fuel = number(&shown, "fuel");
    assert!(fuel > 0 && number(&shown, "fuel_today") == fuel, "{shown}");

    let texts = json!({"model":"fake","input":["one","two"]});
    let answer = key.caller.post("/v1/embeddings", &texts).await;
    let embedded = answer.expect_status(200).json()["usage"]["prompt_tokens"].clone();
    let shown = key.show(&host).await;
    assert_eq!(
        number(&shown, "prompt_tokens"),
        said["prompt_tokens"].as_u64().unwrap() + embedded.as_u64().unwrap()
    );
    // One that is let in and refused later is a request all the same; one that is not is none.
    let _ = key.caller.get("/v1/models/nope").await.expect_status(404);
    assert_eq!(number(&key.show(&host).await, "requests"), 3);
    assert_eq!(number(&bystander.show(&host).await, "requests"), 0);
}

#[tokio::test]
async fn a_caller_who_leaves_has_used_what_was_made() {
    let host = TestHost::start().await;
    upload_slow(&host).await;
    let key = make_key(&host, json!({})).await;
    drop(open_stream(&key.caller).await);
    // The run ends a moment after its caller has left.
    let left = Instant::now();
    loop {
        let shown = key.show(&host).await;
        if number(&shown, "fuel") > 0 && number(&shown, "completion_tokens") > 0 {
            assert!(number(&shown, "prompt_tokens") > 0, "{shown}");
            return;
        }
        assert!(left.elapsed() < Duration::from_secs(5), "{shown}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn counts_survive_a_stop() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    belljar_tests::warm_up(&data).await;
    let server = ServerProcess::start(&data).await;
    let made = server
        .admin()
        .post("/admin/keys", &json!({"name":"n","scopes":["infer"]}))
        .await
        .expect_status(201)
        .json();
    let caller = server.anonymous().with_key(made["key"].as_str().unwrap());
    let body = json!({"model":"echo","inputs":{"x":[1]}});
    let _ = caller.post("/infer", &body).await.expect_status(200);
    let path = format!("/admin/keys/{}", made["id"].as_str().unwrap());
    let before = server.admin().get(&path).await.expect_status(200).json();
    assert!(number(&before, "fuel") > 0);
    assert!(server.terminate().await.success());
    let server = ServerProcess::start(&data).await;
    let after = server.admin().get(&path).await.expect_status(200).json();
    assert_eq!(after["usage"], before["usage"]);
    assert!(server.terminate().await.success());
}
