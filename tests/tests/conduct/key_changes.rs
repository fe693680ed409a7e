//! A key is changed without another secret: what it may do and use holds from the next request on,
//! survives a kill, and is recorded as it was and as it is.

use std::time::Duration;

use belljar_tests::{Answer, Client, ServerProcess, TestHost};
use reqwest::Method;
use serde_json::{Value, json};

use crate::keys::{MadeKey, make_key, open_stream, upload_slow, works};
use crate::kit::host_at_rest;

async fn patch(admin: &Client, path: &str, change: &Value) -> Answer {
    let request = admin.request(Method::PATCH, path).json(change);
    admin.send(request).await.expect("the server answers")
}

impl MadeKey {
    /// Changes it, and gives what the server says of it then.
    async fn set(&self, host: &TestHost, change: Value) -> Value {
        let changed = patch(&host.admin(), &self.path(""), &change).await;
        changed.expect_status(200).json()
    }
}

async fn chat(caller: &Client) -> Answer {
    let body = json!({"model":"fake","max_tokens":4,
        "messages":[{"role":"user","content":"Hi there"}]});
    caller.post("/v1/chat/completions", &body).await
}

#[tokio::test]
async fn a_budget_acts_both_ways_from_the_next_request_on() {
    for budget in ["fuel_per_month", "tokens_per_month", "requests_per_month"] {
        let set = |limit: Value| {
            let mut change = json!({});
            change[budget] = limit;
            change
        };
        let (host, _) = host_at_rest(&[]).await;
        let key = make_key(&host, set(json!(1))).await;
        chat(&key.caller).await.expect_status(200);
        let refused = chat(&key.caller).await.expect_status(429);
        assert_eq!(refused.code(), "insufficient_quota", "{budget}");
        // Raised: whoever was refused passes again, and so does whoever has no bound any more.
        for more in [json!(1_000_000_000_000_u64), Value::Null] {
            let changed = key.set(&host, set(more.clone())).await;
            assert_eq!(changed[budget], more);
            chat(&key.caller).await.expect_status(200);
        }
        // Lowered: what was used before counts.
        key.set(&host, set(json!(2))).await;
        let refused = chat(&key.caller).await.expect_status(429);
        assert_eq!(refused.code(), "insufficient_quota", "{budget}");
        let own = key.caller.get("/usage").await.expect_status(200).json();
        let measure = budget.trim_end_matches("_per_month");
        assert_eq!(own["budget"][measure]["limit"], 2, "{own}");
        assert_eq!(own["budget"][measure]["remaining"], 0, "{own}");
    }
}

#[tokio::test]
async fn what_a_key_may_do_and_where_acts_from_the_next_request_on() {
    let (host, hand) = host_at_rest(&[("rate_limit.enabled", "true")]).await;
    let key = make_key(&host, json!({})).await;
    let infer = json!({"model":"echo","inputs":{"x":[1]}});
    let status = async || key.caller.post("/infer", &infer).await.status;
    assert_eq!(status().await, 200);
    for (change, refused) in [
        (json!({"scopes":["models:read"]}), 403),
        (json!({"scopes":["infer"],"models":["fake"]}), 404),
        (
            json!({"models":null,"allow_networks":["192.0.2.0/24"]}),
            403,
        ),
        (
            json!({"allow_networks":null,"deny_networks":["127.0.0.0/8"]}),
            403,
        ),
        (json!({"deny_networks":[],"rpm":1}), 429),
    ] {
        let changed = key.set(&host, change.clone()).await;
        for (name, value) in change.as_object().unwrap() {
            let shown = if value.is_null() && name.ends_with("networks") {
                &json!([])
            } else {
                value
            };
            assert_eq!(&changed[name], shown, "{changed}");
        }
        if refused == 429 {
            assert_eq!(status().await, 200);
        }
        assert_eq!(status().await, refused, "{change}");
    }
    // The numbers of a tier, and the server's when that is gone.
    for (change, limit) in [
        (json!({"rpm":null,"tier":"free"}), "60"),
        (json!({"tier":null}), "500"),
    ] {
        key.set(&host, change).await;
        let answer = key.caller.post("/infer", &infer).await.expect_status(200);
        assert_eq!(answer.header("x-ratelimit-limit-requests"), limit);
    }
    // Two names, and the one that counts is the last.
    let changed = key.set(&host, json!({"name":"another"})).await;
    assert_eq!(changed["name"], "another");
    assert_eq!(key.show(&host).await["name"], "another");
    // An end, sooner than it was and then none.
    key.set(&host, json!({"expires":"2030-01-01T00:10:00Z"}))
        .await;
    key.set(&host, json!({"expires":null})).await;
    hand.advance(Duration::from_secs(600));
    assert!(works(&key.caller).await);
}

#[tokio::test]
async fn an_end_that_is_set_later_ends_streams_that_were_open_before() {
    let (host, hand) = host_at_rest(&[]).await;
    upload_slow(&host).await;
    let key = make_key(&host, json!({})).await;
    let mut stream = open_stream(&key.caller).await;
    // Other changes are in no stream's way.
    key.set(&host, json!({"requests_per_month":1,"models":["echo"]}))
        .await;
    key.set(&host, json!({"expires":"2030-01-01T00:01:00Z"}))
        .await;
    let piece = stream.chunk().await.unwrap().unwrap();
    assert!(!piece.starts_with(b"data: {\"error\""));
    hand.advance(Duration::from_secs(60));
    let mut text = String::new();
    while let Some(piece) = stream.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&piece).unwrap());
    }
    assert!(text.contains("invalid_api_key"), "{text}");
    // What is over is over.
    let change = json!({"expires":null});
    let refused = patch(&host.admin(), &key.path(""), &change).await;
    assert_eq!(refused.expect_status(409).code(), "key_is_expired");
}

