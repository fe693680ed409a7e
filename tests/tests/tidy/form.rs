//! The form of files: how each begins, how long it may be, and what none contains.

use std::path::PathBuf;

use crate::source::{Fact, facts_with_tests};
use crate::tree::{File, all_texts, expect_none, files};

/// A file of Rust is shorter than this.
const LINES_MAX: usize = 600;

fn rust() -> Vec<File> {
    files("", &[".rs"])
}

#[test]
fn every_module_says_what_it_is_for() {
    // Tests of a module stand under its own header; what is taken in as an expression has none.
    let silent = rust()
        .into_iter()
        .filter(|file| !file.name.ends_with("/tests.rs") && !file.text.starts_with("//!"));
    let silent: Vec<String> = silent.map(|file| file.name).collect();
    expect_none(
        &silent,
        "A module begins with `//!`: its job, its place in the path of a request, what it does \
         not do:",
    );
}

#[test]
fn files_are_short() {
    let mut long = Vec::new();
    for file in rust() {
        let lines = file.text.lines().count();
        if lines >= LINES_MAX {
            long.push(format!("{}: {lines} lines", file.name));
        }
    }
    expect_none(
        &long,
        "A file has fewer than 600 lines: take a part that has a name of its own into a file of \
         its own:",
    );
}

#[test]
fn nothing_is_left_for_later() {
    let mut found = Vec::new();
    for file in rust() {
        for fact in facts_with_tests(&file) {
            match fact {
                Fact::Attribute(name) if name == "ignore" => {
                    found.push(format!("{}: #[ignore]", file.name));
                }
                Fact::Macro(name) if ["todo", "unimplemented", "dbg"].contains(&name.as_str()) => {
                    found.push(format!("{}: {name}!", file.name));
                }
                _ => {}
            }
        }
        for mark in [
            concat!("TO", "DO"),
            concat!("FIX", "ME"),
            concat!("XX", "X:"),
        ] {
            if file.text.contains(mark) {
                found.push(format!("{}: {mark}", file.name));
            }
        }
    }
    expect_none(
        &found,
        "A test that is never run shows nothing, and a note in the code is read by nobody: do \
         it, or open an issue:",
    );
}

/// Texts that screening is trained and measured with name paths; they are nobody's.
fn is_sample(name: &str) -> bool {
    name.starts_with("tests/screening/support/")
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    let mut marks: Vec<String> = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/.ca"),
        concat!("/ro", "ot/.ru"),
        concat!("/Us", "ers/"),
        concat!("/ho", "me/"),
    ]
    .map(str::to_owned)
    .to_vec();
    let checkout = crate::tree::root();
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    for path in [Some(checkout), home].into_iter().flatten() {
        marks.push(path.to_str().unwrap().to_owned());
    }
    let mut found = Vec::new();
    for file in all_texts()
        .into_iter()
        .filter(|file| !is_sample(&file.name))
    {
        for mark in &marks {
            if let Some(line) = file
                .text
                .lines()
                .position(|line| line.contains(mark.as_str()))
            {
                found.push(format!("{}:{}: {mark}", file.name, line + 1));
            }
        }
    }
    expect_none(
        &found,
        "A checkout works anywhere; give paths from its root:",
    );
}

#[test]
fn dependencies_come_from_the_public_registry() {
    const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";
    let marks = [
        concat!("replace", "-with"),
        // Which index a machine has, as `belljar models pull` reads it, and not that it does.
        concat!("index", "-url="),
        concat!("index", "-url ="),
        concat!("PIP_", "INDEX_URL="),
        concat!("GO", "PROXY"),
        concat!("npm_config_", "registry"),
    ];
    let mut found = Vec::new();
    let mut sources = 0;
    for file in all_texts()
        .into_iter()
        .filter(|file| !is_sample(&file.name))
    {
        if file.name.ends_with("Cargo.lock") {
            for line in file
                .text
                .lines()
                .filter(|line| line.starts_with("source = "))
            {
                sources += 1;
                if line != format!("source = \"{REGISTRY}\"") {
                    found.push(format!("{}: {line}", file.name));
                }
            }
        }
        if file.name.contains(".cargo/") {
            found.push(format!("{}: settings of one machine", file.name));
        }
        let named = marks.iter().filter(|mark| file.text.contains(**mark));
        found.extend(named.map(|mark| format!("{}: {mark}", file.name)));
    }
    assert!(sources > 500, "only {sources} sources were found");
    expect_none(
        &found,
        "Where packages come from is the machine's own setting:",
    );
}
