//! The file of the admin key.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use secrecy::zeroize::Zeroizing;

use crate::auth::key::SecretKey;

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

/// Writes a secret under a name of its own, syncs it, and moves it into place.
pub(super) fn write_private(path: &Path, secret: &SecretKey) -> io::Result<()> {
    let staging = path.with_extension("key.new");
    match fs::remove_file(&staging) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&staging)?;
    file.write_all(secret.expose().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&staging, path)?;
    match path.parent() {
        Some(parent) => fs::File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
