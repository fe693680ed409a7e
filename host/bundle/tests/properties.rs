//! Properties that hold for all inputs: what is accepted stays under its root, what is packed
//! comes out, nothing panics, nothing that was signed can be changed, and no other reader of
//! tar sees another archive than we do.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Component, Path};

use belljar_bundle::hostile::{Entry, GNU, Tar, begin, gzip, zstd};
use belljar_bundle::pack::{Content, Parts, pack_parts};
use belljar_bundle::{
    ArchiveLimits, AssetName, ByteSize, Digest, DurationText, Manifest, SignaturePolicy,
    SigningKey, Store, TrustedKey,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

const WASM: &[u8] = b"\0asm\x0d\0\x01\0 a component";

/// One store a thread, because making one costs more than a case does. Not a static: a static is
/// never dropped, and its directory would stay.
fn store() -> Store {
    thread_local! {
        static STORE: Store = Store::temporary().unwrap();
    }
    STORE.with(Store::clone)
}

fn code(store: &Store, bytes: &[u8], policy: &SignaturePolicy) -> Result<Digest, &'static str> {
    store
        .unpack(bytes, &ArchiveLimits::for_testing(), policy)
        .map(|checked| checked.digest())
        .map_err(|error| error.code())
}

fn parts(assets: &BTreeMap<String, Vec<u8>>) -> Parts {
    let component = Content::Bytes(WASM.to_vec());
    let mut parts = Parts::new("m".parse().unwrap(), "1.0.0".parse().unwrap(), component);
    parts.assets = assets
        .iter()
        .map(|(name, content)| (name.parse().unwrap(), Content::Bytes(content.clone())))
        .collect();
    parts
}

/// A tar with a signed manifest, and the only policy that takes it.
fn signed() -> (Vec<u8>, Digest, SignaturePolicy) {
    let key = SigningKey::from_seed(&[3; 32]);
    let assets = BTreeMap::from([
        ("weights.bin".to_owned(), vec![5; 700]),
        (format!("{}/long.bin", "d".repeat(120)), vec![6; 40]),
    ]);
    let mut bytes = Vec::new();
    let manifest = pack_parts(&parts(&assets), Some(&key), &mut bytes).unwrap();
    let trusted = vec![TrustedKey {
        name: "k".to_owned(),
        key: key.public(),
    }];
    (
        bytes,
        manifest.digest(),
        SignaturePolicy {
            required: true,
            trusted,
        },
    )
}

/// Pieces from which both good and evil paths come together.
fn path() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("..".to_owned()),
        Just(".".to_owned()),
        Just(String::new()),
        Just("C:".to_owned()),
        Just("\\".to_owned()),
        Just("\0".to_owned()),
        "[a-cA-C]{1,3}",
        "\\PC{0,6}",
        ".{0,4}",
    ];
    vec(part, 0..6).prop_map(|parts| parts.join("/"))
}

fn entry() -> impl Strategy<Value = Entry> {
    let name = prop_oneof![
        Just("a".to_owned()),
        Just("./a".to_owned()),
        Just("model.toml".to_owned()),
        Just("model.wasm".to_owned()),
        Just("d/".to_owned()),
        Just("._a".to_owned()),
        Just("PaxHeader".to_owned()),
        Just("x".repeat(100)),
        path(),
    ];
    let kind = prop_oneof![
        6 => Just(b'0'), 2 => Just(b'5'), 2 => Just(b'x'), 2 => Just(b'L'), 1 => Just(b'g'),
        1 => any::<u8>(),
    ];
    let content = prop_oneof![
        Just(b"x".to_vec()),
        Just(WASM.to_vec()),
        vec(any::<u8>(), 0..600),
        (path(), path()).prop_map(|(a, b)| {
            [
                belljar_bundle::hostile::record("path", a.as_bytes()),
                belljar_bundle::hostile::record("size", b.as_bytes()),
            ]
            .concat()
        }),
        path().prop_map(String::into_bytes),
    ];
    let magic = prop_oneof![Just(*b"ustar\x0000"), Just(GNU)];
    (
        name,
        kind,
        content,
        magic,
        proptest::option::weighted(0.1, 0_u64..2000),
    )
        .prop_map(|(name, kind, content, magic, size)| {
            let entry = Entry {
                kind,
                magic,
                ..Entry::file(name, content)
            };
            match size {
                Some(size) => entry.sized(size),
                None => entry,
            }
        })
}

