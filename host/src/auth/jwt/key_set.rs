//! A set of keys (JWKS, RFC 7517): read, and asked for the one that has signed a token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::bounds::{ID_BYTES_MAX, KEY_SET_BYTES_MAX, KEYS_MAX, RSA_BITS};
use super::config::{JwtAlgorithm, KeyKind};
use super::error::{JwtError, TokenError};

/// The keys that vouch for tokens.
#[derive(Debug)]
pub(super) struct KeySet(Vec<VerifyingKey>);

/// One key, as it is known here.
#[derive(Debug)]
pub(super) struct VerifyingKey {
    kid: Option<String>,
    kind: KeyKind,
    /// The one algorithm that it is for, where it says so.
    algorithm: Option<JwtAlgorithm>,
    material: DecodingKey,
    print: KeyPrint,
}

/// The hash of a key and of what it is for: tells whether a key is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyPrint([u8; 32]);

#[cfg(test)]
impl KeyPrint {
    pub(super) const fn for_testing() -> Self {
        Self([0; 32])
    }
}

impl KeySet {
    /// Reads a set. Keys that are not for signatures, or of kinds that are not known here, are
    /// left out, as RFC 7517 (section 5) wants it; those that must not be used are, too, and
    /// told of.
    pub(super) fn read(json: &[u8], place: &str) -> Result<Self, JwtError> {
        let not_keys = |reason: String| JwtError::NotKeys {
            place: place.to_owned(),
            reason,
        };
        if json.len() > KEY_SET_BYTES_MAX {
            return Err(JwtError::TooLarge {
                place: place.to_owned(),
                bytes_max: KEY_SET_BYTES_MAX,
            });
        }
        let document: Document =
            serde_json::from_slice(json).map_err(|error| not_keys(error.to_string()))?;
        let mut keys = Vec::new();
        let mut unusable = None;
        for (index, key) in document.keys.into_iter().take(KEYS_MAX).enumerate() {
            match Jwk::deserialize(key).map_err(|_| "a member is not of its type") {
                Ok(key) if key.is_for_others() => {}
                Ok(key) => match key.usable() {
                    Ok(key) => keys.push(key),
                    Err(reason) => drop(unusable.get_or_insert((index, reason))),
                },
                Err(reason) => drop(unusable.get_or_insert((index, reason))),
            }
        }
        let reason = unusable.map(|(index, reason)| format!("key {}: {reason}", index + 1));
        if keys.is_empty() {
            return Err(JwtError::NoKeys {
                place: place.to_owned(),
                reason: reason.unwrap_or_else(|| "there is none for signatures".to_owned()),
            });
        }
        if let Some(reason) = reason {
            tracing::warn!("a key of {place} is not used: {reason}");
        }
        Ok(Self(keys))
    }

    /// The key for a token that names `kid`, or no key.
    pub(super) fn find(
        &self,
        kid: Option<&str>,
        algorithm: JwtAlgorithm,
    ) -> Result<&VerifyingKey, TokenError> {
        let Some(kid) = kid else {
            return match self.0.as_slice() {
                [only] if only.is_for(algorithm) => Ok(only),
                [_] => Err(TokenError::Algorithm),
                _ => Err(TokenError::NoKeyId),
            };
        };
        let mut named = self.0.iter().filter(|key| key.kid.as_deref() == Some(kid));
        let mut is_known = false;
        let found = named.find(|key| {
            is_known = true;
            key.is_for(algorithm)
        });
        found.ok_or(if is_known {
            TokenError::Algorithm
        } else {
            TokenError::UnknownKey
        })
    }

    /// Whether a key is in it.
    pub(super) fn has(&self, print: &KeyPrint) -> bool {
        self.0.iter().any(|key| key.print == *print)
    }

    /// The number of its keys.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl VerifyingKey {
    /// Whether signatures of that algorithm may be checked with it: by its own kind, and by what
    /// it says that it is for. Never by what a token says.
    pub(super) fn is_for(&self, algorithm: JwtAlgorithm) -> bool {
        self.kind == algorithm.key && self.algorithm.is_none_or(|own| own == algorithm)
    }

    pub(super) fn material(&self) -> &DecodingKey {
        &self.material
    }

    pub(super) fn print(&self) -> KeyPrint {
        self.print
    }
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

/// What is read of a key (RFC 7517, 7518, 8037).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    used_for: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<serde::de::IgnoredAny>,
}

impl Jwk {
    /// Whether it is there for something else than signatures of tokens.
    fn is_for_others(&self) -> bool {
        let encrypts = self.used_for.as_deref().is_some_and(|used| used != "sig");
        let operations = self.key_ops.as_ref();
        let cannot = operations.is_some_and(|all| !all.iter().any(|one| one == "verify"));
        let is_unknown = !matches!(self.kty.as_str(), "RSA" | "EC" | "OKP" | "oct");
        encrypts || cannot || is_unknown
    }

