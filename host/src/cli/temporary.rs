//! Folders and files of a command's own, which go when the command ends.

use std::fs::File;

use anyhow::{Context as _, Result};
use tempfile::{TempDir, env};

/// A fresh folder, which goes when the value does.
pub(super) fn folder() -> Result<TempDir> {
    let made = tempfile::Builder::new().prefix("belljar-").tempdir();
    made.with_context(unusable)
}

/// A file without a name.
pub(super) fn file() -> Result<File> {
    tempfile::tempfile().with_context(unusable)
}

fn unusable() -> String {
    format!(
        "temporary files cannot be made in {}: set TMPDIR to a folder that can be written",
        env::temp_dir().display()
    )
}
