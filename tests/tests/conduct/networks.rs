//! Networks are let in or not, for each listener and for each key.

use belljar_tests::{Client, TestHost};
use serde_json::json;

use crate::kit::{get_with, local};

#[track_caller]
fn expect_not_allowed(answer: &belljar_tests::Answer) {
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert_eq!(answer.code(), "address_not_allowed");
    assert_eq!(answer.json()["error"]["type"], "permission_error");
}

/// Acts: `allow_networks`, `deny_networks`.
#[tokio::test]
async fn allowed_and_denied_networks() {
    let settings = [
        ("allow_networks", "127.0.0.0/28"),
        ("deny_networks", "127.0.0.8/29"),
    ];
    let host = TestHost::start_with(&settings).await;
    let caller = host.anonymous();
    let _ = caller.get("/v1/models").await.expect_status(200);
    for outside in [9, 77] {
        let stranger = caller.at(local(outside));
        expect_not_allowed(&stranger.get("/v1/models").await);
        expect_not_allowed(&stranger.get("/no/such/route").await);
        expect_not_allowed(&host.admin().at(local(outside)).get("/admin/keys").await);
        // Nothing is said to a network that is shut out, not even this.
        expect_not_allowed(&stranger.get("/health").await);
    }
}

#[tokio::test]
async fn behind_a_proxy_the_caller_counts() {
    let settings = [
        ("trusted_proxies", "127.0.0.1"),
        ("deny_networks", "192.0.2.0/24"),
    ];
    let host = TestHost::start_with(&settings).await;
    let proxy = host.anonymous();
    let denied = [("x-forwarded-for", "192.0.2.7")];
    expect_not_allowed(&get_with(&proxy, "/v1/models", &denied).await);
    let spoofed = [("x-forwarded-for", "198.51.100.1, 192.0.2.7")];
    expect_not_allowed(&get_with(&proxy, "/v1/models", &spoofed).await);
    let other = [("x-forwarded-for", "198.51.100.1")];
    let answer = get_with(&proxy, "/v1/models", &other).await;
    let _ = answer.expect_status(200);
}

/// Acts: `metrics.allow_networks`, `metrics.deny_networks`.
#[tokio::test]
async fn the_metrics_have_lists_of_their_own() {
    let settings = [
        ("metrics.listen", "127.0.0.1:0"),
        ("metrics.allow_networks", "127.0.0.9"),
    ];
    let host = TestHost::start_with(&settings).await;
    let scraper = Client::new(host.metrics_address().unwrap(), None);
    expect_not_allowed(&scraper.get("/metrics").await);
    let allowed = scraper.at(local(9));
    let _ = allowed.get("/metrics").await.expect_status(200);
    let _ = host.anonymous().get("/v1/models").await.expect_status(200);

    let settings = [
        ("metrics.listen", "127.0.0.1:0"),
        ("metrics.deny_networks", "127.0.0.9"),
    ];
    let host = TestHost::start_with(&settings).await;
    let scraper = Client::new(host.metrics_address().unwrap(), None);
    let _ = scraper.get("/metrics").await.expect_status(200);
    expect_not_allowed(&scraper.at(local(9)).get("/metrics").await);
}

#[tokio::test]
async fn a_key_can_be_for_some_networks() {
    let host = TestHost::start().await;
    let make = async |lists: serde_json::Value| {
        let mut body = json!({"name": "near", "scopes": ["infer", "models:read"]});
        for (name, value) in lists.as_object().unwrap() {
            body[name] = value.clone();
        }
        let made = host.admin().post("/admin/keys", &body).await;
        let key = made.expect_status(201).json()["key"].clone();
        host.anonymous().with_key(key.as_str().unwrap())
    };
    let near = make(json!({"allow_networks": ["127.0.0.1"]})).await;
    let _ = near.get("/v1/models").await.expect_status(200);
    expect_not_allowed(&near.at(local(9)).get("/v1/models").await);
    let far = make(json!({"deny_networks": ["127.0.0.1/32"]})).await;
    expect_not_allowed(&far.get("/v1/models").await);
    let _ = far.at(local(9)).get("/v1/models").await.expect_status(200);
    // The same notation as in every other list: IPv4 may be written as IPv6.
    let mapped = make(json!({"allow_networks": ["::ffff:127.0.0.0/125"]})).await;
    let _ = mapped.get("/v1/models").await.expect_status(200);
    expect_not_allowed(&mapped.at(local(9)).get("/v1/models").await);
}
