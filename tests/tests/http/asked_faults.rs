//! Faults on demand, as clients see them.

use std::time::Duration;

use belljar_tests::{Answer, Client, TestHost};
use reqwest::Method;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

fn chat(stream: bool) -> Value {
    json!({
        "model": "fake", "stream": stream, "max_tokens": 20, "seed": 1,
        "messages": [{"role": "user", "content": "Tell me about the sea."}],
    })
}

fn message(stream: bool) -> Value {
    json!({
        "model": "fake", "stream": stream, "max_tokens": 20,
        "messages": [{"role": "user", "content": "Tell me about the sea."}],
    })
}

async fn ask(client: &Client, path: &str, fault: &str, body: &Value) -> Option<Answer> {
    let request = client.request(Method::POST, path).json(body);
    client.send(request.header("x-belljar-fault", fault)).await
}

async fn asked(client: &Client, path: &str, fault: &str, body: &Value) -> Answer {
    ask(client, path, fault, body).await.expect(fault)
}

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn an_error_has_the_words_of_the_provider_whose_path_it_is() {
    let host = TestHost::start_with(&[("rate_limit.enabled", "true")]).await;
    let client = host.anonymous();
    let refused = asked(&client, CHAT, "status=429;retry-after=2", &chat(false)).await;
    let refused = refused.expect_status(429);
    assert_eq!(refused.json()["error"]["code"], "rate_limit_exceeded");
    assert_eq!(refused.json()["error"]["type"], "requests");
    assert_eq!(refused.header("retry-after"), "2");
    assert_eq!(
        refused.header("x-ratelimit-remaining-requests"),
        "0",
        "and not what is left"
    );
    assert_eq!(
        refused.header("x-belljar-fault"),
        "status=429;retry-after=2"
    );
    let path = "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21";
    let azure = asked(&client, path, "status=404", &chat(false))
        .await
        .expect_status(404);
    assert_eq!(azure.json()["error"]["code"], "DeploymentNotFound");
    let busy = asked(&client, "/v1/messages", "status=529", &message(false)).await;
    let busy = busy.expect_status(529);
    assert_eq!(busy.json()["type"], "error");
    assert_eq!(busy.json()["error"]["type"], "overloaded_error");
    let broken = asked(&client, "/v2/models/echo/infer", "status=500", &json!({})).await;
    assert!(broken.expect_status(500).json()["error"].is_string());
    let own = asked(
        &client,
        CHAT,
        "status=400;code=my_code;message=no",
        &chat(true),
    )
    .await;
    let own = own.expect_status(400).json();
    assert_eq!(
        (&own["error"]["code"], &own["error"]["message"]),
        (&json!("my_code"), &json!("no"))
    );
}

#[tokio::test]
async fn what_is_no_fault_is_refused_with_its_reason() {
    let host = TestHost::start().await;
    let wrong = asked(&host.anonymous(), CHAT, "stats=500", &chat(false)).await;
    let wrong = wrong.expect_status(400);
    assert_eq!(wrong.code(), "invalid_fault");
    assert_eq!(wrong.json()["error"]["param"], "x-belljar-fault");
    assert!(wrong.text().contains("did you mean `status`?"));
    let request = host
        .anonymous()
        .request(Method::POST, CHAT)
        .json(&chat(false));
    let twice = request
        .header("x-belljar-fault", "reset")
        .header("x-belljar-fault", "reset");
    let twice = host.anonymous().send(twice).await.unwrap();
    assert!(twice.expect_status(400).text().contains("more than once"));
}

#[tokio::test]
async fn nobody_asks_for_faults_where_testing_is_off() {
    let host = TestHost::start_with(&[("testing", "false")]).await;
    let answer = asked(&host.anonymous(), CHAT, "status=500", &chat(false)).await;
    let _ = answer.expect_status(200);
    let none = host.admin().get("/admin/worlds").await;
    assert_eq!(none.expect_status(409).code(), "testing_is_off");
}

