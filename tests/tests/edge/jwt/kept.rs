//! Everything that is kept by key is kept of callers by token as well: quotas, budgets, usage, the
//! record, anomalies, and what they store.

use std::time::Duration;

use belljar::ids::KeyId;
use belljar_tests::{Client, TestBundle};
use reqwest::Method;
use serde_json::{Value, json};

use super::infer;
use super::kit::{ISSUER, IssuerHost, NOW, Signer};

/// An issuer with callers who may do all that is not an administrator's.
struct Callers {
    issuer: IssuerHost,
    signer: Signer,
}

impl Callers {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let signer = Signer::ed("a");
        let issuer = IssuerHost::start(std::slice::from_ref(&signer), settings).await;
        Self { issuer, signer }
    }

    /// A caller with a token of that number.
    fn caller(&self, name: &str, number: u8) -> Client {
        let claims = json!({"sub": name, "jti": number.to_string(),
            "scope": "infer models:read models:write"});
        self.issuer.caller(&self.signer.token(claims))
    }

    async fn admin(&self, path: &str) -> Value {
        let answer = self.issuer.host.admin().get(path).await;
        answer.expect_status(200).json()
    }
}

fn id(name: &str) -> String {
    KeyId::of_caller(ISSUER, name).to_string()
}

#[tokio::test]
async fn quotas_and_budgets_hold_for_a_caller_whatever_its_token() {
    for (setting, value) in [
        ("quota.fuel_per_day", "1"),
        ("quota.fuel_per_month", "1"),
        ("quota.requests_per_month", "1"),
    ] {
        let callers = Callers::start(&[(setting, value)]).await;
        assert_eq!(infer(&callers.caller("ann", 1)).await, 200, "{setting}");
        for number in [1, 2] {
            let refused = callers.caller("ann", number).get("/v1/models").await;
            let refused = match setting {
                "quota.fuel_per_day" => {
                    let body = json!({"model": "echo", "inputs": {"x": [1]}});
                    callers.caller("ann", number).post("/infer", &body).await
                }
                _ => refused,
            };
            let refused = refused.expect_status(429);
            assert_eq!(refused.code(), "insufficient_quota", "{setting}");
        }
        assert_eq!(infer(&callers.caller("bob", 1)).await, 200, "{setting}");
    }
    let settings = [("quota.bundles_max", "1"), ("quota.concurrent_max", "1")];
    let callers = Callers::start(&settings).await;
    let upload = async |name: &str, number: u8, model: &str| {
        let caller = callers.caller(name, number);
        caller.upload(TestBundle::echo(model, "1.0.0").tar()).await
    };
    let _ = upload("ann", 1, "one").await.expect_status(201);
    let refused = upload("ann", 2, "two").await.expect_status(403);
    assert_eq!(refused.code(), "storage_quota_exceeded");
    let _ = upload("bob", 1, "two").await.expect_status(201);
    // One request at once, and a stream is one.
    let admin = callers.issuer.host.admin();
    let endless = TestBundle::hostile("endless_generation");
    let _ = admin.upload(endless.tar()).await.expect_status(201);
    let body = json!({"model": "endless_generation", "stream": true, "max_tokens": 100_000,
        "messages": [{"role": "user", "content": "Go on."}]});
    let ann = callers.caller("ann", 1);
    let request = ann.request(Method::POST, "/v1/chat/completions");
    let open = request.json(&body).send().await.unwrap();
    assert_eq!(open.status(), 200);
    let refused = callers.caller("ann", 2).get("/v1/models").await;
    assert_eq!(refused.code(), "concurrency_limit_exceeded");
    let _ = callers
        .caller("bob", 2)
        .get("/v1/models")
        .await
        .expect_status(200);
}

#[tokio::test]
async fn use_is_on_the_ledger_and_changes_are_on_record_under_the_callers_id() {
    let callers = Callers::start(&[]).await;
    for number in [1, 2] {
        assert_eq!(infer(&callers.caller("ann", number)).await, 200);
    }
    assert_eq!(infer(&callers.caller("bob", 1)).await, 200);
    let of = |table: &Value, name: &str| {
        let rows = table["data"].as_array().unwrap();
        let row = rows.iter().find(|row| row["key_id"] == id(name));
        row.unwrap_or_else(|| panic!("{table}"))["requests"].as_u64()
    };
    let table = callers.admin("/admin/usage?by=key,model").await;
    assert_eq!((of(&table, "ann"), of(&table, "bob")), (Some(2), Some(1)));
    let own = callers.caller("ann", 3).get("/usage").await;
    let own = own.expect_status(200).json().to_string();
    assert!(!own.contains(&id("bob")), "{own}");
    let bundle = TestBundle::echo("mine", "1.0.0").tar();
    let _ = callers
        .caller("ann", 1)
        .upload(bundle)
        .await
        .expect_status(201);
    callers.issuer.host.audit().flush().await;
    let log = callers.issuer.host.data_dir().join("audit.log");
    let log = std::fs::read_to_string(log).unwrap();
    let mut lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of_ann = |line: &Value| line["key_id"] == id("ann") && line.to_string().contains("mine");
    assert!(lines.any(|line| of_ann(&line)), "{log}");
}

#[tokio::test]
async fn anomalies_are_those_of_the_caller() {
    let callers = Callers::start(&[("anomaly.action", "report")]).await;
    for number in [1, 2] {
        assert_eq!(infer(&callers.caller("ann", number)).await, 200);
    }
    let list = callers.admin("/admin/anomalies").await;
    let watched = list["data"].as_array().unwrap().iter();
    let of_ann = watched.filter(|entry| entry["caller"] == id("ann"));
    assert_eq!(of_ann.count(), 1, "{list}");
}

#[tokio::test]
async fn a_ban_for_an_anomaly_is_the_callers_whatever_its_token() {
    let settings = [
        ("anomaly.action", "ban"),
        ("anomaly.warm_up", "1 h"),
        // The clock that is moved ages the issuer's keys faster than their file is read again.
        ("jwt.stale_max", "1 d"),
    ];
    let callers = Callers::start(&settings).await;
    let caller = |name: &str, jti: &str| {
        let claims = json!({"sub": name, "jti": jti, "exp": NOW + 3 * 3_600});
        callers.issuer.caller(&callers.signer.token(claims))
    };
    let ask = async |caller: &Client, times: u32| {
        for _ in 0..times {
            let _ = caller.get("/v1/models").await.expect_status(200);
        }
    };
    // An hour of two requests a window, and a window of 400.
    let ann = caller("ann", "1");
    for times in [2; 13].into_iter().chain([400]) {
        ask(&ann, times).await;
        callers.issuer.hand.advance(Duration::from_mins(5));
        // Which judges the window that is over.
        callers.admin("/admin/anomalies").await;
    }
    for jti in ["1", "2"] {
        let refused = caller("ann", jti).get("/v1/models").await;
        assert_eq!(refused.expect_status(403).code(), "key_banned", "{jti}");
    }
    ask(&caller("bob", "1"), 1).await;
}

#[tokio::test]
async fn what_a_caller_stores_is_its_own_whatever_its_token() {
    let callers = Callers::start(&[]).await;
    let body = json!({"model": "fake", "input": "Hi there", "max_output_tokens": 4});
    let made = callers.caller("ann", 1).post("/v1/responses", &body).await;
    let made = made.expect_status(200).json();
    let path = format!("/v1/responses/{}", made["id"].as_str().unwrap());
    let _ = callers.caller("ann", 2).get(&path).await.expect_status(200);
    let _ = callers.caller("bob", 1).get(&path).await.expect_status(404);
}
