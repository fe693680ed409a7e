//! Secrets that sign. None is stored: each follows from a root, the id of its key and a number, so
//! that a copy of the database alone signs nothing. The root is in a file of the data directory, or
//! follows from a setting, and the file has a mark of it then.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::str::FromStr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use crate::auth::key::{KeyDigest, MalformedKey};
use crate::auth::private_file;
use crate::ids::KeyId;

/// The beginning of secrets that sign, by which scanners find leaked ones.
pub const SIGNING_SECRET_PREFIX: &str = "ss-belljar-";
/// Hex digits after it: 256 bits.
const SECRET_DIGITS: usize = 64;
/// Bytes of the root.
const ROOT_BYTES: usize = 32;
/// Sets these secrets apart from all else that could ever follow from the root.
const LABEL: &[u8] = b"belljar signing secret 1\0";

/// Bytes of a text that a root follows from.
const ROOT_TEXT_BYTES_MIN: usize = 32;
/// Sets the root apart from all else that could ever follow from that text.
const ROOT_LABEL: &[u8] = b"belljar signing root 1\0";
/// Sets the mark apart from the secrets.
const MARK_LABEL: &[u8] = b"belljar signing root mark 1\0";
/// The beginning of a mark.
const MARK_PREFIX: &str = "setting:";
/// Bytes of a mark: the prefix, a hash in hex digits, and the end of the line.
const MARK_BYTES: usize = MARK_PREFIX.len() + 2 * ROOT_BYTES + 1;

/// The sizes of a file that has a root or a mark, in bytes.
pub const SIGNING_ROOT_SIZES: [u64; 2] = [ROOT_BYTES as u64, MARK_BYTES as u64];

/// The root of all secrets that sign. Never leaves the process, but for its file.
pub(in crate::auth) struct SigningRoot(Zeroizing<[u8; ROOT_BYTES]>);

/// A text of the settings that a root follows from. Cannot be printed.
#[derive(Clone)]
pub struct SigningRootText(SecretString);

/// The text is too short for a root to follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a secret that nobody guesses has {ROOT_TEXT_BYTES_MIN} bytes at least")]
pub struct ShortSigningRoot;

impl FromStr for SigningRootText {
    type Err = ShortSigningRoot;

    fn from_str(text: &str) -> Result<Self, ShortSigningRoot> {
        (text.len() >= ROOT_TEXT_BYTES_MIN)
            .then(|| Self(text.into()))
            .ok_or(ShortSigningRoot)
    }
}

impl PartialEq for SigningRootText {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

impl fmt::Debug for SigningRootText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningRootText(****)")
    }
}

/// What the file of the root has.
pub(in crate::auth) enum RootFile {
    /// There is none.
    Missing,
    /// Nothing: somebody wants a new root.
    Empty,
    /// The root.
    Root(SigningRoot),
    /// The mark of a root that follows from a setting.
    Mark(String),
}

impl RootFile {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or holds something else.
    pub(in crate::auth) fn read(path: &Path) -> io::Result<Self> {
        let bytes = match fs::read(path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Missing),
            Err(error) => return Err(error),
        };
        if bytes.is_empty() {
            return Ok(Self::Empty);
        }
        if let Ok(root) = <[u8; ROOT_BYTES]>::try_from(bytes.as_slice()) {
            return Ok(Self::Root(SigningRoot(Zeroizing::new(root))));
        }
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        if bytes.len() == MARK_BYTES && text.starts_with(MARK_PREFIX) {
            return Ok(Self::Mark(text.to_owned()));
        }
        let told = format!("it has {} bytes, not {ROOT_BYTES}", bytes.len());
        Err(io::Error::new(io::ErrorKind::InvalidData, told))
    }
}

impl SigningRoot {
    /// The file in the data directory that holds it.
    pub(in crate::auth) const FILE: &str = "signing.key";

    /// The root that follows from a text.
    pub(in crate::auth) fn derived(text: &SigningRootText) -> Self {
        let mut mac = mac(text.0.expose_secret().as_bytes());
        mac.update(ROOT_LABEL);
        Self(Zeroizing::new(mac.finalize().into_bytes().into()))
    }

