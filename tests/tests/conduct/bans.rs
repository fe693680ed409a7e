//! An address that breaks the rules is banned, for longer each time, and before any other work.

use std::time::Duration;

use belljar_tests::TestHost;
use reqwest::Method;
use serde_json::json;

use crate::kit::{WRONG_KEY, burst, expect_banned, guess, host_at_rest, local, send_packed};

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn five_failed_authentications_ban_for_five_minutes() {
    let (host, hand) = host_at_rest(&[]).await;
    let caller = host.anonymous();
    guess(&caller, 4).await;
    let _ = caller.get("/v1/models").await.expect_status(200);
    guess(&caller, 1).await;
    assert_eq!(expect_banned(&caller.get("/v1/models").await), 300);
    hand.advance(4 * MINUTE);
    assert_eq!(expect_banned(&caller.get("/v1/models").await), 60);
    hand.advance(Duration::from_millis(59_500));
    assert_eq!(expect_banned(&caller.get("/v1/models").await), 1);
    hand.advance(Duration::from_millis(500));
    let _ = caller.get("/v1/models").await.expect_status(200);
}

#[tokio::test]
async fn a_request_without_a_key_is_no_guess() {
    let (host, _) = host_at_rest(&[("require_api_key", "true")]).await;
    for _ in 0..20 {
        let _ = host.anonymous().get("/v1/models").await.expect_status(401);
    }
}

#[tokio::test]
async fn a_ban_holds_before_everything_and_health_stays_reachable() {
    let (host, _) = host_at_rest(&[]).await;
    let (caller, infer) = (host.anonymous(), host.key("infer").await);
    guess(&caller, 5).await;
    expect_banned(&infer.get("/v1/models").await);
    expect_banned(&caller.get("/no/such/route").await);
    expect_banned(&caller.delete("/v1/models").await);
    expect_banned(&host.admin().get("/admin/keys").await);
    let too_large = vec![b'x'; 11 << 20];
    let sent = caller.request(Method::POST, "/v1/chat/completions");
    if let Some(answer) = caller.send(sent.body(too_large)).await {
        expect_banned(&answer);
    }
    for path in ["/health", "/health/live", "/health/ready"] {
        let _ = caller.get(path).await.expect_status(200);
    }
    // Another address is nobody's hostage.
    let _ = caller
        .at(local(9))
        .get("/v1/models")
        .await
        .expect_status(200);
}

#[tokio::test]
async fn a_ban_binds_connections_that_are_open() {
    let (host, _) = host_at_rest(&[]).await;
    let request = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let patience = Duration::from_millis(500);
    let mut open = host.raw().await;
    let before = open.exchange(request, patience).await;
    assert!(before.starts_with("HTTP/1.1 200"), "{before}");
    guess(&host.anonymous(), 5).await;
    let after = open.exchange(request, patience).await;
    assert!(after.starts_with("HTTP/1.1 403"), "{after}");
}

/// A picture or a document that is over the limit is told so, however often it is sent.
#[tokio::test]
async fn large_bodies_ban_nobody() {
    let (host, _) = host_at_rest(&[("max_request_size", "1 KiB")]).await;
    let caller = host.anonymous();
    let body = json!({"model": "echo", "inputs": {"x": vec![1; 2000]}});
    for _ in 0..30 {
        let answer = caller.post("/infer", &body).await.expect_status(413);
        assert!(
            answer.text().contains("max_request_size"),
            "{}",
            answer.text()
        );
    }
    let _ = caller.get("/v1/models").await.expect_status(200);
}

#[tokio::test]
async fn ten_bodies_that_burst_ban() {
    let (host, _) = host_at_rest(&[("max_request_size", "1 MiB")]).await;
    let caller = host.anonymous();
    let body = burst(2 << 20);
    for _ in 0..10 {
        assert_eq!(send_packed(&caller, &body).await.status, 413);
    }
    assert_eq!(expect_banned(&send_packed(&caller, &body).await), 300);
}

#[tokio::test]
async fn the_banned_get_longer_bans_and_refusals_do_not_count() {
    let (host, hand) = host_at_rest(&[("ban_window", "1000 h")]).await;
    let caller = host.anonymous();
    let mut durations = Vec::new();
    for _ in 0..10 {
        guess(&caller, 5).await;
        // However often the banned come, it is one ban.
        for _ in 0..30 {
            expect_banned(&caller.with_key(WRONG_KEY).get("/v1/models").await);
        }
        let seconds = expect_banned(&caller.get("/v1/models").await);
        durations.push(seconds);
        hand.advance(Duration::from_secs(seconds));
    }
    // 5 to 25 violations, 30 to 45, and 50.
    let hour = 3600;
    let mut expect = vec![300; 5];
    expect.extend([hour; 4]);
    expect.push(24 * hour);
    assert_eq!(durations, expect);
}

