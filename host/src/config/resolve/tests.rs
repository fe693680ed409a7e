//! Which value wins, and what is refused.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;

fn environment(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    let base = [("HOME", "/nowhere")];
    base.iter()
        .chain(variables)
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

fn flags(flags: &[(&str, &str)]) -> Overrides {
    let mut overrides = Overrides::default();
    for (key, value) in flags {
        overrides.flag("--set", key, value);
    }
    overrides
}

fn problems(overrides: &Overrides, variables: &[(&str, &str)]) -> Vec<String> {
    let error = resolve(overrides, &environment(variables)).unwrap_err();
    error.0.iter().map(ToString::to_string).collect()
}

fn value(resolved: &Resolved, key: &str) -> (String, String) {
    let row = resolved
        .effective()
        .into_iter()
        .find(|row| row.key == key)
        .unwrap();
    (row.value, row.source)
}

#[test]
fn flags_beat_the_environment_which_beats_the_file_which_beats_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    fs::write(
        &path,
        "[sandbox]\nqueue_max = 1\nruns_max = 1\nmodel_queue_max = 1\n",
    )
    .unwrap();
    let mut overrides = flags(&[("sandbox.queue_max", "3")]);
    overrides.file = Some(path.clone());
    let variables = [
        ("BELLJAR_SANDBOX_QUEUE_MAX", "2"),
        ("BELLJAR_SANDBOX_RUNS_MAX", "2"),
    ];
    let resolved = resolve(&overrides, &environment(&variables)).unwrap();
    assert_eq!(
        value(&resolved, "sandbox.queue_max"),
        ("3".into(), "--set".into())
    );
    let runs = ("2".into(), "BELLJAR_SANDBOX_RUNS_MAX".into());
    assert_eq!(value(&resolved, "sandbox.runs_max"), runs);
    let queue = ("1".into(), format!("{}:4", path.display()));
    assert_eq!(value(&resolved, "sandbox.model_queue_max"), queue);
    assert_eq!(value(&resolved, "sandbox.model_runs_max").1, "default");
}

#[test]
fn each_documented_variable_is_read_and_nonsense_in_it_is_refused() {
    for setting in SETTINGS.iter().filter(|setting| setting.key != "data_dir") {
        for variable in [Some(setting.variable()), setting.fakeai_variable()]
            .into_iter()
            .flatten()
        {
            let found = problems(&Overrides::default(), &[(&variable, "\u{1} never a value")]);
            assert_eq!(found.len(), 1, "{variable} is not read");
            assert!(
                found[0].contains(&variable) && found[0].contains(setting.key),
                "{found:?}"
            );
        }
    }
}

