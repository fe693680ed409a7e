//! The whole table of settings: each row by every way in which it can be given, and each in a file
//! that a running server reads again.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "each program of tests uses its own part of it")]
#[path = "kit/server.rs"]
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::LazyLock;

use belljar::config::{ConfigError, Overrides, Resolved, SETTINGS, Setting, resolve};
use serde_json::Value;
use server::{Home, Server};

/// Settings by their keys, as they are written.
type Given = BTreeMap<&'static str, String>;

const SIGNER: &str = "ci=ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
const HOOK: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Texts of all kinds of values. The first of them that a setting takes is its sample. `FOLDER` is
/// that of the test.
const SAMPLES: &[&str] = &[
    "true",
    "false",
    "7",
    "7 MiB",
    "7 s",
    "7 ms",
    "40 d",
    "127.0.0.1:7",
    "https://seven.example:9",
    "json",
    "debug",
    "keep-resident",
    "10.7.0.0/16",
    "forwarded",
    "required",
    "stdout",
    "refuse",
    "ignore",
    "7m,7h,8h",
    "free",
    "report",
    "block",
    "0.75",
    "duration",
    "/infer=7:7",
    "1.3",
    "600",
    "60000",
    "100000000",
    "dns:seven.example=key",
    "a-text-of-more-than-thirty-two-bytes",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw,whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "ban",
    "PS384",
    "approle",
    "uploader",
    "read=models:read",
    "ci=ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=,cd=ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    "seven=echo",
    "seven.example",
    "seven=7",
    "FOLDER/seven.sock",
    "FOLDER/tls.pem",
    "FOLDER/again.pem",
    "FOLDER/tls.key",
    "FOLDER/again.key",
    "FOLDER/list.pem",
    "FOLDER/ids",
    "FOLDER/keys.json",
    "FOLDER/hook",
    "FOLDER",
    "seven",
];

/// Samples of settings for which the first text that they take means something else.
const OWN_SAMPLES: &[(&str, &str)] = &[
    ("data_dir", "FOLDER/elsewhere"),
    // Another value stops the start.
    ("hash_api_keys", "true"),
    // The wall lets a running server reach the port that it was started with.
    ("webhook.url", "https://127.0.0.1:9/seven"),
    ("webhook.secret_file", "FOLDER/hook"),
    ("tls.cert", "FOLDER/again.pem"),
    ("tls.key", "FOLDER/again.key"),
    ("tls.client_crl", "FOLDER/list.pem"),
    ("jwt.revoked", "FOLDER/ids"),
    ("test.faults", "reset"),
    ("test.clock", "virtual"),
    ("test.rules", "FOLDER/rules.toml"),
    ("test.latency", "ttft=200ms,itl=20ms"),
    ("test.latency_rules", "gpt-4o* ttft=2s"),
    ("test.latency_profiles", "FOLDER/profiles.toml"),
    ("test.latency_recorded", "FOLDER/gaps.csv"),
    ("jwt.jwks", "FOLDER/again.json"),
    ("audit.path", "FOLDER/elsewhere.log"),
    ("hardening_read_paths", "FOLDER"),
    ("unix.mode", "0600"),
    ("tls.client_ca", "FOLDER/again.pem"),
    ("vault.ca", "FOLDER/again.pem"),
    ("log.level", "debug"),
    // Whoever asks has to get in.
    ("allow_networks", "127.0.0.0/8"),
];

/// What stands beside all of them: every part of the server is on, as many settings mean nothing
/// while what they are about is off.
fn base(folder: &Path) -> Given {
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let text = str::to_owned;
    Given::from([
        ("data_dir", at("data")),
        ("tls.cert", at("tls.pem")),
        ("tls.key", at("tls.key")),
        ("tls.client_auth", text("optional")),
        ("tls.client_ca", at("tls.pem")),
        ("tls.redirect_listen", text("127.0.0.1:0")),
        ("unix.path", at("api.sock")),
        ("jwt.issuer", text("https://id.example")),
        ("jwt.audience", text("models")),
        ("jwt.jwks", at("keys.json")),
        ("metrics.listen", text("127.0.0.1:0")),
        ("trusted_proxies", text("192.0.2.1")),
        ("webhook.url", text("https://127.0.0.1:9/hook")),
        ("webhook.secret", text(HOOK)),
        ("traces.endpoint", text("https://127.0.0.1:9")),
        ("vault.address", text("https://vault.example:9")),
        ("vault.token", text("a-token")),
        ("signatures.trusted", text(SIGNER)),
        ("embedded.fake", text("false")),
    ])
}

