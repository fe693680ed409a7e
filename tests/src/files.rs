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

/// Bytes that follow from a seed, do not compress, and have no page that is another's.
#[must_use]
pub fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    // Marsaglia, "Xorshift RNGs", with its shifts of 13, 7 and 17.
    let mut state = seed | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next)
        .take(bytes / 8)
        .flatten()
        .collect()
}