#[test]
fn the_file_of_the_data_directory_is_found_and_cannot_move_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    fs::write(&path, "listen = '127.0.0.1:1'\n").unwrap();
    let data_dir = dir.path().to_str().unwrap();
    let variables = [("BELLJAR_DATA_DIR", data_dir)];
    let resolved = resolve(&Overrides::default(), &environment(&variables)).unwrap();
    assert_eq!(resolved.settings.listen.port(), 1);
    fs::write(&path, "data_dir = '/elsewhere'\n").unwrap();
    assert!(problems(&Overrides::default(), &variables)[0].contains("cannot move it"));
    let mut overrides = Overrides {
        file: Some(path),
        ..Overrides::default()
    };
    let resolved = resolve(&overrides, &environment(&[])).unwrap();
    assert_eq!(resolved.settings.data_dir, Path::new("/elsewhere"));
    let missing = dir.path().join("missing.toml");
    overrides.file = Some(missing.clone());
    let told = problems(&overrides, &[]);
    let file = missing.display();
    assert!(
        told[0].starts_with(&format!("--config: file: {file} cannot be read: ")),
        "{told:?}"
    );
    let told = problems(
        &Overrides::default(),
        &[("BELLJAR_CONFIG", missing.to_str().unwrap())],
    );
    assert!(
        told[0].starts_with("environment: BELLJAR_CONFIG "),
        "{told:?}"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_told_from_a_folder_that_cannot_be_entered() {
    let dir = tempfile::tempdir().unwrap();
    let told = |data_dir: &Path| {
        let data_dir = data_dir.to_str().unwrap();
        problems(&Overrides::default(), &[("BELLJAR_DATA_DIR", data_dir)]).remove(0)
    };
    fs::create_dir(dir.path().join(FILE_NAME)).unwrap();
    let file = dir.path().join(FILE_NAME);
    let message = told(dir.path());
    assert!(
        message.starts_with(&format!("data_dir: {} cannot be read: ", file.display())),
        "{message}"
    );
    let no_folder = dir.path().join("a file");
    fs::write(&no_folder, "").unwrap();
    let message = told(&no_folder);
    assert!(
        message.contains("a file cannot be looked into for a belljar.toml: "),
        "{message}"
    );
    assert!(!message.contains("belljar.toml:1"), "{message}");
}

#[test]
fn the_default_data_directory_follows_the_xdg_rules() {
    let at = |variables: &[(&str, &str)]| {
        resolve(&Overrides::default(), &environment(variables))
            .unwrap()
            .settings
            .data_dir
    };
    assert_eq!(at(&[]), Path::new("/nowhere/.local/share/belljar"));
    assert_eq!(at(&[("XDG_DATA_HOME", "/xdg")]), Path::new("/xdg/belljar"));
    assert_eq!(
        at(&[("XDG_DATA_HOME", "rel")]),
        Path::new("/nowhere/.local/share/belljar")
    );
    let error = resolve(&Overrides::default(), &BTreeMap::new()).unwrap_err();
    assert!(error.to_string().contains("--data-dir"), "{error}");
}

#[test]
fn all_problems_are_told_at_once_with_the_nearest_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    fs::write(&path, "listen = 'x'\n[sandbox]\nqueue_max = \"many\"\n").unwrap();
    let overrides = Overrides {
        file: Some(path),
        ..flags(&[("log.levle", "info"), ("zzz", "1")])
    };
    let found = problems(
        &overrides,
        &[
            ("BELLJAR_LISTENN", "x"),
            ("FAKEAI_API_KEY", "x"),
            ("BELLJAR_LOG_FORMAT", "xml"),
        ],
    );
    let all = found.join("\n");
    assert_eq!(found.len(), 7, "{all}");
    for expected in [
        "c.toml:1: listen: expected an address and a port such as",
        "c.toml:3: sandbox.queue_max: expected a whole number from 0",
        "environment: BELLJAR_LISTENN: there is no such setting: did you mean `BELLJAR_LISTEN`?",
        "environment: FAKEAI_API_KEY: there is no such setting: did you mean `FAKEAI_API_KEYS`?",
        "environment: BELLJAR_LOG_FORMAT (log.format): ",
        "--set: log.levle: there is no such setting: did you mean `log.level`?",
        "--set: zzz: there is no such setting; `belljar config reference` lists all",
    ] {
        assert!(all.contains(expected), "{expected}\nnot in\n{all}");
    }
}

#[test]
fn two_names_of_one_setting_must_agree() {
    let same = [
        ("BELLJAR_REQUIRE_API_KEY", "true"),
        ("FAKEAI_REQUIRE_API_KEY", "true"),
    ];
    assert!(resolve(&Overrides::default(), &environment(&same)).is_ok());
    let found = problems(
        &Overrides::default(),
        &[
            ("BELLJAR_REQUIRE_API_KEY", "true"),
            ("FAKEAI_REQUIRE_API_KEY", "false"),
        ],
    );
    assert!(
        found[0].contains("BELLJAR_REQUIRE_API_KEY says something else"),
        "{found:?}"
    );
}

#[test]
fn an_open_server_without_keys_is_refused_unless_told() {
    let open = ("listen", "0.0.0.0:8000");
    let off = ("require_api_key", "false");
    assert!(problems(&flags(&[open, off]), &[])[0].contains("--insecure"));
    let settings =
        |given: &[(&str, &str)]| resolve(&flags(given), &environment(&[])).unwrap().settings;
    assert!(
        !settings(&[open, off, ("insecure", "true")])
            .auth
            .require_key
    );
    assert!(
        settings(&[open]).auth.require_key,
        "on by default where others can call"
    );
    assert!(!settings(&[("listen", "[::1]:8000")]).auth.require_key);
    assert!(settings(&[("require_api_key", "true")]).auth.require_key);
}