/// What a setting needs beside it that the others would contradict: settings that are set, and
/// settings that are taken out.
fn beside(key: &str) -> (Vec<(&'static str, &'static str)>, Vec<&'static str>) {
    let kubernetes = ("vault.auth", "kubernetes");
    match key {
        "webhook.secret_file" => (vec![], vec!["webhook.secret"]),
        "audit.syslog" => (vec![("audit.sinks", "file,syslog")], vec![]),
        "jwt.jwks_ca" => (vec![("jwt.jwks", "https://id.example:9/keys")], vec![]),
        "vault.auth" => (vec![("vault.role_id", "robot")], vec!["vault.token"]),
        "vault.role_id" | "vault.secret_id" => (
            vec![("vault.auth", "approle"), ("vault.role_id", "robot")],
            vec!["vault.token"],
        ),
        "vault.role" | "vault.auth_mount" | "vault.jwt_file" => (
            vec![kubernetes, ("vault.role", "robot")],
            vec!["vault.token"],
        ),
        _ => (vec![], vec![]),
    }
}

/// Certificates, keys and lists, each of them twice, so that a setting can name the other one.
fn fill(folder: &Path) {
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![
        rcgen::KeyUsagePurpose::KeyCertSign,
        rcgen::KeyUsagePurpose::CrlSign,
        rcgen::KeyUsagePurpose::DigitalSignature,
    ];
    let key = rcgen::KeyPair::generate().unwrap();
    let pem = key.serialize_pem();
    let issuer = rcgen::CertifiedIssuer::self_signed(params, key).unwrap();
    let list = rcgen::CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2024, 1, 1),
        next_update: rcgen::date_time_ymd(4000, 1, 1),
        crl_number: rcgen::SerialNumber::from_slice(&[1]),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&issuer).unwrap().pem().unwrap();
    // The key of RFC 8037, appendix A.
    let keys = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","use":"sig","alg":"EdDSA",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    for (name, text) in [
        ("tls.pem", issuer.pem()),
        ("again.pem", issuer.pem()),
        ("tls.key", pem.clone()),
        ("again.key", pem),
        ("list.pem", list),
        ("keys.json", keys.to_owned()),
        ("again.json", keys.to_owned()),
        ("ids", "one\n".to_owned()),
        (
            "rules.toml",
            "[[rule]]\nname = 'seven'\nanswer.text = '7'\n".to_owned(),
        ),
        (
            "profiles.toml",
            "[seven]\nabout = 'seven'\nsource = 'https://seven.example'\nitl = '7ms'\n".to_owned(),
        ),
        ("gaps.csv", "itl_ms\n7\n".to_owned()),
        ("hook", HOOK.to_owned()),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
}

/// Settings as a file: numbers and switches as such, the rest as text.
fn toml(given: &Given) -> String {
    let line = |(key, value): (&&str, &String)| {
        let is_digits = value.bytes().all(|byte| byte.is_ascii_digit());
        let is_bare = is_digits && !value.starts_with('0');
        match value.as_str() {
            "true" | "false" => format!("{key} = {value}\n"),
            _ if is_bare => format!("{key} = {value}\n"),
            _ => format!("{key} = '{value}'\n"),
        }
    };
    given.iter().map(line).collect()
}

fn variables(given: &Given) -> BTreeMap<String, String> {
    let row = |key: &str| SETTINGS.iter().find(|setting| setting.key == key).unwrap();
    let all = given.iter();
    all.map(|(key, value)| (row(key).variable(), value.clone()))
        .collect()
}

/// What holds, by its key: the value as it is shown, and where it comes from.
fn shown(resolved: &Resolved) -> BTreeMap<&'static str, (String, String)> {
    let rows = resolved.effective().into_iter();
    rows.map(|row| (row.key, (row.value, row.source))).collect()
}

