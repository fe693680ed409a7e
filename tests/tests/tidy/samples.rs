//! Files of `examples/` that are copied to where a server runs: what they set and name exists.

use std::process::Command;

use belljar::config::{Overrides, SETTINGS, resolve};

use crate::tree::{expect_none, files, root};

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

const CONFIGURATION: &str = "examples/belljar.toml";

#[test]
fn the_sample_configuration_starts_a_server_that_wants_keys() {
    let folder = tempfile::tempdir().unwrap();
    let overrides = Overrides {
        file: Some(root().join(CONFIGURATION)),
        flags: vec![(
            "--data-dir".to_owned(),
            "data_dir".to_owned(),
            folder.path().to_str().unwrap().to_owned(),
        )],
    };
    let environment = std::collections::BTreeMap::new();
    let resolved = resolve(&overrides, &environment).unwrap();
    let settings = &resolved.settings;
    assert!(settings.auth.require_key && settings.limits.enabled);
    // A setting that is the default there teaches nothing.
    let unset: Vec<String> = resolved
        .effective()
        .into_iter()
        .filter(|value| value.source.contains("belljar.toml"))
        .filter(|value| {
            let setting = SETTINGS.iter().find(|setting| setting.key == value.key);
            setting.is_some_and(|setting| setting.default_text() == value.value)
        })
        .filter(|value| value.key != "listen")
        .map(|value| format!("{CONFIGURATION}: {} = {}", value.key, value.value))
        .collect();
    expect_none(&unset, "The sample sets what is the default anyway:");
}

/// Variables of ours that a file sets, whatever stands around them.
fn variables(text: &str) -> Vec<&str> {
    let names = text.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
    names.filter(|name| name.starts_with("BELLJAR_")).collect()
}

const UNIT: &str = "examples/systemd/belljar.service";
/// Where files lie that are taken to servers.
const FOLDERS: [&str; 4] = [
    "examples/container",
    "examples/helm",
    "examples/kubernetes",
    "examples/systemd",
];

#[test]
fn variables_of_units_images_and_manifests_are_read_by_the_server() {
    let mut wrong = Vec::new();
    for folder in FOLDERS {
        let files = files(folder, &[""]);
        let found: Vec<(&str, &str)> = files
            .iter()
            .flat_map(|file| {
                variables(&file.text)
                    .into_iter()
                    .map(|name| (&*file.name, name))
            })
            .collect();
        assert!(!found.is_empty(), "{folder}");
        for (file, name) in found {
            let is_read = SETTINGS.iter().any(|setting| setting.variable() == name);
            if !is_read && name != "BELLJAR_CONFIG" {
                wrong.push(format!("{file}: {name}"));
            }
        }
    }
    expect_none(&wrong, "No setting is read from these variables:");
}

/// The unit gives a stop the time that the server takes with the sample's settings.
#[test]
fn the_unit_waits_for_a_stop_that_drains() {
    let unit = read(UNIT);
    let value = |key: &str| {
        let line = unit.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|rest| rest.strip_prefix('='))
    };
    let waits: u64 = value("TimeoutStopSec").unwrap().parse().unwrap();
    let sample: toml::Table = read(CONFIGURATION).parse().unwrap();
    let mut needed = 0;
    for key in ["shutdown_delay", "shutdown_grace"] {
        let time: belljar_bundle::DurationText = sample[key].as_str().unwrap().parse().unwrap();
        needed += time.as_duration().as_secs();
    }
    assert!(waits > needed, "{waits} s, and a stop may take {needed} s");
    assert_eq!(value("KillMode"), Some("mixed"));
}

/// Asks systemd, where it is installed. It wants the program of a unit to be there.
#[test]
#[expect(clippy::print_stderr, reason = "what was not tried is said")]
fn systemd_understands_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("belljar.service");
    let unit = read(UNIT).replace("/usr/local/bin/belljar", "/bin/sh");
    std::fs::write(&copy, unit).unwrap();
    let verify = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&copy)
        .output();
    let Ok(output) = verify else {
        let is_required = std::env::var_os("TEST_PROGRAMS").is_some();
        assert!(!is_required, "systemd-analyze is not installed");
        eprintln!("systemd-analyze is not installed: the unit is not verified");
        return;
    };
    let told = String::from_utf8_lossy(&output.stderr);
    let of_ours: Vec<String> = told
        .lines()
        .filter(|line| line.contains("belljar.service"))
        .map(str::to_owned)
        .collect();
    expect_none(&of_ours, "systemd does not understand the unit:");
}

/// The versions that the chart and the manifests name are the one of this server.
#[test]
fn manifests_name_this_version() {
    let version = env!("CARGO_PKG_VERSION");
    let mut wrong = Vec::new();
    for (file, line) in [
        (
            "examples/helm/belljar/Chart.yaml",
            format!("appVersion: \"{version}\"\n"),
        ),
        (
            "examples/helm/belljar/Chart.yaml",
            format!("\nversion: {version}\n"),
        ),
        (
            "examples/kubernetes/statefulset.yaml",
            format!("/belljar:{version}\n"),
        ),
    ] {
        if !read(file).contains(&line) {
            wrong.push(format!("{file}: {}", line.trim()));
        }
    }
    expect_none(&wrong, "These files are of another version:");
}
