//! Files that are made for a compiling process to write.

use std::{
    fs, io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// A file that is deleted unless it was renamed away.
pub(crate) struct Staged(PathBuf);

impl Staged {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes it, empty: the compiling process may write it and make no other.
    pub(crate) fn new(path: PathBuf) -> io::Result<Self> {
        let mut options = fs::File::options();
        let options = options.write(true).create_new(true).mode(0o600);
        options.open(&path).map(|_| Self(path))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