#[tokio::test]
async fn violations_decay() {
    let (host, hand) = host_at_rest(&[]).await;
    let caller = host.anonymous();
    for _ in 0..5 {
        guess(&caller, 4).await;
        hand.advance(60 * MINUTE);
    }
    let _ = caller.get("/v1/models").await.expect_status(200);
}

#[tokio::test]
async fn an_administrator_lists_and_lifts() {
    let (host, _) = host_at_rest(&[]).await;
    let (admin, caller) = (host.admin().at(local(9)), host.anonymous());
    guess(&caller, 5).await;
    let list = admin.get("/admin/bans").await.expect_status(200).json();
    assert_eq!(
        list,
        json!({"object": "list", "data": [{
            "object": "ban",
            "address": "127.0.0.1",
            "reason": "failed_authentication",
            "violations": 5,
            "started": "2030-01-01T00:00:00Z",
            "until": "2030-01-01T00:05:00Z",
            "seconds_left": 300,
        }]})
    );
    let lifted = admin.delete("/admin/bans/127.0.0.1").await;
    assert_eq!(lifted.expect_status(200).json(), list);
    let _ = caller.get("/v1/models").await.expect_status(200);
    // What led to it is forgotten as well.
    guess(&caller, 4).await;
    let _ = caller.get("/v1/models").await.expect_status(200);
    let again = admin.delete("/admin/bans/127.0.0.1").await;
    assert_eq!(again.expect_status(404).code(), "ban_not_found");
    let slip = admin.delete("/admin/bans/nobody").await;
    assert_eq!(slip.expect_status(400).code(), "invalid_value");
}

#[tokio::test]
async fn a_banned_machine_can_lift_its_own_ban_with_the_admin_key_alone() {
    let (host, _) = host_at_rest(&[]).await;
    let caller = host.anonymous();
    let other_keys = [host.key("infer,models:write,metrics").await];
    guess(&caller, 5).await;
    // Whatever is presented, the answer is the same as everywhere.
    for guesser in other_keys
        .iter()
        .chain([&caller, &caller.with_key(WRONG_KEY)])
    {
        for path in ["/admin/bans", "/admin/exemptions"] {
            expect_banned(&guesser.get(path).await);
        }
        expect_banned(&guesser.delete("/admin/bans/127.0.0.1").await);
    }
    let admin = host.admin();
    expect_banned(&admin.get("/admin/keys").await);
    let _ = admin.get("/admin/bans").await.expect_status(200);
    let _ = admin
        .delete("/admin/bans/127.0.0.1")
        .await
        .expect_status(200);
    let _ = caller.get("/v1/models").await.expect_status(200);
}

#[tokio::test]
async fn bans_are_managed_by_administrators_only() {
    let host = TestHost::start().await;
    let other = host.key("infer,models:read,models:write,metrics").await;
    let body = json!({"network": "10.0.0.0/8"});
    for client in [&other, &host.anonymous()] {
        let refused = [
            client.get("/admin/bans").await,
            client.get("/admin/exemptions").await,
            client.delete("/admin/bans/127.0.0.1").await,
            client.post("/admin/exemptions", &body).await,
            client.delete("/admin/exemptions/10.0.0.0%2F8").await,
        ];
        for answer in refused {
            assert!(matches!(answer.status, 401 | 403), "{}", answer.text());
        }
    }
    let exempt = host.admin().get("/admin/exemptions").await.json();
    assert_eq!(exempt["data"], json!([]));
}

#[tokio::test]
async fn switched_off_nobody_is_banned() {
    let (host, _) = host_at_rest(&[("enable_abuse_detection", "false")]).await;
    guess(&host.anonymous(), 60).await;
    let _ = host.anonymous().get("/v1/models").await.expect_status(200);
}

#[tokio::test]
async fn refusals_and_bans_are_counted() {
    let (host, _) = host_at_rest(&[]).await;
    guess(&host.anonymous(), 5).await;
    expect_banned(&host.anonymous().get("/v1/models").await);
    let metrics = host.anonymous().at(local(9)).get("/metrics").await.text();
    for line in [
        r#"belljar_refusals_total{reason="ip_banned"}"#,
        r#"belljar_refusals_total{reason="invalid_api_key"}"#,
        r#"belljar_violations_total{kind="failed_authentication"}"#,
        r#"belljar_bans_total{reason="failed_authentication"}"#,
        "belljar_bans_in_force 1",
        "belljar_abuse_table_entries 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}
