//! What the documents say is there, is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use belljar::config::SETTINGS;

use crate::acts::Source;
use crate::command_lines;
use crate::markdown::{Document, Row, documents, spans};
use crate::tree::{File, expect_none};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What the last column of a table is called that says what shows each row.
const SHOWN_BY: [&str; 2] = ["shown by", "tests"];

/// A promise without its test is a promise that nobody keeps: each row of SECURITY.md that promises
/// something names nothing but what shows it, and all of that is there.
#[test]
fn every_promise_of_security_names_tests_that_exist() {
    let text = std::fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let mut folder = root();
    let (mut promises, mut is_shown) = (0, false);
    let mut wrong = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.starts_with("##") {
            let inside = line.split('`').nth(1).unwrap_or("");
            folder = root().join(inside);
        }
        let Some(cells) = line
            .strip_prefix("| ")
            .and_then(|row| row.strip_suffix(" |"))
        else {
            is_shown = false;
            continue;
        };
        let cells: Vec<&str> = cells.split(" | ").collect();
        let last = cells.last().copied().unwrap_or_default();
        if SHOWN_BY.contains(&last) {
            is_shown = true;
        } else if is_shown && !last.starts_with("---") {
            promises += 1;
            let is_none = last == "–" && line.contains("does not apply");
            if let Some(fault) = unshown(last, &folder).filter(|_| !is_none) {
                wrong.push(format!("SECURITY.md:{}: {fault}", at + 1));
            }
        }
    }
    expect_none(
        &wrong,
        "A promise of SECURITY.md lacks what shows it (`FILE.rs::TEST`, a program in tests/, or a \
         target of a fuzzer, with commas between them):",
    );
    assert!(promises > 120, "only {promises} promises");
}

/// What is wrong with a cell that names what shows a promise.
fn unshown(cell: &str, folder: &Path) -> Option<String> {
    let named = spans(cell);
    let alone: Vec<String> = named.iter().map(|name| format!("`{name}`")).collect();
    if named.is_empty() || alone.join(", ") != cell {
        return Some(format!("{cell:?} is no list of tests"));
    }
    let is_there = |name: &&String| {
        [folder.to_owned(), root()]
            .iter()
            .any(|folder| shows(folder, name))
    };
    let missing = named.iter().find(|name| !is_there(name))?;
    Some(format!("there is no test {missing}"))
}

/// Whether a name, from a folder on, is that of something that shows a promise.
fn shows(folder: &Path, name: &str) -> bool {
    match name.split_once("::") {
        Some((file, function)) => is_test(&folder.join(file), function),
        None if name.contains("/fuzz_targets/") => folder.join(name).is_file(),
        None => name.starts_with("tests/") && is_executable(&folder.join(name)),
    }
}

/// Whether a file has a test of that name. Each file is read once.
fn is_test(path: &Path, function: &str) -> bool {
    static READ: Mutex<BTreeMap<PathBuf, BTreeSet<String>>> = Mutex::new(BTreeMap::new());
    let mut read = READ.lock().unwrap();
    let tests = read.entry(path.to_owned()).or_insert_with(|| {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path);
        text.map_or_else(
            |_| BTreeSet::new(),
            |text| Source::of(&File { name, text }).tests,
        )
    });
    tests.contains(function)
}

#[test]
fn a_promise_without_a_test_is_found() {
    let here = "`tests/tests/tidy/promises.rs::a_promise_without_a_test_is_found`";
    for good in [
        here.to_owned(),
        format!("{here}, `tests/supply/run`"),
        "`host/fuzz/fuzz_targets/origin.rs`".to_owned(),
    ] {
        assert_eq!(unshown(&good, &root()), None, "{good}");
    }
    let there = root().join("tests/tests/tidy");
    assert_eq!(
        unshown("`promises.rs::a_promise_without_a_test_is_found`", &there),
        None
    );
    for bad in [
        "–",
        "all of them",
        "unit tests of `host/src/auth/signing`",
        "`host/src/auth/signing.rs`",
        // A function that is no test.
        "`tests/tests/tidy/promises.rs::unshown`",
        "`tests/tests/tidy/promises.rs::nothing`",
        "`tests/supply/walk`",
        "`tests/Cargo.toml`",
        "`host/fuzz/fuzz_targets/none.rs`",
    ] {
        assert!(unshown(bad, &root()).is_some(), "{bad}");
    }
}

/// Each box before production has settings that exist, or says that it is done before there is a
/// server; a command that is one; and a test that is there.
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
    let commands = named(command, "command")?;
    // What is done before there is a server is no setting of it.
    let is_before = settings == "–" && commands.iter().all(|line| is_program(line));
    let settings = match is_before {
        true => Vec::new(),
        false => named(settings, "setting")?,
    };
    for key in settings {
        let key = key.split([' ', '=']).next().unwrap_or_default();
        if !SETTINGS.iter().any(|setting| setting.key == key) {
            return Err(format!("there is no setting {key}"));
        }
    }
    for line in commands {
        match line.strip_prefix("belljar ") {
            Some(arguments) => command_lines::check_line(arguments)?,
            None if is_program(&line) => {}
            None => return Err(format!("`{line}` is no command of this repository")),
        }
    }
    named(tests, "test")?;
    unshown(tests, &root()).map_or(Ok(()), Err)
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
    is_executable(&root().join(line))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    let facts = std::fs::metadata(path);
    facts.is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
}

#[test]
fn a_box_without_one_of_its_parts_is_found() {
    let row = |cells: [&str; 4]| check(&cells.map(str::to_owned));
    let (setting, command) = ("`data_dir`", "`belljar keys list` (tiers)");
    let test = "`tests/tests/tidy/promises.rs::a_box_without_one_of_its_parts_is_found`";
    assert_eq!(row(["x", setting, command, test]), Ok(()));
    assert_eq!(row(["x", setting, "`tests/supply/run`", test]), Ok(()));
    assert_eq!(row(["x", "–", "`tests/supply/run`", test]), Ok(()));
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
