//! Signs requests as a client does, by hand: written apart from what the server reads them with.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use belljar::auth::{NewKey, Signing, SigningSecret};
use belljar_tests::{Answer, Client, TestHost};
use reqwest::Method;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A key that signs.
#[derive(Clone)]
pub(crate) struct Signer {
    pub(crate) id: String,
    /// The key itself.
    pub(crate) key: String,
    pub(crate) secret: SigningSecret,
}

/// A request to be signed.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) method: Method,
    pub(crate) scheme: &'static str,
    /// What the client calls the server; none for the address that it is sent to.
    pub(crate) authority: Option<String>,
    /// With its query.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
    /// Seconds since 1970.
    pub(crate) created: i64,
    pub(crate) nonce: String,
    /// What is signed; what a request needs where nothing is said.
    pub(crate) components: Vec<&'static str>,
    /// More parameters, as they are written.
    pub(crate) parameters: String,
}

pub(crate) fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

impl Draft {
    pub(crate) fn get(target: &str) -> Self {
        Self {
            method: Method::GET,
            scheme: "http",
            authority: None,
            target: target.to_owned(),
            headers: Vec::new(),
            body: None,
            created: now(),
            nonce: format!("{:032x}", rand::random::<u128>()),
            components: vec!["@method", "@authority", "@path", "@query"],
            parameters: ";alg=\"hmac-sha256\"".to_owned(),
        }
    }

    pub(crate) fn post(target: &str, body: &Value) -> Self {
        Self::post_bytes(target, "application/json", body.to_string().into_bytes())
    }

    pub(crate) fn post_bytes(target: &str, content_type: &str, body: Vec<u8>) -> Self {
        let mut draft = Self::get(target).with("content-type", content_type);
        draft.method = Method::POST;
        draft.components.extend(["content-type", "content-digest"]);
        let digest = format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(&body)));
        draft.body = Some(body);
        draft.with("content-digest", &digest)
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn at(mut self, created: i64) -> Self {
        self.created = created;
        self
    }

    fn value(&self, component: &str, authority: &str) -> String {
        let (path, query) = match self.target.split_once('?') {
            Some((path, query)) => (path, format!("?{query}")),
            None => (self.target.as_str(), "?".to_owned()),
        };
        match component {
            "@method" => self.method.to_string(),
            "@authority" => authority.to_owned(),
            "@path" => path.to_owned(),
            "@query" => query,
            "@target-uri" => format!("{}://{authority}{}", self.scheme, self.target),
            name => {
                let values = self.headers.iter().filter(|(header, _)| header == name);
                let values: Vec<&str> = values.map(|(_, value)| value.as_str()).collect();
                values.join(", ")
            }
        }
    }

    /// The same with its signature.
    pub(crate) fn signed(self, signer: &Signer, address: &str) -> Self {
        let authority = self.authority.clone().unwrap_or_else(|| address.to_owned());
        let list: Vec<String> = self.components.iter().map(|c| format!("\"{c}\"")).collect();
        let params = format!(
            "({});created={};nonce=\"{}\";keyid=\"{}\"{}",
            list.join(" "),
            self.created,
            self.nonce,
            signer.id,
            self.parameters
        );
        let mut base = String::new();
        for component in &self.components {
            let value = self.value(component, &authority);
            base.push_str(&format!("\"{component}\": {value}\n"));
        }
        base.push_str(&format!("\"@signature-params\": {params}"));
        let signature = STANDARD.encode(signer.secret.sign(base.as_bytes()));
        self.with("signature-input", &format!("sig={params}"))
            .with("signature", &format!("sig=:{signature}:"))
    }

    /// Sends it as it is.
    pub(crate) async fn send(&self, client: &Client) -> Answer {
        let mut request = client.request(self.method.clone(), &self.target);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(body) = &self.body {
            request = request.body(body.clone());
        }
        client.send(request).await.expect("the server answers")
    }

    /// Puts another value in the place of a header's.
    pub(crate) fn altered(mut self, name: &str, change: impl Fn(&str) -> String) -> Self {
        let headers = self.headers.iter_mut();
        let (_, value) = headers
            .into_iter()
            .find(|(header, _)| header == name)
            .unwrap();
        *value = change(value);
        self
    }
}

impl Signer {
    /// Signs a request and sends it, with nothing else that says who calls.
    pub(crate) async fn send(&self, client: &Client, draft: Draft) -> Answer {
        draft.signed(self, &authority(client)).send(client).await
    }
}

/// The address that a client sends to, as it stands in its requests.
pub(crate) fn authority(client: &Client) -> String {
    let request = client.request(Method::GET, "/").build().unwrap();
    let url = request.url();
    format!("{}:{}", url.host_str().unwrap(), url.port().unwrap())
}

/// Makes a key that signs.
pub(crate) async fn signer(host: &TestHost, signing: Signing) -> Signer {
    signer_with(host, signing, |_| {}).await
}

pub(crate) async fn signer_with(
    host: &TestHost,
    signing: Signing,
    change: impl FnOnce(&mut NewKey),
) -> Signer {
    let mut new = NewKey {
        name: "signs".to_owned(),
        scopes: "infer,models:read,models:write".parse().unwrap(),
        signing,
        ..NewKey::default()
    };
    change(&mut new);
    let created = host.keys().create(new).await.unwrap();
    Signer {
        id: created.record.id.to_string(),
        key: created.secret.expose().to_owned(),
        secret: created.signing_secret.unwrap(),
    }
}