#[test]
fn testers_may_do_something_where_no_other_machine_calls_unless_it_is_said() {
    for (listen, testing, is_on) in [
        ("127.0.0.1:8000", "auto", true),
        ("127.9.9.9:8000", "auto", true),
        ("[::1]:8000", "auto", true),
        ("0.0.0.0:8000", "auto", false),
        ("[::]:8000", "auto", false),
        ("192.0.2.1:8000", "auto", false),
        ("0.0.0.0:8000", "true", true),
        ("192.0.2.1:8000", "true", true),
        ("127.0.0.1:8000", "false", false),
    ] {
        let given = flags(&[("listen", listen), ("testing", testing)]);
        let settings = resolve(&given, &environment(&[])).unwrap().settings;
        assert_eq!(settings.testing.is_on, is_on, "{listen} {testing}");
        // Connections are ended for faults alone.
        assert_eq!(settings.http.severs, is_on, "{listen} {testing}");
    }
    let unsaid = |listen| flags(&[("listen", listen)]);
    for (listen, is_on) in [("127.0.0.1:8000", true), ("0.0.0.0:8000", false)] {
        let settings = resolve(&unsaid(listen), &environment(&[]))
            .unwrap()
            .settings;
        assert_eq!(settings.testing.is_on, is_on, "{listen}");
    }
}

#[test]
fn contradictions_are_refused() {
    for (given, key) in [
        (
            &[("http.connections_per_address_max", "4097")][..],
            "http.connections_per_address_max",
        ),
        (
            &[("http.connections_max", "511")],
            "http.connections_per_address_max",
        ),
        (&[("http.tokens_max", "4095")], "http.tokens_default"),
        (&[("http.tokens_default", "131073")], "http.tokens_default"),
        (&[("input.depth_max", "128")], "input.depth_max"),
        (
            &[
                ("cors_allowed_origins", "*"),
                ("cors_allow_credentials", "true"),
            ],
            "cors_allow_credentials",
        ),
        (&[("signatures.required", "true")], "signatures.required"),
        (&[("metrics.listen", "127.0.0.1:8000")], "metrics.listen"),
        (
            &[
                ("tls.cert", "a.pem"),
                ("metrics.listen", "127.0.0.1:1"),
                ("tls.redirect_listen", "127.0.0.1:1"),
            ],
            "tls.redirect_listen",
        ),
        (&[("sandbox.epoch_tick", "1 s")], "sandbox.epoch_tick"),
        (&[("hash_api_keys", "false")], "hash_api_keys"),
        (&[("usage.retention", "30 d")], "usage.retention"),
        (&[("usage.retention", "3661 d")], "usage.retention"),
    ] {
        expect_one(&problems(&flags(given), &[]), key);
    }
    // As far as each may go.
    for given in [
        &[("http.connections_max", "512")][..],
        &[("http.tokens_max", "4096")],
        &[("input.depth_max", "127")],
    ] {
        assert!(
            resolve(&flags(given), &environment(&[])).is_ok(),
            "{given:?}"
        );
    }
}

/// One problem, which is about that setting.
#[track_caller]
fn expect_one(found: &[String], key: &str) {
    let about = [format!("{key}: "), format!("({key}): ")];
    assert!(
        found.len() == 1 && about.iter().any(|about| found[0].contains(about)),
        "{key}: {found:?}"
    );
}

#[test]
fn a_secret_that_a_key_follows_from_is_long_enough() {
    let secret = "s".repeat(32);
    let variable = |secret| [("BELLJAR_COMPILER_MAC_SECRET", secret)];
    let short = &secret[1..];
    let found = problems(&Overrides::default(), &variable(short));
    expect_one(&found, "compiler.mac_secret");
    assert!(!found[0].contains(short), "{found:?}");
    let long_enough = environment(&variable(secret.as_str()));
    assert!(resolve(&Overrides::default(), &long_enough).is_ok());
}

#[test]
fn a_way_to_vault_that_is_none_is_refused() {
    let address = ("BELLJAR_VAULT_ADDRESS", "http://127.0.0.1:8200");
    let token = ("BELLJAR_VAULT_TOKEN", "hvs.hidden");
    let by_role = ("BELLJAR_VAULT_AUTH", "approle");
    let role = ("BELLJAR_VAULT_ROLE_ID", "robot");
    let by_pod = ("BELLJAR_VAULT_AUTH", "kubernetes");
    let pods = ("BELLJAR_VAULT_ROLE", "robot");
    let secret = ("BELLJAR_VAULT_SECRET_ID", "hidden");
    let mount = ("BELLJAR_VAULT_AUTH_MOUNT", "elsewhere");
    let authority = ("BELLJAR_VAULT_CA", "ca.pem");
    for (given, key) in [
        (&[token][..], "vault.address"),
        (&[address], "vault.token"),
        (&[address, by_role], "vault.role_id"),
        (&[address, by_role, role, token], "vault.token"),
        (&[address, by_pod], "vault.role"),
        (&[address, by_pod, pods, role], "vault.role_id"),
        (&[address, token, pods], "vault.role"),
        (&[address, token, secret], "vault.secret_id"),
        (&[address, token, mount], "vault.auth_mount"),
        (&[address, token, authority], "vault.ca"),
    ] {
        let found = problems(&Overrides::default(), given);
        expect_one(&found, key);
        assert!(!found[0].contains("hidden"), "{found:?}");
    }
}