#[tokio::test]
async fn streams_end_as_the_fault_says() {
    let host = TestHost::start().await;
    let client = host.anonymous();
    let whole = asked(&client, CHAT, "delay=0s", &chat(true))
        .await
        .expect_status(200)
        .text();
    let events = whole.matches("\n\n").count();
    assert!(whole.ends_with("data: [DONE]\n\n") && events > 5);

    let no_done = asked(&client, CHAT, "no-done", &chat(true)).await.text();
    assert_eq!(no_done.matches("\n\n").count(), events - 1);
    assert!(!no_done.contains("[DONE]"));
    let cut = asked(&client, CHAT, "cut-after=3", &chat(true))
        .await
        .text();
    assert_eq!(cut.matches("\n\n").count(), 3);
    let twice = asked(&client, CHAT, "duplicate=2", &chat(true))
        .await
        .text();
    let chunks: Vec<&str> = twice.split("\n\n").collect();
    assert_eq!(chunks[1], chunks[2]);
    let broken = asked(&client, CHAT, "malformed-sse=2", &chat(true))
        .await
        .text();
    let second = broken.split("\n\n").nth(1).unwrap();
    let data = second
        .lines()
        .next()
        .unwrap()
        .strip_prefix("data: ")
        .unwrap();
    assert!(serde_json::from_str::<Value>(data).is_err(), "{data}");
    let kind = asked(&client, CHAT, "content-type=text/html", &chat(true)).await;
    assert_eq!(kind.header("content-type"), "text/html");

    let claude = asked(&client, "/v1/messages", "no-done", &message(true))
        .await
        .text();
    assert!(claude.contains("message_delta") && !claude.contains("message_stop"));
    let empty = asked(&client, CHAT, "empty-choices", &chat(false)).await;
    assert_eq!(empty.json()["choices"], json!([]));
    let half = asked(&client, CHAT, "malformed-json", &chat(false)).await;
    assert!(serde_json::from_str::<Value>(&half.text()).is_err());
    let response = json!({"model": "fake", "input": "hi", "stream": true});
    let response = asked(&client, "/v1/responses", "no-done", &response)
        .await
        .text();
    assert!(response.contains("response.created") && !response.contains("response.completed"));
}