/// The sample of a setting, with what stands beside it.
struct Sample {
    setting: &'static Setting,
    value: String,
    beside: Given,
    /// What the setting has without it; none where that is the default.
    before: Option<String>,
}

/// What holds by a file of settings. Its lines are found by their keys, which takes far less time
/// than variables do.
fn by_file(folder: &Path, given: &Given) -> Result<Resolved, ConfigError> {
    let file = folder.join("candidate.toml");
    fs::write(&file, toml(given)).unwrap();
    let overrides = Overrides {
        file: Some(file),
        ..Overrides::default()
    };
    resolve(&overrides, &BTreeMap::new())
}

impl Sample {
    /// One that differs from what stands there without it.
    fn of(setting: &'static Setting, folder: &Path) -> Self {
        let (set, unset) = beside(setting.key);
        let mut beside = base(folder);
        beside.extend(set.iter().map(|(key, value)| (*key, (*value).to_owned())));
        for key in unset {
            beside.remove(key);
        }
        let before = beside.remove(setting.key);
        let own = OWN_SAMPLES.iter().find(|(key, _)| *key == setting.key);
        let candidates: Vec<&str> = match own {
            Some((_, sample)) => vec![sample],
            None => SAMPLES.to_vec(),
        };
        let mut sample = Self {
            setting,
            value: String::new(),
            beside,
            before,
        };
        let unchanged = match by_file(folder, &sample.without()) {
            Ok(resolved) => shown(&resolved)[setting.key].0.clone(),
            Err(_) => setting.default_text(),
        };
        for candidate in candidates {
            sample.value = candidate.replace("FOLDER", folder.to_str().unwrap());
            if sample.before.as_ref() == Some(&sample.value) {
                continue;
            }
            let Ok(resolved) = by_file(folder, &sample.given()) else {
                continue;
            };
            // Of a secret only whether there is one is shown.
            let may_be_alike = own.is_some() || setting.secret && sample.before.is_some();
            if may_be_alike || shown(&resolved)[setting.key].0 != unchanged {
                return sample;
            }
        }
        panic!("no sample for {} ({})", setting.key, setting.accepts);
    }

    /// All of them, with the folder that they name.
    fn all() -> &'static (Home, Vec<Self>) {
        static ALL: LazyLock<(Home, Vec<Sample>)> = LazyLock::new(|| {
            let home = Home::new();
            fill(home.path());
            let samples = SETTINGS.iter();
            let samples = samples.map(|setting| Sample::of(setting, home.path()));
            let samples = samples.collect();
            (home, samples)
        });
        &ALL
    }

    /// What stands there without it.
    fn without(&self) -> Given {
        let mut given = self.beside.clone();
        let before = self.before.clone();
        given.extend(before.map(|value| (self.setting.key, value)));
        given
    }

    /// The setting and what stands beside it.
    fn given(&self) -> Given {
        let mut given = self.beside.clone();
        given.insert(self.setting.key, self.value.clone());
        given
    }
}

/// A variable of the test, for a secret that a flag refers to.
const SECRET: &str = "SECRET_OF_THE_TEST";

