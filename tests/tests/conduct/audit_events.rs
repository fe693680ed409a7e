//! Every security event is a line of the audit log, with who did it, and never with a secret.

use std::path::Path;
use std::time::Duration;

use belljar_tests::{ServerProcess, TestBundle, TestHost};
use serde_json::{Value, json};

use crate::keys::{make_key, works};
use crate::kit::{WRONG_KEY, guess, host_at_rest, local};

async fn events(host: &TestHost) -> Vec<Value> {
    host.audit().flush().await;
    read(host.data_dir())
}

fn read(data: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(data.join("audit.log")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn of<'a>(events: &'a [Value], name: &str) -> Vec<&'a Value> {
    events
        .iter()
        .filter(|event| event["event"] == name)
        .collect()
}

#[track_caller]
fn one<'a>(events: &'a [Value], name: &str) -> &'a Value {
    let found = of(events, name);
    assert_eq!(found.len(), 1, "{name}: {events:#?}");
    found[0]
}

#[tokio::test]
async fn the_start_is_recorded_without_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let server = ServerProcess::start_with(&data, |command| {
        command
            .env("BELLJAR_API_KEYS", "a-key-of-sixteen-characters")
            .env("BELLJAR_BAN_WINDOW", "2 h");
    })
    .await;
    assert!(server.terminate().await.success());
    let events = read(&data);
    let start = one(&events, "configuration");
    let settings = &start["about"]["settings"];
    assert_eq!(settings["ban_window"], "2 h", "{start}");
    assert_eq!(settings["api_keys"], "1 key (redacted)", "{start}");
    assert!(
        settings.get("ban_durations").is_none(),
        "a default: {start}"
    );
}

#[tokio::test]
async fn bans_and_what_ends_them_are_recorded() {
    let (host, _) = host_at_rest(&[]).await;
    let admin = host.admin().at(local(9));
    guess(&host.anonymous(), 5).await;
    let _ = admin
        .delete("/admin/bans/127.0.0.1")
        .await
        .expect_status(200);
    let body = json!({"network": "10.0.0.0/8"});
    let _ = admin
        .post("/admin/exemptions", &body)
        .await
        .expect_status(201);
    let _ = admin
        .delete("/admin/exemptions/10.0.0.0%2F8")
        .await
        .expect_status(204);
    let events = events(&host).await;
    let ban = one(&events, "ban");
    assert_eq!(ban["address"], "127.0.0.1", "{ban}");
    assert_eq!(ban["about"]["network"], "127.0.0.1", "{ban}");
    assert_eq!(ban["about"]["reason"], "failed_authentication", "{ban}");
    assert_eq!(ban["about"]["until"], "2030-01-01T00:05:00Z", "{ban}");
    assert!(ban["request_id"].is_string(), "{ban}");
    for name in ["ban_lifted", "exemption_added", "exemption_removed"] {
        let event = one(&events, name);
        assert!(event["key_id"].is_string(), "{event}");
        assert_eq!(event["address"], "127.0.0.9", "{event}");
    }
    let text = serde_json::to_string(&events).unwrap();
    assert!(
        !text.contains(WRONG_KEY) && !text.contains("sk-belljar"),
        "{text}"
    );
}

#[tokio::test]
async fn changes_of_keys_and_failed_authentications_are_recorded() {
    let host = TestHost::start().await;
    let key = make_key(&host, json!({})).await;
    let fresh = key.rotate(&host, json!({})).await;
    let admin = host.admin();
    let revoked = admin.post(&key.path("/revoke"), &json!({})).await;
    let _ = revoked.expect_status(200);
    let _ = admin.delete(&key.path("")).await.expect_status(200);
    assert!(!works(&fresh).await);
    let events = events(&host).await;
    let made = one(&events, "key_created");
    assert_eq!(made["about"]["scopes"], "infer,models:read");
    let admin_id = host.keys().list()[0].id.to_string();
    for event in [
        made,
        one(&events, "key_rotated"),
        one(&events, "key_revoked"),
        one(&events, "key_deleted"),
    ] {
        assert_eq!(event["about"]["key_id"], key.id, "{event}");
        assert_eq!(event["key_id"], admin_id, "{event}");
        assert_eq!(event["address"], "127.0.0.1", "{event}");
    }
    let failed = one(&events, "authentication_failed");
    assert_eq!(failed["about"]["reason"], "invalid_api_key", "{failed}");
    assert_eq!(failed["address"], "127.0.0.1", "{failed}");
    let text = serde_json::to_string(&events).unwrap();
    assert!(!text.contains("sk-belljar"), "{text}");
}

