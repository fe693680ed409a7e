//! The gate: who is calling, on every route and in every spelling of it.

use crate::host::PATIENCE;
use crate::host::{LOCKED, SHARED};
use belljar_tests::{RawConnection, TestHost};
use reqwest::Method;
use serde_json::json;

/// Paths with their parameters filled in, and their methods.
pub(crate) fn routes() -> Vec<(String, String)> {
    let openapi = serde_json::to_value(belljar::api::openapi()).unwrap();
    let mut routes = Vec::new();
    for (path, item) in openapi["paths"].as_object().unwrap() {
        let path = path
            .replace("{name}", "echo")
            .replace("{version}", "0.1.0")
            .replace("{id}", "echo");
        for method in item.as_object().unwrap().keys() {
            if ["get", "post", "put", "delete", "patch"].contains(&method.as_str()) {
                routes.push((method.to_uppercase(), path.clone()));
            }
        }
    }
    assert!(routes.len() > 30, "{routes:?}");
    routes
}

#[tokio::test]
async fn every_route_in_every_spelling_wants_a_key() {
    for (method, path) in routes() {
        // Probes have none, and what receipts are checked with is everybody's.
        let is_open = ["/health", "/v2/health", "/.well-known/"];
        if is_open.iter().any(|open| path.starts_with(open)) {
            continue;
        }
        let tail = path.trim_start_matches('/');
        for spelling in [
            path.clone(),
            format!("{path}/"),
            format!("/{path}"),
            format!("/./{tail}"),
            format!("/health/../{tail}"),
            format!("/health/%2e%2e/{tail}"),
            format!("/health/..%2f{tail}"),
            path.to_uppercase(),
            path.replacen('/', "/%2f", 1),
            format!("{path}?api_key=x"),
            format!("{path};/health"),
        ] {
            for method in [method.as_str(), "HEAD", "OPTIONS", "BREW"] {
                // Raw, because a client library tidies paths up.
                let mut connection = RawConnection::open(LOCKED.address()).await;
                let request = format!(
                    "{method} {spelling} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
                );
                assert!(connection.write(request.as_bytes()).await);
                let answer = connection.read_all(PATIENCE).await;
                let answer = String::from_utf8_lossy(&answer);
                assert!(
                    answer.starts_with("HTTP/1.1 401 "),
                    "{method} {spelling}: {answer}"
                );
            }
        }
    }
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let answer = LOCKED
        .anonymous()
        .get("/v1/models")
        .await
        .expect_status(401);
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    assert_eq!(answer.json()["error"]["type"], "authentication_error");
    assert_eq!(answer.code(), "invalid_api_key");
    let unknown = format!("sk-belljar-{}", "0".repeat(64));
    let answer = LOCKED
        .anonymous()
        .with_key(&unknown)
        .get("/v1/models")
        .await
        .expect_status(401);
    assert_eq!(answer.code(), "invalid_api_key");
    assert!(
        !answer.text().contains("00000000"),
        "a key is never repeated"
    );
    let reader = LOCKED.key("models:read", &[]).await;
    let _ = reader.get("/v1/models").await.expect_status(200);
    let answer = reader
        .post("/infer", &json!({"model":"echo","inputs":{"x":1}}))
        .await
        .expect_status(403);
    assert_eq!(answer.code(), "insufficient_scope");
    assert!(answer.text().contains("`infer`"));
}

#[tokio::test]
async fn a_key_comes_in_either_header_and_not_in_two_that_differ() {
    let client = LOCKED.admin();
    let key = client.key().unwrap().to_owned();
    let plain = LOCKED.anonymous();
    let ask = async |headers: &[(&str, &str)]| {
        let mut request = plain.request(Method::GET, "/v1/models");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = plain.send(request).await.unwrap();
        (answer.status, answer.code())
    };
    let bearer = format!("Bearer {key}");
    assert_eq!(ask(&[("x-api-key", &key)]).await.0, 200);
    assert_eq!(ask(&[("authorization", &bearer)]).await.0, 200);
    assert_eq!(
        ask(&[("authorization", &bearer), ("x-api-key", &key)])
            .await
            .0,
        200
    );
    let refused = ask(&[("authorization", &bearer), ("x-api-key", "another")]).await;
    assert_eq!(refused, (400, "conflicting_credentials".to_owned()));
    let refused = ask(&[("authorization", "Basic YTpi")]).await;
    assert_eq!(refused, (401, "invalid_authorization".to_owned()));
    let ours = format!("Bearer sk-belljar-{}", "0".repeat(64));
    let refused = ask(&[("authorization", &ours), ("x-api-key", &key)]).await;
    assert_eq!(refused, (400, "conflicting_credentials".to_owned()));
}

