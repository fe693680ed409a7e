//! Recordings as people make and use them: both commands in processes of their own, and a client of
//! the usual library.

use std::time::Duration;

use serde_json::{Value, json};

use crate::server::{Home, Server, signal};

/// An answer as a client has it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) kind: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A client of the usual library.
pub(crate) struct Client {
    pub(crate) runtime: tokio::runtime::Runtime,
    http: reqwest::Client,
}

impl Client {
    pub(crate) fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .tls_certs_only([])
            .no_proxy()
            .timeout(Duration::from_secs(60));
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
            http: http.build().unwrap(),
        }
    }

    pub(crate) fn request(&self, url: &str, path: &str, body: &Value) -> reqwest::RequestBuilder {
        let url = format!("{url}{path}");
        match body {
            Value::Null => self.http.get(url),
            body => self.http.post(url).json(body),
        }
    }

    pub(crate) fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        self.runtime.block_on(async {
            let response = request.send().await.unwrap();
            let kind = response.headers().get("content-type");
            Answer {
                status: response.status().as_u16(),
                kind: kind.map_or("", |kind| kind.to_str().unwrap()).to_owned(),
                body: response.bytes().await.unwrap().to_vec(),
            }
        })
    }

    pub(crate) fn ask(&self, url: &str, path: &str, body: &Value) -> Answer {
        self.send(self.request(url, path, body))
    }
}

pub(crate) fn record(home: &Home, upstream: &str, arguments: &[&str]) -> Server {
    let all = [
        &["record", "--upstream", upstream, "-o", "case.tar"],
        arguments,
    ]
    .concat();
    Server::spawn(home.command(&all))
}

pub(crate) fn replay(home: &Home, arguments: &[&str]) -> Server {
    Server::spawn(home.command(&[&["replay-server", "case.tar"], arguments].concat()))
}

/// Ends a recording as a person does.
pub(crate) fn end(recording: Server) -> String {
    signal(recording.process(), "INT");
    let (code, log) = recording.wait();
    assert_eq!(code, Some(0), "{log}");
    log
}

pub(crate) fn chat(text: &str) -> Value {
    json!({"model": "fake", "messages": [{"role": "user", "content": text}], "seed": 1})
}

pub(crate) fn with(mut body: Value, more: &Value) -> Value {
    let members = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(members);
    body
}

pub(crate) const CHAT: &str = "/v1/chat/completions";
