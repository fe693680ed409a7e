//! What the documents say is there, is there.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A promise without its test is a promise that nobody keeps: each `file.rs::function` that
/// SECURITY.md names is a test.
#[test]
fn every_test_that_security_names_exists() {
    let text = std::fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let mut folder = root();
    let mut named = 0;
    for line in text.lines() {
        if line.starts_with("##") {
            let inside = line.split('`').nth(1).unwrap_or("");
            folder = root().join(inside);
        }
        for (file, function) in line.split('`').filter_map(|code| code.split_once(".rs::")) {
            let file = format!("{file}.rs");
            let path = [folder.join(&file), root().join(&file)]
                .into_iter()
                .find(|path| path.is_file())
                .unwrap_or_else(|| panic!("there is no {file}"));
            let source = std::fs::read_to_string(path).unwrap();
            let found = source.contains(&format!("fn {function}("));
            assert!(found, "{file} has no test {function}");
            named += 1;
        }
    }
    assert!(named > 90, "{named}");
}

/// Each setting that SECURITY.md's list of boxes names can be set.
#[test]
fn every_setting_of_the_production_list_exists() {
    let text = std::fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let boxes: Vec<&str> = text.lines().filter(|l| l.starts_with("- [ ]")).collect();
    assert!(boxes.len() > 10);
    for line in boxes {
        let named = line.split('`').skip(1).step_by(2).filter(|code| {
            let key = code.split(' ').next().unwrap_or("");
            belljar::config::SETTINGS
                .iter()
                .any(|setting| setting.key == key)
        });
        assert!(named.count() > 0, "no setting in: {line}");
    }
}
