//! The files of the repository, as this checkout has them.

use std::path::{Path, PathBuf};

/// Folders of what is built, fetched or found, and not written.
const NOT_OURS: [&str; 7] = [
    "target",
    ".git",
    "node_modules",
    ".venv",
    "seeds",
    "corpus",
    "artifacts",
];

/// The folder of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// One file of text.
pub(crate) struct File {
    /// Where it is, from the root: `host/src/app.rs`.
    pub(crate) name: String,
    pub(crate) text: String,
}

/// The files below a folder of the repository whose name has one of these ends, in order.
pub(crate) fn files(folder: &str, ends: &[&str]) -> Vec<File> {
    read(folder, |name| ends.iter().any(|end| name.ends_with(end)))
}

/// All files that are text, in order.
pub(crate) fn all_texts() -> Vec<File> {
    read("", |_| true)
}

fn read(folder: &str, wanted: impl Fn(&str) -> bool) -> Vec<File> {
    let root = root();
    let mut found = Vec::new();
    walk(&root.join(folder), &mut |path| {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
        // What is no text has nothing to say here: archives and the like.
        if wanted(name)
            && let Ok(text) = String::from_utf8(std::fs::read(path).unwrap())
        {
            found.push(File {
                name: name.to_owned(),
                text,
            });
        }
    });
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn walk(folder: &Path, seen: &mut impl FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_symlink() || NOT_OURS.contains(&&*name) {
            continue;
        }
        if path.is_dir() {
            walk(&path, seen);
        } else {
            seen(&path);
        }
    }
}

/// Fails with all that was found, and with what to do about it.
#[track_caller]
pub(crate) fn expect_none(found: &[String], advice: &str) {
    assert!(found.is_empty(), "{advice}\n\n  {}\n", found.join("\n  "));
}
