//! Budgets by month: each ends in 429 with the time of its renewal, survives restarts, and begins
//! anew with the month.

use std::time::Duration;

use belljar::clock::Clock;
use belljar_tests::{Answer, Client, ServerProcess, TestHost};
use reqwest::Method;
use serde_json::{Value, json};

use crate::keys::{make_key, open_stream, upload_slow};

async fn host_at(time: &str, settings: &[(&str, &str)]) -> (TestHost, belljar::clock::ManualClock) {
    let (clock, hand) = Clock::manual(time.parse().unwrap());
    (TestHost::start_at(clock, settings).await, hand)
}

async fn infer(client: &Client) -> Answer {
    let body = json!({"model":"echo","inputs":{"x":[1]}});
    client.post("/infer", &body).await
}

async fn chat(client: &Client) -> Answer {
    let body = json!({"model":"fake","max_tokens":4,
        "messages":[{"role":"user","content":"Hi there"}]});
    client.post("/v1/chat/completions", &body).await
}

/// Insists on the refusal of a key whose month is used up.
#[track_caller]
fn expect_used_up(answer: Answer, measure: &str, wait_s: u64) {
    let answer = answer.expect_status(429);
    assert_eq!(answer.code(), "insufficient_quota");
    assert_eq!(answer.header("retry-after"), wait_s.to_string());
    assert_eq!(answer.header("x-should-retry"), "false");
    let error = answer.json()["error"].clone();
    assert_eq!(error["type"], "rate_limit_error");
    assert_eq!(error["renews_at"], "2030-02-01T00:00:00Z");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(&format!("{measure} a month")), "{message}");
    assert!(message.contains("2030-02-01"), "{message}");
}

#[tokio::test]
async fn each_budget_ends_and_begins_anew_with_the_month() {
    for (budget, measure) in [
        (json!({"fuel_per_month":1}), "1 units of fuel"),
        (json!({"tokens_per_month":1}), "1 tokens"),
        (json!({"requests_per_month":1}), "1 requests"),
    ] {
        let (host, hand) = host_at("2030-01-31T23:58:00Z", &[]).await;
        let key = make_key(&host, budget).await;
        let other = make_key(&host, json!({})).await;
        chat(&key.caller).await.expect_status(200);
        expect_used_up(chat(&key.caller).await, measure, 120);
        // Before the body, on every route that counts, and for nobody else.
        let head = key.caller.request(Method::POST, "/infer").body("{");
        expect_used_up(key.caller.send(head).await.unwrap(), measure, 120);
        expect_used_up(key.caller.get("/v1/models").await, measure, 120);
        chat(&other.caller).await.expect_status(200);
        // What is left of it can be asked for.
        key.caller.get("/usage").await.expect_status(200);
        hand.advance(Duration::from_secs(119));
        expect_used_up(chat(&key.caller).await, measure, 1);
        hand.advance(Duration::from_secs(1));
        chat(&key.caller).await.expect_status(200);
        assert_eq!(chat(&key.caller).await.status, 429);
    }
}

#[tokio::test]
async fn a_servers_budget_holds_for_keys_without_one_of_their_own() {
    let (host, _) = host_at("2030-01-15T00:00:00Z", &[("quota.requests_per_month", "1")]).await;
    let plain = make_key(&host, json!({})).await;
    let more = make_key(&host, json!({"requests_per_month":2})).await;
    for (caller, requests) in [(&plain.caller, 1), (&more.caller, 2)] {
        for _ in 0..requests {
            infer(caller).await.expect_status(200);
        }
        infer(caller).await.expect_status(429);
    }
    // Nobody's budget is everybody's.
    for _ in 0..3 {
        infer(&host.anonymous()).await.expect_status(200);
    }
    // What was refused is no request.
    let own = plain.caller.get("/usage").await.expect_status(200).json();
    assert_eq!(
        own["budget"]["requests"],
        json!({"used":1,"limit":1,"remaining":0})
    );
    let text = host.admin().get("/metrics").await.text();
    for (key, left) in [(&plain, 0), (&more, 0)] {
        let line = format!(
            "belljar_key_budget_remaining{{key_id=\"{}\",budget=\"requests\"}} {left}",
            key.id
        );
        assert!(text.contains(&line), "{line}: {text}");
    }
}

/// Acts: `quota.fuel_per_month`, `quota.tokens_per_month`, `quota.requests_per_month`.
#[tokio::test]
async fn every_budget_can_be_a_servers() {
    for setting in [
        "quota.fuel_per_month",
        "quota.tokens_per_month",
        "quota.requests_per_month",
    ] {
        let budget = setting.trim_start_matches("quota.");
        let (host, _) = host_at("2030-01-15T00:00:00Z", &[(setting, "1")]).await;
        let mut more = json!({});
        more[budget] = json!(1_000_000_000_000_u64);
        let (plain, more) = (
            make_key(&host, json!({})).await,
            make_key(&host, more).await,
        );
        for _ in 0..2 {
            chat(&more.caller).await.expect_status(200);
        }
        chat(&plain.caller).await.expect_status(200);
        let refused = chat(&plain.caller).await.expect_status(429);
        assert_eq!(refused.code(), "insufficient_quota", "{setting}");
    }
}

