//! The key that a server signs receipts with, and the public half of such keys.

use super::RECEIPT_KEY_FILE;
use crate::auth::write_private_file;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Bytes of the secret.
const SECRET_BYTES: usize = 32;
/// The algorithm, as the list of public keys names it.
const ALGORITHM: &str = "ed25519";

/// The key that receipts are signed with. It prints as stars.
pub struct ReceiptKey {
    key: SigningKey,
    id: String,
}

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
#[error("the key of receipts {path} cannot be used: {source}")]
pub struct ReceiptKeyError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub source: io::Error,
}

impl fmt::Debug for ReceiptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReceiptKey({}, ****)", self.id)
    }
}

impl ReceiptKey {
    /// The key of a data directory; made, readable by its owner alone and on disk when this
    /// returns, where there is none.
    ///
    /// # Errors
    ///
    /// When the file can be neither read nor made, or holds something else.
    pub fn open(data_dir: &Path) -> Result<Self, ReceiptKeyError> {
        let path = data_dir.join(RECEIPT_KEY_FILE);
        Self::read_or_make(&path).map_err(|source| ReceiptKeyError { path, source })
    }

    fn read_or_make(path: &Path) -> io::Result<Self> {
        let bytes = match fs::read(path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let secret = Zeroizing::new(rand::random::<[u8; SECRET_BYTES]>());
                write_private_file(path, secret.as_ref())?;
                Zeroizing::new(secret.to_vec())
            }
            Err(error) => return Err(error),
        };
        let secret = <&[u8; SECRET_BYTES]>::try_from(bytes.as_slice()).map_err(|_| {
            let told = format!("it has {} bytes, not {SECRET_BYTES}", bytes.len());
            io::Error::new(io::ErrorKind::InvalidData, told)
        })?;
        Ok(Self::of_secret(secret))
    }

    fn of_secret(secret: &[u8; SECRET_BYTES]) -> Self {
        let key = SigningKey::from_bytes(secret);
        let id = key_id(&key.verifying_key());
        Self { key, id }
    }

    /// The id of the key: the SHA-256 of its public half, in hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public half, as a list.
    #[must_use]
    pub fn public(&self) -> PublicKeys {
        PublicKeys {
            receipt_keys: vec![PublicKeyRow {
                keyid: self.id.clone(),
                algorithm: ALGORITHM.to_owned(),
                public_key: BASE64_STANDARD.encode(self.key.verifying_key().as_bytes()),
            }],
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    /// A salt that follows from the key and from what it is for, so that two receipts of one run
    /// are alike and nobody else can find it.
    pub(super) fn salt(&self, run: &str, of: &str) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("belljar 2026-11 salt of receipts");
        hasher.update(self.key.as_bytes());
        hasher.update(of.as_bytes());
        hasher.update(&[0]);
        hasher.update(run.as_bytes());
        *hasher.finalize().as_bytes()
    }
}

fn key_id(key: &VerifyingKey) -> String {
    hex::encode(Sha256::digest(key.as_bytes()))
}

/// Public keys that receipts are believed of, as a server lists them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PublicKeys {
    /// The keys.
    receipt_keys: Vec<PublicKeyRow>,
}

/// A public key.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct PublicKeyRow {
    /// The SHA-256 of the key, in hexadecimal digits.
    keyid: String,
    /// `ed25519`.
    algorithm: String,
    /// The 32 bytes of the key, in base64.
    public_key: String,
}

impl PublicKeys {
    /// Whether one of the keys has signed a message, by its id. None where no key has that id.
    pub(super) fn has_signed(&self, id: &str, message: &[u8], signature: &[u8]) -> Option<bool> {
        let rows = self.receipt_keys.iter();
        let key = rows
            .filter(|row| row.algorithm == ALGORITHM)
            .find_map(|row| {
                let bytes = BASE64_STANDARD.decode(&row.public_key).ok()?;
                let key = VerifyingKey::from_bytes(&bytes.try_into().ok()?).ok()?;
                // The id is what the key is, whatever its row says.
                (key_id(&key) == id && !key.is_weak()).then_some(key)
            })?;
        let signature = Signature::from_slice(signature).ok();
        // Strict: one signature has one form.
        Some(signature.is_some_and(|it| key.verify_strict(message, &it).is_ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_is_made_once_kept_private_and_never_printed() {
        let folder = tempfile::tempdir().unwrap();
        let made = ReceiptKey::open(folder.path()).unwrap();
        let again = ReceiptKey::open(folder.path()).unwrap();
        assert_eq!(made.id(), again.id());
        let path = folder.path().join(RECEIPT_KEY_FILE);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let secret = hex::encode(fs::read(&path).unwrap());
        assert!(!format!("{made:?}").contains(&secret[..8]));
        assert_ne!(made.salt("a", "input"), made.salt("a", "output"));
        assert_ne!(made.salt("a", "input"), made.salt("b", "input"));
        fs::write(&path, b"short").unwrap();
        let error = ReceiptKey::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("it has 5 bytes, not 32"), "{error}");
    }
}
