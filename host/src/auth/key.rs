//! Secrets of API keys: made, read from a request or the configuration, and reduced to their
//! SHA-256 as early as possible.

use std::fmt;
use std::str::FromStr;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

/// The beginning of the secrets of stored keys, by which scanners find leaked ones.
pub const KEY_PREFIX: &str = "sk-belljar-";
/// Hex digits after the prefix: 256 bits.
const SECRET_DIGITS: usize = 64;
/// Characters that a plain key of the configuration must at least have.
const CONFIGURED_CHARACTERS_MIN: usize = 16;
/// Bytes of a presented key; longer ones are refused before they are hashed.
const PRESENTED_BYTES_MAX: usize = 512;
/// Bytes of a token; longer ones are refused before they are hashed. Tokens of directories that
/// list many groups have 8 KiB.
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// The SHA-256 of a secret. Not secret for keys of ours (256 random bits), yet never printed:
/// a key of the configuration can be weak enough to be guessed from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct KeyDigest(pub(super) [u8; 32]);

impl KeyDigest {
    pub(super) fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// Compares in constant time.
    pub(super) fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

/// The secret of a stored key, as shown once to whoever created it. Wiped when it is dropped.
#[derive(Clone)]
pub struct SecretKey(SecretString);

impl SecretKey {
    /// A fresh secret from the system's random source.
    pub(super) fn random() -> Result<Self, rand::rngs::SysError> {
        use rand::TryRng;
        let mut bytes = Zeroizing::new([0_u8; SECRET_DIGITS / 2]);
        rand::rngs::SysRng.try_fill_bytes(bytes.as_mut())?;
        let mut digits = Zeroizing::new([0_u8; SECRET_DIGITS]);
        // Fails only where the lengths differ, and they are one constant.
        let _ = hex::encode_to_slice(bytes.as_ref(), digits.as_mut());
        // Of the right size from the start: a string that grows leaves copies behind.
        let mut text = String::with_capacity(KEY_PREFIX.len() + SECRET_DIGITS);
        text.push_str(KEY_PREFIX);
        text.extend(digits.iter().copied().map(char::from));
        Ok(Self(text.into()))
    }

    /// The secret as text: for the one answer that shows it, and for the file of the admin key.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    pub(super) fn digest(&self) -> KeyDigest {
        KeyDigest::of(self.expose().as_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{KEY_PREFIX}****")
    }
}

impl FromStr for SecretKey {
    type Err = MalformedKey;

    /// Takes exactly the form that this server makes.
    fn from_str(text: &str) -> Result<Self, MalformedKey> {
        let digits = text.strip_prefix(KEY_PREFIX).ok_or(MalformedKey)?;
        if digits.len() == SECRET_DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(Self(text.to_owned().into()))
        } else {
            Err(MalformedKey)
        }
    }
}

/// A key or a token as it came with a request. What is kept of a key is its hash, so that nothing
/// later can print it; the text of a token is only borrowed, for whoever has to look into it.
#[derive(Clone, Copy)]
pub struct PresentedKey<'a> {
    pub(super) digest: KeyDigest,
    /// Whether it looks like a key that this server made.
    pub(super) ours: bool,
    /// The text, if it is in the form of a token.
    pub(super) token: Option<&'a str>,
}

impl fmt::Debug for PresentedKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresentedKey")
            .field("ours", &self.ours)
            .field("token", &self.token.map(|_| "****"))
            .finish_non_exhaustive()
    }
}

impl<'a> PresentedKey<'a> {
    /// Reads the key from the value of a header (without the word `Bearer`).
    ///
    /// # Errors
    ///
    /// When it is empty, longer than 512 bytes, or not visible ASCII.
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedKey> {
        let plausible = (1..=PRESENTED_BYTES_MAX).contains(&bytes.len())
            && bytes.iter().all(u8::is_ascii_graphic);
        if !plausible {
            return Err(MalformedKey);
        }
        Ok(Self {
            digest: KeyDigest::of(bytes),
            ours: bytes.starts_with(KEY_PREFIX.as_bytes()),
            token: None,
        })
    }

    /// Reads the key or the token from the value of `Authorization`.
    ///
    /// # Errors
    ///
    /// When it is not of the form `Bearer KEY`, and neither a [well-formed](Self::parse) key nor a
    /// token of at most 16 KiB.
    pub fn from_authorization(value: &'a [u8]) -> Result<Self, MalformedAuthorization> {
        const SCHEME: &[u8] = b"bearer ";
        // RFC 9110 takes the scheme in any case.
        match value.split_at_checked(SCHEME.len()) {
            Some((scheme, key)) if scheme.eq_ignore_ascii_case(SCHEME) => {
                let key = key.trim_ascii();
                match token(key) {
                    Some(token) => Ok(Self {
                        digest: KeyDigest::of(key),
                        ours: false,
                        token: Some(token),
                    }),
                    None => Ok(Self::parse(key)?),
                }
            }
            _ => Err(MalformedAuthorization::NotBearer),
        }
    }

    /// Whether it is in the form of a token.
    #[must_use]
    pub fn is_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether it looks like a key that this server made.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.ours
    }

    /// Whether two presented keys are the same, in constant time.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.digest.matches(&other.digest)
    }
}

/// The text, if it is in the form of a token (RFC 7515, section 3.1): three parts of base64 for
/// URLs. A key of ours has no dots.
fn token(bytes: &[u8]) -> Option<&str> {
    if bytes.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let mut parts = 0;
    let are_parts = bytes.split(|&byte| byte == b'.').all(|part| {
        parts += 1;
        let is_digit = |&byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        // Without a signature it is a token of `none`, to be refused as such.
        (!part.is_empty() || parts == 3) && part.iter().all(is_digit)
    });
    let is_token = are_parts && parts == 3;
    is_token.then(|| std::str::from_utf8(bytes).ok()).flatten()
}

