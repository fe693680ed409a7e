//! Files with secrets, which nobody but their owner can read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Writes a file under a name of its own, syncs it, and moves it into place; it is on disk when this
/// returns.
///
/// # Errors
///
/// When the file cannot be written. What was there before is there still.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let staging = path.with_added_extension("new");
    match fs::remove_file(&staging) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&staging)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&staging, path)?;
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