#[tokio::test]
async fn each_protocol_reads_the_refusal_in_its_form() {
    let (host, _) = host_at("2030-01-31T00:00:00Z", &[]).await;
    let key = make_key(&host, json!({"requests_per_month":1})).await;
    infer(&key.caller).await.expect_status(200);
    let message = json!({"model":"fake","max_tokens":4,
        "messages":[{"role":"user","content":"Hi there"}]});
    let answer = key
        .caller
        .post("/v1/messages", &message)
        .await
        .expect_status(429);
    let body = answer.json();
    assert_eq!(
        (&body["type"], &body["error"]["type"]),
        (&json!("error"), &json!("rate_limit_error"))
    );
    let text = body["error"]["message"].as_str().unwrap();
    assert!(text.contains("2030-02-01"), "{body}");
    assert_eq!(answer.header("retry-after"), "86400");
    let answer = key.caller.get("/v2/models/echo").await.expect_status(429);
    let body = answer.json();
    assert_eq!(body["code"], "insufficient_quota");
    assert_eq!(body["renews_at"], "2030-02-01T00:00:00Z");
    assert!(
        body["error"].as_str().unwrap().contains("2030-02-01"),
        "{body}"
    );
}

/// Requests are exact, however many come at once.
#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_get_as_many_requests_as_there_are() {
    let (host, _) = host_at("2030-01-15T00:00:00Z", &[]).await;
    let key = make_key(&host, json!({"requests_per_month":20})).await;
    let asking: Vec<_> = (0..60)
        .map(|_| {
            let caller = key.caller.clone();
            tokio::spawn(async move { infer(&caller).await.status })
        })
        .collect();
    let mut admitted = 0;
    for asked in asking {
        match asked.await.unwrap() {
            200 => admitted += 1,
            status => assert_eq!(status, 429),
        }
    }
    assert_eq!(admitted, 20);
}

/// A request that the minute has no room for takes nothing from the month.
#[tokio::test]
async fn what_the_minute_refuses_costs_the_month_nothing() {
    let settings = [("rate_limit.enabled", "true"), ("rate_limit.rpm", "1")];
    let (host, hand) = host_at("2030-01-15T00:00:00Z", &settings).await;
    let key = make_key(&host, json!({"requests_per_month":2})).await;
    infer(&key.caller).await.expect_status(200);
    for _ in 0..5 {
        let refused = infer(&key.caller).await.expect_status(429);
        assert_eq!(refused.code(), "rate_limit_exceeded");
    }
    hand.advance(Duration::from_secs(60));
    infer(&key.caller).await.expect_status(200);
    hand.advance(Duration::from_secs(60));
    assert_eq!(
        infer(&key.caller).await.expect_status(429).code(),
        "insufficient_quota"
    );
}

/// A stream that is under way when its budget ends goes on, and what it uses counts.
#[tokio::test]
async fn a_stream_under_way_goes_on_when_the_budget_ends() {
    let (host, _) = host_at("2030-01-15T00:00:00Z", &[]).await;
    upload_slow(&host).await;
    let key = make_key(&host, json!({"requests_per_month":1})).await;
    let mut stream = open_stream(&key.caller).await;
    infer(&key.caller).await.expect_status(429);
    stream.chunk().await.unwrap().expect("the stream goes on");
}

#[tokio::test]
async fn budgets_survive_a_stop_and_their_limits_are_shown() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    belljar_tests::warm_up(&data).await;
    let server = ServerProcess::start(&data).await;
    let budget = json!({"name":"n","scopes":["infer"],"requests_per_month":2,
        "tokens_per_month":1_000_000,"fuel_per_month":1_000_000_000_000_u64});
    let made = server
        .admin()
        .post("/admin/keys", &budget)
        .await
        .expect_status(201)
        .json();
    for limit in ["requests_per_month", "tokens_per_month", "fuel_per_month"] {
        assert_eq!(made[limit], budget[limit]);
    }
    let secret = made["key"].as_str().unwrap().to_owned();
    let caller = server.with_key(&secret);
    chat(&caller).await.expect_status(200);
    let before = caller.get("/usage").await.expect_status(200).json();
    assert!(server.terminate().await.success());
    let server = ServerProcess::start(&data).await;
    let caller = server.with_key(&secret);
    let after = caller.get("/usage").await.expect_status(200).json();
    // A month may have ended meanwhile, once in a blue moon.
    if before["budget"]["month"] == after["budget"]["month"] {
        assert_eq!(after["data"], before["data"]);
        assert_eq!(after["budget"], before["budget"]);
        chat(&caller).await.expect_status(200);
        chat(&caller).await.expect_status(429);
    }
    // What was shown is there after a kill as well.
    let shown: Value = caller.get("/usage").await.json();
    server.kill();
    let server = ServerProcess::start(&data).await;
    let after = server.with_key(&secret).get("/usage").await.json();
    if shown["budget"]["month"] == after["budget"]["month"] {
        assert_eq!(after, shown);
    }
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn a_slip_in_a_budget_names_its_field() {
    let (host, _) = host_at("2030-01-15T00:00:00Z", &[]).await;
    for field in ["fuel_per_month", "tokens_per_month", "requests_per_month"] {
        for value in [
            json!(0),
            json!(-1),
            json!(1.5),
            json!("many"),
            json!(1_u64 << 63),
        ] {
            let mut body = json!({"name":"n","scopes":["infer"]});
            body[field] = value.clone();
            let answer = host
                .admin()
                .post("/admin/keys", &body)
                .await
                .expect_status(400);
            assert_eq!(answer.json()["error"]["param"], field, "{value}");
        }
    }
}
