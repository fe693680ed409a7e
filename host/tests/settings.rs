//! Settings change behaviour: each is set through its variable, and a server that was built from
//! it is asked something that it answers differently without. Those that need a process of their
//! own (addresses, the log) are in `cli.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "kit/build.rs"]
mod build;

use std::collections::BTreeMap;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use belljar::app::{ADMIN_KEY_FILE, App};
use belljar::clock::Clock;
use belljar::config::{Overrides, resolve};
use belljar_bundle::pack::{Content, Parts, pack_parts};
use build::build;
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// A server without sockets, built from variables.
struct Host {
    app: App,
    folder: tempfile::TempDir,
}

impl Host {
    async fn with(variables: &[(&str, &str)]) -> Self {
        let (app, folder) = build(variables, Clock::system()).await;
        Self { app, folder }
    }

    async fn send(&self, mut request: Request<Body>) -> (StatusCode, Value) {
        let headers = request.headers_mut();
        headers
            .entry("host")
            .or_insert_with(|| "localhost".parse().unwrap());
        let response = self.app.router().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str, key: Option<&str>) -> (StatusCode, Value) {
        let mut request = Request::get(path);
        if let Some(key) = key {
            request = request.header("x-api-key", key);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let request = Request::post(path)
            .header("content-type", "application/json")
            .header("content-length", body.to_string().len())
            .body(Body::from(body.to_string()));
        self.send(request.unwrap()).await
    }

    fn admin_key(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join(ADMIN_KEY_FILE)).unwrap();
        text.trim().to_owned()
    }

    /// Uploads a bundle and waits for what becomes of it.
    async fn upload(&self, bundle: Vec<u8>) -> (StatusCode, Value) {
        let request = Request::post("/models?wait=true")
            .header("x-api-key", self.admin_key())
            .header("content-type", "application/x-tar")
            .header("content-length", bundle.len())
            .body(Body::from(bundle));
        self.send(request.unwrap()).await
    }
}

/// The echo model under a name, with an asset, and with what its manifest asks for.
fn bundle(name: &str, change: impl FnOnce(&mut Parts)) -> Vec<u8> {
    let component = Content::Bytes(belljar::embedded::ECHO_COMPONENT.to_vec());
    let mut parts = Parts::new(name.parse().unwrap(), "1.0.0".parse().unwrap(), component);
    let asset = Content::Bytes(vec![b'x'; 2048]);
    parts
        .assets
        .push(("some/deep/folder/asset.txt".parse().unwrap(), asset));
    change(&mut parts);
    let mut tar = Vec::new();
    pack_parts(&parts, None, &mut tar).unwrap();
    tar
}

fn echo() -> Vec<u8> {
    bundle("mine", |_| {})
}