#[test]
fn each_setting_holds_by_file_by_variable_and_by_flag() {
    let (home, samples) = Sample::all();
    let file = home.path().join("one.toml");
    for sample in samples {
        let setting = sample.setting;
        let key = setting.key;
        let by_variable = resolve(&Overrides::default(), &variables(&sample.given())).unwrap();
        let by_variable = shown(&by_variable);
        assert_eq!(by_variable[key].1, setting.variable(), "{key}");
        fs::write(&file, toml(&sample.given())).unwrap();
        let mut overrides = Overrides {
            file: Some(file.clone()),
            ..Overrides::default()
        };
        let by_file =
            resolve(&overrides, &BTreeMap::new()).unwrap_or_else(|e| panic!("{key}: {e}"));
        let by_file = shown(&by_file);
        assert_eq!(by_file[key].0, by_variable[key].0, "{key}");
        assert!(by_file[key].1.starts_with(file.to_str().unwrap()), "{key}");
        // By flag, over a file that says nothing of it.
        fs::write(&file, toml(&sample.beside)).unwrap();
        let mut environment = BTreeMap::new();
        let mut value = sample.value.clone();
        if setting.secret {
            let mut plain = overrides.clone();
            plain.flag("--set", key, &value);
            let refused = resolve(&plain, &environment).unwrap_err().to_string();
            assert!(refused.contains("a command line can be read"), "{refused}");
            assert!(!refused.contains(&value), "{refused}");
            environment.insert(SECRET.to_owned(), value);
            value = format!("env:{SECRET}");
        }
        overrides.flag("--set", key, &value);
        let by_flag = resolve(&overrides, &environment).unwrap_or_else(|e| panic!("{key}: {e}"));
        let by_flag = shown(&by_flag);
        assert_eq!(
            by_flag[key],
            (by_variable[key].0.clone(), "--set".to_owned()),
            "{key}"
        );
        if let Some(name) = setting.fakeai_variable() {
            let mut variables = variables(&sample.beside);
            variables.insert(name.clone(), sample.value.clone());
            let resolved = shown(&resolve(&Overrides::default(), &variables).unwrap());
            assert_eq!(resolved[key], (by_variable[key].0.clone(), name), "{key}");
        }
    }
}

/// The same by the program: as many settings at once as agree with one another.
#[test]
fn the_program_shows_the_same_for_each_way() {
    let (home, samples) = Sample::all();
    // Another file of candidates than the one that makes the samples.
    let folder = home.path().join("program");
    fs::create_dir(&folder).unwrap();
    let mut given = base(home.path());
    let mut left_out = Vec::new();
    for sample in samples {
        let setting = sample.setting;
        let before = given.insert(setting.key, sample.value.clone());
        if by_file(&folder, &given).is_err() {
            left_out.push(setting.key);
            match before {
                Some(before) => given.insert(setting.key, before),
                None => given.remove(setting.key),
            };
        }
    }
    assert!(left_out.len() < 20, "{left_out:?}");
    let expected = shown(&resolve(&Overrides::default(), &variables(&given)).unwrap());
    let file = folder.join("all.toml");
    fs::write(&file, toml(&given)).unwrap();
    let show = ["config", "show", "--json"];
    let mut by_file = home.command(&show);
    by_file.arg("--config").arg(&file);
    let mut by_variable = home.command(&show);
    by_variable.envs(variables(&given));
    let mut by_flag = home.command(&show);
    for (at, (key, value)) in given.iter().enumerate() {
        let setting = SETTINGS.iter().find(|setting| setting.key == *key).unwrap();
        let mut value = value.clone();
        if setting.secret {
            let name = format!("{SECRET}_{at}");
            by_flag.env(&name, value);
            value = format!("env:{name}");
        }
        by_flag.arg("--set").arg(format!("{key}={value}"));
    }
    for mut command in [by_file, by_variable, by_flag] {
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {stderr}");
        let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
        for row in rows.as_array().unwrap() {
            let key = row["key"].as_str().unwrap();
            assert_eq!(row["value"], expected[key].0, "{key}");
            let is_default = row["source"] == "default";
            assert_eq!(is_default, !given.contains_key(key), "{key}");
        }
    }
}

