//! What is on disk.

use std::path::Path;

/// How many files there are in a folder and below it; none where there is no such folder.
///
/// # Panics
///
/// When an entry cannot be read.
#[must_use]
pub fn files_in(directory: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return 0;
    };
    entries
        .map(|entry| entry.expect("a folder of the test can be read").path())
        .map(|path| if path.is_dir() { files_in(&path) } else { 1 })
        .sum()
}
