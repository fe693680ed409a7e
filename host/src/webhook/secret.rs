//! What messages are signed with, in the form of Standard Webhooks: `whsec_` and 24 to 64 bytes in
//! Base64. <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::WebhookError;

/// The beginning of a secret, by which scanners find leaked ones.
const PREFIX: &str = "whsec_";
/// Bytes of a secret.
const BYTES_MIN: usize = 24;
const BYTES_MAX: usize = 64;
/// Bytes of the file that is read.
const FILE_BYTES_MAX: u64 = 4_096;
/// Secrets at once: the old and the new one while they are exchanged.
pub(crate) const SECRETS_MAX: usize = 4;

/// A secret that signs messages. Wiped when it is dropped, and never printed.
#[derive(Clone)]
pub struct WebhookSecret(SecretSlice<u8>);

/// The text is no secret. It is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// It has another form.
    #[error(
        "a secret is `whsec_` and {BYTES_MIN} to {BYTES_MAX} bytes in Base64, such as \
         `openssl rand -base64 32` makes them"
    )]
    Form,
    /// There are none, or too many.
    #[error("expected 1 to {SECRETS_MAX} secrets, a line each")]
    Number,
}

impl WebhookSecret {
    /// The signature of a message that is sent at a time, in seconds since the Unix epoch.
    pub(super) fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        // HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()) else {
            return String::new();
        };
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl FromStr for WebhookSecret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text
            .trim()
            .strip_prefix(PREFIX)
            .ok_or(InvalidSecret::Form)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| InvalidSecret::Form)?;
        let bytes = SecretSlice::from(bytes);
        let length = bytes.expose_secret().len();
        (BYTES_MIN..=BYTES_MAX)
            .contains(&length)
            .then_some(Self(bytes))
            .ok_or(InvalidSecret::Form)
    }
}

impl PartialEq for WebhookSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret().ct_eq(other.0.expose_secret()).into()
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}****")
    }
}

/// Reads the secrets of a file.
pub(super) fn read(path: &Path) -> Result<Vec<WebhookSecret>, WebhookError> {
    let failed = |source| WebhookError::SecretFile {
        path: path.to_owned(),
        source,
    };
    let mut text = Zeroizing::new(String::new());
    let file = File::open(path).map_err(failed)?;
    file.take(FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(failed)?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let secrets: Result<Vec<_>, _> = lines.map(str::parse).collect();
    let secrets = secrets.and_then(|secrets: Vec<_>| match secrets.len() {
        1..=SECRETS_MAX => Ok(secrets),
        _ => Err(InvalidSecret::Number),
    });
    secrets.map_err(|source| WebhookError::Secret {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    /// The example of the specification's reference libraries.
    #[test]
    fn a_signature_is_that_of_standard_webhooks() {
        let secret: WebhookSecret = SECRET.parse().unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let other = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265331", body);
        assert_ne!(signature, other);
    }

    #[test]
    fn a_secret_is_neither_printed_nor_too_short() {
        let secret: WebhookSecret = SECRET.parse().unwrap();
        assert_eq!(format!("{secret:?}"), "whsec_****");
        for text in [
            "",
            "whsec_",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2La",
            "whsec_!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!",
        ] {
            let refused = text.parse::<WebhookSecret>().unwrap_err();
            assert_eq!(refused, InvalidSecret::Form, "{text}");
        }
    }

    #[test]
    fn a_file_has_a_secret_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, format!("{SECRET}\n\n{SECRET}\n")).unwrap();
        assert_eq!(read(&path).unwrap().len(), 2);
        for content in ["", "\n", "nothing\n", &format!("{SECRET}\n").repeat(5)] {
            std::fs::write(&path, content).unwrap();
            let refused = read(&path).unwrap_err().to_string();
            assert!(!refused.contains("MfKQ"), "{refused}");
        }
        assert!(read(&folder.path().join("none")).is_err());
    }
}
