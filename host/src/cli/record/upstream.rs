//! The service behind a recording proxy: where it is, and what authorizes requests to it.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use belljar_testing::recording::GAP_MS_MAX;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use reqwest::{Response, Url};
use secrecy::{ExposeSecret as _, SecretString};

use crate::cli::output;
use crate::config::{Environment as _, SystemEnvironment};
use crate::http::recorded::is_of_connection;
use crate::outgoing::{Outgoing, is_this_machine, reason};

/// A key of the operator's, and the header that it goes into.
pub(super) struct Key {
    secret: SecretString,
    header: HeaderName,
    value: HeaderValue,
}

impl Key {
    /// The key in an environment variable.
    pub(super) fn read(variable: &str, header: &str) -> Result<Self> {
        let secret = SystemEnvironment.variable(variable);
        let secret = secret.with_context(|| {
            format!("the environment variable {variable} of --key-env is not set")
        })?;
        let secret = SecretString::from(secret.trim());
        let header: HeaderName = header
            .parse()
            .map_err(|_| anyhow!("--key-header `{header}` is no name of a header"))?;
        let text = match header == header::AUTHORIZATION {
            true => format!("Bearer {}", secret.expose_secret()),
            false => secret.expose_secret().to_owned(),
        };
        let value = HeaderValue::from_str(&text);
        let mut value =
            value.map_err(|_| anyhow!("{variable} holds what no header can: is it a key?"))?;
        value.set_sensitive(true);
        Ok(Self {
            secret,
            header,
            value,
        })
    }
}

/// Where requests go.
pub(super) struct Upstream {
    base: Url,
    client: Outgoing,
    key: Option<Key>,
}

impl Upstream {
    pub(super) fn new(url: &str, key: Option<Key>) -> Result<Self> {
        let base: Url = url
            .parse()
            .with_context(|| format!("--upstream `{url}` is not an address"))?;
        let is_plain = base.scheme() == "http";
        if !(is_plain || base.scheme() == "https") || base.cannot_be_a_base() {
            bail!("--upstream wants an http or https address such as https://api.openai.com");
        }
        if !base.username().is_empty() || base.password().is_some() {
            bail!("--upstream has a user or a password in it: name the key with --key-env");
        }
        if base.query().is_some() || base.fragment().is_some() {
            bail!("--upstream is the beginning of addresses, without `?` and `#`");
        }
        if is_plain && key.is_some() && !is_this_machine(&base) {
            output::note("warning: the key is sent over a connection without encryption");
        }
        let stall = Duration::from_secs_f64(GAP_MS_MAX / 1e3);
        Ok(Self {
            base,
            client: Outgoing::for_services(stall, is_plain)?,
            key,
        })
    }

    /// For people.
    pub(super) fn shown(&self) -> String {
        self.base.to_string().trim_end_matches('/').to_owned()
    }

    /// What nobody may read of what goes there.
    pub(super) fn secret(&self) -> Option<&str> {
        self.key.as_ref().map(|key| key.secret.expose_secret())
    }

    /// Sends a request and waits for the head of the answer. `path` and `query` are as they came,
    /// written with `%` where that is needed.
    pub(super) async fn send(
        &self,
        method: Method,
        (path, query): (&str, Option<&str>),
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Response, String> {
        let mut url = self.base.clone();
        let below = self.base.path().trim_end_matches('/');
        // What is below one that ends in `/v1` may begin with it as well: clients are given either.
        let path = match path.strip_prefix("/v1/") {
            Some(rest) if below.ends_with("/v1") => format!("{below}/{rest}"),
            _ => format!("{below}{path}"),
        };
        url.set_path(&path);
        url.set_query(query);
        let mut passed = HeaderMap::new();
        for (name, value) in headers {
            let is_own = *name == header::HOST
                || *name == header::ACCEPT_ENCODING
                || *name == header::EXPECT
                || *name == header::ORIGIN;
            if !is_own && !is_of_connection(name) {
                passed.append(name, value.clone());
            }
        }
        // What comes packed could not be looked through for secrets.
        passed.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("identity"),
        );
        if let Some(key) = &self.key {
            passed.insert(key.header.clone(), key.value.clone());
        }
        let request = self.client.request(method, url);
        let sent = request.headers(passed).body(body).send().await;
        sent.map_err(|error| reason(&error))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_service_is_where_the_address_begins() {
        for (url, reason) in [
            ("api.openai.com", "is not an address"),
            ("ftp://x", "wants an http or https address"),
            ("https://user:pw@host", "has a user or a password"),
            ("https://host/?key=1", "without `?` and `#`"),
        ] {
            let error = Upstream::new(url, None).err().unwrap().to_string();
            assert!(error.contains(reason), "{url}: {error}");
        }
        let upstream = Upstream::new("http://127.0.0.1:1/", None).unwrap();
        assert_eq!(upstream.shown(), "http://127.0.0.1:1");
    }
}
