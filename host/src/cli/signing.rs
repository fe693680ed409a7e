//! Signs what commands send (RFC 9421), for keys that must.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, header};
use secrecy::zeroize::Zeroizing;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::auth::SigningSecret;
use crate::clock::time_of_day;
use crate::http::signature::{CONTENT_DIGEST, Message, SIGNATURE, SIGNATURE_INPUT};
use crate::ids::KeyId;

/// A key that signs.
pub(super) struct SigningKey {
    id: KeyId,
    secret: SigningSecret,
}

/// What is read of the answer that has shown the secret.
#[derive(Deserialize)]
struct Printed<'a> {
    id: &'a str,
    signing_secret: &'a str,
}

impl SigningKey {
    /// Reads a file that holds what `keys create --json` or `keys signing --json` has printed.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map(Zeroizing::new);
        let text = text.with_context(|| format!("{} cannot be read", path.display()))?;
        // Nothing of the text is repeated.
        let parsed = serde_json::from_str::<Printed<'_>>(&text).ok();
        let key = parsed.and_then(|printed| {
            Some(Self {
                id: printed.id.parse().ok()?,
                secret: printed.signing_secret.parse().ok()?,
            })
        });
        key.with_context(|| {
            format!(
                "{} does not hold what `belljar keys create --signing required --json` prints",
                path.display()
            )
        })
    }

    /// Signs a request as it will be sent. `digest` is the SHA-256 of a body that streams.
    pub(super) fn sign(
        &self,
        request: &mut reqwest::Request,
        digest: Option<[u8; 32]>,
    ) -> Result<()> {
        let body = request.body().and_then(reqwest::Body::as_bytes);
        let digest = digest.or_else(|| body.map(|body| Sha256::digest(body).into()));
        if let Some(digest) = digest {
            let value = format!("sha-256=:{}:", STANDARD.encode(digest));
            request
                .headers_mut()
                .insert(CONTENT_DIGEST, value.try_into()?);
        }
        let mut components = vec!["@method", "@authority", "@path", "@query"];
        let signed: [HeaderName; 2] = [header::CONTENT_TYPE, CONTENT_DIGEST];
        let there = signed
            .iter()
            .filter(|name| request.headers().contains_key(*name));
        components.extend(there.map(HeaderName::as_str));
        let params = format!(
            "({});created={};nonce=\"{:032x}\";keyid=\"{}\";alg=\"hmac-sha256\"",
            components
                .iter()
                .map(|name| format!("\"{name}\""))
                .collect::<Vec<_>>()
                .join(" "),
            time_of_day().as_second(),
            rand::random::<u128>(),
            self.id
        );
        let url = request.url();
        let host = url.host_str().unwrap_or_default();
        let authority = url
            .port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let message = Message {
            method: request.method(),
            scheme: url.scheme(),
            authority: authority.into(),
            target: &url.as_str().parse()?,
            headers: request.headers(),
        };
        let base = message.base(&components, &params)?;
        let signature = STANDARD.encode(self.secret.sign(&base));
        let headers = request.headers_mut();
        headers.insert(
            SIGNATURE_INPUT,
            HeaderValue::try_from(format!("sig={params}"))?,
        );
        headers.insert(
            SIGNATURE,
            HeaderValue::try_from(format!("sig=:{signature}:"))?,
        );
        Ok(())
    }
}
