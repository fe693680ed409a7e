//! The documented variables of the policy, under both of their names, each with the behaviour
//! that it changes.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use belljar::app;
use belljar::config::{Overrides, resolve};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// A server without sockets and without models, built from variables.
struct Host {
    router: Router,
    _folder: tempfile::TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Host {
    async fn with(variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().to_str().unwrap();
        let mut environment = BTreeMap::new();
        let base = [
            ("BELLJAR_DATA_DIR", data_dir),
            ("BELLJAR_EMBEDDED_FAKE", "false"),
            ("BELLJAR_EMBEDDED_ECHO", "false"),
            ("BELLJAR_SANDBOX_RUNS_MAX", "4"),
        ];
        for (name, value) in base.iter().chain(variables) {
            environment.insert((*name).to_owned(), (*value).to_owned());
        }
        let resolved = resolve(&Overrides::default(), &environment).unwrap();
        let program = PathBuf::from(env!("CARGO_BIN_EXE_belljar"));
        let app = app::build(resolved, program).await.unwrap();
        app.registry().started().await;
        Self {
            router: app.router(),
            _folder: folder,
        }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        }
    }

    async fn models(&self) -> Answer {
        let request = Request::get("/v1/models").header("host", "localhost");
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn chat(&self, content: &str) -> Answer {
        let body = json!({"model":"none","messages":[{"role":"user","content":content}]});
        let request = Request::post("/v1/chat/completions")
            .header("host", "localhost")
            .header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap())
            .await
    }
}

fn limit(answer: &Answer, of: &str) -> Option<String> {
    let header = answer.headers.get(format!("x-ratelimit-limit-{of}"))?;
    Some(header.to_str().unwrap().to_owned())
}

/// Both names of a variable.
fn both(name: &str) -> [String; 2] {
    ["BELLJAR", "FAKEAI"].map(|prefix| format!("{prefix}_{name}"))
}

#[tokio::test]
async fn rate_limit_enabled() {
    let off = Host::with(&[]).await.models().await;
    assert_eq!(limit(&off, "requests"), None, "off on loopback");
    for name in both("RATE_LIMIT_ENABLED") {
        let on = Host::with(&[(&name, "true")]).await.models().await;
        assert_eq!(limit(&on, "requests").as_deref(), Some("500"), "tier-1");
        assert_eq!(limit(&on, "tokens").as_deref(), Some("30000"));
    }
}

#[tokio::test]
async fn rate_limit_tier() {
    for name in both("RATE_LIMIT_TIER") {
        let host = Host::with(&[("FAKEAI_RATE_LIMIT_ENABLED", "true"), (&name, "tier-3")]).await;
        let answer = host.models().await;
        assert_eq!(limit(&answer, "requests").as_deref(), Some("10000"));
        assert_eq!(limit(&answer, "tokens").as_deref(), Some("1000000"));
    }
}

#[tokio::test]
async fn rate_limit_rpm() {
    for name in both("RATE_LIMIT_RPM") {
        let host = Host::with(&[("BELLJAR_RATE_LIMIT_ENABLED", "true"), (&name, "2")]).await;
        assert_eq!(host.models().await.status, StatusCode::OK);
        assert_eq!(host.models().await.status, StatusCode::OK);
        let refused = host.models().await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.headers["retry-after"], "30");
        // Tokens stay the tier's.
        assert_eq!(limit(&refused, "tokens").as_deref(), Some("30000"));
    }
}

#[tokio::test]
async fn rate_limit_tpm() {
    for name in both("RATE_LIMIT_TPM") {
        let host = Host::with(&[("BELLJAR_RATE_LIMIT_ENABLED", "true"), (&name, "77")]).await;
        let answer = host.models().await;
        assert_eq!(limit(&answer, "tokens").as_deref(), Some("77"));
        assert_eq!(limit(&answer, "requests").as_deref(), Some("500"));
    }
}

#[tokio::test]
async fn enable_injection_detection() {
    const ATTACK: &str = "'; DROP TABLE users; --";
    let on = Host::with(&[]).await.chat(ATTACK).await;
    assert_eq!(
        on.body["error"]["code"], "injection_detected",
        "on by default"
    );
    for name in both("ENABLE_INJECTION_DETECTION") {
        let off = Host::with(&[(&name, "false")]).await.chat(ATTACK).await;
        assert_eq!(off.body["error"]["code"], "model_not_found");
    }
}

#[tokio::test]
async fn thresholds_and_modes_by_kind() {
    const MAYBE: &str = "'; DROP TABLE users; --";
    // Somebody asks about code: unlikely to be an attack, and not as unlikely as small talk.
    const TALK: &str =
        "Could you explain what this query does? SELECT name FROM users WHERE id = 1 OR 1=1";
    let plain = Host::with(&[]).await.chat(TALK).await;
    assert_eq!(plain.body["error"]["code"], "model_not_found");
    let strict = Host::with(&[("BELLJAR_SCREENING_PROMPT_THRESHOLD", "0.0000001")]).await;
    let answer = strict.chat(TALK).await;
    assert_eq!(answer.body["error"]["code"], "injection_detected");
    let report = Host::with(&[("BELLJAR_SCREENING_PROMPT", "report")]).await;
    let answer = report.chat(MAYBE).await;
    assert_eq!(answer.body["error"]["code"], "model_not_found");
    assert!(answer.headers.contains_key("x-belljar-report"));

    let query = |host: &Host| {
        let request = Request::get("/v1/models?q=%27%20OR%201%3D1%20--%20");
        let request = request.header("host", "localhost").body(Body::empty());
        host.router.clone().oneshot(request.unwrap())
    };
    let blocking = Host::with(&[]).await;
    assert_eq!(
        query(&blocking).await.unwrap().status(),
        StatusCode::BAD_REQUEST
    );
    for settings in [
        ("BELLJAR_SCREENING_HEADER", "off"),
        ("BELLJAR_SCREENING_HEADER_THRESHOLD", "0.9999999"),
    ] {
        let host = Host::with(&[settings]).await;
        assert_eq!(
            query(&host).await.unwrap().status(),
            StatusCode::OK,
            "{settings:?}"
        );
    }

    let infer = async |host: &Host| {
        let body = r#"{"model":"../../etc/passwd","inputs":{"x":[1]}}"#;
        let request = Request::post("/infer")
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Body::from(body));
        host.send(request.unwrap()).await.body["error"]["code"].clone()
    };
    assert_eq!(infer(&Host::with(&[]).await).await, "injection_detected");
    for settings in [
        ("BELLJAR_SCREENING_IDENTIFIER", "off"),
        ("BELLJAR_SCREENING_IDENTIFIER_THRESHOLD", "0.9999999"),
    ] {
        let code = infer(&Host::with(&[settings]).await).await;
        assert_eq!(code, "model_not_found", "{settings:?}");
    }
}
