//! The store and the packer through the public interface.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "a test tells its child process, or is told, by the environment"
)]

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use belljar_bundle::pack::{Content, Parts, pack_folder, pack_parts};
use belljar_bundle::{
    ArchiveLimits, BundleError, Digest, Fuel, Manifest, RequestedLimits, SignaturePolicy,
    SigningKey, Store, TrustedKey, check,
};

#[path = "store/apart.rs"]
mod apart;

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0 a component";

fn parts(assets: &[(&str, &[u8])]) -> Parts {
    let mut parts = Parts::new(
        "m".parse().unwrap(),
        "1.0.0".parse().unwrap(),
        Content::Bytes(COMPONENT.to_vec()),
    );
    parts.assets = assets
        .iter()
        .map(|(name, content)| (name.parse().unwrap(), Content::Bytes(content.to_vec())))
        .collect();
    parts
}

fn packed(parts: &Parts) -> (Manifest, Vec<u8>) {
    let mut bytes = Vec::new();
    let manifest = pack_parts(parts, None, &mut bytes).unwrap();
    (manifest, bytes)
}

fn open(store: &Store, bytes: &[u8]) -> belljar_bundle::CheckedBundle {
    store
        .unpack(
            bytes,
            &ArchiveLimits::default(),
            &SignaturePolicy::default(),
        )
        .unwrap()
}

fn count_files(root: &Path) -> usize {
    let mut count = 0;
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else {
                count += 1;
            }
        }
    }
    count
}

#[test]
fn what_is_packed_comes_out() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(&root.path().join("store")).unwrap();
    let long = format!("{}/x.bin", "d".repeat(150));
    let (manifest, bytes) = packed(&parts(&[
        ("a.bin", b"aaa"),
        (&long, b"long"),
        ("empty", b""),
    ]));

    let checked = open(&store, &bytes);
    assert_eq!(checked.manifest(), &manifest);
    assert_eq!(checked.digest(), manifest.digest());
    assert_eq!(checked.compressed_bytes(), bytes.len() as u64);
    assert_eq!(checked.unpacked_bytes(), bytes.len() as u64);
    assert!(matches!(
        store.open_bundle(&manifest.digest()),
        Err(BundleError::BundleUnknown { .. })
    ));

    let stored = checked.commit().unwrap();
    assert_eq!(fs::read(stored.payload_path()).unwrap(), COMPONENT);
    let names: Vec<&str> = stored.assets().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["a.bin", long.as_str(), "empty"]);
    for file in stored.assets() {
        assert_eq!(Digest::of(&fs::read(&file.path).unwrap()), file.digest);
        assert_eq!(
            fs::metadata(&file.path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    assert_eq!(stored.stored_bytes(), COMPONENT.len() as u64 + 7);
    stored.verify().unwrap();

    let again = Store::open(&root.path().join("store")).unwrap();
    assert_eq!(
        again.open_bundle(&manifest.digest()).unwrap().manifest(),
        &manifest
    );
    assert_eq!(
        fs::metadata(root.path().join("store"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o700
    );
}

#[test]
fn packing_is_reproducible() {
    assert_eq!(
        packed(&parts(&[("b", b"1"), ("a", b"2")])).1,
        packed(&parts(&[("b", b"1"), ("a", b"2")])).1
    );
}

#[test]
fn nothing_is_left_of_a_failed_or_dropped_receive() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    let (_, bytes) = packed(&parts(&[("a", &[7; 5000])]));
    drop(open(&store, &bytes));
    assert_eq!(count_files(root.path()), 0);
    for cut in (0..bytes.len()).step_by(97) {
        let result = store.unpack(
            &bytes[..cut],
            &ArchiveLimits::default(),
            &SignaturePolicy::default(),
        );
        assert!(!result.unwrap_err().is_host_fault());
        assert_eq!(
            fs::read_dir(root.path().join("staging")).unwrap().count(),
            0
        );
    }
    assert_eq!(count_files(root.path()), 0);
}

#[test]
fn a_sender_that_breaks_off_is_told_apart() {
    struct Breaks<'a>(&'a [u8]);
    impl Read for Breaks<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::Error::new(io::ErrorKind::ConnectionReset, "gone")),
                count => Ok(count),
            }
        }
    }
    let (_, bytes) = packed(&parts(&[("a", &[7; 5000])]));
    for sent in [
        &bytes[..1000],
        &stored_gzip(&bytes)[..100],
        &bytes[..0],
        &bytes[..1],
        &stored_gzip(&bytes)[..5],
    ] {
        let error = check(
            Breaks(sent),
            &ArchiveLimits::default(),
            &SignaturePolicy::default(),
        )
        .unwrap_err();
        assert!(
            matches!(&error, BundleError::SenderBroke { source } if source.kind() == io::ErrorKind::ConnectionReset),
            "{error}"
        );
    }
}