#[tokio::test]
async fn a_good_key_stands_beside_credentials_of_another_layer() {
    let key = LOCKED.admin().key().unwrap().to_owned();
    let plain = LOCKED.anonymous();
    for foreign in [
        &["Basic YTpi"][..],
        &["Bearer"],
        &["Bearer "],
        &["Bearer eyJhbGciOiJub25lIn0.e30."],
        &["Negotiate YIIZ", "Basic YTpi"],
        &["AWS4-HMAC-SHA256 Credential=x"],
    ] {
        let mut request = plain.request(Method::GET, "/admin/keys");
        for line in foreign {
            request = request.header("authorization", *line);
        }
        let answer = plain.send(request.header("x-api-key", &key)).await.unwrap();
        assert_eq!(answer.status, 200, "{foreign:?}: {}", answer.text());
    }
    // An empty header beside a good one says nothing.
    let request = plain.request(Method::GET, "/admin/keys");
    let request = request.bearer_auth(&key).header("x-api-key", "");
    assert_eq!(plain.send(request).await.unwrap().status, 200);
    // And a wrong key is a wrong key, whatever stands beside it.
    let request = plain.request(Method::GET, "/v1/models");
    let request = request
        .header("authorization", "Basic YTpi")
        .header("x-api-key", "wrong");
    let answer = plain.send(request).await.unwrap().expect_status(401);
    assert_eq!(answer.code(), "invalid_api_key");
}

/// What a client sends whose variable for the key is empty. It guesses nothing, so it is not counted.
#[tokio::test]
async fn an_empty_credential_is_a_missing_one() {
    let settings = [
        ("require_api_key", "true"),
        ("conduct.failed_authentications_max", "1"),
    ];
    let host = TestHost::start_with(&settings).await;
    let plain = host.anonymous();
    for (name, value) in [
        ("authorization", ""),
        ("authorization", "Bearer"),
        ("authorization", "bearer "),
        ("x-api-key", ""),
    ] {
        let request = plain.request(Method::GET, "/v1/models").header(name, value);
        let answer = plain.send(request).await.unwrap().expect_status(401);
        assert_eq!(answer.code(), "invalid_api_key", "{name} {value:?}");
        assert!(answer.text().contains("You did not provide an API key"));
    }
    let _ = host.admin().get("/v1/models").await.expect_status(200);
}

#[tokio::test]
async fn where_no_key_is_needed_what_is_no_key_is_none() {
    // Addresses are banned here after one failed authentication.
    let host = TestHost::start_with(&[("conduct.failed_authentications_max", "1")]).await;
    let plain = host.anonymous();
    for (name, lines) in [
        ("authorization", &["Bearer"][..]),
        ("authorization", &["Bearer "]),
        ("authorization", &[""]),
        ("authorization", &["Basic YTpi"]),
        ("authorization", &["Digest username=\"a\""]),
        ("authorization", &["Basic YTpi", "Bearer x"]),
        ("authorization", &["Bearer x", "Bearer y"]),
        ("x-api-key", &[""]),
        ("x-api-key", &["a b"]),
        ("x-api-key", &["a", "b"]),
    ] {
        let mut request = plain.request(Method::GET, "/v1/models");
        for line in lines {
            request = request.header(name, *line);
        }
        let answer = plain.send(request).await.unwrap();
        assert_eq!(answer.status, 200, "{name} {lines:?}: {}", answer.text());
    }
    let request = host.admin().request(Method::GET, "/admin/keys");
    let request = request.header("x-api-key", "");
    let answer = plain.send(request).await.unwrap();
    assert_eq!(
        answer.status,
        200,
        "a key among what is none: {}",
        answer.text()
    );
}

#[tokio::test]
async fn a_bad_key_is_refused_before_the_body() {
    // The body is announced and never sent: an answer shows that nobody waits for it.
    let mut connection = RawConnection::open(LOCKED.address()).await;
    let head = "POST /infer HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-type: application/json\r\n\
                content-length: 1000\r\nconnection: close\r\n\r\n";
    assert!(connection.write(head.as_bytes()).await);
    let answer = connection.read_all(PATIENCE).await;
    assert!(
        answer.starts_with(b"HTTP/1.1 401 "),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

#[tokio::test]
async fn without_keys_a_client_may_send_any() {
    let any = SHARED.anonymous().with_key("sk-anything-an-sdk-insists-on");
    let _ = any.get("/v1/models").await.expect_status(200);
    let _ = any.get("/admin/keys").await.expect_status(401);
    let ours = format!("sk-belljar-{}", "0".repeat(64));
    let _ = SHARED
        .anonymous()
        .with_key(&ours)
        .get("/v1/models")
        .await
        .expect_status(401);
}

#[tokio::test]
async fn a_key_for_some_models_sees_no_others() {
    let caller = LOCKED.key("infer,models:read", &["echo"]).await;
    let names: Vec<String> = caller.get("/v1/models").await.json()["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["echo"]);
    let hidden = caller.get("/v1/models/fake").await.expect_status(404);
    let missing = caller.get("/v1/models/nope").await.expect_status(404);
    assert_eq!(hidden.text().replace("fake", "nope"), missing.text());
    let chat = json!({"model":"fake","messages":[{"role":"user","content":"hi"}]});
    assert_eq!(
        caller
            .post("/v1/chat/completions", &chat)
            .await
            .expect_status(404)
            .code(),
        "model_not_found"
    );
}
