//! What the documents say is there, is there.

use std::path::{Path, PathBuf};

use belljar::config::SETTINGS;

use crate::command_lines;
use crate::markdown::{Document, Row, documents, spans};
use crate::tree::expect_none;

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

/// Each box before production has settings that exist, a command that is one, and a test that is
/// there.
#[test]
fn every_box_of_the_production_list_has_settings_a_command_and_a_test() {
    let rows: Vec<Row> = documents()
        .iter()
        .filter(|document| document.name == "SECURITY.md")
        .flat_map(Document::rows)
        .filter(|row| row.head.first().is_some_and(|head| head == "box"))
        .collect();
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|row| {
            let missing = check(&row.cells).err()?;
            Some(format!("{}: {missing}", row.place))
        })
        .collect();
    expect_none(
        &wrong,
        "A box of SECURITY.md lacks what shows it (box, settings, command, tests):",
    );
    assert!(rows.len() > 25, "only {} boxes", rows.len());
}

fn check(cells: &[String]) -> Result<(), String> {
    let [_, settings, command, tests] = cells else {
        return Err("it does not have its four columns".to_owned());
    };
    for key in named(settings, "setting")? {
        let key = key.split([' ', '=']).next().unwrap_or_default();
        if !SETTINGS.iter().any(|setting| setting.key == key) {
            return Err(format!("there is no setting {key}"));
        }
    }
    for line in named(command, "command")? {
        match line.strip_prefix("belljar ") {
            Some(arguments) => command_lines::check_line(arguments)?,
            None if is_program(&line) => {}
            None => return Err(format!("`{line}` is no command of this repository")),
        }
    }
    for test in named(tests, "test")? {
        let is_there = match test.split_once("::") {
            Some((file, function)) => {
                let source = std::fs::read_to_string(root().join(file)).unwrap_or_default();
                source.contains(&format!("fn {function}("))
            }
            None => test.starts_with("tests/") && root().join(&test).is_file(),
        };
        if !is_there {
            return Err(format!("there is no test {test}"));
        }
    }
    Ok(())
}

/// What stands between backticks in a cell: at least one thing.
fn named(cell: &str, what: &str) -> Result<Vec<String>, String> {
    let named = spans(cell);
    if named.is_empty() {
        return Err(format!("it names no {what}"));
    }
    Ok(named)
}

/// Whether it is a program of this repository that can be started.
fn is_program(line: &str) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    let facts = std::fs::metadata(root().join(line));
    facts.is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
}

#[test]
fn a_box_without_one_of_its_parts_is_found() {
    let row = |cells: [&str; 4]| check(&cells.map(str::to_owned));
    let (setting, command) = ("`data_dir`", "`belljar keys list` (tiers)");
    let test = "`tests/tests/tidy/promises.rs::a_box_without_one_of_its_parts_is_found`";
    assert_eq!(row(["x", setting, command, test]), Ok(()));
    assert_eq!(row(["x", setting, "`tests/supply/run`", test]), Ok(()));
    for (cells, why) in [
        (["x", "–", command, test], "no setting"),
        (["x", "`data_directory`", command, test], "no setting data"),
        (["x", setting, "look at it", test], "no command"),
        (["x", setting, "`belljar keys make`", test], "make"),
        (["x", setting, "`tests/supply/walk`", test], "no command of"),
        (["x", setting, command, "all of them"], "no test"),
        (
            ["x", setting, command, "`tests/tests/tidy/promises.rs::x`"],
            "no test",
        ),
        (["x", setting, command, "`tests/none`"], "no test"),
    ] {
        let missing = row(cells).unwrap_err();
        assert!(missing.contains(why), "{cells:?}: {missing}");
    }
    assert!(check(&[]).is_err());
}
