//! Secrets that sign. None is stored: each follows from the root of the data directory, the id of
//! its key and a number, so that a copy of the database alone signs nothing.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::str::FromStr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use crate::auth::key::{KeyDigest, MalformedKey};
use crate::ids::KeyId;

/// The beginning of secrets that sign, by which scanners find leaked ones.
pub const SIGNING_SECRET_PREFIX: &str = "ss-belljar-";
/// Hex digits after it: 256 bits.
const SECRET_DIGITS: usize = 64;
/// Bytes of the root.
const ROOT_BYTES: usize = 32;
/// Sets these secrets apart from all else that could ever follow from the root.
const LABEL: &[u8] = b"belljar signing secret 1\0";

/// The root of all secrets that sign. Never leaves the process, but for its file.
pub(in crate::auth) struct SigningRoot(Zeroizing<[u8; ROOT_BYTES]>);

impl SigningRoot {
    /// The file in the data directory that holds it.
    pub(in crate::auth) const FILE: &str = "signing.key";

    /// Reads the root.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is not there, or holds something else.
    pub(in crate::auth) fn read(path: &Path) -> io::Result<Self> {
        let bytes = Zeroizing::new(fs::read(path)?);
        let root = <[u8; ROOT_BYTES]>::try_from(bytes.as_slice()).map_err(|_| {
            let told = format!("it has {} bytes, not {ROOT_BYTES}", bytes.len());
            io::Error::new(io::ErrorKind::InvalidData, told)
        })?;
        Ok(Self(Zeroizing::new(root)))
    }

    /// Makes a root, readable by its owner alone and on disk when this returns, unless there is
    /// one. A file that is empty is taken for none.
    ///
    /// # Errors
    ///
    /// When the system gives no random bytes, or the file cannot be written.
    pub(in crate::auth) fn make(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(facts) if facts.len() > 0 => return Self::read(path),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        use rand::TryRng as _;
        let mut root = Zeroizing::new([0_u8; ROOT_BYTES]);
        rand::rngs::SysRng
            .try_fill_bytes(root.as_mut())
            .map_err(io::Error::other)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o600))
            .tempfile_in(folder)?;
        file.write_all(root.as_ref())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        File::open(folder)?.sync_all()?;
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

    #[test]
    fn a_secret_follows_from_the_root_the_key_and_the_generation_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SigningRoot::FILE);
        let (root, again) = (
            SigningRoot::make(&path).unwrap(),
            SigningRoot::read(&path).unwrap(),
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
        assert!(SigningRoot::read(&path).is_err() && SigningRoot::make(&path).is_err());
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
