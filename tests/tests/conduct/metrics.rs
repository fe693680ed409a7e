//! What the metrics say about conduct, and what they never say.

use belljar_tests::TestHost;
use serde_json::json;

#[tokio::test]
async fn keys_are_counted_under_their_ids_and_refusals_by_their_reasons() {
    let host =
        TestHost::start_with(&[("rate_limit.enabled", "true"), ("rate_limit.rpm", "3")]).await;
    let admin = host.admin();
    let made = admin
        .post(
            "/admin/keys",
            &json!({"name":"counted","scopes":["infer","models:read"]}),
        )
        .await
        .expect_status(201)
        .json();
    let (id, secret) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let caller = host.anonymous().with_key(secret);
    let chat =
        json!({"model":"fake","max_tokens":4,"messages":[{"role":"user","content":"Hi there"}]});
    caller
        .post("/v1/chat/completions", &chat)
        .await
        .expect_status(200);
    for _ in 0..3 {
        caller.get("/v1/models").await;
    }
    let text = admin.get("/metrics").await.expect_status(200).text();
    let number = |line: &str| -> f64 {
        let found = text.lines().find_map(|l| l.strip_prefix(line));
        found
            .unwrap_or_else(|| panic!("{line}: {text}"))
            .trim()
            .parse()
            .unwrap()
    };
    assert_eq!(
        number(&format!("belljar_key_requests_total{{key_id=\"{id}\"}}")),
        4.0
    );
    assert!(number(&format!("belljar_key_tokens_total{{key_id=\"{id}\"}}")) > 4.0);
    assert!(number(&format!("belljar_key_fuel_total{{key_id=\"{id}\"}}")) > 0.0);
    assert!(number("belljar_refusals_total{reason=\"rate_limit_exceeded\"}") >= 1.0);
    assert!(number("belljar_violations_total{kind=\"rate_limit\"}") >= 1.0);
    assert_eq!(number("belljar_rate_limit_keys"), 1.0);
    for gauge in [
        "belljar_bans_in_force",
        "belljar_abuse_table_entries",
        "belljar_audit_failures_total{sink=\"file\"}",
    ] {
        assert!(number(gauge) >= 0.0);
    }
    assert!(!text.contains(secret) && !text.contains("sk-belljar-"));
}

/// Models come and go under ever new names; their series go with them.
#[tokio::test]
async fn series_of_removed_models_go() {
    let host = TestHost::start().await;
    let (admin, caller) = (host.admin(), host.anonymous());
    let lines = async || caller.get("/metrics").await.text().lines().count();
    let ask = |name: &str| serde_json::json!({"model": name, "inputs": {"x": [1]}});
    let mut counts = Vec::new();
    for number in 0..4 {
        let name = format!("m{number}");
        let bundle = belljar_tests::TestBundle::echo(&name, "1.0.0");
        let _ = admin.upload(bundle.tar()).await.expect_status(201);
        let _ = caller.post("/infer", &ask(&name)).await.expect_status(200);
        let text = caller.get("/metrics").await.text();
        let line = format!("belljar_runs_total{{model=\"{name}@1.0.0\",outcome=\"ok\"}} 1");
        assert!(text.contains(&line), "{text}");
        let _ = admin
            .delete(&format!("/models/{name}"))
            .await
            .expect_status(204);
        assert!(!caller.get("/metrics").await.text().contains(&name));
        counts.push(lines().await);
    }
    // A model has about twenty. What else a round may add is the server's own, and bounded.
    assert!(counts[3] < counts[1] + 15, "{counts:?}");
}
