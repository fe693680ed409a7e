//! What the tests of keys share.

use belljar_tests::{Client, TestBundle, TestHost, guests};
use reqwest::Method;
use serde_json::{Value, json};

/// A key that was made over HTTP.
pub(crate) struct MadeKey {
    pub(crate) id: String,
    pub(crate) caller: Client,
}

/// Makes a key with whatever else is asked for.
pub(crate) async fn make_key(host: &TestHost, more: Value) -> MadeKey {
    let mut body = json!({"name":"n","scopes":["infer","models:read"]});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let made = host.admin().post("/admin/keys", &body).await;
    let made = made.expect_status(201).json();
    MadeKey {
        id: made["id"].as_str().unwrap().to_owned(),
        caller: host.anonymous().with_key(made["key"].as_str().unwrap()),
    }
}

impl MadeKey {
    /// The path of the key, with what comes after it.
    pub(crate) fn path(&self, verb: &str) -> String {
        format!("/admin/keys/{}{verb}", self.id)
    }

    /// What the server says of it.
    pub(crate) async fn show(&self, host: &TestHost) -> Value {
        let shown = host.admin().get(&self.path("")).await;
        shown.expect_status(200).json()
    }

    /// Gives it another secret, and a caller with that.
    pub(crate) async fn rotate(&self, host: &TestHost, body: Value) -> Client {
        let rotated = host.admin().post(&self.path("/rotate"), &body).await;
        let rotated = rotated.expect_status(200);
        assert_eq!(rotated.header("cache-control"), "no-store");
        let rotated = rotated.json();
        assert_eq!(rotated["id"], self.id);
        host.anonymous().with_key(rotated["key"].as_str().unwrap())
    }
}

/// Whether a key works.
pub(crate) async fn works(caller: &Client) -> bool {
    let answer = caller.get("/v1/models").await;
    if answer.status != 200 {
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (401, "invalid_api_key")
        );
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    answer.status == 200
}

/// Uploads a model that takes its time for each word and keeps its sandbox all the while.
pub(crate) async fn upload_slow(host: &TestHost) {
    let slow = TestBundle::new("slow", "1.0.0", &guests::bytes("slow_next"))
        .with_limits("fuel = 1_000_000_000_000\ndeadline = \"50 s\"");
    let _ = host.admin().upload(slow.tar()).await.expect_status(201);
}

/// Begins a stream of that model and reads its first piece.
pub(crate) async fn open_stream(caller: &Client) -> reqwest::Response {
    let body = json!({"model": "slow", "stream": true, "max_tokens": 100_000,
        "parameters": {"turns": 20_000_000}, "messages": [{"role": "user", "content": "hi"}]});
    let request = caller.request(Method::POST, "/v1/chat/completions");
    let mut response = request.json(&body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.chunk().await.unwrap().unwrap();
    response
}