/// What macOS puts beside files, which is no part of a bundle.
fn is_passed_over(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap();
    file.starts_with("._") || file == ".DS_Store" || path.split('/').any(|part| part == "__MACOSX")
}

/// Few cases, so that everybody runs them; `PROPTEST_CASES=100000` looks harder.
fn config() -> ProptestConfig {
    let regressions = FileFailurePersistence::Direct("tests/properties.regressions");
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() {
        ProptestConfig::default().cases
    } else {
        128
    };
    ProptestConfig {
        cases,
        failure_persistence: Some(Box::new(regressions)),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_accepted_path_stays_under_its_root(text in path()) {
        if let Ok(name) = text.parse::<AssetName>() {
            prop_assert_eq!(name.as_str(), &text);
            let full = Path::new("/root").join(name.as_str());
            let parts: Vec<_> = full.components().skip(1).collect();
            prop_assert!(parts.iter().all(|part| matches!(part, Component::Normal(_))));
            prop_assert_eq!(parts.len() - 1, text.split('/').count());
            prop_assert!(full.starts_with("/root/"));
        }
    }

    #[test]
    fn what_is_packed_comes_out(assets in btree_map("[a-z]{1,8}(/[0-9]{1,70}){0,2}", vec(any::<u8>(), 0..3000), 0..6)) {
        let mut bytes = Vec::new();
        // Names of which one is a folder of another are refused by both sides.
        if let Ok(manifest) = pack_parts(&parts(&assets), None, &mut bytes) {
            let store = store();
            let limits = ArchiveLimits::for_testing();
            for sent in [bytes.clone(), gzip(&bytes), zstd(&bytes)] {
                let checked = store.unpack(&sent[..], &limits, &SignaturePolicy::default()).unwrap();
                prop_assert_eq!(checked.manifest(), &manifest);
                let stored = checked.commit().unwrap();
                let found: BTreeMap<String, Vec<u8>> = stored
                    .assets()
                    .map(|file| (file.name.to_string(), std::fs::read(&file.path).unwrap()))
                    .collect();
                prop_assert_eq!(&found, &assets);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(
        magic in prop_oneof![Just(&b""[..]), Just(&b"\x1f\x8b\x08\0"[..]), Just(&b"\x28\xb5\x2f\xfd"[..])],
        bytes in vec(any::<u8>(), 0..4000),
    ) {
        let store = store();
        prop_assert!(code(&store, &[magic, &bytes].concat(), &SignaturePolicy::default()).is_err());
    }

    #[test]
    fn what_is_signed_cannot_be_changed(
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        compress in 0..3_u8,
    ) {
        let (bytes, digest, policy) = signed();
        let mut bytes = match compress {
            0 => bytes,
            1 => gzip(&bytes),
            _ => zstd(&bytes),
        };
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        // Comments, times and owners may change; what the bundle is may not.
        if let Ok(found) = code(&store(), &bytes, &policy) {
            prop_assert_eq!(found, digest);
        }
    }

    #[test]
    fn a_cut_archive_is_never_taken(at in any::<prop::sample::Index>(), compress in 0..3_u8) {
        let (bytes, _, policy) = signed();
        let bytes = match compress {
            0 => bytes,
            1 => gzip(&bytes),
            _ => zstd(&bytes),
        };
        let cut = &bytes[..at.index(bytes.len())];
        prop_assert!(code(&store(), cut, &policy).is_err());
    }

    /// Whatever is accepted, the `tar` crate's own reader sees the same files in it.
    #[test]
    fn another_reader_sees_the_same_archive(
        entries in vec(entry(), 0..6),
        before in any::<bool>(),
        ends in prop_oneof![4 => Just(2_usize), 1 => 0_usize..4],
    ) {
        let assets: &[(&str, &[u8])] = &[("a", b"x")];
        let start = if before { Tar::new() } else { begin(WASM, assets) };
        let tar = entries.into_iter().fold(start, Tar::entry);
        let tar = if before { tar.raw(begin(WASM, assets).cut()) } else { tar };
        let tar = if ends % 2 == 0 { tar } else { tar.file("a", *b"x") };
        let bytes = tar.raw(vec![0; ends * 512]).cut();
        let store = store();
        let limits = ArchiveLimits::for_testing();
        if let Ok(checked) = store.unpack(&bytes[..], &limits, &SignaturePolicy::default()) {
            let ours: BTreeMap<String, Digest> =
                checked.manifest().files().map(|(name, digest)| (name.to_string(), digest)).collect();
            let mut theirs = BTreeMap::new();
            for entry in tar::Archive::new(&bytes[..]).entries().unwrap() {
                let mut entry = entry.unwrap();
                let path = entry.path().unwrap().to_str().unwrap().to_owned();
                let kind = entry.header().entry_type();
                if kind.is_dir() || kind.is_pax_global_extensions() || is_passed_over(&path) {
                    continue;
                }
                let mut content = Vec::new();
                entry.read_to_end(&mut content).unwrap();
                let path = path.strip_prefix("./").unwrap_or(&path).to_owned();
                prop_assert!(theirs.insert(path, Digest::of(&content)).is_none());
            }
            theirs.remove("model.toml");
            prop_assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn manifests_survive_their_canonical_form(
        description in proptest::option::of("[^\\p{Cc}]{0,40}|\"\\\\\n\t"),
        fuel in proptest::option::of(1..i64::MAX),
        memory in proptest::option::of(1..i64::MAX),
        names in btree_map("[a-z\"é日' =.]{1,6}", any::<[u8; 32]>(), 0..5),
    ) {
        let mut text = "schema = 1\nname = \"m\"\nversion = \"1.0.0\"\ncomponent = \"c\"\n".to_owned();
        if let Some(description) = &description {
            text += &format!("description = {}\n", toml::Value::from(description.as_str()));
        }
        text += "[limits]\n";
        fuel.iter().for_each(|fuel| text += &format!("fuel = {fuel}\n"));
        memory.iter().for_each(|memory| text += &format!("memory = {memory}\n"));
        text += &format!("[digests]\nc = \"{}\"\n[assets]\n", Digest::from_bytes([1; 32]));
        for (name, digest) in &names {
            let key = toml::Value::from(name.as_str());
            text += &format!("{key} = \"{}\"\n", Digest::from_bytes(*digest));
        }
        if let Ok(manifest) = Manifest::parse(&text.replace("'''", "\"")) {
            let canonical = manifest.to_canonical();
            let again = Manifest::parse(&canonical).unwrap();
            prop_assert_eq!(&again, &manifest);
            prop_assert_eq!(again.to_canonical(), canonical);
        }
    }

    #[test]
    fn a_manifest_of_anything_does_not_panic(text in "(schema = 1\n)?[\\[\\]a-z=\"'.#\\\\{},0-9 \n-]{0,200}") {
        let _ = Manifest::parse(&text);
    }

    #[test]
    fn amounts_survive_their_text(bytes in any::<u64>(), shift in 0..60_u32, micros in 0..u64::MAX / 2000) {
        let size = ByteSize::bytes((bytes >> shift) << (shift / 2));
        prop_assert_eq!(size.to_string().parse::<ByteSize>().unwrap(), size);
        let time = DurationText::from(std::time::Duration::from_micros(micros));
        prop_assert_eq!(time.to_string().parse::<DurationText>().unwrap(), time);
    }

    #[test]
    fn an_amount_of_anything_does_not_panic(text in "[0-9]{0,30} {0,2}\\PC{0,6}") {
        let _ = text.parse::<ByteSize>();
        let _ = text.parse::<DurationText>();
    }
}