    fn usable(self) -> Result<VerifyingKey, &'static str> {
        if self.d.is_some() {
            return Err(
                "it has its private part in it: publish the public one alone, and make another",
            );
        }
        if self
            .kid
            .as_ref()
            .is_some_and(|kid| kid.len() > ID_BYTES_MAX)
        {
            return Err("its `kid` is too long");
        }
        let algorithm = match self.alg.as_deref().map(str::parse::<JwtAlgorithm>) {
            None => None,
            Some(Ok(algorithm)) => Some(algorithm),
            Some(Err(_)) => return Err("its `alg` is none that is taken here"),
        };
        let (kind, bytes, material) = self.material()?;
        if algorithm.is_some_and(|algorithm| algorithm.key != kind) {
            return Err("its `alg` is that of another kind of key");
        }
        let mut hash = Sha256::new();
        for part in [self.kid.as_deref(), algorithm.map(|known| known.name)] {
            hash.update(part.unwrap_or_default().as_bytes());
            hash.update(b"\0");
        }
        hash.update(bytes);
        Ok(VerifyingKey {
            kid: self.kid,
            kind,
            algorithm,
            material,
            print: KeyPrint(hash.finalize().into()),
        })
    }

    /// The key itself. What the library would only find out when it checks a signature, or would
    /// panic over, is looked at here.
    fn material(&self) -> Result<(KeyKind, Vec<u8>, DecodingKey), &'static str> {
        let part = |part: &Option<String>| -> Result<Vec<u8>, &'static str> {
            let text = part.as_deref().ok_or("a part of it is missing")?;
            URL_SAFE_NO_PAD
                .decode(text)
                .map_err(|_| "a part of it is not base64 for URLs")
        };
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (part(&self.n)?, part(&self.e)?);
                if !RSA_BITS.contains(&bits(&n)) {
                    return Err("RSA keys have 2048 to 8192 bits");
                }
                let exponent = e.iter().try_fold(0_u64, |sum, &byte| {
                    sum.checked_mul(256)?.checked_add(u64::from(byte))
                });
                if !exponent.is_some_and(|e| e >= 3 && e % 2 == 1 && e < 1 << 33) {
                    return Err("its exponent is none that RSA keys have");
                }
                let key = DecodingKey::from_rsa_raw_components(&n, &e);
                Ok((KeyKind::Rsa, [n, e].concat(), key))
            }
            ("EC", Some(curve)) => {
                let (kind, length, algorithm) = match curve {
                    "P-256" => (KeyKind::P256, 32, jsonwebtoken::Algorithm::ES256),
                    "P-384" => (KeyKind::P384, 48, jsonwebtoken::Algorithm::ES384),
                    _ => return Err("its curve is none that is taken here (P-256, P-384)"),
                };
                let (x, y) = (part(&self.x)?, part(&self.y)?);
                if x.len() != length || y.len() != length {
                    return Err("its coordinates are not as long as its curve's");
                }
                // The form of an uncompressed point (SEC 1, section 2.3.3).
                let point = [&[4], x.as_slice(), &y].concat();
                let key = DecodingKey::from_ec_der(&point);
                if (DEFAULT_PROVIDER.verifier_factory)(&algorithm, &key).is_err() {
                    return Err("its point is not on its curve");
                }
                Ok((kind, point, key))
            }
            ("OKP", Some("Ed25519")) => {
                let x = part(&self.x)?;
                if x.len() != 32 {
                    return Err("Ed25519 keys have 32 bytes");
                }
                let key = DecodingKey::from_ed_der(&x);
                let algorithm = jsonwebtoken::Algorithm::EdDSA;
                if (DEFAULT_PROVIDER.verifier_factory)(&algorithm, &key).is_err() {
                    return Err("its point is not on its curve");
                }
                Ok((KeyKind::Ed25519, x, key))
            }
            ("oct", _) => Err("it is a secret that would be shared with this server"),
            _ => Err("its curve is none that is taken here"),
        }
    }
}

