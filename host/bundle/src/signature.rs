//! Signatures: ed25519 over a manifest's signable text. [`SignaturePolicy`] says what a server
//! demands; the manifest's digests make a signature cover every file.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _};
use ed25519_dalek::{Signer as _, VerifyingKey};

use crate::error::BundleError;
use crate::manifest::Manifest;

/// Precedes what is signed, so that a signature made for something else under the same key is
/// never one of a bundle, and the reverse.
const DOMAIN: &[u8] = b"belljar bundle manifest, schema 1\n";

/// What a server demands of signatures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignaturePolicy {
    /// Whether a bundle without a signature of a trusted key is refused. A signature that does
    /// not fit its manifest is refused in any case.
    pub required: bool,
    /// Whose signatures count.
    pub trusted: Vec<TrustedKey>,
}

/// A public key with the name that the operator gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    /// For logs and listings.
    pub name: String,
    /// The key.
    pub key: PublicKey,
}

/// An ed25519 public key, written `ed25519:` and 32 bytes in base64.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads the PEM form, as written by `openssl pkey -pubout`.
    ///
    /// # Errors
    /// [`BundleError::KeyInvalid`].
    pub fn from_pem(pem: &str) -> Result<Self, BundleError> {
        let key = VerifyingKey::from_public_key_pem(pem.trim()).map_err(|error| {
            BundleError::KeyInvalid {
                reason: error.to_string(),
            }
        })?;
        Self::strong(key)
    }

    /// Refuses keys for which one signature fits many messages.
    fn strong(key: VerifyingKey) -> Result<Self, BundleError> {
        if key.is_weak() {
            let reason = "the key is weak: it would accept forged signatures".to_owned();
            return Err(BundleError::KeyInvalid { reason });
        }
        Ok(Self(key))
    }
}

impl FromStr for PublicKey {
    type Err = BundleError;

    fn from_str(text: &str) -> Result<Self, BundleError> {
        let bytes = prefixed(text, "a public key")?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|error| BundleError::KeyInvalid {
            reason: error.to_string(),
        })?;
        Self::strong(key)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ed25519:{}", STANDARD.encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

crate::text::serde_as_text!(PublicKey);

/// An ed25519 private key. It prints as stars.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// Reads the PEM form, as written by `openssl genpkey -algorithm ed25519`.
    ///
    /// # Errors
    /// [`BundleError::KeyInvalid`], which never quotes the key.
    pub fn from_pem(pem: &str) -> Result<Self, BundleError> {
        ed25519_dalek::SigningKey::from_pkcs8_pem(pem.trim())
            .map(Self)
            .map_err(|error| BundleError::KeyInvalid {
                reason: error.to_string(),
            })
    }

    /// A key from its 32 secret bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The key that checks what this one signs.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs a manifest, replacing any signature that it has.
    pub(crate) fn sign(&self, manifest: Manifest) -> Manifest {
        let value = self.0.sign(&message(&manifest));
        let signature = Signature {
            key: self.public(),
            value: SignatureValue(value.to_bytes()),
        };
        manifest.with_signature(Some(signature))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(****)")
    }
}

/// The `[signature]` table of a manifest: who signed, and what came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The key that the signer claims to have used.
    pub key: PublicKey,
    /// The signature itself.
    pub value: SignatureValue,
}

/// The 64 bytes of an ed25519 signature, written in base64.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SignatureValue([u8; 64]);

impl FromStr for SignatureValue {
    type Err = BundleError;

    fn from_str(text: &str) -> Result<Self, BundleError> {
        exact(text, "a signature").map(Self)
    }
}

impl fmt::Display for SignatureValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for SignatureValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl SignaturePolicy {
    /// Checks a manifest's signature, and returns the name of the trusted key that made it.
    /// `None` where there is no signature or an untrusted one, and policy does not mind.
    ///
    /// # Errors
    /// [`BundleError::SignatureWrong`], [`BundleError::SignatureMissing`] or
    /// [`BundleError::SignatureUntrusted`].
    pub fn check(&self, manifest: &Manifest) -> Result<Option<&str>, BundleError> {
        let Some(signature) = manifest.signature() else {
            return if self.required {
                Err(BundleError::SignatureMissing)
            } else {
                Ok(None)
            };
        };
        // Strict: one signature has one form, so that the bundle's identity has one too.
        let value = ed25519_dalek::Signature::from_bytes(&signature.value.0);
        signature
            .key
            .0
            .verify_strict(&message(manifest), &value)
            .map_err(|_| BundleError::SignatureWrong)?;
        match self
            .trusted
            .iter()
            .find(|trusted| trusted.key == signature.key)
        {
            Some(trusted) => Ok(Some(&trusted.name)),
            None if self.required => Err(BundleError::SignatureUntrusted {
                key: signature.key.to_string(),
            }),
            None => Ok(None),
        }
    }
}

fn message(manifest: &Manifest) -> Vec<u8> {
    [DOMAIN, manifest.to_signable().as_bytes()].concat()
}

fn prefixed<const N: usize>(text: &str, what: &'static str) -> Result<[u8; N], BundleError> {
    let digits = text
        .strip_prefix("ed25519:")
        .ok_or_else(|| BundleError::KeyInvalid {
            reason: format!("{what} begins with \"ed25519:\""),
        })?;
    exact(digits, what)
}

/// Base64 of exactly `N` bytes. The engine refuses forms that are not canonical.
fn exact<const N: usize>(text: &str, what: &'static str) -> Result<[u8; N], BundleError> {
    let invalid = || BundleError::KeyInvalid {
        reason: format!("{what} is {N} bytes in base64"),
    };
    let bytes = STANDARD.decode(text).map_err(|_| invalid())?;
    bytes.try_into().map_err(|_| invalid())
}