fn raw(body: &Value, fault: &str) -> String {
    let body = body.to_string();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         x-belljar-fault: {fault}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn connections_break_as_the_fault_says() {
    let host = TestHost::start().await;
    for stream in [false, true] {
        let mut connection = host.raw().await;
        assert!(
            connection
                .write(raw(&chat(stream), "reset").as_bytes())
                .await
        );
        assert!(connection.is_reset(PATIENCE).await, "before any byte");
    }
    let mut connection = host.raw().await;
    let seen = connection
        .exchange(raw(&chat(true), "reset-after=2").as_bytes(), PATIENCE)
        .await;
    assert!(seen.starts_with("HTTP/1.1 200 OK"), "{seen}");
    assert_eq!(seen.matches("data: ").count(), 2, "{seen}");
    assert!(!seen.ends_with("0\r\n\r\n"));

    let mut connection = host.raw().await;
    let seen = connection
        .exchange(raw(&chat(true), "half-close=2").as_bytes(), PATIENCE)
        .await;
    assert_eq!(seen.matches("data: ").count(), 2, "{seen}");
    assert!(
        !seen.ends_with("0\r\n\r\n"),
        "the end of the connection is not that of the body"
    );

    let mut connection = host.raw().await;
    let seen = connection
        .exchange(raw(&chat(false), "timeout=10ms").as_bytes(), PATIENCE)
        .await;
    assert_eq!(seen, "");
    // The next connection is as any other.
    let fine = host.anonymous().post(CHAT, &chat(false)).await;
    let _ = fine.expect_status(200);
}

#[tokio::test]
async fn waits_come_before_the_head_and_in_the_body() {
    let host = TestHost::start().await;
    let client = host.anonymous();
    for fault in [
        "delay=30ms",
        "stall=30ms",
        "stall=30ms;after=2",
        "slow=20kB/s",
    ] {
        let since = std::time::Instant::now();
        let answer = asked(&client, CHAT, fault, &chat(true))
            .await
            .expect_status(200);
        assert!(answer.text().ends_with("data: [DONE]\n\n"));
        assert!(since.elapsed() >= Duration::from_millis(30), "{fault}");
        // Nothing is waited for where time is virtual.
        let fault = fault.replace("30ms", "1h").replace("20kB/s", "1B/s");
        let request = client.request(Method::POST, CHAT).json(&chat(true));
        let request = request
            .header("x-belljar-fault", &fault)
            .header("x-belljar-clock", "virtual");
        let answer = client.send(request).await.unwrap().expect_status(200);
        assert!(answer.text().ends_with("data: [DONE]\n\n"), "{fault}");
    }
}

#[tokio::test]
async fn arguments_of_tools_are_no_json() {
    let host = TestHost::start().await;
    let body = |stream: bool| {
        json!({
            "model": "fake", "stream": stream, "tool_choice": "required",
            "messages": [{"role": "user", "content": "What is the weather in Paris?"}],
            "tools": [{"type": "function", "function": {
                "name": "weather",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
            }}],
        })
    };
    let answer = asked(&host.anonymous(), CHAT, "bad-arguments", &body(false))
        .await
        .json();
    let call = &answer["choices"][0]["message"]["tool_calls"][0];
    let arguments = call["function"]["arguments"].as_str().unwrap();
    assert!(arguments.contains("city") && serde_json::from_str::<Value>(arguments).is_err());
    let stream = asked(&host.anonymous(), CHAT, "bad-arguments", &body(true))
        .await
        .text();
    let mut arguments = String::new();
    for line in stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
    {
        if let Ok(chunk) = serde_json::from_str::<Value>(line) {
            let call = &chunk["choices"][0]["delta"]["tool_calls"][0];
            arguments += call["function"]["arguments"].as_str().unwrap_or_default();
        }
    }
    assert!(arguments.contains("city") && serde_json::from_str::<Value>(&arguments).is_err());
}

#[tokio::test]
async fn rules_say_which_requests_go_wrong() {
    let host = TestHost::start().await;
    let (admin, client) = (host.admin(), host.anonymous());
    let add = async |rule: Value| {
        let added = admin.post("/admin/worlds/default/faults", &rule).await;
        added.expect_status(201).json()
    };
    let status = async |body: &Value| {
        let request = client.request(Method::POST, CHAT).json(body);
        client
            .send(request)
            .await
            .unwrap()
            .text()
            .contains("\"error\"")
    };
    let added = add(json!({"fault": "status=500", "next": 2})).await;
    assert_eq!((&added["number"], &added["left"]), (&json!(1), &json!(2)));
    let seen = [
        status(&chat(false)).await,
        status(&chat(false)).await,
        status(&chat(false)).await,
    ];
    assert_eq!(seen, [true, true, false]);
    let _ = add(json!({"fault": "status=500", "content": "Paris", "model": "gpt-*"})).await;
    let asks = |model: &str, about: &str| json!({"model": model, "max_tokens": 5, "messages": [{"role": "user", "content": about}]});
    assert!(status(&asks("gpt-4o", "Paris")).await);
    assert!(!status(&asks("gpt-4o", "Rome")).await);
    assert!(!status(&asks("fake", "Paris")).await);
    let all = admin.get("/admin/worlds/default/faults").await.json();
    assert_eq!(all["data"][0]["given"], 2);
    assert_eq!(
        all["data"][1]["matches"],
        json!({"model": "gpt-*", "content": "Paris"})
    );
    let _ = admin
        .delete("/admin/worlds/default/faults/2")
        .await
        .expect_status(204);
    assert!(!status(&asks("gpt-4o", "Paris")).await);
    let gone = admin.delete("/admin/worlds/default/faults/2").await;
    assert_eq!(gone.expect_status(404).code(), "fault_not_found");
    for (rule, why) in [
        (json!({"fault": "stats=1"}), "did you mean"),
        (
            json!({"fault": "reset", "next": 1, "rate": 0.5}),
            "exclude one another",
        ),
        (
            json!({"fault": "reset", "content": "("}),
            "no regular expression",
        ),
    ] {
        let refused = admin.post("/admin/worlds/default/faults", &rule).await;
        assert!(refused.expect_status(400).text().contains(why), "{why}");
    }
    let other = client
        .post("/admin/worlds/default/faults", &json!({"fault": "reset"}))
        .await;
    let _ = other.expect_status(401);
}

#[tokio::test]
async fn rules_know_requests_by_their_key_and_by_a_header() {
    let host = TestHost::start().await;
    let admin = host.admin();
    let made = async |name: &str| {
        let new = json!({"name": name, "scopes": ["infer", "models:read"]});
        let made = admin.post("/admin/keys", &new).await;
        let made = made.expect_status(201).json();
        let caller = host.anonymous().with_key(made["key"].as_str().unwrap());
        (made["id"].as_str().unwrap().to_owned(), caller)
    };
    let ((id, one), (_, other)) = (made("one").await, made("other").await);
    let nobody = host.anonymous();
    let askers = [
        (&one, None),
        (&other, None),
        (&nobody, None),
        (&nobody, Some("one two")),
        (&nobody, Some("two one")),
        (&other, Some("one")),
    ];
    for (rule, expected) in [
        (
            json!({"key": id}),
            [true, false, false, false, false, false],
        ),
        (
            json!({"key": "key_*"}),
            [true, true, false, false, false, true],
        ),
        (
            json!({"header": "X-Test: one*"}),
            [false, false, false, true, false, true],
        ),
        (
            json!({"header": "x-test"}),
            [false, false, false, true, true, true],
        ),
        (json!({"header": "x-text"}), [false; 6]),
        (
            json!({"key": "key_*", "header": "x-test"}),
            [false, false, false, false, false, true],
        ),
        (json!({"key": id, "header": "x-test"}), [false; 6]),
        // What lets a caller in is shown to no rule.
        (json!({"header": "authorization"}), [false; 6]),
    ] {
        let mut asked = rule.clone();
        asked["fault"] = json!("status=503");
        let added = admin.post("/admin/worlds/default/faults", &asked).await;
        let _ = added.expect_status(201);
        let mut seen = Vec::new();
        for (asker, header) in askers {
            let mut request = asker.request(Method::GET, "/v1/models");
            if let Some(value) = header {
                request = request.header("x-test", value);
            }
            let status = asker.send(request).await.unwrap().status;
            assert!([200, 503].contains(&status), "{rule}: {status}");
            seen.push(status == 503);
        }
        assert_eq!(seen, expected, "{rule}");
        let cleared = admin.delete("/admin/worlds/default/faults").await;
        let _ = cleared.expect_status(204);
    }
}

/// Each world counts for itself which of its requests it is, however the worlds take turns.
#[tokio::test]
async fn a_share_of_requests_is_that_of_its_seed_in_every_world() {
    const REQUESTS: usize = 40;
    let host = TestHost::start().await;
    let (admin, client) = (host.admin(), host.anonymous());
    let worlds = [("one", 7), ("two", 7), ("other", 8)];
    for (world, seed) in worlds {
        let rule = json!({"fault": "status=503", "rate": 0.4, "seed": seed, "path": "/v1/models"});
        let path = format!("/admin/worlds/{world}/faults");
        let _ = admin.post(&path, &rule).await.expect_status(201);
    }
    let ask = async |world: &str, path: &str| {
        let request = client.request(Method::GET, path);
        let answer = client.send(request.header("x-belljar-run", world)).await;
        answer.unwrap().status
    };
    let mut seen = [(); 3].map(|()| Vec::new());
    for number in 0..REQUESTS {
        for ((world, _), seen) in worlds.into_iter().zip(&mut seen) {
            // What the rule is not for has no number of its own.
            if number % 3 == 0 && world == "two" {
                assert_eq!(ask(world, "/v1/models/fake").await, 200);
            }
            seen.push(ask(world, "/v1/models").await);
        }
    }
    let [one, two, other] = seen;
    assert_eq!(one, two);
    assert_ne!(one, other);
    for (seen, (world, _)) in [&one, &other].into_iter().zip([worlds[0], worlds[2]]) {
        assert!(seen.iter().all(|status| [200, 503].contains(status)));
        let share = seen.iter().filter(|status| **status == 503).count();
        assert!((8..=24).contains(&share), "{share} of {REQUESTS}: {seen:?}");
        let view = admin.get(&format!("/admin/worlds/{world}/faults")).await;
        assert_eq!(view.json()["data"][0]["given"], json!(share), "{world}");
    }
}

/// Acts: `test.faults`, `testing`.
#[tokio::test]
async fn faults_of_the_settings_are_in_every_world() {
    let faults = r#"["status=503 rate=1 path=/v1/models", "status=418 next=1 path=/infer"]"#;
    let host = TestHost::start_with(&[("testing", "true"), ("test.faults", faults)]).await;
    let client = host.anonymous();
    let _ = client.get("/v1/models").await.expect_status(503);
    let _ = client.get("/health").await.expect_status(200);
    let infer = json!({"model": "echo", "inputs": {"x": [1.0]}});
    for world in ["one", "two"] {
        let mut seen = Vec::new();
        for _ in 0..2 {
            let request = client.request(Method::POST, "/infer").json(&infer);
            let answer = client
                .send(request.header("x-belljar-run", world))
                .await
                .unwrap();
            seen.push(answer.status);
        }
        assert_eq!(seen, [418, 200], "{world}");
    }
}
