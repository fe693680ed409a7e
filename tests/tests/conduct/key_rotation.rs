//! A rotated key has a new secret at once, and its old one for as long as was said.

use std::time::Duration;

use belljar_tests::TestHost;
use serde_json::json;

use crate::keys::{make_key, works};
use crate::kit::host_at_rest;

#[tokio::test]
async fn the_old_secret_works_for_the_overlap_and_the_rest_stays() {
    let (host, hand) = host_at_rest(&[]).await;
    let asked =
        json!({"models":["echo"],"rpm":500,"max_uploads":2,"allow_networks":["127.0.0.0/8"]});
    let key = make_key(&host, asked).await;
    let before = key.show(&host).await;
    let fresh = key.rotate(&host, json!({"overlap":"10m"})).await;
    let after = key.show(&host).await;
    for field in [
        "id",
        "name",
        "scopes",
        "models",
        "rpm",
        "max_uploads",
        "allow_networks",
        "created",
    ] {
        assert_eq!(after[field], before[field], "{field}");
    }
    assert_eq!(after["rotated"], "2030-01-01T00:00:00Z");
    assert_eq!(after["old_secrets_until"], json!(["2030-01-01T00:10:00Z"]));
    hand.advance(Duration::from_secs(599));
    assert!(works(&key.caller).await && works(&fresh).await);
    hand.advance(Duration::from_secs(1));
    assert!(!works(&key.caller).await && works(&fresh).await);
}

#[tokio::test]
async fn without_an_overlap_only_the_new_secret_works() {
    let host = TestHost::start().await;
    let key = make_key(&host, json!({})).await;
    let second = key.rotate(&host, json!({"overlap":"1h"})).await;
    // No body at all is the same as an empty one.
    let path = key.path("/rotate");
    let admin = host.admin();
    let request = admin.request(reqwest::Method::POST, &path);
    let rotated = admin.send(request).await.unwrap().expect_status(200);
    let third = second.with_key(rotated.json()["key"].as_str().unwrap());
    assert!(!works(&key.caller).await && !works(&second).await);
    assert!(works(&third).await);
}

#[tokio::test]
async fn what_cannot_be_rotated_says_why() {
    let host = TestHost::start().await;
    let admin = host.admin();
    let key = make_key(&host, json!({})).await;
    let path = key.path("/rotate");
    for overlap in ["soon", "10", "-1s", "8d"] {
        let refused = admin.post(&path, &json!({ "overlap": overlap })).await;
        let refused = refused.expect_status(400).json();
        assert_eq!(refused["error"]["param"], "overlap", "{overlap}: {refused}");
    }
    let refused = admin.post(&path, &json!({"overlaps":"1m"})).await;
    assert_eq!(refused.expect_status(400).code(), "unknown_parameter");
    let _ = admin
        .post(&key.path("/revoke"), &json!({}))
        .await
        .expect_status(200);
    let refused = admin.post(&path, &json!({})).await.expect_status(409);
    assert_eq!(refused.code(), "key_is_revoked");
    let _ = admin.delete(&key.path("")).await.expect_status(200);
    for answer in [
        admin.post(&path, &json!({})).await,
        admin.delete(&key.path("")).await,
        admin.get(&key.path("")).await,
    ] {
        assert_eq!(answer.expect_status(404).code(), "key_not_found");
    }
}

#[tokio::test]
async fn only_administrators_rotate_and_delete() {
    let host = TestHost::start().await;
    let key = make_key(&host, json!({})).await;
    for answer in [
        key.caller.post(&key.path("/rotate"), &json!({})).await,
        key.caller.delete(&key.path("")).await,
    ] {
        let answer = answer.expect_status(403);
        assert_eq!(answer.code(), "insufficient_scope");
        assert!(answer.text().contains("`admin`"));
    }
    assert!(works(&key.caller).await);
}
