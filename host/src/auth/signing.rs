//! Keys whose requests are signed (RFC 9421, HMAC-SHA256): their secrets, the time in which a
//! signature holds, and which ones have been used. Knows no HTTP: what is signed comes as bytes.

mod horizon;
mod nonces;
mod secret;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

pub(super) use horizon::{Horizon, Mark, ahead};
pub(super) use nonces::{NonceBounds, Nonces, NoncesInAll, Unremembered};
pub(super) use secret::{RootFile, SecretMac, SigningRoot};
pub use secret::{
    SIGNING_ROOT_SIZES, SIGNING_SECRET_PREFIX, ShortSigningRoot, SigningRootText, SigningSecret,
};

/// Whether the requests of a key are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Signing {
    /// They are not, and a signature counts for nothing.
    #[default]
    None,
    /// They may be: a signature is as good as the key itself.
    Optional,
    /// They are: the key alone lets nobody in.
    Required,
}

/// The text says nothing of signing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected none, optional or required")]
pub struct InvalidSigning;

impl Signing {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Optional => "optional",
            Self::Required => "required",
        }
    }
}

impl fmt::Display for Signing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Signing {
    type Err = InvalidSigning;

    fn from_str(text: &str) -> Result<Self, InvalidSigning> {
        [Self::None, Self::Optional, Self::Required]
            .into_iter()
            .find(|signing| signing.name() == text)
            .ok_or(InvalidSigning)
    }
}

/// The settings of signed requests.
#[derive(Clone, Debug)]
pub struct SigningConfig {
    /// What the secrets that sign follow from; a file in the data directory where there is none.
    pub root: Option<SigningRootText>,
    /// How old a signature may be.
    pub age_max: Duration,
    /// How far ahead of the server's a signer's clock may be. After a stop that was none in order,
    /// nothing signed within this time after the start is accepted.
    pub skew_max: Duration,
    /// Nonces remembered at once, of all keys.
    pub nonces_max: usize,
    /// Nonces remembered at once, of one key.
    pub nonces_per_key_max: usize,
}

impl Default for SigningConfig {
    fn default() -> Self {
        Self {
            root: None,
            age_max: Duration::from_secs(60),
            skew_max: Duration::from_secs(5),
            nonces_max: 1_000_000,
            nonces_per_key_max: 250_000,
        }
    }
}

/// Bytes of a nonce: fewer are no nonce, more are somebody else's memory.
pub const NONCE_BYTES: std::ops::RangeInclusive<usize> = 8..=128;

/// A signature as it came with a request. Nothing of it is believed yet.
#[derive(Clone, Copy)]
pub struct PresentedSignature<'a> {
    /// The key that it is said to be of.
    pub key_id: &'a str,
    /// What was signed.
    pub base: &'a [u8],
    /// The signature itself.
    pub signature: &'a [u8],
    /// When it was made, in seconds since the Unix epoch.
    pub created: i64,
    /// Until when it holds, where its maker says so; seconds since the Unix epoch.
    pub expires: Option<i64>,
    /// What makes it unlike all others of its key.
    pub nonce: &'a str,
}

/// Why a signature lets nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No key of that id signs, or the signature is not that of its secret.
    #[error("the signature is not valid")]
    Invalid,
    /// The key was revoked.
    #[error("the API key has been revoked")]
    Revoked,
    /// The key's time is over.
    #[error("the API key has expired")]
    Expired,
    /// It was made too long ago.
    #[error("the signature is older than {age_max:?}")]
    TooOld {
        /// The setting.
        age_max: Duration,
    },
    /// It was made in the future.
    #[error("the signature was made more than {skew_max:?} in the future")]
    TooEarly {
        /// The setting.
        skew_max: Duration,
    },
    /// The time is over that its maker gave it.
    #[error("the time of the signature is over")]
    Over,
    /// It was used before, or another one with its nonce was.
    #[error("the nonce has been used")]
    Replayed,
    /// It may have been used before the server was started.
    #[error("the request may be one from before the start")]
    BeforeStart {
        /// When a fresh one will be accepted, at the latest, in seconds.
        retry_after_s: u64,
    },
    /// No more nonces can be remembered now.
    #[error("no more nonces can be remembered")]
    Full {
        /// The setting that bounds them.
        setting: &'static str,
        /// Its value.
        limit: usize,
    },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn signing_is_said_by_its_name() {
        for signing in [Signing::None, Signing::Optional, Signing::Required] {
            assert_eq!(signing.to_string().parse::<Signing>().unwrap(), signing);
        }
        assert_eq!("Required".parse::<Signing>(), Err(InvalidSigning));
    }
}