/// Flags of a setting's own, each of which the server says was used.
///
/// Acts: `listen`, `data_dir`, `require_api_key`, `tls.cert`, `tls.key`, `log.format`, `log.level`.
#[test]
fn flags_of_their_own_say_what_their_settings_say() {
    let home = Home::new();
    fill(home.path());
    let values = BTreeMap::from([
        ("listen", "127.0.0.1:0"),
        ("data_dir", "elsewhere"),
        ("insecure", "true"),
        ("require_api_key", "true"),
        ("tls.cert", "tls.pem"),
        ("tls.key", "tls.key"),
        ("log.format", "json"),
        ("log.level", "info"),
    ]);
    let mut arguments = Vec::new();
    for setting in SETTINGS {
        if let Some(flag) = setting.flag {
            let value = values.get(setting.key);
            let value = value.unwrap_or_else(|| panic!("{flag} is new: give it a value here"));
            arguments.push(match *value {
                // A switch is on where it stands.
                "true" => flag.to_owned(),
                value => format!("{flag}={value}"),
            });
        }
    }
    assert_eq!(arguments.len(), values.len());
    arguments.extend(["--set".to_owned(), "embedded.fake=false".to_owned()]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let server = Server::spawn(home.command(&arguments));
    assert!(server.url.starts_with("https://"), "{}", server.banner);
    let show = [
        "config",
        "show",
        "--server",
        "--json",
        "--data-dir",
        "elsewhere",
    ];
    let rows = home.json(&show);
    for setting in SETTINGS {
        if let Some(flag) = setting.flag {
            let rows = rows.as_array().unwrap();
            let row = rows.iter().find(|row| row["key"] == setting.key).unwrap();
            assert_eq!(row["source"], flag, "{}", setting.key);
        }
    }
    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert!(
        lines.filter(|line| line["level"] == "INFO").count() > 0,
        "{log}"
    );
}

/// One request to a server over the socket in its data directory.
fn ask(home: &Home, method: &str, path: &str) -> (u16, Value) {
    let data = home.path().join("data");
    let key = fs::read_to_string(data.join("admin.key")).unwrap();
    let mut stream = UnixStream::connect(data.join("server.sock")).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-api-key: {}\r\n\
         content-length: 0\r\n\r\n",
        key.trim()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let text = serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {answer}"));
    (status, text)
}

/// What a reading has done: the keys that changed, and those that wait for a start.
fn reload(home: &Home) -> (BTreeSet<String>, BTreeSet<String>) {
    let (status, answer) = ask(home, "POST", "/admin/reload");
    assert_eq!(status, 200, "{answer}");
    let keys = |list: &str| {
        let all = answer[list].as_array().unwrap().iter();
        all.map(|change| change["key"].as_str().unwrap().to_owned())
            .collect()
    };
    (keys("changed"), keys("waiting"))
}

/// Every row is taken up by a running server if it says that it can be, and waits if it does not.
#[test]
fn each_setting_is_read_again_as_its_row_says() {
    let (home, samples) = Sample::all();
    let file = home.path().join("belljar.toml");
    let folder = home.path().join("reload");
    fs::create_dir(&folder).unwrap();
    let write = |given: &Given| fs::write(&file, toml(given)).unwrap();
    let base = base(home.path());
    write(&base);
    let config = ["--config", file.to_str().unwrap()];
    let server = Server::start(home, &config);
    let holds = || -> BTreeMap<String, String> {
        let (status, rows) = ask(home, "GET", "/admin/config");
        assert_eq!(status, 200, "{rows}");
        let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
        let rows = rows.as_array().or(rows["data"].as_array()).unwrap().iter();
        rows.map(|row| (text(row, "key"), text(row, "value")))
            .collect()
    };
    let before = holds();
    let mut waiting = 0;
    // Given by a flag, which a file does not change.
    let listen = |sample: &&Sample| sample.setting.key == "listen";
    for sample in samples.iter().filter(|sample| !listen(sample)) {
        let setting = sample.setting;
        let key = setting.key;
        // What its value has beside it is there first, where it means something alone.
        if sample.without() != base && by_file(&folder, &sample.without()).is_ok() {
            write(&sample.without());
            reload(home);
        }
        write(&sample.given());
        let expected = shown(&by_file(&folder, &sample.given()).unwrap());
        let (changed, waits) = reload(home);
        let now = holds();
        let is_same = expected[key].0 == before[key] && !setting.secret;
        if setting.reloads {
            assert!(changed.contains(key) || is_same, "{key}: {changed:?}");
            assert_eq!(now[key], expected[key].0, "{key}");
        } else {
            waiting += 1;
            assert!(waits.contains(key) || is_same, "{key}: {waits:?}");
            assert_eq!(now[key], before[key], "{key}");
        }
    }
    let reloads = SETTINGS.iter().filter(|setting| setting.reloads).count();
    assert_eq!(waiting + reloads + 1, SETTINGS.len());
    assert!(waiting > 50 && reloads > 50, "{waiting} {reloads}");
    write(&base);
    reload(home);
    assert_eq!(holds(), before);
    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");
    for secret in [HOOK, "a-token", "a-text-of-more-than-thirty-two-bytes"] {
        assert!(!log.contains(secret), "{log}");
    }
}