fn stored_gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    io::copy(&mut &bytes[..], &mut encoder).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_nobody_needs_is_removed_and_what_is_held_stays() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    let (first, first_bytes) = packed(&parts(&[("shared", b"shared"), ("one", b"only in one")]));
    let (second, second_bytes) = packed(&parts(&[("shared", b"shared"), ("two", b"2")]));
    let held = open(&store, &first_bytes).commit().unwrap();
    drop(open(&store, &second_bytes).commit().unwrap());

    // Held, though the caller does not list it.
    assert_eq!(
        store
            .remove_unreferenced(&HashSet::from([second.digest()]))
            .unwrap(),
        0
    );
    held.verify().unwrap();
    drop(held);
    let freed = store
        .remove_unreferenced(&HashSet::from([second.digest()]))
        .unwrap();
    assert_eq!(
        freed,
        "only in one".len() as u64 + first.to_canonical().len() as u64
    );
    store
        .open_bundle(&second.digest())
        .unwrap()
        .verify()
        .unwrap();
    assert!(store.open_bundle(&first.digest()).is_err());

    store.remove_unreferenced(&HashSet::new()).unwrap();
    assert_eq!(count_files(root.path()), 0);
}

#[test]
fn leftovers_are_swept_at_the_start_and_running_receives_are_not() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    let left = root.path().join("staging/receive-left");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("0"), "half").unwrap();
    let (_, bytes) = packed(&parts(&[]));
    let running = open(&store, &bytes);
    Store::open(root.path()).unwrap();
    assert!(!left.exists());
    running.commit().unwrap().verify().unwrap();
}

#[test]
fn the_same_bundle_twice_and_at_once() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    let (manifest, bytes) = packed(&parts(&[("a", &[1; 100_000]), ("same", &[1; 100_000])]));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5 {
                    open(&store, &bytes).commit().unwrap().verify().unwrap();
                }
            });
        }
    });
    assert_eq!(
        store.open_bundle(&manifest.digest()).unwrap().files().len(),
        3
    );
    assert_eq!(count_files(root.path()), 3);
}

#[test]
fn damage_is_found_and_mended_by_another_upload() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    let (manifest, bytes) = packed(&parts(&[("a", b"content")]));
    let stored = open(&store, &bytes).commit().unwrap();
    let path = stored.assets().next().unwrap().path.clone();
    fs::write(&path, "changed").unwrap();
    assert_eq!(stored.verify().unwrap_err().code(), "store_damaged");
    fs::write(&path, "cut").unwrap();
    open(&store, &bytes).commit().unwrap().verify().unwrap();
    fs::remove_file(&path).unwrap();
    let error = store.open_bundle(&manifest.digest()).unwrap_err();
    assert_eq!(
        (error.code(), error.is_host_fault()),
        ("store_damaged", true)
    );
}

