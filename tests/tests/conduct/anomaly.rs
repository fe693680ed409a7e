//! Conduct that is unlike what a caller's has been is reported, slows the caller down or bans it.

use std::time::Duration;

use belljar::clock::ManualClock;
use belljar_tests::{Client, TestBundle, TestHost};
use serde_json::{Value, json};

use crate::kit::{guess, host_at_rest, local};

const WINDOW: Duration = Duration::from_mins(5);

/// A server that judges after an hour and does this.
async fn watching(action: &str, more: &[(&str, &str)]) -> (TestHost, ManualClock) {
    let settings = [("anomaly.action", action), ("anomaly.warm_up", "1 h")];
    let all: Vec<_> = settings.iter().chain(more).copied().collect();
    host_at_rest(&all).await
}

/// The callers that are watched, as the administrator sees them. Judges the window that is over.
async fn watched(host: &TestHost) -> Vec<Value> {
    let answer = host.admin().get("/admin/anomalies").await;
    let list = answer.expect_status(200).json();
    list["data"].as_array().unwrap().clone()
}

async fn ask(caller: &Client, times: u32) {
    for _ in 0..times {
        let _ = caller.get("/v1/models").await.expect_status(200);
    }
}

/// An hour in which a caller asks twice each window, and a window in which it asks 400 times.
pub(crate) async fn burst(host: &TestHost, hand: &ManualClock, caller: &Client) {
    for _ in 0..13 {
        ask(caller, 2).await;
        hand.advance(WINDOW);
        watched(host).await;
    }
    ask(caller, 400).await;
    hand.advance(WINDOW);
    watched(host).await;
}

async fn events(host: &TestHost) -> Vec<Value> {
    host.audit().flush().await;
    let text = std::fs::read_to_string(host.data_dir().join("audit.log")).unwrap();
    let events = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let all: Vec<Value> = events.collect();
    all.into_iter()
        .filter(|event| event["event"] == "anomaly")
        .collect()
}

