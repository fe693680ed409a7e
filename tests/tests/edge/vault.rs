//! A small server that keeps what Vault's HTTP API documents, as far as this server uses it.
//!
//! Vault itself is not to be had in the package registries. What is kept: KV version 2 with its
//! two layers of `data`, versions and deletions; tokens with a time to live, a longest life and
//! `renew-self`; AppRole and Kubernetes logins; namespaces; the statuses 400, 403, 404, 429, 503
//! with `errors`. Who sends no `X-Vault-Request` is refused, as an agent can be told to.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::IntoResponse as _;
use axum::response::Response;
use serde_json::{Value, json};

use crate::kit::{Issued, encrypt};

/// A Vault of a test.
#[derive(Clone)]
pub(crate) struct Vault {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<Contract>>,
}

struct Token {
    ends: Instant,
    dies: Instant,
}

/// What it keeps and how it is set up.
pub(crate) struct Contract {
    /// The secrets by their paths below the mount; none for one that was deleted.
    pub(crate) secrets: HashMap<String, Option<Value>>,
    tokens: HashMap<String, Token>,
    /// How long a token lives, and how long it can be made to live.
    pub(crate) ttl: Duration,
    pub(crate) life: Duration,
    /// What a login of each way has to say.
    pub(crate) logins: HashMap<&'static str, Value>,
    pub(crate) namespace: Option<&'static str>,
    /// How many of the next requests are answered with a status.
    pub(crate) failing: (StatusCode, u32),
    /// What was asked for, in order.
    pub(crate) asked: Vec<String>,
    made: u64,
}

impl Vault {
    pub(crate) async fn start() -> Self {
        let contract = Contract {
            secrets: HashMap::new(),
            tokens: HashMap::new(),
            ttl: Duration::from_secs(3600),
            life: Duration::from_secs(36_000),
            logins: HashMap::new(),
            namespace: None,
            failing: (StatusCode::OK, 0),
            asked: Vec::new(),
            made: 0,
        };
        let state = Arc::new(Mutex::new(contract));
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&state));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address behind TLS, with a certificate for `localhost`.
    pub(crate) async fn encrypted(&self, issued: &Issued) -> String {
        let address = encrypt(self.address, issued).await;
        format!("https://localhost:{}", address.port())
    }

    pub(crate) fn set<T>(&self, change: impl FnOnce(&mut Contract) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }

    /// Keeps a secret at `secret/data/NAME`.
    pub(crate) fn keep(&self, name: &str, data: Value) {
        let path = format!("secret/data/{name}");
        self.set(|contract| contract.secrets.insert(path, Some(data)));
    }

    /// A token, as an operator would make one.
    pub(crate) fn token(&self) -> String {
        self.set(|contract| contract.grant().0)
    }

    /// How often something was asked for.
    pub(crate) fn count(&self, what: &str) -> usize {
        self.set(|contract| {
            let asked = contract.asked.iter();
            asked.filter(|asked| asked.contains(what)).count()
        })
    }
}

impl Contract {
    fn grant(&mut self) -> (String, Value) {
        self.made += 1;
        let token = format!("hvs.token-{}-of-the-test", self.made);
        let now = Instant::now();
        let times = Token {
            ends: now + self.ttl,
            dies: now + self.life,
        };
        self.tokens.insert(token.clone(), times);
        let answer = self.auth(&token, self.ttl);
        (token, answer)
    }

    fn auth(&self, token: &str, ttl: Duration) -> Value {
        json!({"request_id": "x", "lease_id": "", "renewable": false, "lease_duration": 0,
            "data": null, "auth": {"client_token": token, "accessor": "a",
            "policies": ["default"], "token_policies": ["default"],
            "lease_duration": ttl.as_secs(), "renewable": self.life > self.ttl,
            "entity_id": "", "token_type": "service", "orphan": true}})
    }

    /// How long a token still lives.
    fn left(&self, headers: &HeaderMap) -> Option<(String, Duration)> {
        let token = headers.get("x-vault-token")?.to_str().ok()?;
        let times = self.tokens.get(token)?;
        let left = times
            .ends
            .min(times.dies)
            .checked_duration_since(Instant::now())?;
        Some((token.to_owned(), left))
    }
}

fn refused(status: StatusCode, errors: &[&str]) -> Response {
    (status, axum::Json(json!({"errors": errors}))).into_response()
}

async fn answer(
    State(state): State<Arc<Mutex<Contract>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut contract = state.lock().unwrap();
    let path = uri.path().to_owned();
    contract.asked.push(format!("{method} {path}"));
    if contract.failing.1 > 0 {
        contract.failing.1 -= 1;
        return refused(contract.failing.0, &["Vault is sealed"]);
    }
    if headers.get("x-vault-request").is_none() {
        return refused(
            StatusCode::PRECONDITION_FAILED,
            &["missing 'X-Vault-Request'"],
        );
    }
    let namespace = headers.get("x-vault-namespace");
    if namespace.and_then(|name| name.to_str().ok()) != contract.namespace {
        return refused(StatusCode::NOT_FOUND, &["no handler for route"]);
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(mount) = path
        .strip_prefix("/v1/auth/")
        .and_then(|rest| rest.strip_suffix("/login"))
    {
        return match contract.logins.get(mount) {
            Some(expected) if *expected == body => axum::Json(contract.grant().1).into_response(),
            Some(_) => refused(StatusCode::BAD_REQUEST, &["invalid role or secret ID"]),
            None => refused(StatusCode::FORBIDDEN, &["permission denied"]),
        };
    }
    let Some((token, left)) = contract.left(&headers) else {
        return refused(StatusCode::FORBIDDEN, &["permission denied"]);
    };
    match (method, path.as_str()) {
        (Method::GET, "/v1/auth/token/lookup-self") => {
            axum::Json(json!({"data": {"ttl": left.as_secs(), "id": token,
                "renewable": contract.life > contract.ttl, "policies": ["default"]}}))
            .into_response()
        }
        (Method::POST, "/v1/auth/token/renew-self") => {
            let ttl = contract.ttl;
            let times = contract.tokens.get_mut(&token).unwrap();
            times.ends = Instant::now() + ttl;
            let left = ttl.min(times.dies.saturating_duration_since(Instant::now()));
            axum::Json(contract.auth(&token, left)).into_response()
        }
        (Method::GET, path) => match contract.secrets.get(path.trim_start_matches("/v1/")) {
            None => refused(StatusCode::NOT_FOUND, &[]),
            Some(None) => {
                let gone = json!({"data": {"data": null, "metadata": {"version": 2,
                    "deletion_time": "2026-01-01T00:00:00Z", "destroyed": false}}});
                (StatusCode::NOT_FOUND, axum::Json(gone)).into_response()
            }
            Some(Some(data)) => axum::Json(json!({"data": {"data": data,
                "metadata": {"version": 3, "destroyed": false}}}))
            .into_response(),
        },
        _ => refused(StatusCode::METHOD_NOT_ALLOWED, &["unsupported operation"]),
    }
}
