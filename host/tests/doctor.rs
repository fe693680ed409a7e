//! `belljar doctor` on a project: what it finds of the SDK and of tools, what it mends, what it
//! leaves alone, and its exit code.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "each program of tests uses its own part of it")]
#[path = "kit/server.rs"]
mod server;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use server::Home;

/// The finding about the SDK, by its name in the list.
const SDK: &str = "SDK in sdk/ and wit/";

/// Makes a folder with programs that print a line each. A shell writes them: a file that this
/// process had open for writing could still be open in the child of another test, and does not
/// start then.
fn programs(folder: &Path, lines: &[(&str, &str)]) {
    fs::create_dir(folder).unwrap();
    for (name, line) in lines {
        let script = format!("printf '#!/bin/sh\\necho {line}\\n' >{name} && chmod +x {name}");
        let mut shell = Command::new("/bin/sh");
        let written = shell.args(["-c", &script]).current_dir(folder).status();
        assert!(written.unwrap().success(), "{name}");
    }
}

/// The doctor's exit code and findings about the project, with the programs of a folder alone.
fn findings(home: &Home, programs: &str, arguments: &[&str]) -> (i32, Value) {
    let mut command = home.command(&["doctor", "scores", "--json"]);
    let path = home.path().join(programs);
    let output = command.args(arguments).env("PATH", path).output().unwrap();
    let Output { status, stdout, .. } = output;
    let told: Value = serde_json::from_slice(&stdout).unwrap();
    let code = status.code().unwrap();
    assert_eq!(told["whole"], code == 0, "{told}");
    (code, told["findings"].clone())
}

/// The finding about one tool.
#[track_caller]
fn of<'a>(findings: &'a Value, tool: &str) -> &'a Value {
    let mut findings = findings.as_array().unwrap().iter();
    findings.find(|finding| finding["tool"] == tool).unwrap()
}

#[test]
fn an_sdk_that_differs_is_found_and_written_anew_and_nothing_else_is() {
    let home = Home::new();
    home.ok(&["new", "scores", "--lang", "js"]);
    programs(
        &home.path().join("tools"),
        &[("node", "v22.1.0"), ("npm", "10.9.0")],
    );
    let (code, found) = findings(&home, "tools", &[]);
    assert_eq!(code, 0, "{found}");
    let version = env!("CARGO_PKG_VERSION");
    let good = json!({"language": "js", "tool": SDK, "state": "good", "version": version,
        "wanted": version, "mend": null});
    assert_eq!(*of(&found, SDK), good);
    assert_eq!(of(&found, "jco")["state"], "not yet", "the build brings it");

    let file = |name: &str| home.path().join("scores").join(name);
    let index = "sdk/belljar-guest/index.js";
    let own = fs::read(file(index)).unwrap();
    fs::write(file(index), "// of another version\n").unwrap();
    fs::remove_file(file("wit/model.wit")).unwrap();
    fs::write(file("model.js"), "// what the author has written\n").unwrap();
    let (code, found) = findings(&home, "tools", &[]);
    assert_eq!(code, 1, "{found}");
    let wrong = of(&found, SDK);
    assert_eq!(wrong["state"], "wrong");
    assert_eq!(
        wrong["version"],
        format!("1 files are missing, 1 differ, such as {index}")
    );
    assert_eq!(wrong["mend"], "belljar doctor --fix scores");
    // People are told the same.
    let told = home.run(&["doctor", "scores"]);
    assert_eq!(told.status.code(), Some(1));
    let told = String::from_utf8(told.stdout).unwrap();
    let line = told.lines().find(|line| line.contains(SDK)).unwrap();
    assert!(
        line.contains("WRONG, 1 files are missing, 1 differ")
            && line.ends_with("mend it with: belljar doctor --fix scores"),
        "{line}"
    );

    let (code, found) = findings(&home, "tools", &["--fix"]);
    assert_eq!((code, &of(&found, SDK)["state"]), (0, &json!("good")));
    assert_eq!(fs::read(file(index)).unwrap(), own);
    assert!(file("wit/model.wit").is_file());
    assert_eq!(
        fs::read_to_string(file("model.js")).unwrap(),
        "// what the author has written\n"
    );
    // What is no project is left alone.
    fs::create_dir(home.path().join("empty")).unwrap();
    let told = home.fails(2, &["doctor", "--fix", "empty"]);
    assert!(told.contains("empty is no project"), "{told}");
    assert_eq!(fs::read_dir(home.path().join("empty")).unwrap().count(), 0);
}

#[test]
fn a_tool_that_is_missing_or_too_old_is_found_with_what_mends_it() {
    let home = Home::new();
    home.ok(&["new", "scores", "--lang", "js"]);
    programs(&home.path().join("old"), &[("node", "v20.5.1")]);
    let (code, found) = findings(&home, "old", &[]);
    assert_eq!(code, 1, "{found}");
    let old = of(&found, "node");
    assert_eq!(
        (&old["state"], &old["version"]),
        (&json!("wrong"), &json!("20.5.1"))
    );
    assert_eq!(old["wanted"], "20.6");
    assert!(old["mend"].as_str().unwrap().contains("nodejs"), "{old}");
    let missing = of(&found, "npm");
    assert_eq!(
        (&missing["state"], &missing["version"]),
        (&json!("missing"), &Value::Null)
    );
    assert_eq!(missing["mend"], "apt-get install npm");
    assert_eq!(of(&found, SDK)["state"], "good");
}