#[tokio::test]
async fn a_burst_is_reported_with_its_inputs_and_hurts_nobody() {
    let (host, hand) = watching("report", &[]).await;
    let caller = host.key("infer,models:read").await;
    burst(&host, &hand, &caller).await;
    let events = events(&host).await;
    let [event] = events.as_slice() else {
        panic!("{events:#?}")
    };
    let about = &event["about"];
    assert_eq!(about["caller"], event["key_id"], "{event}");
    assert_eq!(about["action"], "report", "{event}");
    assert_eq!(about["window"], "5 min", "{event}");
    assert_eq!(about["counts"]["requests"], 400, "{event}");
    assert!(about["score"].as_f64().unwrap() >= about["threshold"].as_f64().unwrap());
    let inputs = about["inputs"].as_object().unwrap();
    let sum: f64 = inputs.values().map(|points| points.as_f64().unwrap()).sum();
    assert!(
        (sum - about["score"].as_f64().unwrap()).abs() < 0.05,
        "{event}"
    );
    assert!(inputs["requests"].as_f64().unwrap() > 2.0, "{event}");
    let list = watched(&host).await;
    assert_eq!(list[0]["reported"]["counts"], about["counts"], "{list:#?}");
    assert_eq!(list[0]["state"], "settled");
    let text = serde_json::to_string(&(&list, event)).unwrap();
    assert!(!text.contains("sk-belljar"), "{text}");
    let metrics = host.admin().get("/metrics").await.text();
    for line in [
        r#"belljar_anomalies_total{input="requests",action="report"}"#,
        r#"belljar_anomaly_callers{state="settled"}"#,
        "belljar_anomaly_score_max",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    ask(&caller, 20).await;
}

/// Acts: `anomaly.threshold`, `anomaly.warm_up`, `anomaly.action`.
#[tokio::test]
async fn below_the_threshold_and_while_it_warms_up_nobody_is_reported() {
    let cases = [("anomaly.threshold", "40"), ("anomaly.warm_up", "1000 h")];
    for (key, value) in cases {
        let more = [("anomaly.action", "ban"), (key, value)];
        let (host, hand) = host_at_rest(&more).await;
        let caller = host.key("infer,models:read").await;
        burst(&host, &hand, &caller).await;
        assert!(events(&host).await.is_empty(), "{key}");
        ask(&caller, 1).await;
    }
}

/// Acts: `anomaly.slow_rpm`, `anomaly.slow_time`.
#[tokio::test]
async fn who_is_slowed_down_is_told_when_to_come_back_and_is_not_banned_for_it() {
    let more = [("anomaly.slow_rpm", "60"), ("anomaly.slow_time", "10 min")];
    let (host, hand) = watching("slow", &more).await;
    let caller = host.key("infer,models:read").await;
    burst(&host, &hand, &caller).await;
    let mut served = 0;
    for _ in 0..60 {
        let answer = caller.get("/v1/models").await;
        if answer.status == 200 {
            served += 1;
            continue;
        }
        assert_eq!(answer.status, 429, "{}", answer.text());
        assert_eq!(answer.code(), "slowed_down");
        assert_eq!(answer.header("retry-after"), "1");
    }
    assert_eq!(served, 5);
    hand.advance(Duration::from_secs(1));
    ask(&caller, 1).await;
    assert_eq!(caller.get("/v1/models").await.status, 429);
    // Another caller at the same address goes at its own pace.
    ask(&host.key("infer,models:read").await, 20).await;
    let list = watched(&host).await;
    assert!(list[0]["slowed_seconds_left"].as_u64().unwrap() <= 600);
    hand.advance(Duration::from_mins(10));
    ask(&caller, 60).await;
}

#[tokio::test]
async fn what_was_usual_can_be_forgotten() {
    let (host, hand) = watching("slow", &[]).await;
    let caller = host.key("infer,models:read").await;
    burst(&host, &hand, &caller).await;
    let id = watched(&host).await[0]["caller"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/admin/anomalies/{id}");
    let _ = host.admin().delete(&path).await.expect_status(204);
    let log = std::fs::read_to_string(host.data_dir().join("audit.log")).unwrap();
    let forgotten = log
        .lines()
        .filter(|line| line.contains("baseline_forgotten"));
    assert_eq!(forgotten.filter(|line| line.contains(&id)).count(), 1);
    ask(&caller, 60).await;
    assert_eq!(watched(&host).await[0]["state"], "warming_up");
    let unknown = host.admin().delete("/admin/anomalies/192.0.2.7").await;
    assert_eq!(unknown.expect_status(404).code(), "caller_not_found");
    let slip = host.admin().delete("/admin/anomalies/nobody").await;
    assert_eq!(slip.expect_status(400).code(), "invalid_value");
}

/// Acts: `anomaly.ban_time`.
#[tokio::test]
async fn a_banned_key_is_out_everywhere_until_it_is_over_or_lifted() {
    let (host, hand) = watching("ban", &[("anomaly.ban_time", "30 min")]).await;
    let caller = host.key("infer,models:read").await;
    burst(&host, &hand, &caller).await;
    for banned in [&caller, &caller.at(local(7))] {
        let answer = banned.get("/v1/models").await.expect_status(403);
        assert_eq!(answer.code(), "key_banned", "{}", answer.text());
        assert_eq!(answer.header("retry-after"), "1800");
    }
    ask(&host.key("infer,models:read").await, 1).await;
    let list = host.admin().get("/admin/bans").await.json();
    let ban = &list["data"][0];
    assert_eq!(
        (&ban["reason"], &ban["address"]),
        (&json!("anomaly"), &json!("everywhere"))
    );
    let id = ban["key_id"].as_str().unwrap();
    let lifted = host.admin().delete(&format!("/admin/bans/{id}")).await;
    assert_eq!(lifted.expect_status(200).json()["data"][0]["key_id"], id);
    ask(&caller, 1).await;
    let again = host.admin().delete(&format!("/admin/bans/{id}")).await;
    assert_eq!(again.expect_status(404).code(), "ban_not_found");
}

#[tokio::test]
async fn callers_without_keys_are_watched_by_their_addresses() {
    let (host, hand) = watching("ban", &[]).await;
    let caller = host.anonymous().at(local(5));
    burst(&host, &hand, &caller).await;
    let refused = caller.get("/v1/models").await.expect_status(403);
    assert_eq!(refused.code(), "ip_banned");
    ask(&host.anonymous(), 1).await;
}

#[tokio::test]
async fn an_administrator_is_reported_and_not_banned() {
    let (host, hand) = watching("ban", &[]).await;
    let admin = host.admin();
    burst(&host, &hand, &admin).await;
    assert_eq!(events(&host).await[0]["about"]["action"], "report");
    ask(&admin, 1).await;
}

/// Each count is fed by what callers really do.
#[tokio::test]
async fn requests_tokens_errors_refused_fuel_and_networks_are_counted() {
    let (host, hand) = watching("report", &[]).await;
    let admin = host.admin();
    let bundle = TestBundle::hostile("burns_fuel").with_limits("fuel = 1_000_000");
    let _ = admin.upload(bundle.tar()).await.expect_status(201);
    let caller = host.key("infer,models:read").await;
    ask(&caller, 2).await;
    let chat = json!({"model": "fake", "max_tokens": 4,
        "messages": [{"role": "user", "content": "Hi there"}]});
    let answer = caller.post("/v1/chat/completions", &chat).await;
    let usage = answer.expect_status(200).json()["usage"]["total_tokens"].clone();
    let _ = caller.get("/v1/models/none").await.expect_status(404);
    let _ = caller
        .post("/v1/chat/completions", &json!({}))
        .await
        .expect_status(400);
    let run = json!({"model": "burns_fuel", "inputs": {"x": [1]}});
    let _ = caller.post("/infer", &run).await.expect_status(502);
    // Nobody is at fault for credentials of another.
    guess(&host.anonymous(), 1).await;
    hand.advance(WINDOW);
    let list = watched(&host).await;
    let of_key = |entry: &&Value| entry["caller"].as_str().unwrap().starts_with("key_");
    let counts: Vec<_> = list
        .iter()
        .filter(of_key)
        .map(|entry| entry["last"]["counts"].clone())
        .collect();
    let expect = json!({"requests": 6, "tokens": usage, "errors": 2, "refused_fuel": 1,
        "new_networks": 1});
    assert!(counts.contains(&expect), "{counts:#?}");
}

/// A height that was usual some windows ago is so still where much is remembered.
///
/// Acts: `anomaly.half_life`.
#[tokio::test]
async fn what_was_usual_fades() {
    let mut scores = Vec::new();
    for half_life in ["1 h", "1000 h"] {
        let (host, hand) = watching("report", &[("anomaly.half_life", half_life)]).await;
        let caller = host.key("infer,models:read").await;
        let usual = std::iter::repeat_n(60, 4).chain(std::iter::repeat_n(2, 60));
        for times in usual.chain([400]) {
            ask(&caller, times).await;
            hand.advance(WINDOW);
            watched(&host).await;
        }
        let list = watched(&host).await;
        scores.push(list[0]["last"]["score"].as_f64().unwrap());
    }
    assert!(scores[0] > scores[1] + 0.1, "{scores:?}");
}

/// Acts: `anomaly.callers_max`.
#[tokio::test]
async fn there_is_an_end_to_the_callers_that_are_remembered() {
    let (host, _) = watching("report", &[("anomaly.callers_max", "16")]).await;
    for last in 2..100 {
        ask(&host.anonymous().at(local(last)), 1).await;
    }
    assert!(watched(&host).await.len() <= 16);
}

#[tokio::test]
async fn switched_off_the_list_is_empty_and_others_may_not_see_it() {
    let (host, _) = host_at_rest(&[]).await;
    ask(&host.anonymous(), 1).await;
    assert!(watched(&host).await.is_empty());
    let other = host.key("infer,models:read,models:write,metrics").await;
    let _ = other.get("/admin/anomalies").await.expect_status(403);
    let _ = host
        .anonymous()
        .get("/admin/anomalies")
        .await
        .expect_status(401);
}
