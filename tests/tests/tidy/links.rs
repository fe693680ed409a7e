//! Files, types and functions that a document names are there.

use std::collections::BTreeSet;
use std::path::Path;

use crate::markdown::documents;
use crate::tree::{expect_none, files, root};

/// Folders at the root with which the name of a file in a document begins.
const FOLDERS: [&str; 6] = [
    "docs/",
    "examples/",
    "guest-models/",
    "host/",
    "tests/",
    "wit/",
];

/// What stands between backticks and begins with a folder of ours, up to a test's name. In the map
/// a file of the server may be named from `host/src` on: `http/serve.rs`.
#[test]
fn every_file_that_a_document_names_exists() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for document in documents() {
        for span in document.spans() {
            let path = span.text.split([' ', ':']).next().unwrap_or_default();
            let is_short =
                path.contains('/') && path.ends_with(".rs") && document.name == "ARCHITECTURE.md";
            if !is_short && !FOLDERS.iter().any(|folder| path.starts_with(folder)) {
                continue;
            }
            checked += 1;
            if !exists(&root(), path) && !exists(&root().join("host/src"), path) {
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

/// Types and functions that the map and the guide name, such as `RoutePolicy` or
/// `Checks::enter`: each part of the name is somewhere in the sources.
#[test]
fn every_type_that_the_map_names_exists() {
    let mut known = BTreeSet::new();
    for folder in ["host", "guest-models", "tests"] {
        for file in files(folder, &[".rs"]) {
            let names = file
                .text
                .split(|c: char| !(c.is_alphanumeric() || c == '_'))
                .map(str::to_owned);
            known.extend(names);
        }
    }
    let mut wrong = Vec::new();
    let mut checked = 0;
    for document in documents() {
        if !["ARCHITECTURE.md", "CONTRIBUTING.md"].contains(&document.name.as_str()) {
            continue;
        }
        for span in document.spans() {
            let parts: Vec<&str> = span.text.split("::").collect();
            let begins = |c: char| span.text.starts_with(c);
            let is_type = parts.len() > 1 || ('A'..='Z').any(begins);
            let is_name = |part: &&str| part.chars().all(|c| c.is_alphanumeric() || c == '_');
            let screams = !span.text.contains(|c: char| c.is_ascii_lowercase());
            if !is_type || screams || !parts.iter().all(is_name) {
                continue;
            }
            checked += 1;
            if !parts
                .iter()
                .all(|part| part.is_empty() || known.contains(*part))
            {
                wrong.push(format!("{}: `{}`", span.place, span.text));
            }
        }
    }
    expect_none(
        &wrong,
        "The map names what is not in the sources; say what it is called now:",
    );
    assert!(checked > 10, "only {checked} names were found");
}
