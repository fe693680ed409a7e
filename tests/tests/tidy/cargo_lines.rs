//! Calls of cargo that a document shows name packages, programs and tests that are there.

use crate::manifests::{Manifest, manifests};
use crate::markdown::documents;
use crate::tree::{expect_none, files, root};

#[test]
fn every_call_of_cargo_in_a_document_finds_what_it_names() {
    let manifests = manifests();
    let mut wrong = Vec::new();
    let mut checked = 0;
    for document in documents() {
        for piece in document
            .spans()
            .into_iter()
            .chain(document.shell_commands())
        {
            let Some(at) = piece.text.find("cargo ") else {
                continue;
            };
            // Variables may stand in front, and nothing else.
            let (before, call) = piece.text.split_at(at);
            if before.split_whitespace().any(|word| !word.contains('=')) {
                continue;
            }
            checked += 1;
            if let Err(what) = check(&manifests, call) {
                wrong.push(format!("{}: `{}`: {what}", piece.place, piece.text));
            }
        }
    }
    expect_none(
        &wrong,
        "A document calls cargo for what is not there; mend the call, or the name it lost:",
    );
    assert!(checked > 10, "only {checked} calls of cargo were found");
}

fn check(manifests: &[Manifest], call: &str) -> Result<(), String> {
    // What follows `--` is for the program, and what follows `#` for people.
    let words = call.split_whitespace();
    let words: Vec<&str> = words
        .skip(1)
        .take_while(|word| !matches!(*word, "--" | "#" | "|" | ">" | "&&"))
        .collect();
    let after = |flag: &str| {
        let at = words.iter().position(|word| *word == flag)?;
        words.get(at + 1).copied()
    };
    let package = match after("-p") {
        Some(name) => Some(
            manifests
                .iter()
                .find(|manifest| manifest.name == name)
                .ok_or_else(|| format!("there is no package {name}"))?,
        ),
        None => None,
    };
    let folder = package.map_or("", |package| package.folder.as_str());
    for (flag, kind) in [
        ("--test", "tests"),
        ("--bench", "benches"),
        ("--example", "examples"),
    ] {
        if let Some(name) = after(flag)
            && !is_program(manifests, folder, kind, name)
        {
            return Err(format!("there is no {flag} {name}"));
        }
    }
    if words.first() == Some(&"test")
        && let Some(filter) = filter(&words)
        && !is_test(folder, after("--test"), filter)
    {
        return Err(format!("no test has {filter} in its name"));
    }
    Ok(())
}

/// The word that is the value of no flag: a part of the names of the tests to run.
fn filter<'a>(words: &[&'a str]) -> Option<&'a str> {
    const WITH_VALUE: [&str; 4] = ["-p", "--test", "--bench", "--manifest-path"];
    let mut words = words.iter().skip(1);
    while let Some(word) = words.next() {
        if WITH_VALUE.contains(word) {
            words.next();
        } else if !word.starts_with('-') {
            return Some(word);
        }
    }
    None
}

fn is_program(manifests: &[Manifest], folder: &str, kind: &str, name: &str) -> bool {
    let folders: Vec<&str> = match folder {
        "" => manifests.iter().map(|m| m.folder.as_str()).collect(),
        folder => vec![folder],
    };
    folders.iter().any(|folder| {
        let place = root().join(folder);
        let kind = place.join(kind);
        kind.join(format!("{name}.rs")).is_file()
            || kind.join(name).join("main.rs").is_file()
            || std::fs::read_to_string(place.join("Cargo.toml"))
                .is_ok_and(|manifest| manifest.contains(&format!("name = \"{name}\"")))
    })
}

/// Whether a filter finds a test: `module::` by its file, a function by its name.
fn is_test(folder: &str, program: Option<&str>, filter: &str) -> bool {
    let place = match program {
        Some(program) => format!("{folder}/tests/{program}"),
        None => folder.to_owned(),
    };
    let place = if root().join(&place).is_dir() {
        place
    } else {
        folder.to_owned()
    };
    files(&place, &[".rs"]).iter().any(|file| {
        let mut found = true;
        for part in filter.split("::").filter(|part| !part.is_empty()) {
            let module = file.name.split(['/', '.']).any(|name| name == part);
            found &= module || file.text.contains(&format!("fn {part}"));
        }
        found
    })
}

#[test]
fn a_call_for_what_is_not_there_is_found() {
    let manifests = manifests();
    let check = |call: &str| check(&manifests, call);
    for call in [
        "cargo test -p belljar-nothing",
        "cargo test -p belljar-tests --test nothing",
        "cargo test -p belljar-tests --test http nothing_of_that_name",
        "cargo bench -p belljar-bundle --bench nothing",
    ] {
        assert!(check(call).is_err(), "{call}");
    }
    for call in [
        "cargo test",
        "cargo test -p belljar-tests --test tidy # all rules",
        "cargo test -p belljar-tests --test tidy cargo_lines::",
        "cargo test -p belljar-tests --test tidy a_call_for_what_is_not_there",
    ] {
        assert_eq!(check(call), Ok(()), "{call}");
    }
}
