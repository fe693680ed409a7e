//! Files that a document names are there.

use std::path::Path;

use crate::markdown::documents;
use crate::tree::{expect_none, root};

/// Folders at the root with which the name of a file in a document begins.
const FOLDERS: [&str; 6] = [
    "docs/",
    "examples/",
    "guest-models/",
    "host/",
    "tests/",
    "wit/",
];

/// What stands between backticks and begins with a folder of ours, up to a test's name.
#[test]
fn every_file_that_a_document_names_exists() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for document in documents() {
        for span in document.spans() {
            let path = span.text.split([' ', ':']).next().unwrap_or_default();
            if !FOLDERS.iter().any(|folder| path.starts_with(folder)) {
                continue;
            }
            checked += 1;
            if !exists(&root(), path) {
                wrong.push(format!("{}: `{path}`", span.place));
            }
        }
    }
    expect_none(&wrong, "A document names files that are not there:");
    assert!(checked > 30, "only {checked} names of files were found");
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for document in documents() {
        let name = root().join(&document.name);
        for link in document.links() {
            if link.text.contains("://") || link.text.starts_with('#') {
                continue;
            }
            checked += 1;
            let path = link.text.split('#').next().unwrap_or_default();
            if !exists(name.parent().unwrap(), path) {
                wrong.push(format!("{}: ({})", link.place, link.text));
            }
        }
    }
    expect_none(&wrong, "A link in a document leads nowhere:");
    assert!(checked > 5, "only {checked} links were found");
}

/// Whether a file is there; of a path with a `*`, the folder in front of it.
fn exists(folder: &Path, path: &str) -> bool {
    let fixed = path.split('*').next().unwrap_or_default();
    let fixed = if fixed.len() < path.len() {
        fixed.rsplit_once('/').map_or("", |(folder, _)| folder)
    } else {
        fixed
    };
    folder.join(fixed).exists()
}