    /// The mark of this root: another root has another, and nothing follows from it.
    pub(in crate::auth) fn mark(&self) -> String {
        let mut mac = mac(self.0.as_ref());
        mac.update(MARK_LABEL);
        let hash = hex::encode(mac.finalize().into_bytes());
        format!("{MARK_PREFIX}{hash}\n")
    }

    /// Writes the mark of this root where the file does not have it.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or written.
    pub(in crate::auth) fn leave_mark(&self, path: &Path) -> io::Result<()> {
        let mark = self.mark();
        match RootFile::read(path)? {
            RootFile::Mark(found) if found == mark => Ok(()),
            _ => private_file::write(path, mark.as_bytes()),
        }
    }

    /// Makes a root, readable by its owner alone and on disk when this returns, unless there is
    /// one. A file that is empty is taken for none, and so is the mark of a setting that is gone.
    ///
    /// # Errors
    ///
    /// When the system gives no random bytes, or the file cannot be read or written.
    pub(in crate::auth) fn make(path: &Path) -> io::Result<Self> {
        if let RootFile::Root(root) = RootFile::read(path)? {
            return Ok(root);
        }
        use rand::TryRng as _;
        let mut root = Zeroizing::new([0_u8; ROOT_BYTES]);
        rand::rngs::SysRng
            .try_fill_bytes(root.as_mut())
            .map_err(io::Error::other)?;
        private_file::write(path, root.as_ref())?;
        Ok(Self(root))
    }

    /// The secret of a key, in its so-manieth generation.
    pub(in crate::auth) fn secret(&self, id: &KeyId, generation: u32) -> SigningSecret {
        let mut mac = mac(self.0.as_ref());
        mac.update(LABEL);
        mac.update(id.as_str().as_bytes());
        mac.update(&generation.to_be_bytes());
        let bytes = Zeroizing::new(<[u8; SECRET_DIGITS / 2]>::from(mac.finalize().into_bytes()));
        let mut digits = Zeroizing::new([0_u8; SECRET_DIGITS]);
        // Fails only where the lengths differ, and they are one constant.
        let _ = hex::encode_to_slice(bytes.as_ref(), digits.as_mut());
        let mut text = String::with_capacity(SIGNING_SECRET_PREFIX.len() + SECRET_DIGITS);
        text.push_str(SIGNING_SECRET_PREFIX);
        text.extend(digits.iter().copied().map(char::from));
        SigningSecret(text.into())
    }
}

impl fmt::Debug for SigningRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningRoot(****)")
    }
}

/// A secret that signs, as shown once to whoever made it. The key of the HMAC is its text, prefix
/// and all. Wiped when it is dropped.
#[derive(Clone)]
pub struct SigningSecret(SecretString);

impl SigningSecret {
    /// The secret as text: for the one answer that shows it, and for whoever signs.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The signature of a message (HMAC-SHA256).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 32] {
        let mut mac = mac(self.expose().as_bytes());
        mac.update(message);
        mac.finalize().into_bytes().into()
    }

    pub(in crate::auth) fn mac(&self) -> SecretMac {
        SecretMac(mac(self.expose().as_bytes()))
    }

    pub(in crate::auth) fn digest(&self) -> KeyDigest {
        KeyDigest::of(self.expose().as_bytes())
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SIGNING_SECRET_PREFIX}****")
    }
}

impl FromStr for SigningSecret {
    type Err = MalformedKey;

    /// Takes exactly the form that this server makes.
    fn from_str(text: &str) -> Result<Self, MalformedKey> {
        let digits = text
            .strip_prefix(SIGNING_SECRET_PREFIX)
            .ok_or(MalformedKey)?;
        if digits.len() == SECRET_DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(Self(text.to_owned().into()))
        } else {
            Err(MalformedKey)
        }
    }
}

/// What signatures of one secret are checked with: the state of the HMAC behind its key, which is
/// most of the work for a short message.
#[derive(Clone)]
pub(in crate::auth) struct SecretMac(Hmac<Sha256>);

impl SecretMac {
    /// Whether a signature is that of a message, in constant time.
    pub(in crate::auth) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let mut mac = self.0.clone();
        mac.update(message);
        mac.verify_slice(signature).is_ok()
    }
}

impl fmt::Debug for SecretMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