/// The bits of a number in big-endian bytes.
fn bits(number: &[u8]) -> usize {
    let mut digits = number.iter().skip_while(|&&byte| byte == 0);
    digits.next().map_or(0, |first| {
        let first = 8 - usize::try_from(first.leading_zeros()).unwrap_or(0);
        digits.count() * 8 + first
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    const ED_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn ed(kid: Option<&str>) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "x": ED_X, "kid": kid})
    }

    fn rsa(bytes: usize) -> Value {
        let mut n = vec![0xff_u8; bytes];
        n[0] = 0x80;
        json!({"kty": "RSA", "kid": "rsa", "n": URL_SAFE_NO_PAD.encode(n), "e": "AQAB"})
    }

    fn read(keys: &[Value]) -> Result<KeySet, JwtError> {
        KeySet::read(json!({"keys": keys}).to_string().as_bytes(), "here")
    }

    #[track_caller]
    fn refused(key: &Value) -> String {
        read(std::slice::from_ref(key)).unwrap_err().to_string()
    }

    fn algorithm(name: &str) -> JwtAlgorithm {
        name.parse().unwrap()
    }

    #[test]
    fn keys_that_must_not_be_used_are_named() {
        let mut other = ed(None);
        for (member, value, why) in [
            ("x", json!("AAAA"), "32 bytes"),
            ("x", json!("=="), "base64"),
            ("x", json!(5), "type"),
            ("x", Value::Null, "missing"),
            ("crv", json!("Ed448"), "curve"),
            ("alg", json!("RS256"), "another kind"),
            ("alg", json!("HS256"), "none that is taken"),
            ("d", json!("AAAA"), "private"),
            ("kid", json!("a".repeat(257)), "too long"),
        ] {
            let good = other[member].clone();
            other[member] = value;
            assert!(refused(&other).contains(why), "{}", refused(&other));
            other[member] = good;
        }
        assert!(refused(&rsa(255)).contains("2048"));
        assert!(refused(&rsa(1025)).contains("8192"));
        assert!(read(&[rsa(256)]).is_ok());
        let mut even = rsa(256);
        even["e"] = json!("AQAA");
        assert!(refused(&even).contains("exponent"));
        let point = URL_SAFE_NO_PAD.encode([1_u8; 32]);
        let off_curve = json!({"kty": "EC", "crv": "P-256", "x": point, "y": point});
        assert!(refused(&off_curve).contains("not on its curve"));
        let short = json!({"kty": "EC", "crv": "P-384", "x": point, "y": point});
        assert!(refused(&short).contains("as long as"));
        assert!(refused(&json!({"kty": "oct", "k": "c2VjcmV0"})).contains("secret"));
    }

    #[test]
    fn keys_for_others_are_left_out() {
        let mut encrypts = ed(Some("b"));
        encrypts["use"] = json!("enc");
        let mut wraps = ed(Some("c"));
        wraps["key_ops"] = json!(["wrapKey"]);
        let odd = json!({"kty": "QUANTUM"});
        let set = read(&[encrypts.clone(), wraps, odd, ed(Some("a")), rsa(128)]).unwrap();
        assert_eq!(set.len(), 1);
        assert!(set.find(Some("a"), algorithm("EdDSA")).is_ok());
        assert!(refused(&encrypts).contains("none for signatures"));
        for bad in ["", "[]", "{}", r#"{"keys":5}"#] {
            let error = KeySet::read(bad.as_bytes(), "here").unwrap_err();
            assert!(matches!(error, JwtError::NotKeys { .. }), "{error}");
        }
    }

    #[test]
    fn a_key_is_found_by_its_id_and_for_its_kind() {
        let two = read(&[ed(Some("a")), rsa(256)]).unwrap();
        for (kid, name, expect) in [
            (Some("a"), "EdDSA", None),
            (Some("rsa"), "RS256", None),
            (Some("rsa"), "PS512", None),
            (Some("a"), "RS256", Some(TokenError::Algorithm)),
            (Some("rsa"), "EdDSA", Some(TokenError::Algorithm)),
            (Some("b"), "EdDSA", Some(TokenError::UnknownKey)),
            (None, "EdDSA", Some(TokenError::NoKeyId)),
        ] {
            assert_eq!(
                two.find(kid, algorithm(name)).err(),
                expect,
                "{kid:?} {name}"
            );
        }
        let one = read(&[ed(None)]).unwrap();
        assert!(one.find(None, algorithm("EdDSA")).is_ok());
        assert_eq!(
            one.find(None, algorithm("ES256")).err(),
            Some(TokenError::Algorithm)
        );
        assert_eq!(
            one.find(Some("a"), algorithm("EdDSA")).err(),
            Some(TokenError::UnknownKey)
        );
        let mut only_rs256 = rsa(256);
        only_rs256["alg"] = json!("RS256");
        let set = read(&[only_rs256]).unwrap();
        assert_eq!(
            set.find(Some("rsa"), algorithm("PS256")).err(),
            Some(TokenError::Algorithm)
        );
    }

    #[test]
    fn a_key_that_changes_under_its_id_is_another() {
        let print = |set: &KeySet| set.0[0].print();
        let (set, same) = (read(&[rsa(256)]).unwrap(), read(&[rsa(256)]).unwrap());
        assert!(same.has(&print(&set)));
        assert!(!read(&[rsa(257)]).unwrap().has(&print(&set)));
    }
}
