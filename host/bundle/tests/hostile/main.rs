//! One table of archives that must be refused, each with the code of its refusal, and one of
//! unusual archives that must be taken. Built byte by byte, so that each row differs from a
//! good bundle in one thing.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod refused;
mod taken;

use std::fs;

use belljar_bundle::hostile::{Entry, GNU, Tar, begin, good, gzip, manifest, zstd};
use belljar_bundle::{ArchiveLimits, CheckedBundle, SignaturePolicy, Store};

use refused::refused;
use taken::taken;

const WASM: &[u8] = b"\0asm\x0d\0\x01\0 a component";

fn unpack(store: &Store, bytes: &[u8]) -> Result<CheckedBundle, belljar_bundle::BundleError> {
    store.unpack(
        bytes,
        &ArchiveLimits::for_testing(),
        &SignaturePolicy::default(),
    )
}

#[test]
fn hostile_archives_are_refused_with_their_code() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    let mut wrong = Vec::new();
    for (what, code, bytes) in refused() {
        match unpack(&store, &bytes) {
            Ok(_) => wrong.push(format!("{what}: taken, not {code}")),
            Err(error) if error.code() != code => {
                wrong.push(format!("{what}: {} ({error}), not {code}", error.code()));
            }
            Err(error) => {
                assert!(!error.is_host_fault(), "{what}: {error}");
                let message = error.to_string();
                assert!(message.chars().count() < 500, "{what}: {message}");
                assert!(
                    !message.chars().any(char::is_control),
                    "{what}: {message:?}"
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(
        fs::read_dir(root.path().join("staging")).unwrap().count(),
        0
    );
    assert_eq!(
        fs::read_dir(root.path().join("blobs/sha256"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn unusual_archives_are_taken() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    for (what, bytes) in taken() {
        match unpack(&store, &bytes) {
            Ok(checked) => checked.commit().unwrap().verify().unwrap(),
            Err(error) => panic!("{what}: {error}"),
        }
    }
}

/// Written by the tools themselves, from the same folder: see `fixtures/make.sh`.
#[test]
fn archives_of_real_tools_are_taken_and_are_all_the_same_bundle() {
    let store = Store::temporary().unwrap();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    let mut digests = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "sh") {
            continue;
        }
        let archive = fs::File::open(&path).unwrap();
        match store.unpack(
            archive,
            &ArchiveLimits::default(),
            &SignaturePolicy::default(),
        ) {
            Ok(checked) => digests.push(checked.digest()),
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }
    assert!(digests.len() >= 7, "{}", digests.len());
    digests.dedup();
    assert_eq!(digests.len(), 1);
}

#[test]
fn compression_and_order_do_not_change_the_identity() {
    let store = Store::temporary().unwrap();
    let digest = |bytes: &[u8]| unpack(&store, bytes).unwrap().digest();
    let first = good(WASM, &[("a", b"x")]);
    let text = manifest(WASM, &[("a", b"x")], "# a comment");
    let second = Tar::new()
        .file("a", *b"x")
        .file("model.wasm", WASM)
        .file("model.toml", text)
        .end();
    assert_eq!(digest(&first), digest(&gzip(&first)));
    assert_eq!(digest(&first), digest(&zstd(&second)));
}

/// Somebody whose tool wrote the archive finds the place, and what to tell the tool.
#[test]
fn a_refusal_names_the_entry_its_place_and_the_way_out() {
    let store = Store::temporary().unwrap();
    let link = || Entry::of_kind(b'2', "d/a");
    let told = |bytes: &[u8]| unpack(&store, bytes).unwrap_err().to_string();
    let tar = begin(WASM, &[]).entry(link()).end();
    let expect = "\"d/a\" is a symbolic link: a bundle holds regular files and directories only \
                  (entry 3, header at byte 2048 of the tar; GNU tar: `--dereference` (`-h`); \
                  bsdtar: `-L`; to pack what the link leads to)";
    assert_eq!(told(&tar), expect);
    assert_eq!(told(&gzip(&tar)), expect);
    let extended = begin(WASM, &[])
        .directory("d/")
        .entry(Entry::pax(&[("mtime", b"1"), ("linkpath", b"x")]))
        .file("d/a", *b"x")
        .end();
    let text = told(&extended);
    assert!(
        text.contains("entry 4, \"PaxHeaders/0\", header at byte 2560"),
        "{text}"
    );
    let global = Tar::new()
        .entry(Entry {
            kind: b'g',
            ..Entry::pax(&[("path", b"x")])
        })
        .end();
    let text = told(&global);
    assert!(text.contains("`--pax-option=globexthdr`"), "{text}");
    let nul = begin(WASM, &[("a", b"x")])
        .entry(Entry::pax(&[("path", b"a\0b")]))
        .file("a", *b"x")
        .end();
    let text = told(&nul);
    assert!(!text.contains("\\0") && !text.contains('\0'), "{text}");
}

#[test]
fn what_macos_adds_is_passed_over_and_named() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    let names = |bytes: &[u8]| {
        let checked = unpack(&store, bytes).unwrap();
        let names = checked.passed_over().to_vec();
        checked.commit().unwrap().verify().unwrap();
        names
    };
    let bytes = Tar::new()
        .file("._model.toml", *b"attributes of macOS")
        .raw(begin(WASM, &[("._b", b"y")]).cut())
        .file("._b", *b"y")
        .file("__MACOSX/._c", *b"attributes of macOS")
        .end();
    assert_eq!(names(&bytes), ["._model.toml", "__MACOSX/._c"]);
    // Neither is anywhere in the store: the component, the named file and the manifest are.
    let stored = fs::read_dir(root.path().join("blobs/sha256")).unwrap();
    assert_eq!(stored.count(), 3);
}

/// Each cap takes what is exactly as large, and refuses what is one larger.
#[test]
fn caps_are_exact() {
    let bytes = good(WASM, &[("a", &[1; 1000])]);
    let text = manifest(WASM, &[("a", &[1; 1000])], "");
    let exact = ArchiveLimits {
        compressed_bytes_max: bytes.len() as u64,
        unpacked_bytes_max: bytes.len() as u64,
        entries_max: 3,
        entry_bytes_max: 1000,
        component_bytes_max: WASM.len() as u64,
        manifest_bytes_max: text.len() as u64,
        path_bytes_max: "model.wasm".len(),
        path_depth_max: 1,
        ratio_max: 1,
    };
    let code = |limits: ArchiveLimits| {
        belljar_bundle::check(&bytes[..], &limits, &SignaturePolicy::default())
            .map(|checked| checked.unpacked_bytes())
            .map_err(|error| error.code())
    };
    assert_eq!(code(exact.clone()), Ok(bytes.len() as u64));
    let one_less = |change: fn(&mut ArchiveLimits)| {
        let mut limits = exact.clone();
        change(&mut limits);
        code(limits)
    };
    assert_eq!(
        one_less(|limits| limits.compressed_bytes_max -= 1),
        Err("compressed_too_large")
    );
    assert_eq!(
        one_less(|limits| limits.unpacked_bytes_max -= 1),
        Err("unpacked_too_large")
    );
    assert_eq!(
        one_less(|limits| limits.entries_max -= 1),
        Err("too_many_entries")
    );
    assert_eq!(
        one_less(|limits| limits.entry_bytes_max -= 1),
        Err("entry_too_large")
    );
    assert_eq!(
        one_less(|limits| limits.component_bytes_max -= 1),
        Err("component_too_large")
    );
    assert_eq!(
        one_less(|limits| limits.manifest_bytes_max -= 1),
        Err("manifest_too_large")
    );
    assert_eq!(
        one_less(|limits| limits.path_bytes_max -= 1),
        Err("path_too_long")
    );
    assert_eq!(
        one_less(|limits| limits.path_depth_max -= 1),
        Err("path_too_deep")
    );
}

/// A bundle whose asset is named by extensions before a plain header.
fn extended(extensions: &[Entry], header_name: impl AsRef<[u8]>, path: &str) -> Vec<u8> {
    let start = begin(WASM, &[(path, b"x")]);
    let tar = extensions.iter().cloned().fold(start, Tar::entry);
    let magic = if extensions.iter().any(|entry| entry.kind == b'L') {
        GNU
    } else {
        *b"ustar\x0000"
    };
    tar.entry(Entry {
        magic,
        ..Entry::file(header_name, *b"x")
    })
    .end()
}