fn mac(key: &[u8]) -> Hmac<Sha256> {
    // Takes keys of any length.
    Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_secret_follows_from_the_root_the_key_and_the_generation_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SigningRoot::FILE);
        let (root, again) = (
            SigningRoot::make(&path).unwrap(),
            SigningRoot::make(&path).unwrap(),
        );
        let (one, other) = (KeyId::random(), KeyId::random());
        let secret = root.secret(&one, 1);
        assert_eq!(secret.expose(), again.secret(&one, 1).expose());
        assert_ne!(secret.expose(), root.secret(&one, 2).expose());
        assert_ne!(secret.expose(), root.secret(&other, 1).expose());
        let elsewhere = SigningRoot::make(&dir.path().join("other")).unwrap();
        assert_ne!(secret.expose(), elsewhere.secret(&one, 1).expose());
        assert!(secret.expose().parse::<SigningSecret>().is_ok());
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(&path, b"short").unwrap();
        assert!(RootFile::read(&path).is_err() && SigningRoot::make(&path).is_err());
    }

    #[test]
    fn a_root_of_a_setting_leaves_a_mark_from_which_nothing_follows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SigningRoot::FILE);
        let text = |text: &str| text.parse::<SigningRootText>();
        assert_eq!(text("too short"), Err(ShortSigningRoot));
        let one = text("a text of the settings of 32 bytes").unwrap();
        let other = text("another text of the settings, as long").unwrap();
        let (root, again) = (SigningRoot::derived(&one), SigningRoot::derived(&one));
        let id = KeyId::random();
        assert_eq!(root.secret(&id, 1).expose(), again.secret(&id, 1).expose());
        assert_ne!(root.mark(), SigningRoot::derived(&other).mark());
        root.leave_mark(&path).unwrap();
        let mark = fs::read_to_string(&path).unwrap();
        assert!(matches!(RootFile::read(&path), Ok(RootFile::Mark(found)) if found == mark));
        assert!(SIGNING_ROOT_SIZES.contains(&(mark.len() as u64)));
        let digits = root.secret(&id, 1);
        let digits = digits.expose().strip_prefix(SIGNING_SECRET_PREFIX).unwrap();
        assert!(!mark.contains(digits));
        // Where the setting is gone, a new root takes its place.
        let made = SigningRoot::make(&path).unwrap();
        assert_ne!(made.secret(&id, 1).expose(), root.secret(&id, 1).expose());
        assert!(!format!("{one:?}").contains("settings"));
    }

    #[test]
    fn nothing_prints_a_secret() {
        let dir = tempfile::tempdir().unwrap();
        let root = SigningRoot::make(&dir.path().join("root")).unwrap();
        let secret = root.secret(&KeyId::random(), 1);
        let digits = secret.expose().strip_prefix(SIGNING_SECRET_PREFIX).unwrap();
        let printed = format!("{root:?}{secret:?}{:?}", secret.mac());
        assert!(!printed.contains(digits), "{printed}");
    }

    #[test]
    fn a_signature_is_of_one_message_and_one_secret() {
        let dir = tempfile::tempdir().unwrap();
        let root = SigningRoot::make(&dir.path().join("root")).unwrap();
        let id = KeyId::random();
        let (secret, next) = (root.secret(&id, 1), root.secret(&id, 2));
        let signature = secret.sign(b"message");
        assert!(secret.mac().verifies(b"message", &signature));
        assert!(!secret.mac().verifies(b"massage", &signature));
        assert!(!next.mac().verifies(b"message", &signature));
        assert!(!secret.mac().verifies(b"message", &signature[..31]));
        assert!(!secret.mac().verifies(b"message", b""));
    }

    /// RFC 9421, appendix B.2.5: the secret of appendix B.1.5 signs the base that stands there.
    #[test]
    fn the_vector_of_the_standard_is_reproduced() {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        let key = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
        let base = "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\
                    \"@authority\": example.com\n\
                    \"content-type\": application/json\n\
                    \"@signature-params\": (\"date\" \"@authority\" \"content-type\")\
                    ;created=1618884473;keyid=\"test-shared-secret\"";
        let mut mac = mac(&STANDARD.decode(key).unwrap());
        mac.update(base.as_bytes());
        assert_eq!(
            STANDARD.encode(mac.finalize().into_bytes()),
            "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8="
        );
    }
}
