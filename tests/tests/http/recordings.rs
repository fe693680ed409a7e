//! Recordings that were uploaded: versions like any other, which say again what a service has
//! answered.

use crate::host::{LOCKED, SHARED, serial};
use belljar_tests::{Client, TestBundle};
use reqwest::Method;
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

fn chat(model: &str, text: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": text}]})
}

/// One that was recorded of a model of another name.
fn exchange(path: &str, body: &Value, answer: &Value) -> Value {
    json!({
        "request": {"method": "POST", "path": path, "json": body},
        "answer": {
            "status": 200,
            "headers": {"content-type": "application/json", "x-ratelimit-limit-requests": "7"},
            "after_ms": 0.5,
            "json": answer,
        },
    })
}

/// A recording that says its own version.
fn recording(name: &str, version: &str) -> TestBundle {
    let stream = json!({
        "request": {
            "method": "POST",
            "path": CHAT,
            "json": {"model": "gpt", "stream": true, "messages": [{"role": "user", "content": "Hi"}]},
        },
        "answer": {
            "status": 200,
            "headers": {"content-type": "text/event-stream"},
            "after_ms": 5,
            "events": [
                {"after_ms": 0, "text": "data: {\"a\": 1}\n\n"},
                {"after_ms": 600_000, "text": "data: [DONE]\n\n"},
            ],
        },
    });
    let exchanges = [
        exchange(
            CHAT,
            &chat("gpt", "Hi"),
            &json!({"said": version, "turn": 1}),
        ),
        exchange(
            CHAT,
            &chat("gpt", "Hi"),
            &json!({"said": version, "turn": 2}),
        ),
        exchange(
            "/v1/messages",
            &chat("gpt", "Hi"),
            &json!({"said": version}),
        ),
        exchange(
            "/v1/embeddings",
            &json!({"model": "gpt", "input": "x"}),
            &json!({"data": [1.50]}),
        ),
        stream,
    ];
    TestBundle::recording(name, version, &exchanges)
}

#[tokio::test]
async fn a_recording_is_a_version_that_answers_under_its_name() {
    let (name, admin) = (format!("rec-{}", serial()), SHARED.admin());
    let uploaded = admin.upload(recording(&name, "1.0.0").tar()).await;
    let version = uploaded.expect_status(201).json();
    assert_eq!(version["state"], "active");
    assert_eq!(version["capabilities"], json!([]));
    let caller = SHARED.anonymous();
    for turn in [1, 2, 2] {
        let answer = caller
            .post(CHAT, &chat(&name, "Hi"))
            .await
            .expect_status(200);
        assert_eq!(
            answer.text(),
            format!("{{\"said\":\"1.0.0\",\"turn\":{turn}}}")
        );
        assert_eq!(answer.header("x-belljar-exchange"), turn.to_string());
        assert_eq!(answer.header("x-ratelimit-limit-requests"), "7");
    }
    let user =
        json!({"model": name, "user": "me", "messages": [{"content": "Hi", "role": "user"}]});
    let request = caller.request(Method::POST, CHAT).json(&user);
    let answer = caller
        .send(request.header("x-belljar-run", "another"))
        .await
        .unwrap();
    assert_eq!(
        answer.expect_status(200).json()["turn"],
        1,
        "a test of its own"
    );
    let answer = caller.post("/v1/messages", &chat(&name, "Hi")).await;
    assert_eq!(answer.expect_status(200).json()["said"], "1.0.0");
    let answer = caller
        .post("/v1/embeddings", &json!({"model": name, "input": "x"}))
        .await;
    assert_eq!(answer.text(), "{\"data\":[1.5]}");
    // As Azure's clients ask, on a path that was not recorded.
    let deployment = format!("/openai/deployments/{name}/chat/completions");
    let answer = caller
        .post(&deployment, &chat("x", "Hi"))
        .await
        .expect_status(404);
    assert_eq!(answer.code(), "not_recorded");

    // Another version, and back.
    let _ = admin
        .upload(recording(&name, "2.0.0").tar())
        .await
        .expect_status(201);
    let said = async |model: &str| {
        let answer = caller.post(CHAT, &chat(model, "Hi")).await;
        answer.expect_status(200).json()["said"].clone()
    };
    assert_eq!(said(&name).await, "2.0.0");
    assert_eq!(said(&format!("{name}@1.0.0")).await, "1.0.0");
    let back = admin
        .post(&format!("/models/{name}/1.0.0/activate"), &json!({}))
        .await;
    assert_eq!(back.expect_status(200).json()["state"], "active");
    assert_eq!(said(&name).await, "1.0.0");
    let _ = admin
        .delete(&format!("/models/{name}"))
        .await
        .expect_success();
    let gone = caller.post(CHAT, &chat(&name, "Hi")).await;
    assert_eq!(gone.expect_status(404).code(), "model_not_found");
}

