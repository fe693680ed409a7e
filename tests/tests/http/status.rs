//! `/admin/status` and `/admin/reload`.

use std::time::{Duration, Instant};

use belljar::clock::Clock;
use belljar_tests::TestHost;
use serde_json::{Value, json};

use crate::host::LOCKED;

/// Longer than anything may take that happens at once.
const PATIENCE: Duration = Duration::from_secs(20);

async fn status(host: &TestHost) -> Value {
    let answer = host.admin().get("/admin/status").await;
    answer.expect_status(200).json()
}

fn model<'a>(status: &'a Value, name: &str) -> &'a Value {
    let models = status["models"].as_array().unwrap();
    let found = models.iter().find(|model| model["name"] == name);
    found.unwrap_or_else(|| panic!("{status}"))
}

#[tokio::test]
async fn the_status_says_how_the_server_is() {
    let (clock, hand) = Clock::manual("2030-01-01T00:00:00Z".parse().unwrap());
    let settings = [
        ("metrics.listen", "127.0.0.1:0"),
        ("embedded.fake", "false"),
        ("rate_limit.enabled", "true"),
        ("screening.tensor", "off"),
        ("deny_networks", "192.0.2.0/24"),
    ];
    let host = TestHost::start_at(clock, &settings).await;
    let runs = json!({"model": "echo", "inputs": {"x": [1, 2]}});
    let fails = json!({"model": "echo", "inputs": {"x": [1, 2]}, "outputs": ["none"]});
    for _ in 0..3 {
        let _ = host
            .anonymous()
            .post("/infer", &runs)
            .await
            .expect_status(200);
    }
    let _ = host.anonymous().post("/infer", &fails).await;
    hand.advance(Duration::from_secs(30));
    let now = status(&host).await;
    assert_eq!(now["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        (&now["state"], &now["uptime_s"], &now["started"]),
        (&json!("ready"), &json!(30), &json!("2030-01-01T00:00:00Z"))
    );
    let main = json!({"for": "api", "address": host.address().to_string(), "tls": false});
    let metrics = host.metrics_address().unwrap().to_string();
    let metrics = json!({"for": "metrics", "address": metrics, "tls": false});
    assert_eq!(now["listeners"], json!([main, metrics]));
    assert_eq!(now["tls"], Value::Null);
    assert_eq!(
        now["data"]["directory"],
        host.data_dir().display().to_string()
    );
    let [free, total] = ["free_bytes", "total_bytes"].map(|field| now["data"][field].as_u64());
    assert!(
        free.unwrap() <= total.unwrap() && total.unwrap() > 0,
        "{now}"
    );
    let echo = model(&now, "echo");
    assert_eq!(
        (&echo["active"], &echo["state"], &echo["versions"]),
        (&json!("0.1.0"), &json!("active"), &json!(1))
    );
    assert!(echo["last_minute"]["runs"].as_u64().unwrap() >= 3, "{echo}");
    assert!(echo["last_minute"]["fuel"].as_u64().unwrap() > 0, "{echo}");
    assert_eq!(now["load"]["last_minute"], echo["last_minute"]);
    assert!(now["load"]["connections"].as_u64().unwrap() >= 1, "{now}");
    assert_eq!(now["load"]["slots"], 512);
    assert!(now["memory"]["resident_bytes"].as_u64().unwrap() > 1 << 20);
    assert!(now["memory"]["guest_bytes_max"].as_u64().unwrap() > 1 << 20);
    let guards = &now["guards"];
    for (guard, expect) in [
        ("keys_required", json!(false)),
        ("rate_limits", json!(true)),
        ("bans", json!(true)),
        ("bans_in_force", json!(0)),
        ("networks", json!(true)),
        ("input_validation", json!(true)),
    ] {
        assert_eq!(guards[guard], expect, "{guard}: {guards}");
    }
    assert_eq!(
        (
            &guards["screening"]["prompt"],
            &guards["screening"]["tensor"]
        ),
        (&json!("block"), &json!("off"))
    );
    assert_eq!(now["reload"], Value::Null);
    assert_eq!(now["audit"], json!({"sinks": ["file"], "failing": false}));
    // A minute later nothing of that is within the last one.
    let deadline = Instant::now() + PATIENCE;
    loop {
        hand.advance(Duration::from_secs(61));
        let then = status(&host).await;
        let counts = json!({"runs": 0, "errors": 0, "fuel": 0});
        if model(&then, "echo")["last_minute"] == counts {
            break;
        }
        assert!(Instant::now() < deadline, "{then}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn failed_runs_and_models_without_an_active_version_show() {
    let host = TestHost::start_with(&[("exempt_networks", "127.0.0.0/8")]).await;
    let admin = host.admin();
    let bundle = belljar_tests::TestBundle::hostile("panics");
    let _ = admin.upload(bundle.tar()).await.expect_status(201);
    let body = json!({"model": "panics", "inputs": {"x": [1]}});
    for _ in 0..2 {
        let _ = admin.post("/infer", &body).await.expect_status(502);
    }
    let now = status(&host).await;
    let counts = &model(&now, "panics")["last_minute"];
    assert_eq!((&counts["runs"], &counts["errors"]), (&json!(2), &json!(2)));
    let _ = admin
        .post("/models/panics/deactivate", &json!({}))
        .await
        .expect_status(200);
    let now = status(&host).await;
    let panics = model(&now, "panics");
    assert_eq!(
        (&panics["active"], &panics["state"]),
        (&Value::Null, &Value::Null)
    );
    let fuel = TestHost::key(&host, "infer").await;
    assert_eq!(fuel.get("/admin/status").await.status, 403);
}

#[tokio::test]
async fn streams_and_bans_are_counted() {
    let host = TestHost::start_with(&[]).await;
    let admin = host.admin();
    let slow = belljar_tests::TestBundle::hostile("slow_next");
    let _ = admin.upload(slow.tar()).await.expect_status(201);
    let body = json!({"model": "slow_next", "stream": true, "max_tokens": 100_000,
        "parameters": {"turns": 20_000_000}, "messages": [{"role": "user", "content": "hi"}]});
    let request = admin.request(reqwest::Method::POST, "/v1/chat/completions");
    let mut stream = request.json(&body).send().await.unwrap();
    assert!(stream.chunk().await.unwrap().is_some());
    let streams = status(&host).await["load"]["streams"].as_u64().unwrap();
    assert!(streams >= 1, "{streams}");
    drop(stream);
    let other = host.anonymous().at("127.0.0.9".parse().unwrap());
    for _ in 0..5 {
        let wrong = other.with_key("sk-belljar-wrong-wrong-wrong");
        let _ = wrong.get("/v1/models").await.expect_status(401);
    }
    assert_eq!(status(&host).await["guards"]["bans_in_force"], 1);
}

#[tokio::test]
async fn only_administrators_ask_and_a_server_that_cannot_reload_says_so() {
    let admin = LOCKED.admin();
    for scope in ["infer,models:read,models:write", "metrics"] {
        let caller = LOCKED.key(scope, &[]).await;
        for (method, path) in [("GET", "/admin/status"), ("POST", "/admin/reload")] {
            let method = method.parse().unwrap();
            let answer = caller.send(caller.request(method, path)).await.unwrap();
            assert_eq!(answer.expect_status(403).code(), "insufficient_scope");
        }
    }
    // This one is started by a test, which reads no settings again.
    let answer = admin.post("/admin/reload", &json!({})).await;
    assert_eq!(answer.expect_status(503).code(), "no_reloads");
}
