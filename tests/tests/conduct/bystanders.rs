//! Those who share an address with a culprit, or must never be shut out, can be spared.

use serde_json::json;

use crate::kit::{burst, expect_banned, guess, guess_with, host_at_rest, local, send_packed};

/// Acts: `exempt_networks`.
#[tokio::test]
async fn networks_of_the_configuration_are_exempt() {
    let (host, _) = host_at_rest(&[("exempt_networks", "127.0.0.0/29")]).await;
    let (spared, other) = (host.anonymous(), host.anonymous().at(local(9)));
    guess(&spared, 60).await;
    guess(&other, 5).await;
    expect_banned(&other.get("/v1/models").await);
    let list = host.admin().get("/admin/exemptions").await.json();
    assert_eq!(list["data"][0]["network"], "127.0.0.0/29", "{list}");
    assert_eq!(list["data"][0]["source"], "configuration", "{list}");
}

#[tokio::test]
async fn an_administrator_exempts_and_takes_it_back() {
    let (host, _) = host_at_rest(&[]).await;
    let (admin, caller) = (host.admin().at(local(99)), host.anonymous());
    guess(&caller, 5).await;
    expect_banned(&caller.get("/v1/models").await);
    let body = json!({"network": "127.0.0.0/29", "note": "the office"});
    let made = admin.post("/admin/exemptions", &body).await;
    let made = made.expect_status(201).json();
    assert_eq!(made["network"], "127.0.0.0/29", "{made}");
    assert_eq!(made["note"], "the office", "{made}");
    // The ban has ended, and no other one comes.
    guess(&caller, 60).await;
    let list = admin.get("/admin/exemptions").await.json();
    assert_eq!(list["data"], json!([made]));
    let path = "/admin/exemptions/127.0.0.0%2F29";
    let _ = admin.delete(path).await.expect_status(204);
    let again = admin.delete(path).await.expect_status(404);
    assert_eq!(again.code(), "exemption_not_found");
    guess(&caller, 5).await;
    expect_banned(&caller.get("/v1/models").await);
    let slip = json!({"network": "127.0.0.1/29"});
    let slip = admin.post("/admin/exemptions", &slip).await;
    assert_eq!(slip.expect_status(400).code(), "invalid_value");
}

/// Ten packed bodies made to burst, which is a ban.
async fn oversize(client: &belljar_tests::Client) {
    let body = burst(2 << 20);
    for _ in 0..10 {
        assert_eq!(send_packed(client, &body).await.status, 413);
    }
}

/// Acts: `conduct.count_by_key`.
#[tokio::test]
async fn counted_by_key_one_user_cannot_take_the_others_down() {
    let settings = [
        ("max_request_size", "1 MiB"),
        ("conduct.count_by_key", "true"),
    ];
    let (host, _) = host_at_rest(&settings).await;
    let (culprit, bystander) = (
        host.key("infer,models:read").await,
        host.key("infer,models:read").await,
    );
    oversize(&culprit).await;
    assert_eq!(expect_banned(&culprit.get("/v1/models").await), 300);
    let _ = bystander.get("/v1/models").await.expect_status(200);
    let _ = host.anonymous().get("/v1/models").await.expect_status(200);
    // The key is not worthless elsewhere: what happens here may be somebody else's script.
    let elsewhere = culprit.at(local(9));
    let _ = elsewhere.get("/v1/models").await.expect_status(200);
    let list = host.admin().get("/admin/bans").await.json();
    assert!(list["data"][0]["key_id"].is_string(), "{list}");
    // A guess has no key that it could count against.
    guess(&host.anonymous(), 5).await;
    expect_banned(&bystander.get("/v1/models").await);
    let lifted = host.admin().delete("/admin/bans/127.0.0.1").await;
    assert_eq!(
        lifted.expect_status(200).json()["data"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    let _ = culprit.get("/v1/models").await.expect_status(200);
}

#[tokio::test]
async fn by_default_the_address_answers_for_its_keys() {
    let (host, _) = host_at_rest(&[("max_request_size", "1 MiB")]).await;
    let (culprit, bystander) = (
        host.key("infer,models:read").await,
        host.key("infer,models:read").await,
    );
    oversize(&culprit).await;
    expect_banned(&bystander.get("/v1/models").await);
}

#[tokio::test]
async fn an_address_of_an_exempt_network_is_spared_behind_a_proxy_too() {
    let settings = [
        ("trusted_proxies", "127.0.0.1"),
        ("exempt_networks", "2001:db8:1:2::5"),
    ];
    let (host, _) = host_at_rest(&settings).await;
    let proxy = host.anonymous();
    let spared = [("x-forwarded-for", "2001:db8:1:2::5")];
    let neighbour = [("x-forwarded-for", "2001:db8:1:2::6")];
    guess_with(&proxy, 5, &neighbour).await;
    // Its whole network is banned, and it alone is not.
    guess_with(&proxy, 6, &spared).await;
}
