//! The file of the admin key.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use secrecy::zeroize::Zeroizing;

use crate::auth::key::SecretKey;
use crate::auth::private_file;

/// The secret in a file that only its owner can read; none if there is no such thing.
pub(super) fn read_private(path: &Path) -> Option<SecretKey> {
    let metadata = fs::symlink_metadata(path).ok()?;
    let private = metadata.is_file() && metadata.permissions().mode() & 0o077 == 0;
    private.then(|| read_secret(path)).flatten()
}

/// The secret in a file, whoever can read it.
pub(super) fn read_secret(path: &Path) -> Option<SecretKey> {
    let text = Zeroizing::new(fs::read_to_string(path).ok()?);
    text.trim().parse().ok()
}

/// Writes a secret to a file that only its owner can read.
pub(super) fn write_private(path: &Path, secret: &SecretKey) -> io::Result<()> {
    let line = Zeroizing::new(format!("{}\n", secret.expose()));
    private_file::write(path, line.as_bytes())
}
