//! The sources of a project that is built on a base.

use std::fs;
use std::path::Path;

use super::{Source, within};
use crate::error::BundleError;
use crate::path::AssetName;

/// The folder of a bundle in which its base finds the sources of the model.
const SOURCE_FOLDER: &str = "source";

/// The endings of files that bases run: Python, JavaScript and TypeScript.
pub const SOURCE_ENDINGS: [&str; 4] = [".py", ".js", ".mjs", ".ts"];

/// Folders of a project whose files are not the model's: those that are packed in another way, that
/// `belljar new` writes, and that packages for tests are installed into.
const OTHER_FOLDERS: [&str; 7] = [
    "assets",
    "tests",
    "sdk",
    "wit",
    "node_modules",
    "target",
    "__pycache__",
];

/// The files of tests, by how their names begin and end.
const TEST_BEGINNING: &str = "test_";
const TEST_ENDINGS: [&str; 4] = ["_test.py", ".test.js", ".test.mjs", ".test.ts"];

/// All sources of a folder, under the names that they have in the bundle.
pub(super) fn sources(folder: &Path) -> Result<Vec<(AssetName, Source)>, BundleError> {
    let mut found = Vec::new();
    let mut open = vec![String::new()];
    while let Some(inside) = open.pop() {
        let failed = |source| BundleError::ProjectFile {
            path: inside.clone(),
            source,
            hint: "",
        };
        for entry in fs::read_dir(folder.join(&inside)).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let file_name = entry.file_name();
            // What is no text is the name of no source.
            let Some(name) = file_name.to_str().filter(|name| !name.starts_with('.')) else {
                continue;
            };
            let path = format!("{inside}{name}");
            // A link that leads nowhere is nothing of the model's either.
            let Ok(facts) = fs::metadata(entry.path()) else {
                continue;
            };
            if facts.is_dir() {
                let is_other = OTHER_FOLDERS.contains(&name);
                if is_other || path.split('/').count() >= AssetName::DEPTH_MAX - 1 {
                    continue;
                }
                within::check(folder, &path).map_err(|source| BundleError::ProjectContent {
                    path: path.clone(),
                    reason: source.to_string(),
                })?;
                open.push(format!("{path}/"));
            } else if is_source(name) {
                let packed: AssetName = format!("{SOURCE_FOLDER}/{path}").parse()?;
                found.push((packed, Source::file(folder, &path)));
            }
        }
    }
    if found.is_empty() {
        return Err(BundleError::ProjectContent {
            path: folder.display().to_string(),
            reason: format!(
                "it is built on a base and has no source: a file that ends in {}",
                SOURCE_ENDINGS.join(", ")
            ),
        });
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

fn is_source(name: &str) -> bool {
    let is_test =
        name.starts_with(TEST_BEGINNING) || TEST_ENDINGS.iter().any(|end| name.ends_with(end));
    // Types alone, which nothing runs.
    let is_types = name.ends_with(".d.ts");
    !is_test && !is_types && SOURCE_ENDINGS.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of an import names the folders that are not packed.
    #[test]
    fn bases_know_the_folders_that_are_left_out() {
        for told in [
            include_str!("../../../../guest-models/sdk-js/base/missing.js"),
            include_str!("../../../../guest-models/sdk-python/belljar_guest/_source.py"),
        ] {
            // Nobody imports from that one.
            let folders = OTHER_FOLDERS.iter().filter(|name| **name != "__pycache__");
            for folder in folders {
                assert!(told.contains(&format!("\"{folder}\"")), "{folder}");
            }
        }
    }

    #[test]
    fn tests_and_types_are_no_sources() {
        for name in [
            "model.py",
            "model.js",
            "words.mjs",
            "model.ts",
            "contest.py",
        ] {
            assert!(is_source(name), "{name}");
        }
        for name in [
            "test_model.py",
            "model_test.py",
            "model.test.js",
            "index.d.ts",
            "model.toml",
            "py",
            "README.md",
        ] {
            assert!(!is_source(name), "{name}");
        }
    }
}
