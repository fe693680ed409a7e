//! A caller of the server, and what it was answered.

use std::net::SocketAddr;
use std::sync::OnceLock;

use reqwest::{Method, RequestBuilder};

/// A caller with or without a key.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    key: Option<String>,
}

/// An answer that has been read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body.
    pub body: bytes::Bytes,
}

impl Client {
    /// A caller of the server at that address.
    ///
    /// # Panics
    ///
    /// When no client can be made.
    #[must_use]
    pub fn new(address: SocketAddr, key: Option<&str>) -> Self {
        static TLS: OnceLock<()> = OnceLock::new();
        // The client wants a provider even where it speaks plain HTTP only.
        TLS.get_or_init(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client without settings can be made");
        Self {
            http,
            base: format!("http://{address}"),
            key: key.map(str::to_owned),
        }
    }

    /// The same caller at another address of the loopback network.
    ///
    /// # Panics
    ///
    /// When no client can be made.
    #[must_use]
    pub fn at(&self, source: std::net::IpAddr) -> Self {
        let http = reqwest::Client::builder().no_proxy().local_address(source);
        Self {
            http: http.build().expect("a client with an address can be made"),
            ..self.clone()
        }
    }

    /// The same caller with another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self {
            key: Some(key.to_owned()),
            ..self.clone()
        }
    }

    /// The key that it sends.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// A request to be completed and sent with [`Client::send`] or its own `send`.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// Sends a request and reads the answer to its end. None when the connection fails or breaks
    /// off.
    pub async fn send(&self, request: RequestBuilder) -> Option<Answer> {
        let response = request.send().await.ok()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Some(Answer {
            status,
            headers,
            body: response.bytes().await.ok()?,
        })
    }

    /// `GET`, or none when the connection fails.
    pub async fn try_get(&self, path: &str) -> Option<Answer> {
        self.send(self.request(Method::GET, path)).await
    }

    /// `GET`.
    ///
    /// # Panics
    ///
    /// When the connection fails.
    pub async fn get(&self, path: &str) -> Answer {
        self.try_get(path).await.expect("the server answers")
    }

    /// `DELETE`.
    ///
    /// # Panics
    ///
    /// When the connection fails.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path))
            .await
            .expect("the server answers")
    }

    /// `POST` of JSON.
    ///
    /// # Panics
    ///
    /// When the connection fails.
    pub async fn post(&self, path: &str, body: &serde_json::Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body))
            .await
            .expect("the server answers")
    }

    /// `POST` of bytes under a content type.
    ///
    /// # Panics
    ///
    /// When the connection fails.
    pub async fn post_bytes(&self, path: &str, content_type: &str, body: Vec<u8>) -> Answer {
        let request = self
            .request(Method::POST, path)
            .header("content-type", content_type);
        self.send(request.body(body))
            .await
            .expect("the server answers")
    }

    /// Uploads an archive and waits until the version is ready, active or failed.
    ///
    /// # Panics
    ///
    /// When the connection fails.
    pub async fn upload(&self, archive: Vec<u8>) -> Answer {
        self.post_bytes("/models?wait=true", "application/x-tar", archive)
            .await
    }
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is not JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The code in the error envelope; empty when there is none.
    #[must_use]
    pub fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        // The Open Inference Protocol has it beside the text.
        body.pointer("/error/code")
            .or(body.pointer("/code"))
            .and_then(|code| code.as_str())
            .unwrap_or_default()
            .to_owned()
    }

    /// A header as text; empty when there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Insists on a status that says that it was done.
    ///
    /// # Panics
    ///
    /// When it is another one; the message has it and the body.
    #[track_caller]
    pub fn expect_success(self) -> Self {
        let done = (200..300).contains(&self.status);
        assert!(done, "{}: {}", self.status, self.text());
        self
    }

    /// Insists on a status.
    ///
    /// # Panics
    ///
    /// When it is another one; the message has the body.
    #[track_caller]
    pub fn expect_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}