#[test]
fn secrets_are_neither_shown_nor_taken_from_a_command_line() {
    let secret = "a-very-secret-key-of-mine";
    let resolved = resolve(
        &Overrides::default(),
        &environment(&[("FAKEAI_API_KEYS", secret)]),
    )
    .unwrap();
    assert_eq!(
        value(&resolved, "api_keys"),
        ("1 key (redacted)".into(), "FAKEAI_API_KEYS".into())
    );
    let shown = format!("{resolved:?} {:?}", resolved.effective());
    assert!(!shown.contains(secret), "{shown}");
    let found = problems(&flags(&[("api_keys", secret)]), &[]);
    assert!(
        found[0].contains("BELLJAR_API_KEYS") && !found[0].contains(secret),
        "{found:?}"
    );
    let found = problems(
        &Overrides::default(),
        &[("BELLJAR_API_KEYS", "too-short-1")],
    );
    assert!(!found[0].contains("too-short-1"), "{found:?}");
}

#[test]
fn one_setting_decides_what_policy_and_pool_allow() {
    let overrides = flags(&[("policy.memory_max", "64 MiB"), ("policy.tables_max", "3")]);
    let settings = resolve(&overrides, &environment(&[])).unwrap().settings;
    assert_eq!(settings.sandbox.slot.memory_bytes_max, 64 << 20);
    assert_eq!(settings.sandbox.slot.tables_max, 3);
}

const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[test]
fn a_webhook_is_signed_private_and_has_something_to_tell() {
    let url = ("BELLJAR_WEBHOOK_URL", "https://alerts.example/TOKEN");
    let secret = ("BELLJAR_WEBHOOK_SECRET", WEBHOOK_SECRET);
    let resolved = resolve(&Overrides::default(), &environment(&[url, secret])).unwrap();
    let shown = format!("{resolved:?} {:?}", resolved.effective());
    assert!(
        !shown.contains("TOKEN") && !shown.contains("MfKQ"),
        "{shown}"
    );
    assert_eq!(value(&resolved, "webhook.secret").0, "1 secret (redacted)");
    let plain = ("BELLJAR_WEBHOOK_URL", "http://10.0.0.1/TOKEN");
    let allowed = ("BELLJAR_WEBHOOK_ALLOW_HTTP", "true");
    assert!(
        resolve(
            &Overrides::default(),
            &environment(&[plain, secret, allowed])
        )
        .is_ok()
    );
    for given in [
        &[url][..],
        &[secret],
        &[plain, secret],
        &[url, secret, ("BELLJAR_WEBHOOK_SECRET_FILE", "secrets")],
        &[url, secret, ("BELLJAR_WEBHOOK_EVENTS", "none")],
        &[url, secret, ("BELLJAR_WEBHOOK_EVENTS", "ban,everything")],
        &[url, secret, ("BELLJAR_AUDIT_SINKS", "off")],
        &[url, ("BELLJAR_WEBHOOK_SECRET", "whsec_TOKEN")],
        &[secret, ("BELLJAR_WEBHOOK_URL", "alerts.example/TOKEN")],
    ] {
        let found = problems(&Overrides::default(), given);
        assert!(!found.is_empty(), "{given:?}");
        let text = found.join("\n");
        assert!(!text.contains("TOKEN") && !text.contains("MfKQ"), "{text}");
    }
}

#[test]
fn a_watch_that_could_not_hold_is_refused() {
    for given in [
        &[
            ("anomaly.action", "ban"),
            ("enable_abuse_detection", "false"),
        ][..],
        &[("anomaly.warm_up", "1 min")],
        &[("anomaly.half_life", "1 min")],
        &[("anomaly.threshold", "0")],
        &[("anomaly.action", "scold")],
    ] {
        assert_eq!(problems(&flags(given), &[]).len(), 1, "{given:?}");
    }
}
