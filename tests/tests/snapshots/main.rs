//! What callers see, word for word, beside the files that it was before: a change of what is
//! public is a change of a file under `tests/snapshots`. CONTRIBUTING.md says how to renew them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod description;
mod help;
mod refusals;

use std::collections::BTreeSet;
use std::path::Path;

/// Compares a text with the file of that name.
#[track_caller]
fn expect(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// Names of the files that begin with a word, to find those that nothing writes any more.
fn names(beginning: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots");
    let Ok(entries) = std::fs::read_dir(folder) else {
        return BTreeSet::new();
    };
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".snap").map(str::to_owned))
        .filter(|name| name.starts_with(beginning))
        .collect()
}
