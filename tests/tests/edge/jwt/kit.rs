//! Issuers of tokens, and servers that take them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use belljar::clock::{Clock, ManualClock};
use belljar_tests::{Client, TestHost};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use serde_json::{Value, json};

use crate::kit::Folder;

pub(crate) const ISSUER: &str = "https://id.example";
/// When the servers of these tests start: 2030-01-01T00:00:00Z.
pub(crate) const NOW: i64 = 1_893_456_000;

/// A key that signs tokens.
pub(crate) struct Signer {
    pub(crate) kid: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) key: EncodingKey,
}

impl Signer {
    /// The one RSA key of these tests, of 2048 bits, which takes long to make.
    pub(crate) fn rsa(kid: &str, algorithm: Algorithm) -> Self {
        let key = EncodingKey::from_rsa_der(include_bytes!("rsa.der"));
        Self::new(kid, algorithm, key)
    }

    pub(crate) fn p256(kid: &str) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        Self::new(
            kid,
            Algorithm::ES256,
            EncodingKey::from_ec_der(&key.serialize_der()),
        )
    }

    pub(crate) fn p384(kid: &str) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        Self::new(
            kid,
            Algorithm::ES384,
            EncodingKey::from_ec_der(&key.serialize_der()),
        )
    }

    pub(crate) fn ed(kid: &str) -> Self {
        // The first version of PKCS#8 (RFC 8410, section 7): what makes the key writes the second,
        // with the public key in it, and who signs with it reads the first alone.
        const BEGIN: [u8; 16] = [
            0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22,
            0x04, 0x20,
        ];
        let key = KeyPair::generate_for(&PKCS_ED25519)
            .unwrap()
            .serialize_der();
        let der = [&BEGIN, &key[16..48]].concat();
        Self::new(kid, Algorithm::EdDSA, EncodingKey::from_ed_der(&der))
    }

    fn new(kid: &str, algorithm: Algorithm, key: EncodingKey) -> Self {
        Self {
            kid: kid.to_owned(),
            algorithm,
            key,
        }
    }

    /// The same key under another id.
    pub(crate) fn named(&self, kid: &str) -> Self {
        Self::new(kid, self.algorithm, self.key.clone())
    }

    /// The public key as the issuer publishes it.
    pub(crate) fn jwk(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        let mut jwk = serde_json::to_value(jwk).unwrap();
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk
    }

    pub(crate) fn header(&self) -> Value {
        json!({"alg": format!("{:?}", self.algorithm), "typ": "JWT", "kid": self.kid})
    }

    /// A token that holds, with other claims where some are given; null takes one out.
    pub(crate) fn token(&self, other: Value) -> String {
        self.token_with(self.header(), claims(other))
    }

    /// A token with any header and claims, signed by this key.
    pub(crate) fn token_with(&self, header: Value, claims: Value) -> String {
        let message = message(&header, &claims);
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, self.algorithm);
        format!("{message}.{}", signature.unwrap())
    }
}

/// What is signed.
pub(crate) fn message(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

/// Claims that hold, but for the others.
pub(crate) fn claims(other: Value) -> Value {
    let mut claims = json!({"iss": ISSUER, "aud": "models", "sub": "ann", "iat": NOW, "nbf": NOW,
        "exp": NOW + 600, "jti": "1", "scope": "infer models:read"});
    for (name, value) in other.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

pub(crate) fn key_set(signers: &[Signer]) -> String {
    let keys: Vec<Value> = signers.iter().map(Signer::jwk).collect();
    json!({ "keys": keys }).to_string()
}

/// A server that requires keys and takes the tokens of an issuer, whose time the test moves.
pub(crate) struct IssuerHost {
    pub(crate) host: TestHost,
    pub(crate) hand: ManualClock,
    pub(crate) folder: Folder,
}

impl IssuerHost {
    /// One whose keys are in a file.
    pub(crate) async fn start(signers: &[Signer], settings: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        let keys = folder.write("keys.json", &key_set(signers));
        Self::start_with_keys(folder, &keys, settings).await
    }

    /// One whose keys are wherever is said.
    pub(crate) async fn start_with_keys(
        folder: Folder,
        keys: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        let (clock, hand) = Clock::manual(jiff::Timestamp::from_second(NOW).unwrap());
        let own = [
            ("require_api_key", "true"),
            ("jwt.issuer", ISSUER),
            ("jwt.audience", "models"),
            ("jwt.jwks", keys),
        ];
        let is_other = |(key, _): &&(&str, &str)| !settings.iter().any(|(other, _)| other == key);
        let settings: Vec<_> = own
            .iter()
            .filter(is_other)
            .chain(settings)
            .copied()
            .collect();
        Self {
            host: TestHost::start_at(clock, &settings).await,
            hand,
            folder,
        }
    }

    /// A caller with a token.
    pub(crate) fn caller(&self, token: &str) -> Client {
        self.host.anonymous().with_key(token)
    }

    /// Ends the ban of this machine, if there is one.
    pub(crate) async fn lift_bans(&self) {
        let _ = self.host.admin().delete("/admin/bans/127.0.0.1").await;
    }

    /// The value of a metric with those labels, as the text format has it; 0 where there is none.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let text = self.host.admin().get("/metrics").await.text();
        let line = text.lines().find_map(|line| line.strip_prefix(series));
        line.map_or(0.0, |value| value.trim().parse().unwrap())
    }
}
