//! What browsers are told, and what pages of other sites may do.

use belljar_tests::{Answer, Client, TestHost};
use reqwest::Method;
use serde_json::json;

const APP: &str = "https://app.example";
const EVIL: &str = "https://evil.example";

async fn preflight(client: &Client, origin: &str) -> Answer {
    let request = client
        .request(Method::OPTIONS, "/v1/chat/completions")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization, x-stainless-os",
        );
    client.send(request).await.unwrap()
}

async fn get(client: &Client, path: &str, origin: &str) -> Answer {
    let request = client.request(Method::GET, path).header("origin", origin);
    client.send(request).await.unwrap()
}

#[tokio::test]
async fn no_site_may_call_by_default() {
    let host = TestHost::start().await;
    let client = host.anonymous();
    let answer = preflight(&client, APP).await.expect_status(403);
    assert_eq!(answer.code(), "origin_not_allowed");
    assert_eq!(answer.header("access-control-allow-origin"), "");
    // Whoever is no browser may say what it likes.
    let answer = get(&client, "/v1/models", APP).await.expect_status(200);
    assert_eq!(answer.header("access-control-allow-origin"), "");
    assert_eq!(answer.header("vary"), "");
}

#[tokio::test]
async fn a_site_may_spell_its_name_in_full() {
    let settings = [(
        "cors_allowed_origins",
        "https://app.example, https://dotted.example.",
    )];
    let host = TestHost::start_with(&settings).await;
    let client = host.anonymous();
    for origin in [
        "https://app.example",
        "https://app.example.",
        "https://app.example:",
        "https://dotted.example",
        "https://dotted.example.",
    ] {
        // Browsers compare it with what they have sent.
        let answer = get(&client, "/v1/models", origin).await.expect_status(200);
        assert_eq!(answer.header("access-control-allow-origin"), origin);
        let answer = preflight(&client, origin).await;
        assert_eq!(answer.status, 204, "{origin}");
    }
    for origin in [
        "https://app.example..",
        "http://app.example.",
        "https://x.app.example.",
    ] {
        let answer = get(&client, "/v1/models", origin).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
    }
}

#[tokio::test]
async fn a_listed_site_may_call_and_reads_refusals_too() {
    let settings = [
        (
            "cors_allowed_origins",
            "https://app.example, http://localhost:3000",
        ),
        ("require_api_key", "true"),
    ];
    let host = TestHost::start_with(&settings).await;
    let client = host.anonymous();
    // Before authentication: a preflight carries no key.
    let answer = preflight(&client, APP).await.expect_status(204);
    assert_eq!(answer.header("access-control-allow-origin"), APP);
    assert!(
        answer
            .header("access-control-allow-methods")
            .contains("POST")
    );
    assert_eq!(
        answer.header("access-control-allow-headers"),
        "authorization, x-stainless-os"
    );
    assert!(answer.header("vary").contains("origin"));
    assert_eq!(answer.header("access-control-allow-credentials"), "");
    let _ = preflight(&client, "http://localhost:3000")
        .await
        .expect_status(204);
    for other in [
        EVIL,
        "null",
        "http://app.example",
        "https://app.example:8443",
        "https://app.example.evil.example",
        "https://sub.app.example",
    ] {
        let answer = preflight(&client, other).await.expect_status(403);
        assert_eq!(answer.header("access-control-allow-origin"), "", "{other}");
    }
    // Refusals: without a key, of an unknown route, of a body that is too large.
    let answer = get(&client, "/v1/models", APP).await.expect_status(401);
    assert_eq!(answer.header("access-control-allow-origin"), APP);
    let exposed = answer.header("access-control-expose-headers");
    for name in ["x-request-id", "x-belljar-run", "x-belljar-rule"] {
        assert!(exposed.split(", ").any(|one| one == name), "{exposed}");
    }
    let answer = get(&host.admin(), "/nothing", APP).await.expect_status(404);
    assert_eq!(answer.header("access-control-allow-origin"), APP);
    let answer = get(&client, "/v1/models", EVIL).await.expect_status(401);
    assert_eq!(answer.header("access-control-allow-origin"), "");
    assert!(
        answer.header("vary").contains("origin"),
        "a cache must not mix them up"
    );
}

/// Acts: `cors_allowed_origins`, `cors_allow_credentials`.
#[tokio::test]
async fn credentials_and_any_site() {
    let with = [
        ("cors_allowed_origins", APP),
        ("cors_allow_credentials", "true"),
    ];
    let host = TestHost::start_with(&with).await;
    let answer = get(&host.anonymous(), "/health", APP).await;
    assert_eq!(answer.header("access-control-allow-credentials"), "true");
    assert_eq!(answer.header("access-control-allow-origin"), APP);
    drop(host);
    let host = TestHost::start_with(&[("cors_allowed_origins", "*")]).await;
    let answer = get(&host.anonymous(), "/health", EVIL).await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(answer.header("access-control-allow-credentials"), "");
}

#[tokio::test]
async fn another_site_changes_nothing_in_a_visitors_name() {
    let host = TestHost::start_with(&[("cors_allowed_origins", APP)]).await;
    let client = host.anonymous();
    let body = json!({"model": "echo", "inputs": {"x": [1]}});
    let post = async |origin: &str, site: &str| {
        let request = client
            .request(Method::POST, "/infer")
            .header("origin", origin)
            .header("sec-fetch-site", site)
            .json(&body);
        client.send(request).await.unwrap()
    };
    let answer = post(EVIL, "cross-site").await.expect_status(403);
    assert_eq!(answer.code(), "origin_not_allowed");
    let _ = post(APP, "cross-site").await.expect_status(200);
    let _ = post("http://localhost", "same-origin")
        .await
        .expect_status(200);
    let request = client
        .request(Method::GET, "/health")
        .header("sec-fetch-site", "cross-site");
    let _ = client.send(request).await.unwrap().expect_status(200);
}

#[tokio::test]
async fn every_answer_has_the_headers_that_keep_browsers_in_bounds() {
    let host = TestHost::start().await;
    let client = host.anonymous();
    let chat = json!({"model": "fake", "stream": true, "max_tokens": 2,
        "messages": [{"role": "user", "content": "hi"}]});
    let answers = [
        client.get("/").await,
        client.get("/health").await,
        client.get("/openapi.json").await,
        client.get("/nothing").await,
        client.delete("/infer").await,
        client.get("/admin/keys").await,
        client.post("/infer", &json!({"model": "nobody"})).await,
        client.post("/v1/chat/completions", &chat).await,
    ];
    for answer in answers {
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            (
                "content-security-policy",
                "default-src 'none'; frame-ancestors 'none'",
            ),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.header(name), value, "{name}: {answer:?}");
        }
    }
}
