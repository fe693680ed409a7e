//! `/admin/keys`.

use crate::host::{LOCKED, SHARED};
use serde_json::json;

/// What is asked of tokens has an answer where none are taken.
#[tokio::test]
async fn no_token_is_revoked_where_none_are_taken() {
    let listed = LOCKED.admin().get("/admin/jwt/revoked").await;
    assert_eq!(listed.expect_status(200).json()["data"], json!([]));
}

#[tokio::test]
async fn a_key_lives_and_ends() {
    let admin = LOCKED.admin();
    let body = json!({"name":"ci","scopes":["infer","models:read"],"models":["echo"],"tier":"tier-2","rpm":5,"tpm":9,
        "expires":"2099-01-01T00:00:00Z"});
    let answer = admin.post("/admin/keys", &body).await.expect_status(201);
    assert_eq!(answer.header("cache-control"), "no-store");
    let created = answer.json();
    let (key, id) = (
        created["key"].as_str().unwrap(),
        created["id"].as_str().unwrap(),
    );
    assert!(key.starts_with("sk-belljar-"));
    assert_eq!(answer.header("location"), format!("/admin/keys/{id}"));
    let caller = LOCKED.anonymous().with_key(key);
    let _ = caller.get("/v1/models").await.expect_status(200);
    let _ = caller.get("/admin/keys").await.expect_status(403);

    let shown = admin
        .get(&format!("/admin/keys/{id}"))
        .await
        .expect_status(200);
    assert_eq!(shown.json()["tier"], "tier-2");
    let listed = admin.get("/admin/keys").await.expect_status(200);
    for answer in [&shown, &listed] {
        assert!(
            answer.text().contains(id) && !answer.text().contains(&key[20..]),
            "the secret is shown once"
        );
    }
    let revoked = admin
        .post(&format!("/admin/keys/{id}/revoke"), &json!({}))
        .await
        .expect_status(200);
    assert!(revoked.json()["revoked"].is_string());
    assert_eq!(
        caller.get("/v1/models").await.expect_status(401).code(),
        "invalid_api_key"
    );
    let _ = admin
        .delete(&format!("/admin/keys/{id}"))
        .await
        .expect_status(200);
}

#[tokio::test]
async fn slips_name_their_field() {
    let admin = SHARED.admin();
    for (body, param) in [
        (json!({"scopes":["infer"]}), "name"),
        (json!({"name":"","scopes":["infer"]}), "name"),
        (json!({"name":"x","scopes":[]}), "scopes"),
        (json!({"name":"x","scopes":["infer","root"]}), "scopes[1]"),
        (json!({"name":"x","scopes":["infer"],"tier":"gold"}), "tier"),
        (
            json!({"name":"x","scopes":["infer"],"expires":"soon"}),
            "expires",
        ),
        (
            json!({"name":"x","scopes":["infer"],"expires":"2001-01-01T00:00:00Z"}),
            "expires",
        ),
        (json!({"name":"x","scopes":["infer"],"rpm":-1}), "rpm"),
        (json!({"name":"x","scopes":["infer"],"models":[]}), "models"),
        (
            json!({"name":"x","scopes":["infer"],"max_uploads":0}),
            "max_uploads",
        ),
        (
            json!({"name":"x","scopes":["infer"],"fuel_per_day":9_223_372_036_854_775_808_u64}),
            "fuel_per_day",
        ),
        (
            json!({"name":"x","scopes":["infer"],"allow_networks":[]}),
            "allow_networks",
        ),
        (
            json!({"name":"x","scopes":["infer"],"deny_networks":["10.0.0.0/8","10.0.0.1/8"]}),
            "deny_networks[1]",
        ),
        (
            json!({"name":"x","scopes":["infer"],"deny_networks":vec!["10.0.0.0/8"; 257]}),
            "deny_networks",
        ),
        (
            json!({"name":"x","scopes":["infer"],"colour":"red"}),
            "colour",
        ),
    ] {
        let answer = admin.post("/admin/keys", &body).await.expect_status(400);
        assert_eq!(
            answer.json()["error"]["param"],
            param,
            "{body}: {}",
            answer.text()
        );
    }
    for id in ["nope", "key_0000000000000000"] {
        let answer = admin
            .get(&format!("/admin/keys/{id}"))
            .await
            .expect_status(404);
        assert_eq!(answer.code(), "key_not_found");
    }
}
