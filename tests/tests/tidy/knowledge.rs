//! Who may know what: the invariants of ARCHITECTURE.md that can be read off the sources.

use crate::manifests::manifests;
use crate::source::{Fact, facts, is_test};
use crate::tree::{File, expect_none, files};

/// The file with the one unsafe block.
const UNSAFE: &str = "host/sandbox/src/artefact.rs";

/// The sources of the server and its packages, without tests.
fn sources() -> Vec<File> {
    let mut sources = files("host", &[".rs"]);
    sources.retain(|file| !is_test(&file.name));
    assert!(sources.len() > 150, "sources were overlooked");
    sources
}

/// The files outside the allowed folders in which such a fact is found.
fn strangers(allowed: &[&str], found: impl Fn(&Fact) -> bool) -> Vec<String> {
    strangers_by(allowed, |facts| facts.iter().any(&found))
}

fn strangers_by(allowed: &[&str], found: impl Fn(&[Fact]) -> bool) -> Vec<String> {
    let mut strangers = Vec::new();
    for file in sources() {
        let may = allowed.iter().any(|folder| {
            let inside = file.name.strip_prefix(folder);
            inside.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
        });
        if !may && found(&facts(&file)) {
            strangers.push(file.name);
        }
    }
    strangers
}

fn names(fact: &Fact, wanted: impl Fn(&str) -> bool) -> bool {
    fact.path()
        .is_some_and(|path| path.0.iter().any(|name| wanted(name)))
}

/// Whether a file names something of these packages; a module of ours that has the name of a
/// package (`http`) is imported from `crate` and is meant then.
fn uses_package(facts: &[Fact], packages: &[&str]) -> bool {
    let ours = |package: &str| {
        facts.iter().any(|fact| {
            matches!(fact, Fact::Import { path, name, .. } if name == package && path.0.len() > 1)
        })
    };
    facts.iter().any(|fact| {
        let alone = matches!(fact, Fact::Path(path) if path.0.len() == 1);
        let first = fact.path().and_then(|path| path.0.first());
        !alone && first.is_some_and(|first| packages.contains(&first.as_str()) && !ours(first))
    })
}

fn is_engine(name: &str) -> bool {
    name.starts_with("wasmtime") || name.starts_with("cranelift")
}

#[test]
fn only_the_sandbox_knows_wasmtime() {
    let mut found = strangers(&["host/sandbox"], |fact| names(fact, is_engine));
    for manifest in manifests() {
        if manifest.folder != "host/sandbox" && manifest.dependencies.iter().any(|d| is_engine(d)) {
            found.push(format!("{}/Cargo.toml", manifest.folder));
        }
    }
    expect_none(
        &found,
        "Only host/sandbox knows the engine: say what is needed in its own terms and export \
         that from `belljar_sandbox`:",
    );
}

#[test]
fn only_http_and_the_routes_know_status_codes() {
    let found = strangers(&["host/src/http", "host/src/api"], |fact| {
        names(fact, |name| name == "StatusCode")
    });
    expect_none(
        &found,
        "Below the routes a failure is an error of its own; `http/error/conversions.rs` gives \
         it a status:",
    );
}

/// The command line is a client as well, and asks by HTTP what a server's answer was.
#[test]
fn only_the_top_knows_the_http_libraries() {
    let top = [
        "host/src/http",
        "host/src/api",
        "host/src/app",
        "host/src/cli",
        "host/fuzz",
    ];
    let libraries = [
        "axum",
        "http",
        "http_body",
        "http_body_util",
        "hyper",
        "hyper_util",
        "tower",
        "tower_http",
    ];
    let found = strangers_by(&top, |facts| uses_package(facts, &libraries));
    expect_none(
        &found,
        "Below the routes nothing knows HTTP: take plain values and return plain errors:",
    );
}

#[test]
fn only_config_reads_the_environment() {
    let found = strangers(
        &["host/src/config", "host/build", "host/tokens/build"],
        |fact| {
            let Some(path) = fact.path() else {
                return false;
            };
            path.0.windows(2).any(|pair| {
                pair[0] == "env"
                    && [
                        "var", "vars", "var_os", "vars_os", "args", "args_os", "home_dir",
                        "set_var",
                    ]
                    .contains(&pair[1].as_str())
            })
        },
    );
    expect_none(
        &found,
        "Only `config` reads the environment: make it a setting (see CONTRIBUTING.md), so that \
         `belljar config show` says what holds:",
    );
}

#[test]
fn unsafe_code_stands_in_one_place() {
    let is_unsafe = |fact: &Fact| names(fact, |name| name == "unsafe");
    let found = strangers(&[UNSAFE], is_unsafe);
    expect_none(
        &found,
        "The server has one unsafe block, which maps a compiled model; another way must be found \
         here, or a crate that is kept well:",
    );
    let architecture =
        std::fs::read_to_string(crate::tree::root().join("ARCHITECTURE.md")).unwrap();
    assert!(
        architecture.contains(UNSAFE),
        "ARCHITECTURE.md says that unsafe code stands elsewhere than in {UNSAFE}"
    );
    let file = sources().into_iter().find(|file| file.name == UNSAFE);
    let file = file.unwrap_or_else(|| panic!("{UNSAFE} has moved: name its new place here"));
    let blocks = facts(&file).iter().filter(|fact| is_unsafe(fact)).count();
    assert_eq!(blocks, 1, "unsafe blocks in {UNSAFE}");
}

/// Each root of a package forbids it, so that no `allow` below can let it in.
#[test]
fn unsafe_code_is_forbidden_at_every_root() {
    let mut open = Vec::new();
    for file in sources() {
        let root = file.name.ends_with("src/lib.rs") || file.name.ends_with("src/main.rs");
        let one_place = file.name == "host/sandbox/src/lib.rs";
        if root && !one_place && !file.text.contains("#![forbid(unsafe_code)]") {
            open.push(file.name);
        }
    }
    expect_none(&open, "Begin with `#![forbid(unsafe_code)]`:");
}

#[test]
fn bundles_and_screening_stay_plain() {
    let mut found = Vec::new();
    for manifest in manifests() {
        if !matches!(manifest.folder.as_str(), "host/bundle" | "host/screen") {
            continue;
        }
        for name in &manifest.dependencies {
            let waits = ["tokio", "futures", "async"]
                .iter()
                .any(|start| name.starts_with(start));
            let serves = ["axum", "http", "hyper", "tower", "reqwest"]
                .iter()
                .any(|start| name.starts_with(start));
            if waits || serves || is_engine(name) {
                found.push(format!("{}/Cargo.toml: {name}", manifest.folder));
            }
        }
    }
    expect_none(
        &found,
        "belljar-bundle and belljar-screen are fuzzed and tested without a server: no async, no \
         HTTP, no engine:",
    );
}