fn chat(more: Value) -> Value {
    let mut body = json!({"model": "fake", "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn code(answer: &Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or_default()
}

/// Acts: `require_api_key`.
#[tokio::test]
async fn require_api_key() {
    let open = Host::with(&[]).await;
    assert_eq!(open.get("/v1/models", None).await.0, StatusCode::OK);
    for name in ["BELLJAR_REQUIRE_API_KEY", "FAKEAI_REQUIRE_API_KEY"] {
        let host = Host::with(&[(name, "true")]).await;
        assert_eq!(
            host.get("/v1/models", None).await.0,
            StatusCode::UNAUTHORIZED,
            "{name}"
        );
        assert_eq!(host.get("/health/live", None).await.0, StatusCode::OK);
    }
}

/// The only value that it can have is the one that it has: a server that keeps keys as they are
/// does not start.
///
/// Acts: `hash_api_keys`.
#[test]
fn hash_api_keys() {
    for name in ["BELLJAR_HASH_API_KEYS", "FAKEAI_HASH_API_KEYS"] {
        let with = |value: &str| {
            let environment = BTreeMap::from([
                (name.to_owned(), value.to_owned()),
                ("BELLJAR_DATA_DIR".to_owned(), "/nowhere".to_owned()),
            ]);
            resolve(&Overrides::default(), &environment)
        };
        let refused = with("false").unwrap_err().to_string();
        assert!(
            refused.contains(name) && refused.contains("SHA-256"),
            "{refused}"
        );
        assert!(with("true").unwrap().settings.auth.hash_keys);
    }
}

/// A key that can be guessed stops the start, and what it is is not repeated.
#[test]
fn api_keys_that_are_too_short() {
    for name in ["BELLJAR_API_KEYS", "FAKEAI_API_KEYS"] {
        for (value, position) in [
            ("fifteen-letters", "key 1"),
            (r#"["a-key-of-sixteen", "fifteen-letters"]"#, "key 2"),
            ("a-key-of-sixteen,sha256:fifteen-letters", "key 2"),
        ] {
            let environment = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            let refused = resolve(&Overrides::default(), &environment)
                .unwrap_err()
                .to_string();
            assert!(refused.contains(position), "{refused}");
            assert!(!refused.contains("fifteen-letters"), "{refused}");
        }
    }
}

/// Acts: `api_keys`.
#[tokio::test]
async fn api_keys() {
    let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(
        "the-third-key-of-mine",
    ));
    let list = format!(r#"["a-key-of-sixteen", "another-key-of-mine", "sha256:{hash}"]"#);
    let comma = format!("a-key-of-sixteen, another-key-of-mine,sha256:{hash}");
    for (name, value) in [("BELLJAR_API_KEYS", &list), ("FAKEAI_API_KEYS", &comma)] {
        let host = Host::with(&[("BELLJAR_REQUIRE_API_KEY", "1"), (name, value)]).await;
        for key in [
            "a-key-of-sixteen",
            "another-key-of-mine",
            "the-third-key-of-mine",
        ] {
            assert_eq!(
                host.get("/v1/models", Some(key)).await.0,
                StatusCode::OK,
                "{name}"
            );
        }
        let stranger = host.get("/v1/models", Some("a-key-of-nobody-")).await.0;
        assert_eq!(stranger, StatusCode::UNAUTHORIZED);
        let manages = host.get("/admin/keys", Some("a-key-of-sixteen")).await.0;
        assert_eq!(
            manages,
            StatusCode::FORBIDDEN,
            "a key of the configuration manages nothing"
        );
    }
}

/// Acts: `max_request_size`.
#[tokio::test]
async fn max_request_size() {
    let big = json!({"model": "x", "inputs": {"x": vec![1; 2000]}});
    let open = Host::with(&[]).await;
    assert_ne!(
        open.post("/infer", big.clone()).await.0,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    for name in ["BELLJAR_MAX_REQUEST_SIZE", "FAKEAI_MAX_REQUEST_SIZE"] {
        for value in ["1 KiB", "1024"] {
            let host = Host::with(&[(name, value)]).await;
            let status = host.post("/infer", big.clone()).await.0;
            assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{name}");
        }
    }
}

/// Acts: `enable_input_validation`.
#[tokio::test]
async fn enable_input_validation() {
    let odd = r#"{"model":"fake","max_tokens":1,"messages":[{"role":"user","content":"a\u0007","x":{"k":1,"k":2}}]}"#;
    let deep = chat(json!({"metadata": {"a": [[[[1]]]]}}));
    let post = async |host: &Host, body: &str| {
        let request = Request::post("/v1/chat/completions")
            .header("content-type", "application/json")
            .body(Body::from(body.to_owned()));
        host.send(request.unwrap()).await
    };
    let fake = ("BELLJAR_EMBEDDED_FAKE", "true");
    let host = Host::with(&[fake]).await;
    let (status, answer) = post(&host, odd).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    assert_eq!(answer["error"]["param"], "messages[0].x.k");
    for name in [
        "BELLJAR_ENABLE_INPUT_VALIDATION",
        "FAKEAI_ENABLE_INPUT_VALIDATION",
    ] {
        let host = Host::with(&[fake, (name, "false"), ("BELLJAR_INPUT_DEPTH_MAX", "4")]).await;
        let (status, answer) = post(&host, odd).await;
        assert_eq!(status, StatusCode::OK, "{name}: {answer}");
        // Depth, overflow and surrogates hold whatever is set.
        for (body, param) in [
            (deep.to_string(), "metadata.a[0][0]"),
            (odd.replace("\\u0007", "\\ud800"), "messages[0].content"),
            (odd.replace("\"k\":1", "\"k\":1e400"), "messages[0].x.k"),
        ] {
            let (status, answer) = post(&host, &body).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{name}: {body}");
            assert_eq!(answer["error"]["param"], param, "{body}");
        }
    }
}

/// Acts: `input.depth_max`, `input.string_bytes_max`, `input.array_items_max`, `input.keys_max`,
/// `input.key_bytes_max`.
#[tokio::test]
async fn what_json_may_be_like() {
    let body = json!({"model": "fake", "max_tokens": 1, "metadata": {"a": "b", "long_key": "c"},
        "messages": [{"role": "user", "content": "hello world"}], "stop": ["x", "y", "z"]});
    let fake = ("BELLJAR_EMBEDDED_FAKE", "true");
    let host = Host::with(&[fake]).await;
    let (status, answer) = host.post("/v1/chat/completions", body.clone()).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    for (name, value, param) in [
        ("BELLJAR_INPUT_DEPTH_MAX", "2", "messages[0]"),
        (
            "BELLJAR_INPUT_STRING_BYTES_MAX",
            "10",
            "messages[0].content",
        ),
        ("BELLJAR_INPUT_ARRAY_ITEMS_MAX", "2", "stop"),
        ("BELLJAR_INPUT_KEYS_MAX", "4", ""),
        ("BELLJAR_INPUT_KEY_BYTES_MAX", "7", ""),
    ] {
        let host = Host::with(&[(name, value)]).await;
        let (status, answer) = host.post("/v1/chat/completions", body.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{name}: {answer}");
        let found = answer["error"]["param"].as_str().unwrap_or_default();
        assert_eq!(found, param, "{name}: {answer}");
    }
}

#[tokio::test]
async fn cross_origin_requests() {
    let ask = async |variables: &[(&str, &str)], origin: &str| {
        let host = Host::with(variables).await;
        let request = Request::get("/health")
            .header("origin", origin)
            .header("host", "localhost")
            .body(Body::empty());
        let response = host.app.router().oneshot(request.unwrap()).await.unwrap();
        let header = |name: &str| {
            let value = response.headers().get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        (
            header("access-control-allow-origin"),
            header("access-control-allow-credentials"),
        )
    };
    let app = "https://app.example";
    assert_eq!(ask(&[], app).await, (None, None), "none by default");
    for prefix in ["BELLJAR", "FAKEAI"] {
        let (origins, credentials) = (
            format!("{prefix}_CORS_ALLOWED_ORIGINS"),
            format!("{prefix}_CORS_ALLOW_CREDENTIALS"),
        );
        for list in [
            "https://other.example, https://app.example",
            r#"["https://other.example", "https://app.example"]"#,
        ] {
            let allowed = Some(app.to_owned());
            assert_eq!(ask(&[(&origins, list)], app).await, (allowed.clone(), None));
            let evil = ask(&[(&origins, list)], "https://evil.example").await;
            assert_eq!(evil, (None, None));
            let with = ask(&[(&origins, list), (&credentials, "true")], app).await;
            assert_eq!(with, (allowed, Some("true".to_owned())));
        }
        let environment = BTreeMap::from([
            ("BELLJAR_DATA_DIR".to_owned(), "/nowhere".to_owned()),
            (origins, "*".to_owned()),
            (credentials, "true".to_owned()),
        ]);
        let refused = resolve(&Overrides::default(), &environment).unwrap_err();
        assert!(
            refused.to_string().contains("cors_allow_credentials"),
            "{refused}"
        );
    }
}

/// Acts: `http.allowed_hosts`.
#[tokio::test]
async fn allowed_hosts() {
    let ask = async |host: &Host| {
        let request = Request::get("/health")
            .header("host", "models.example")
            .body(Body::empty());
        host.send(request.unwrap()).await.0
    };
    let own = Host::with(&[]).await;
    assert_eq!(
        ask(&own).await,
        StatusCode::FORBIDDEN,
        "on a loopback address"
    );
    let named = Host::with(&[("BELLJAR_HTTP_ALLOWED_HOSTS", "models.example")]).await;
    assert_eq!(ask(&named).await, StatusCode::OK);
    let outside = [
        ("BELLJAR_LISTEN", "0.0.0.0:8000"),
        ("BELLJAR_INSECURE", "true"),
    ];
    assert_eq!(ask(&Host::with(&outside).await).await, StatusCode::OK);
}

/// Acts: `max_upload_size`, `archive.unpacked_max`, `archive.entries_max`, `archive.entry_max`,
/// `archive.component_max`, `archive.manifest_max`, `archive.path_max`, `archive.depth_max`,
/// `models.stored_max`.
#[tokio::test]
async fn what_an_upload_may_be() {
    // The variable, its value, and what the refusal is about.
    let refusals = [
        ("BELLJAR_MAX_UPLOAD_SIZE", "1 KiB"),
        ("BELLJAR_ARCHIVE_UNPACKED_MAX", "4 KiB"),
        ("BELLJAR_ARCHIVE_ENTRIES_MAX", "2"),
        ("BELLJAR_ARCHIVE_ENTRY_MAX", "1 KiB"),
        ("BELLJAR_ARCHIVE_COMPONENT_MAX", "1 KiB"),
        ("BELLJAR_ARCHIVE_MANIFEST_MAX", "64"),
        ("BELLJAR_ARCHIVE_PATH_MAX", "15"),
        ("BELLJAR_ARCHIVE_DEPTH_MAX", "2"),
        ("BELLJAR_MODELS_STORED_MAX", "1 KiB"),
    ];
    let mut codes = Vec::new();
    for (name, value) in refusals {
        let host = Host::with(&[(name, value)]).await;
        let (status, answer) = host.upload(echo()).await;
        assert!(
            status.is_client_error() || status.as_u16() == 507,
            "{name}: {status} {answer}"
        );
        assert_ne!(code(&answer), "", "{name}");
        codes.push(format!("{name} {}", code(&answer)));
    }
    let distinct: std::collections::BTreeSet<&str> = codes
        .iter()
        .filter_map(|line| line.split(' ').nth(1))
        .collect();
    assert!(distinct.len() >= 7, "{codes:?}");
}

/// Acts: `policy.memory_max`, `policy.fuel_max`, `policy.load_fuel_max`, `policy.deadline_max`,
/// `policy.output_max`.
#[tokio::test]
async fn what_a_manifest_may_ask_for() {
    type Ask = fn(&mut Parts);
    let asks: [(&str, &str, Ask); 5] = [
        ("BELLJAR_POLICY_MEMORY_MAX", "32 MiB", |parts| {
            parts.limits.memory = Some("64 MiB".parse().unwrap());
        }),
        ("BELLJAR_POLICY_FUEL_MAX", "1000", |parts| {
            parts.limits.fuel = Some("1001".parse().unwrap());
        }),
        ("BELLJAR_POLICY_LOAD_FUEL_MAX", "1000", |parts| {
            parts.limits.load_fuel = Some("1001".parse().unwrap());
        }),
        ("BELLJAR_POLICY_DEADLINE_MAX", "1 s", |parts| {
            parts.limits.deadline = Some("2 s".parse().unwrap());
        }),
        ("BELLJAR_POLICY_OUTPUT_MAX", "1 KiB", |parts| {
            parts.limits.output = Some("2 KiB".parse().unwrap());
        }),
    ];
    for (name, value, ask) in asks {
        let host = Host::with(&[(name, value)]).await;
        let (status, answer) = host.upload(bundle("greedy", ask)).await;
        assert!(status.is_client_error(), "{name}: {answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(value), "{name}: {message}");
    }
}

/// Acts: `policy.default_fuel`, `policy.default_output`.
#[tokio::test]
async fn what_a_model_gets_that_asks_for_nothing() {
    let body = json!({"model": "mine", "inputs": {"x": vec![1; 2000]}});
    let runs = [
        ("BELLJAR_POLICY_DEFAULT_FUEL", "10"),
        ("BELLJAR_POLICY_DEFAULT_OUTPUT", "1 KiB"),
    ];
    for (name, value) in runs {
        let host = Host::with(&[(name, value)]).await;
        // Some caps already bind when the model is tried at its upload.
        let (mut status, mut answer) = host.upload(echo()).await;
        if status == StatusCode::CREATED {
            (status, answer) = host.post("/infer", body.clone()).await;
        }
        assert!(
            status.is_client_error() || status.is_server_error(),
            "{name}: {answer}"
        );
        assert_ne!(code(&answer), "internal_error", "{name}");
    }
    let host = Host::with(&[]).await;
    assert_eq!(host.upload(echo()).await.0, StatusCode::CREATED);
    assert_eq!(
        host.post("/infer", body).await.0,
        StatusCode::OK,
        "without these it runs"
    );
}

/// Acts: `policy.table_elements_max`, `policy.default_memory`, `compiler.wall_time`,
/// `compiler.address_space_max`.
#[tokio::test]
async fn what_a_component_may_be() {
    for (name, value) in [
        ("BELLJAR_POLICY_TABLE_ELEMENTS_MAX", "1"),
        ("BELLJAR_POLICY_DEFAULT_MEMORY", "64 KiB"),
        ("BELLJAR_COMPILER_WALL_TIME", "1 ms"),
        ("BELLJAR_COMPILER_ADDRESS_SPACE_MAX", "32 MiB"),
    ] {
        let host = Host::with(&[(name, value)]).await;
        let (status, answer) = host.upload(echo()).await;
        assert_ne!(status, StatusCode::CREATED, "{name}: {answer}");
    }
}

/// Acts: `signatures.required`, `signatures.trusted`.
#[tokio::test]
async fn signatures() {
    let required = [
        ("BELLJAR_SIGNATURES_REQUIRED", "true"),
        (
            "BELLJAR_SIGNATURES_TRUSTED",
            "ci=ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        ),
    ];
    let host = Host::with(&required).await;
    let (status, answer) = host.upload(echo()).await;
    assert!(status.is_client_error(), "{answer}");
    assert!(code(&answer).contains("signature"), "{answer}");
}

/// Acts: `models.versions_max`.
#[tokio::test]
async fn how_many_versions_are_kept() {
    let host = Host::with(&[("BELLJAR_MODELS_VERSIONS_MAX", "1")]).await;
    assert_eq!(host.upload(echo()).await.0, StatusCode::CREATED);
    let (status, answer) = host.upload(bundle("other", |_| {})).await;
    assert!(!status.is_success(), "{answer}");
}

/// Acts: `embedded.fake`, `embedded.echo`.
#[tokio::test]
async fn embedded_models() {
    let host = Host::with(&[("BELLJAR_EMBEDDED_ECHO", "true")]).await;
    let (_, list) = host.get("/v1/models", None).await;
    let ids: Vec<&str> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|model| model["id"].as_str())
        .collect();
    assert_eq!(ids, ["echo"], "{list}");
}

/// Acts: `http.tokens_max`, `http.tokens_default`, `http.choices_max`.
#[tokio::test]
async fn what_an_answer_may_be() {
    let host = Host::with(&[
        ("BELLJAR_EMBEDDED_FAKE", "true"),
        ("BELLJAR_HTTP_TOKENS_MAX", "8"),
        ("BELLJAR_HTTP_TOKENS_DEFAULT", "3"),
        ("BELLJAR_HTTP_CHOICES_MAX", "2"),
    ])
    .await;
    let (status, answer) = host.post("/v1/chat/completions", chat(json!({}))).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["usage"]["completion_tokens"], 3, "{answer}");
    let (status, answer) = host
        .post("/v1/chat/completions", chat(json!({"max_tokens": 9})))
        .await;
    let at_most = status == StatusCode::BAD_REQUEST || answer["usage"]["completion_tokens"] == 8;
    assert!(at_most, "{status} {answer}");
    let two = host
        .post("/v1/chat/completions", chat(json!({"n": 2})))
        .await;
    assert_eq!(two.0, StatusCode::OK);
    let three = host
        .post("/v1/chat/completions", chat(json!({"n": 3})))
        .await;
    assert_eq!(three.0, StatusCode::BAD_REQUEST, "{}", three.1);
}

/// Acts: `sandbox.cleaning`.
#[tokio::test]
async fn how_slots_are_cleaned() {
    let host = Host::with(&[("BELLJAR_SANDBOX_CLEANING", "keep-resident")]).await;
    assert_eq!(
        host.app.slot_reset(),
        belljar_sandbox::SlotReset::KeepResident
    );
}

#[tokio::test]
async fn the_effective_configuration_is_shown_without_secrets() {
    let host = Host::with(&[("BELLJAR_API_KEYS", "a-key-of-sixteen")]).await;
    let (status, shown) = host.get("/admin/config", Some(&host.admin_key())).await;
    assert_eq!(status, StatusCode::OK, "{shown}");
    let text = shown.to_string();
    assert!(
        text.contains("1 key (redacted)") && !text.contains("a-key-of-sixteen"),
        "{text}"
    );
    assert_ne!(host.get("/admin/config", None).await.0, StatusCode::OK);
}