/// The recorded pause before the last event is ten minutes.
#[tokio::test]
async fn streams_come_at_once_where_the_clock_is_virtual() {
    let (name, admin) = (format!("rec-{}", serial()), SHARED.admin());
    let _ = admin
        .upload(recording(&name, "1.0.0").tar())
        .await
        .expect_status(201);
    let body =
        json!({"model": name, "stream": true, "messages": [{"role": "user", "content": "Hi"}]});
    let request = admin.request(Method::POST, CHAT).json(&body);
    let answer = admin
        .send(request.header("x-belljar-clock", "virtual"))
        .await
        .unwrap();
    let answer = answer.expect_status(200);
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert_eq!(answer.text(), "data: {\"a\": 1}\n\ndata: [DONE]\n\n");
}

#[tokio::test]
async fn what_was_not_recorded_names_the_nearest() {
    let (name, admin) = (format!("rec-{}", serial()), SHARED.admin());
    let _ = admin
        .upload(recording(&name, "1.0.0").tar())
        .await
        .expect_status(201);
    let miss = admin
        .post(CHAT, &chat(&name, "Ho"))
        .await
        .expect_status(404);
    assert_eq!(miss.code(), "not_recorded");
    assert!(
        miss.text()
            .contains("`$.messages[0].content`: expected \\\"Hi\\\", found \\\"Ho\\\""),
        "{}",
        miss.text()
    );
    let miss = admin
        .post("/v1/messages", &chat(&name, "Ho"))
        .await
        .expect_status(404);
    assert_eq!(miss.json()["error"]["type"], "not_found_error");
    // Where no request is recorded, the name is that of something that does not run.
    let inputs = json!({"model": name, "inputs": {"x": [7]}});
    let miss = admin.post("/infer", &inputs).await.expect_status(404);
    assert_eq!(miss.code(), "model_is_recording");
    // Models beside it answer as ever, with bodies that were read on the way.
    let answer = admin
        .post(CHAT, &chat("fake", "Hi"))
        .await
        .expect_status(200);
    assert_eq!(answer.json()["object"], "chat.completion");
}

#[tokio::test]
async fn a_recording_is_for_the_callers_of_a_model() {
    let (name, admin) = (format!("rec-{}", serial()), LOCKED.admin());
    let _ = admin
        .upload(recording(&name, "1.0.0").tar())
        .await
        .expect_status(201);
    let ask = async |client: Client| client.post(CHAT, &chat(&name, "Hi")).await;
    assert_eq!(ask(LOCKED.anonymous()).await.status, 401);
    assert_eq!(ask(LOCKED.key("models:read", &[]).await).await.status, 403);
    let other = LOCKED.key("infer", &["echo"]).await;
    assert_eq!(
        ask(other).await.expect_status(404).code(),
        "model_not_found"
    );
    let named: &'static str = name.clone().leak();
    let same = LOCKED.key("infer", vec![named].leak()).await;
    let _ = ask(same).await.expect_status(200);
}

#[tokio::test]
async fn a_recording_that_is_none_fails_and_says_where() {
    let (name, admin) = (format!("rec-{}", serial()), SHARED.admin());
    let wrong = TestBundle::recording(&name, "1.0.0", &[json!({"request": 1})]);
    let failed = admin.upload(wrong.tar()).await;
    assert_eq!(failed.code(), "model_failed_to_load");
    let told = failed.text();
    assert!(
        told.contains("(invalid_recording)") && told.contains("line 2: "),
        "{told}"
    );
}

#[tokio::test]
async fn a_world_that_begins_anew_is_at_the_beginning_of_recordings() {
    let (name, admin) = (format!("rec-{}", serial()), SHARED.admin());
    let uploaded = admin.upload(recording(&name, "1.0.0").tar()).await;
    let _ = uploaded.expect_status(201);
    let caller = SHARED.anonymous();
    let world = format!("anew-{}", serial());
    let turn = async || {
        let request = caller.request(Method::POST, CHAT).json(&chat(&name, "Hi"));
        let answer = caller.send(request.header("x-belljar-run", &world)).await;
        answer.unwrap().expect_status(200).json()["turn"].clone()
    };
    assert_eq!([turn().await, turn().await], [1, 2]);
    let freed = admin.delete(&format!("/admin/worlds/{world}")).await;
    let _ = freed.expect_success();
    assert_eq!([turn().await, turn().await], [1, 2]);
}