/// The presented text cannot be a key. Nothing of it is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the API key is malformed")]
pub struct MalformedKey;

/// The value of `Authorization` holds no key. Nothing of it is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedAuthorization {
    /// Another scheme, or none.
    #[error("the header is not of the form `Bearer KEY`")]
    NotBearer,
    /// The text behind the scheme cannot be a key.
    #[error(transparent)]
    Key(#[from] MalformedKey),
}

/// A key given by configuration: plain text of at least 16 characters, or `sha256:` and the
/// hash of it as 64 hex digits. Only the hash is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredKey {
    pub(super) digest: KeyDigest,
}

impl FromStr for ConfiguredKey {
    type Err = InvalidConfiguredKey;

    fn from_str(text: &str) -> Result<Self, InvalidConfiguredKey> {
        if let Some(digits) = text.strip_prefix("sha256:") {
            let mut digest = [0_u8; 32];
            hex::decode_to_slice(digits, &mut digest).map_err(|_| InvalidConfiguredKey::Hash)?;
            return Ok(Self {
                digest: KeyDigest(digest),
            });
        }
        if text.chars().count() < CONFIGURED_CHARACTERS_MIN {
            return Err(InvalidConfiguredKey::TooShort {
                characters: text.chars().count(),
            });
        }
        let key =
            PresentedKey::parse(text.as_bytes()).map_err(|_| InvalidConfiguredKey::Characters)?;
        Ok(Self { digest: key.digest })
    }
}

/// Why a key of the configuration is refused. Nothing of it is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConfiguredKey {
    /// The key could be guessed.
    #[error("a plain key needs at least 16 characters, this one has {characters}")]
    TooShort {
        /// The number of characters that it has.
        characters: usize,
    },
    /// No client could send it in a header.
    #[error("a plain key is at most 512 visible ASCII characters without spaces")]
    Characters,
    /// The text behind `sha256:` is no hash.
    #[error("`sha256:` must be followed by 64 hex digits")]
    Hash,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn no_type_prints_a_secret() {
        let secret = SecretKey::random().unwrap();
        let digits = secret.expose().strip_prefix(KEY_PREFIX).unwrap();
        let presented = PresentedKey::parse(secret.expose().as_bytes()).unwrap();
        let configured: ConfiguredKey = secret.expose().parse().unwrap();
        let hash = hex::encode(secret.digest().0);
        let raw = format!("{:?}", secret.digest().0);
        for text in [
            format!("{secret:?}"),
            format!("{secret:#?}"),
            format!("{presented:?}"),
            format!("{configured:?}"),
            format!(
                "{:?}",
                super::super::Config {
                    keys: vec![configured],
                    ..super::super::Config::default()
                }
            ),
        ] {
            assert!(
                !text.contains(digits) && !text.contains(&hash) && !text.contains(&raw),
                "{text}"
            );
        }
    }

    #[test]
    fn secrets_have_the_public_form_and_differ() {
        let (a, b) = (SecretKey::random().unwrap(), SecretKey::random().unwrap());
        assert_eq!(a.expose().len(), KEY_PREFIX.len() + 64);
        assert_ne!(a.expose(), b.expose());
        assert!(a.expose().parse::<SecretKey>().is_ok());
        for bad in [
            "",
            "sk-belljar-",
            "sk-belljar-zz",
            &a.expose()[1..],
            &format!("{}0", a.expose()),
        ] {
            assert!(bad.parse::<SecretKey>().is_err());
        }
    }

    #[test]
    fn presented_keys_are_bounded_and_visible_ascii() {
        assert!(PresentedKey::parse(&[b'a'; 512]).is_ok());
        for bad in [
            &b""[..],
            &[b'a'; 513],
            b"a b",
            b"a\n",
            "schlüssel".as_bytes(),
        ] {
            assert!(PresentedKey::parse(bad).is_err());
        }
    }

    #[test]
    fn the_form_is_three_parts_of_base64() {
        for good in ["a.b.c", "eyJ.e30.x-_9", "a.b."] {
            assert!(token(good.as_bytes()).is_some(), "{good}");
        }
        for bad in [
            "", "..", "a.b", "a..c", ".b.c", "a.b.c.d", "a.b.c=", "a b.c.d", "a.b.ü",
        ] {
            assert!(token(bad.as_bytes()).is_none(), "{bad}");
        }
        let long = format!("a.{}.c", "b".repeat(TOKEN_BYTES_MAX - 4));
        assert!(token(long.as_bytes()).is_some());
        assert!(token(format!("{long}c").as_bytes()).is_none());
        let bearer = format!("Bearer {long}");
        let presented = PresentedKey::from_authorization(bearer.as_bytes()).unwrap();
        assert!(presented.is_token() && !format!("{presented:?}").contains("bbb"));
    }

    #[test]
    fn configured_keys_are_plain_or_hashed() {
        let plain: ConfiguredKey = "0123456789abcdef".parse().unwrap();
        let hash = format!("sha256:{}", hex::encode(plain.digest.0));
        let hashed: ConfiguredKey = hash.parse().unwrap();
        assert!(plain.digest.matches(&hashed.digest));
        assert_eq!(
            "0123456789abcde".parse::<ConfiguredKey>().unwrap_err(),
            InvalidConfiguredKey::TooShort { characters: 15 }
        );
        assert_eq!(
            "sha256:00".parse::<ConfiguredKey>().unwrap_err(),
            InvalidConfiguredKey::Hash
        );
        assert_eq!(
            "0123456789 abcdef".parse::<ConfiguredKey>().unwrap_err(),
            InvalidConfiguredKey::Characters
        );
    }
}