#[tokio::test]
async fn what_a_key_cannot_become_is_named_and_changes_nothing() {
    let host = TestHost::start().await;
    let key = make_key(&host, json!({"requests_per_month":7})).await;
    let before = key.show(&host).await;
    let admin = host.admin();
    for (wrong, param) in [
        (json!({"name":""}), "name"),
        (json!({"name":null}), "name"),
        (json!({"scopes":[]}), "scopes"),
        (json!({"scopes":null}), "scopes"),
        (json!({"scopes":["infer","root"]}), "scopes[1]"),
        (json!({"models":[]}), "models"),
        (json!({"models":["a b"]}), "models"),
        (json!({"tier":"gold"}), "tier"),
        (json!({"rpm":0}), "rpm"),
        (json!({"rpm":-1}), "rpm"),
        (json!({"tpm":"many"}), "tpm"),
        (json!({"max_concurrent":1.5}), "max_concurrent"),
        (json!({"fuel_per_month":0}), "fuel_per_month"),
        (json!({"tokens_per_month":1_u64 << 63}), "tokens_per_month"),
        (json!({"requests_per_month":0}), "requests_per_month"),
        (json!({"allow_networks":[]}), "allow_networks"),
        (json!({"deny_networks":["10.0.0.1/8"]}), "deny_networks[0]"),
        (json!({"expires":"soon"}), "expires"),
        (json!({"expires":"2001-01-01T00:00:00Z"}), "expires"),
        (json!({"colour":"red"}), "colour"),
        // It has a route of its own, which gives the secret.
        (json!({"signing":"required"}), "signing"),
    ] {
        // What is right beside it is not taken either.
        let mut change = json!({"requests_per_month":9});
        for (name, value) in wrong.as_object().unwrap() {
            change[name] = value.clone();
        }
        let refused = patch(&admin, &key.path(""), &change).await;
        let refused = refused.expect_status(400);
        assert_eq!(refused.json()["error"]["param"], param, "{wrong}");
        assert_eq!(key.show(&host).await, before, "{wrong}");
    }
    let change = json!({"rpm":1});
    let unknown = patch(&admin, "/admin/keys/key_0000000000000000", &change).await;
    assert_eq!(unknown.expect_status(404).code(), "key_not_found");
    let stranger = patch(&key.caller, &key.path(""), &change).await;
    stranger.expect_status(403);
    admin.post(&key.path("/revoke"), &json!({})).await;
    let revoked = patch(&admin, &key.path(""), &change).await;
    assert_eq!(revoked.expect_status(409).code(), "key_is_revoked");
}

#[tokio::test]
async fn a_change_is_recorded_as_it_was_and_as_it_is() {
    let host = TestHost::start().await;
    let key = make_key(&host, json!({"rpm":5,"requests_per_month":7})).await;
    let change = json!({"rpm":null,"requests_per_month":9,"models":["echo"],"tier":null});
    key.set(&host, change.clone()).await;
    // What is so already is no event.
    key.set(&host, change).await;
    key.set(&host, json!({})).await;
    host.audit().flush().await;
    let log = std::fs::read_to_string(host.data_dir().join("audit.log")).unwrap();
    let events: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|event: &Value| event["event"] == "key_changed")
        .collect();
    let [event] = events.as_slice() else {
        panic!("{events:?}")
    };
    let about = json!({
        "key_id": key.id,
        "before": {"rpm":5,"requests_per_month":7,"models":null},
        "after": {"rpm":null,"requests_per_month":9,"models":["echo"]},
    });
    assert_eq!(event["about"], about);
    assert!(event["key_id"].is_string(), "{event}");
}

#[tokio::test]
async fn what_was_changed_survives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    belljar_tests::warm_up(&data).await;
    let server = ServerProcess::start(&data).await;
    let body = json!({"name":"n","scopes":["infer"],"requests_per_month":1_000});
    let made = server.admin().post("/admin/keys", &body).await;
    let made = made.expect_status(201).json();
    let (id, secret) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    chat(&server.with_key(secret)).await.expect_status(200);
    // What was used is on disk once it was shown.
    server.with_key(secret).get("/usage").await;
    let change = json!({"name":"m","scopes":["infer","models:read"],"models":["fake"],
        "tier":"tier-3","rpm":11,"tpm":12_000,"max_concurrent":13,"max_uploads":14,
        "max_stored_bundles":15,"max_stored_bytes":16,"fuel_per_day":17_000_000_000_u64,
        "fuel_per_month":18_000_000_000_u64,"tokens_per_month":19_000,"requests_per_month":1,
        "allow_networks":["127.0.0.0/8"],"deny_networks":["192.0.2.0/24"],
        "expires":"2099-01-01T00:00:00Z"});
    let path = format!("/admin/keys/{id}");
    let changed = patch(&server.admin(), &path, &change).await;
    let changed = changed.expect_status(200).json();
    server.kill();
    let server = ServerProcess::start(&data).await;
    let shown = server.admin().get(&path).await.expect_status(200).json();
    for (name, value) in change.as_object().unwrap() {
        assert_eq!(&shown[name], value, "{name}");
        assert_eq!(&changed[name], value, "{name}");
    }
    let refused = chat(&server.with_key(secret)).await.expect_status(429);
    assert_eq!(refused.code(), "insufficient_quota");
    let more = json!({"requests_per_month":null});
    patch(&server.admin(), &path, &more)
        .await
        .expect_status(200);
    chat(&server.with_key(secret)).await.expect_status(200);
    server.kill();
    let server = ServerProcess::start(&data).await;
    chat(&server.with_key(secret)).await.expect_status(200);
    assert!(server.terminate().await.success());
}