#[tokio::test]
async fn changes_of_models_and_refused_uploads_are_recorded() {
    let host = TestHost::start().await;
    let admin = host.admin();
    let bundle = TestBundle::hostile("burns_fuel").with_limits("fuel = 1_000_000");
    let _ = admin.upload(bundle.tar()).await.expect_status(201);
    let path = "/models/burns_fuel";
    let _ = admin
        .post(&format!("{path}/deactivate"), &json!({}))
        .await
        .expect_status(200);
    let _ = admin
        .post(&format!("{path}/1.0.0/activate"), &json!({}))
        .await
        .expect_status(200);
    let run = json!({"model": "burns_fuel", "inputs": {"x": [1]}});
    let capped = host.anonymous().post("/infer", &run).await;
    assert!(capped.status >= 500, "{}", capped.text());
    let _ = admin.delete(path).await.expect_status(204);
    let refused = admin.upload(vec![7; 2_000]).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    let events = events(&host).await;
    for (name, model) in [
        ("model_uploaded", "burns_fuel@1.0.0"),
        ("model_deactivated", "burns_fuel"),
        ("model_activated", "burns_fuel@1.0.0"),
        ("model_removed", "burns_fuel"),
        ("cap_hit", "burns_fuel@1.0.0"),
    ] {
        let event = one(&events, name);
        assert_eq!(event["about"]["model"], model, "{event}");
        assert_eq!(event["address"], "127.0.0.1", "{event}");
    }
    let refusal = one(&events, "upload_refused");
    assert_eq!(refusal["about"]["code"], refused.code(), "{refusal}");
    let cap = one(&events, "cap_hit");
    assert!(
        cap["about"]["limit"].is_u64() && cap["about"]["cap"].is_string(),
        "{cap}"
    );
}

#[tokio::test]
async fn a_flood_is_counted_and_does_not_fill_the_disk() {
    let (host, hand) = host_at_rest(&[]).await;
    let writer = host.key("models:write").await;
    for _ in 0..30 {
        let _ = writer.upload(vec![7; 2_000]).await.expect_status(400);
    }
    assert_eq!(of(&events(&host).await, "upload_refused").len(), 10);
    hand.advance(Duration::from_mins(1));
    let _ = writer.upload(vec![7; 2_000]).await.expect_status(400);
    let events = events(&host).await;
    let summary = one(&events, "events_repeated");
    assert_eq!(summary["about"]["of"], "upload_refused", "{summary}");
    assert_eq!(summary["about"]["not_written"], 20, "{summary}");
    assert_eq!(of(&events, "upload_refused").len(), 11);
}

#[tokio::test]
async fn without_sinks_there_is_no_log() {
    let host = TestHost::start_with(&[("audit.sinks", "off")]).await;
    guess(&host.anonymous(), 5).await;
    host.audit().flush().await;
    assert!(!host.data_dir().join("audit.log").exists());
}

/// Whoever reads that something is done finds it in the record, without waiting.
#[tokio::test]
async fn an_act_is_acknowledged_after_its_line_is_on_disk() {
    let host = TestHost::start().await;
    let admin = host.admin();
    let log = || std::fs::read_to_string(host.data_dir().join("audit.log")).unwrap();
    for number in 0..20 {
        let body = json!({"name": format!("n{number}"), "scopes": ["infer"]});
        let made = admin
            .post("/admin/keys", &body)
            .await
            .expect_status(201)
            .json();
        let id = made["id"].as_str().unwrap();
        assert!(log().contains(id), "{id}");
        let revoke = format!("/admin/keys/{id}/revoke");
        let _ = admin.post(&revoke, &json!({})).await.expect_status(200);
        let revoked = || {
            log()
                .lines()
                .filter(|l| l.contains(id) && l.contains("key_revoked"))
                .count()
        };
        assert_eq!(revoked(), 1);
        let _ = admin.post(&revoke, &json!({})).await.expect_status(200);
        assert_eq!(revoked(), 1, "twice is no event");
    }
    let bundle = TestBundle::echo("m", "1.0.0");
    let _ = admin.upload(bundle.tar()).await.expect_status(201);
    assert!(log().contains("model_uploaded"));
    let _ = admin.delete("/models/m").await.expect_status(204);
    assert!(log().contains("model_removed"));
}