#[test]
fn signatures_and_policy() {
    let key = SigningKey::from_seed(&[7; 32]);
    let other = SigningKey::from_seed(&[8; 32]);
    assert_eq!(format!("{key:?}"), "SigningKey(****)");
    let mut signed = Vec::new();
    pack_parts(&parts(&[("a", b"x")]), Some(&key), &mut signed).unwrap();
    let (_, unsigned) = packed(&parts(&[("a", b"x")]));
    let policy = |required, key: &SigningKey| SignaturePolicy {
        required,
        trusted: vec![TrustedKey {
            name: "team".to_owned(),
            key: key.public(),
        }],
    };
    let limits = ArchiveLimits::default();
    let by = |bytes: &[u8], policy: &SignaturePolicy| {
        check(bytes, &limits, policy)
            .map(|checked| checked.signed_by().map(str::to_owned))
            .map_err(|error| error.code())
    };
    assert_eq!(
        by(&signed, &policy(true, &key)),
        Ok(Some("team".to_owned()))
    );
    assert_eq!(
        by(&signed, &policy(true, &other)),
        Err("signature_untrusted")
    );
    assert_eq!(by(&signed, &policy(false, &other)), Ok(None));
    assert_eq!(by(&unsigned, &policy(true, &key)), Err("signature_missing"));
    assert_eq!(by(&unsigned, &policy(false, &key)), Ok(None));

    // The same signature under a changed manifest.
    let text = String::from_utf8_lossy(&signed).into_owned();
    let manifest = &text[text.find("schema").unwrap()
        ..text
            .find("\0\0")
            .map_or(0, |_| text.rfind("==\"\n").unwrap() + 4)];
    let forged = manifest.replace("1.0.0", "1.0.1");
    let parsed = Manifest::parse(&forged).unwrap();
    assert_eq!(
        policy(false, &key).check(&parsed).unwrap_err().code(),
        "signature_wrong"
    );
    assert!(
        policy(true, &key)
            .check(&Manifest::parse(manifest).unwrap())
            .is_ok()
    );
    let public = key.public();
    assert_eq!(
        public
            .to_string()
            .parse::<belljar_bundle::PublicKey>()
            .unwrap(),
        public
    );
}

fn project(folder: &Path, manifest: &str) {
    fs::create_dir_all(folder.join("assets/deep")).unwrap();
    fs::create_dir_all(folder.join("target/wasm32-wasip2/release")).unwrap();
    fs::write(
        folder.join("target/wasm32-wasip2/release/x.wasm"),
        COMPONENT,
    )
    .unwrap();
    fs::write(folder.join("assets/weights.bin"), "w").unwrap();
    fs::write(folder.join("assets/deep/table.bin"), "t").unwrap();
    fs::write(folder.join("assets/.DS_Store"), "junk").unwrap();
    fs::write(folder.join("LICENSE"), "free").unwrap();
    fs::write(folder.join("model.toml"), manifest).unwrap();
}

const PROJECT: &str = "schema = 1\nname = \"p\"\nversion = \"0.1.0\"\n\
                       component = \"target/wasm32-wasip2/release/x.wasm\"\n";

fn folder_code(manifest: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    project(folder.path(), manifest);
    match pack_folder(folder.path(), None, io::sink()) {
        Ok(_) => "packed".to_owned(),
        Err(error) => format!("{} {error}", error.code()),
    }
}

#[test]
fn a_project_folder_becomes_a_bundle() {
    let folder = tempfile::tempdir().unwrap();
    project(
        folder.path(),
        &format!("{PROJECT}[limits]\nfuel = 5\n[digests]\nLICENSE = \"\"\n"),
    );
    let mut bytes = Vec::new();
    let manifest = pack_folder(folder.path(), None, &mut bytes).unwrap();
    assert_eq!(manifest.payload().file().as_str(), "x.wasm");
    assert_eq!(
        manifest.limits(),
        &RequestedLimits {
            fuel: Some(Fuel(5)),
            ..Default::default()
        }
    );
    let stored = check(
        &bytes[..],
        &ArchiveLimits::default(),
        &SignaturePolicy::default(),
    )
    .unwrap()
    .commit()
    .unwrap();
    let names: Vec<&str> = stored.assets().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["deep/table.bin", "weights.bin"]);
    assert_eq!(stored.files().len(), 4);
    assert_eq!(fs::read(stored.payload_path()).unwrap(), COMPONENT);
    // A temporary store goes with the last value that needs it.
    let path = stored.payload_path();
    drop(stored);
    assert!(!path.exists());
}

