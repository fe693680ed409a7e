//! The hostile guests as components, one per misbehaviour, and the runtimes of real models, for the
//! tests of all packages.
//!
//! `guest-models/hostile/README.md` says what each one does.

use std::path::{Path, PathBuf};

include!(concat!(env!("OUT_DIR"), "/names.rs"));

/// The folder with all of them, as `<name>.wasm`.
pub fn folder() -> &'static Path {
    Path::new(env!("BELLJAR_GUESTS_DIR"))
}

/// Where a guest's component is.
///
/// # Panics
///
/// When there is no guest of that name: the test is wrong.
pub fn path(name: &str) -> PathBuf {
    assert!(
        NAMES.contains(&name),
        "there is no guest `{name}`; there are {NAMES:?}"
    );
    folder().join(format!("{name}.wasm"))
}

/// A guest's component.
///
/// # Panics
///
/// When there is no guest of that name, or its file is gone.
pub fn bytes(name: &str) -> Vec<u8> {
    let path = path(name);
    std::fs::read(&path).unwrap_or_else(|e| panic_missing(&path, &e))
}

/// The component of a runtime of real models.
///
/// # Panics
///
/// When there is none of that name.
pub fn runtime(name: &str) -> Vec<u8> {
    let path = folder().join("runtimes").join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|e| panic_missing(&path, &e))
}

#[expect(clippy::panic, reason = "for tests, which end this way")]
fn panic_missing(path: &Path, error: &std::io::Error) -> ! {
    panic!("cannot read {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_a_component() {
        for name in NAMES {
            let bytes = bytes(name);
            assert_eq!(bytes.get(..8), Some(&b"\0asm\x0d\0\x01\0"[..]), "{name}");
        }
    }

    #[test]
    fn each_is_in_the_readme() {
        let readme = include_str!("../../../guest-models/hostile/README.md");
        for name in NAMES {
            assert!(
                readme.contains(&format!("| `{name}` |")),
                "{name} is not in the table"
            );
        }
    }
}
