//! What macOS puts beside files by itself: their attributes as AppleDouble files, and what Finder
//! keeps about a folder. Nobody means to send it.

/// Whether the path is such a companion of other files.
pub(crate) fn is_companion(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.starts_with("._") || file == ".DS_Store" || path.split('/').any(|part| part == "__MACOSX")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn companions() {
        for path in [
            "._a",
            "d/._a",
            "._.",
            "__MACOSX/a",
            "d/__MACOSX/b/._c",
            ".DS_Store",
        ] {
            assert!(is_companion(path), "{path}");
        }
        for path in ["a", "a._", ".a", "_", "._d/a", "MACOSX/a", "DS_Store"] {
            assert!(!is_companion(path), "{path}");
        }
    }
}
