//! The documented variables of the policy, under both of their names, each with the behaviour
//! that it changes.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "kit/build.rs"]
mod build;

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use belljar::app::App;
use belljar::clock::{Clock, ManualClock};
use build::build;
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// A server without sockets and without models, built from variables.
struct Host {
    app: App,
    router: Router,
    hand: ManualClock,
    _folder: tempfile::TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Host {
    async fn with(variables: &[(&str, &str)]) -> Self {
        let (clock, hand) = Clock::manual("2030-01-01T00:00:00Z".parse().unwrap());
        let (app, folder) = build(variables, clock).await;
        Self {
            router: app.router(),
            app,
            hand,
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

impl Host {
    /// Presents a key that is wrong, as somebody behind a proxy or without one.
    async fn guess(&self, forwarded_for: Option<&str>) -> Answer {
        let mut request = Request::get("/v1/models")
            .header("host", "localhost")
            .header("x-api-key", "sk-belljar-wrong");
        if let Some(address) = forwarded_for {
            request = request.header("x-forwarded-for", address);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// Guesses until there is a ban, and gives the seconds that it lasts.
    async fn until_banned(&self) -> Option<u64> {
        for _ in 0..5 {
            assert_eq!(self.guess(None).await.status, StatusCode::UNAUTHORIZED);
        }
        let answer = self.guess(None).await;
        let seconds = answer.headers.get("retry-after")?.to_str().unwrap();
        assert_eq!(answer.body["error"]["code"], "ip_banned");
        Some(seconds.parse().unwrap())
    }
}

/// Both names of a variable.
fn both(name: &str) -> [String; 2] {
    ["BELLJAR", "FAKEAI"].map(|prefix| format!("{prefix}_{name}"))
}

/// Acts: `rate_limit.enabled`.
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

/// Acts: `rate_limit.tier`.
#[tokio::test]
async fn rate_limit_tier() {
    for name in both("RATE_LIMIT_TIER") {
        let host = Host::with(&[("FAKEAI_RATE_LIMIT_ENABLED", "true"), (&name, "tier-3")]).await;
        let answer = host.models().await;
        assert_eq!(limit(&answer, "requests").as_deref(), Some("10000"));
        assert_eq!(limit(&answer, "tokens").as_deref(), Some("1000000"));
    }
}

/// Acts: `rate_limit.rpm`.
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

/// Acts: `rate_limit.tpm`.
#[tokio::test]
async fn rate_limit_tpm() {
    for name in both("RATE_LIMIT_TPM") {
        let host = Host::with(&[("BELLJAR_RATE_LIMIT_ENABLED", "true"), (&name, "77")]).await;
        let answer = host.models().await;
        assert_eq!(limit(&answer, "tokens").as_deref(), Some("77"));
        assert_eq!(limit(&answer, "requests").as_deref(), Some("500"));
    }
}

/// Acts: `enable_injection_detection`.
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

/// Acts: `screening.identifier`, `screening.identifier_threshold`, `screening.header`,
/// `screening.header_threshold`.
#[tokio::test]
async fn thresholds_and_modes_by_place() {
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

/// Acts: `enable_abuse_detection`.
#[tokio::test]
async fn enable_abuse_detection() {
    assert_eq!(
        Host::with(&[]).await.until_banned().await,
        Some(300),
        "on by default"
    );
    for name in both("ENABLE_ABUSE_DETECTION") {
        let off = Host::with(&[(&name, "false")]).await;
        assert_eq!(off.until_banned().await, None);
    }
}

/// Acts: `abuse_cleanup_interval`.
#[tokio::test]
async fn abuse_cleanup_interval() {
    let remembered = async |variables: &[(&str, &str)]| {
        let host = Host::with(variables).await;
        host.guess(None).await;
        assert_eq!(host.app.bans().sizes().1, 1);
        // The violation does not count any more; what is left of it goes with the next cleaning.
        host.hand.advance(Duration::from_hours(2));
        host.app.bans().upkeep().await;
        host.app.bans().sizes().1
    };
    assert_eq!(remembered(&[]).await, 0, "each hour by default");
    for name in both("ABUSE_CLEANUP_INTERVAL") {
        assert_eq!(
            remembered(&[(&name, "10800")]).await,
            1,
            "three hours, in seconds"
        );
    }
}

/// Acts: `ban_durations`.
#[tokio::test]
async fn ban_durations() {
    let host = Host::with(&[("BELLJAR_BAN_DURATIONS", "7m,1h,24h")]).await;
    assert_eq!(host.until_banned().await, Some(7 * 60));
}

/// Acts: `ban_window`.
#[tokio::test]
async fn ban_window() {
    let host = Host::with(&[("BELLJAR_BAN_WINDOW", "1 min")]).await;
    for _ in 0..4 {
        host.guess(None).await;
    }
    host.hand.advance(Duration::from_secs(61));
    for _ in 0..2 {
        assert_eq!(
            host.guess(None).await.status,
            StatusCode::UNAUTHORIZED,
            "decayed"
        );
    }
}

/// Acts: `trusted_proxies`.
#[tokio::test]
async fn trusted_proxies() {
    let host = Host::with(&[("BELLJAR_TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    for _ in 0..5 {
        host.guess(Some("192.0.2.1")).await;
    }
    assert_eq!(
        host.guess(Some("192.0.2.1")).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        host.guess(Some("192.0.2.2")).await.status,
        StatusCode::UNAUTHORIZED
    );
    // Without it the header is nobody's word: all of these are one address.
    let host = Host::with(&[]).await;
    for n in 1..=5 {
        host.guess(Some(&format!("192.0.2.{n}"))).await;
    }
    assert_eq!(
        host.guess(Some("192.0.2.9")).await.status,
        StatusCode::FORBIDDEN
    );
}
