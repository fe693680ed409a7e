//! The table of modules in ARCHITECTURE.md, and that the sources keep to it: arrows go down,
//! each is declared, and no files use one another in a circle.

use std::collections::{BTreeMap, BTreeSet};

use crate::manifests::manifests;
use crate::markdown::{documents, spans};
use crate::modules::{Arrows, Modules, circles};
use crate::tree::expect_none;

/// Arrows against the flow that are known; the list may only shrink.
const UPWARD: [(&str, &str); 0] = [];

/// Circles of files that are known, by the file's path without `.rs`; the list may only shrink.
const CIRCLES: [&[&str]; 3] = [
    &["host/bundle/src/manifest", "host/bundle/src/signature"],
    &[
        "host/screen/src/code",
        "host/screen/src/command",
        "host/screen/src/command/programs",
        "host/screen/src/command/rules",
        "host/screen/src/command_line",
        "host/screen/src/tokenizer",
        "host/screen/src/context",
        "host/screen/src/grammar",
        "host/screen/src/ldap",
        "host/screen/src/lexicon",
        "host/screen/src/markup",
        "host/screen/src/look_ahead",
        "host/screen/src/reader",
        "host/screen/src/repeats",
        "host/screen/src/sql",
        "host/screen/src/sql/names",
        "host/screen/src/token",
    ],
    &["host/screen/src/decode", "host/screen/src/entity"],
];

/// A floor of the tower: parts that stand in one row, and what they may use.
struct Floor {
    place: String,
    parts: Vec<String>,
    may_use: MayUse,
}

enum MayUse {
    Everything,
    These(Vec<String>),
}

/// The table under "The map", from top to bottom.
fn floors() -> Vec<Floor> {
    let documents = documents();
    let map = documents
        .iter()
        .find(|d| d.name == "ARCHITECTURE.md")
        .unwrap();
    let rows = map.rows().into_iter().filter(|row| row.head[0] == "part");
    let floors: Vec<Floor> = rows
        .map(|row| {
            // What is said behind a semicolon is for people.
            let allowed = row.cells[2].split(';').next().unwrap_or_default().trim();
            Floor {
                parts: spans(&row.cells[0]),
                may_use: match allowed {
                    "everything below" => MayUse::Everything,
                    names => MayUse::These(spans(names)),
                },
                place: row.place,
            }
        })
        .collect();
    assert!(floors.len() > 10, "ARCHITECTURE.md has no table of parts");
    floors
}

/// What uses what: the modules of the server, and the packages.
fn arrows() -> Arrows {
    let mut arrows = Modules::read("host/src").top_arrows();
    for manifest in manifests() {
        let is_part = manifest.folder.starts_with("host/") && !manifest.folder.ends_with("/fuzz");
        if is_part && manifest.name.starts_with("belljar-") {
            let ours = manifest
                .dependencies
                .iter()
                .filter(|name| name.starts_with("belljar-"));
            arrows.insert(manifest.name, ours.cloned().collect());
        }
    }
    arrows
}

#[test]
fn every_part_has_a_place_in_the_map() {
    let mut known: BTreeSet<String> = Modules::read("host/src").top();
    known.extend(arrows().into_keys());
    let mut listed = BTreeSet::from(["main".to_owned()]);
    let mut wrong = Vec::new();
    for floor in floors() {
        for part in floor.parts {
            if !known.contains(&part) && part != "main" {
                wrong.push(format!("{}: there is no `{part}`", floor.place));
            }
            listed.insert(part);
        }
    }
    let missing = known.difference(&listed);
    wrong.extend(missing.map(|part| format!("`{part}` has no row")));
    expect_none(
        &wrong,
        "The table of parts in ARCHITECTURE.md has a row for each module of host/src and each \
         package below it; give a new one a row above all that it uses, with its one job:",
    );
}

#[test]
fn arrows_go_down_and_each_is_declared() {
    let arrows = arrows();
    let floors = floors();
    let level: BTreeMap<&str, usize> = floors
        .iter()
        .enumerate()
        .flat_map(|(level, floor)| floor.parts.iter().map(move |part| (part.as_str(), level)))
        .collect();
    let known = |from: &str, to: &str| UPWARD.contains(&(from, to));
    let mut wrong = Vec::new();
    for (number, floor) in floors.iter().enumerate() {
        let uses: BTreeSet<&String> = floor
            .parts
            .iter()
            .filter_map(|part| arrows.get(part))
            .flatten()
            .collect();
        for part in &floor.parts {
            for other in arrows.get(part).into_iter().flatten() {
                if known(part, other) {
                    continue;
                }
                match level.get(other.as_str()) {
                    None => {} // Said by the test above.
                    Some(below) if *below <= number => wrong.push(format!(
                        "{}: {part} uses {other}, which stands above it or beside it",
                        floor.place
                    )),
                    Some(_) => {}
                }
                if let MayUse::These(names) = &floor.may_use
                    && !names.contains(other)
                {
                    wrong.push(format!(
                        "{}: {part} uses {other}, which is not in the row",
                        floor.place
                    ));
                }
            }
        }
        if let MayUse::These(names) = &floor.may_use {
            let idle = names.iter().filter(|name| !uses.contains(name));
            wrong.extend(
                idle.map(|name| format!("{}: {name} is in the row and not used", floor.place)),
            );
        }
    }
    for (from, to) in UPWARD {
        if !arrows.get(from).is_some_and(|uses| uses.contains(to)) {
            wrong.push(format!(
                "{from} does not use {to} any more: take it out of UPWARD"
            ));
        }
    }
    expect_none(
        &wrong,
        "The sources and the table of parts in ARCHITECTURE.md differ. An arrow down may be \
         added to its row, if it is meant; an arrow up means that something lives too high:",
    );
}

#[test]
fn no_files_use_one_another_in_a_circle() {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for package in [
        "host/src",
        "host/bundle/src",
        "host/sandbox/src",
        "host/screen/src",
        "host/wall/src",
    ] {
        for circle in circles(&Modules::read(package).arrows()) {
            let files: BTreeSet<&str> = circle
                .iter()
                .filter_map(|f| f.strip_suffix(".rs"))
                .collect();
            let known = CIRCLES
                .iter()
                .position(|known| files.iter().all(|file| known.contains(file)));
            match known {
                Some(known) if CIRCLES[known].len() == files.len() => drop(seen.insert(known)),
                Some(known) => {
                    seen.insert(known);
                    let left = CIRCLES[known].iter().filter(|file| !files.contains(*file));
                    wrong.extend(left.map(|file| {
                        format!("{file} is in no circle any more: take it out of CIRCLES")
                    }));
                }
                None => wrong.push(format!(
                    "a circle: {}",
                    files.into_iter().collect::<Vec<_>>().join(", ")
                )),
            }
        }
    }
    for (number, circle) in CIRCLES.iter().enumerate() {
        if !seen.contains(&number) {
            wrong.push(format!(
                "the circle of {} is open: take it out of CIRCLES",
                circle[0]
            ));
        }
    }
    expect_none(
        &wrong,
        "Files may not use one another in a circle. Move what both need into a file below both \
         (a type, a constant, an error), or give one the other's value as an argument:",
    );
}