#[test]
fn a_project_that_cannot_be_packed_says_what_to_change() {
    assert_eq!(folder_code(PROJECT), "packed");
    let listed = "[assets]\n\"weights.bin\" = \"\"\n\"deep/table.bin\" = \"\"\n";
    assert_eq!(folder_code(&format!("{PROJECT}{listed}")), "packed");
    for (more, code, says) in [
        (
            "[assets]\n\"weights.bin\" = \"\"\n",
            "project_content",
            "\"deep/table.bin\" = \"\"",
        ),
        (
            "[assets]\n\"none.bin\" = \"\"\n\"weights.bin\" = \"\"\n\"deep/table.bin\" = \"\"\n",
            "project_file",
            "none.bin",
        ),
        (
            "[assets]\n\"weights.bin\" = \"sha256:0000000000000000000000000000000000000000000000000000000000000000\"\n\"deep/table.bin\" = \"\"\n",
            "project_content",
            "write \"\" there",
        ),
        (
            "[signature]\nkey = \"x\"\nvalue = \"y\"",
            "manifest_value",
            "signature.key",
        ),
    ] {
        let got = folder_code(&format!("{PROJECT}{more}"));
        assert!(got.starts_with(code) && got.contains(says), "{more}: {got}");
    }
    let missing = PROJECT.replace("x.wasm", "y.wasm");
    assert!(folder_code(&missing).contains("cargo build --release --target wasm32-wasip2"));
    // What is not written in Rust is not built by cargo.
    let elsewhere = PROJECT.replace("target/wasm32-wasip2/release/x.wasm", "y.wasm");
    for (file, hint) in [
        ("Cargo.toml", "cargo build"),
        ("package.json", "npm run build"),
        ("Makefile", "make"),
        ("app.py", "componentize-py"),
        ("main.c", "build the component first"),
    ] {
        let project = tempfile::tempdir().unwrap();
        fs::write(project.path().join("model.toml"), &elsewhere).unwrap();
        fs::write(project.path().join(file), "").unwrap();
        let told = pack_folder(project.path(), None, io::sink()).unwrap_err();
        let told = told.to_string();
        assert!(told.contains(hint), "{told}");
        assert_eq!(told.contains("cargo"), hint.contains("cargo"), "{told}");
    }
    let wrong = PROJECT.replace("target/wasm32-wasip2/release/x.wasm", "LICENSE");
    assert!(folder_code(&wrong).contains("too short"));
    let empty = tempfile::tempdir().unwrap();
    let error = pack_folder(empty.path(), None, io::sink()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("a project folder has a model.toml"),
        "{error}"
    );
}

#[test]
fn commits_and_removals_at_once() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    let bundles: Vec<Vec<u8>> = (0..3_u8)
        .map(|n| packed(&parts(&[("shared", b"shared"), ("own", &[n; 9000])])).1)
        .collect();
    std::thread::scope(|scope| {
        for bytes in &bundles {
            let store = &store;
            scope.spawn(move || {
                for _ in 0..20 {
                    open(store, bytes).commit().unwrap().verify().unwrap();
                }
            });
        }
        for _ in 0..60 {
            store.remove_unreferenced(&HashSet::new()).unwrap();
        }
    });
    store.remove_unreferenced(&HashSet::new()).unwrap();
    assert_eq!(count_files(root.path()), 0);
}

/// Set for the child of the next test.
const FULL: &str = "BELLJAR_BUNDLE_FULL_TEST_ROOT";

#[test]
fn a_full_disk_is_our_fault_and_leaves_nothing() {
    if let Ok(root) = std::env::var(FULL) {
        let store = Store::open(Path::new(&root)).unwrap();
        let (_, bytes) = packed(&parts(&[("a", &[7; 300_000])]));
        let error = store
            .unpack(
                &bytes[..],
                &ArchiveLimits::default(),
                &SignaturePolicy::default(),
            )
            .unwrap_err();
        assert_eq!((error.code(), error.is_host_fault()), ("store_full", true));
        assert_eq!(count_files(Path::new(&root)), 0);
        return;
    }
    // The same test in a process that may write files of 64 KiB at most: a full disk that needs
    // no privileges. The signal that would end the process is ignored, so that writes fail. What it
    // prints goes through a pipe, as a long log that this process writes to would be a full disk, too.
    let root = tempfile::tempdir().unwrap();
    let script = "trap '' XFSZ; ulimit -f 128; exec \"$0\" --exact \"$1\"";
    let test = "a_full_disk_is_our_fault_and_leaves_nothing";
    let run = std::process::Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .env(FULL, root.path())
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
}

#[test]
fn a_broken_disk_is_our_fault() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    fs::remove_dir(root.path().join("staging")).unwrap();
    let (_, bytes) = packed(&parts(&[]));
    let error = store
        .unpack(
            &bytes[..],
            &ArchiveLimits::default(),
            &SignaturePolicy::default(),
        )
        .unwrap_err();
    assert_eq!(
        (error.code(), error.is_host_fault()),
        ("store_failed", true)
    );
}
