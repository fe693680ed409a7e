//! Tests of the manifest's parser and of its canonical form.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use super::*;
use crate::units::{ByteSize, DurationText, Fuel};

const ZERO: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

fn text(more: &str) -> String {
    format!(
        "schema = 1\nname = \"m\"\nversion = \"1.0.0\"\ncomponent = \"m.wasm\"\n{more}\n\
         [digests]\n\"m.wasm\" = \"{ZERO}\"\n"
    )
}

fn code(text: &str) -> &'static str {
    Manifest::parse(text).unwrap_err().code()
}

#[test]
fn everything_is_read() {
    let manifest = Manifest::parse(&format!(
        r#"
schema = 1
name = "smollm2"
version = "1.0.0"
component = "model.wasm"
description = "a \"small\" one\nwith two lines"
license = "Apache-2.0"
private = true
[limits]
memory = "256 MiB"
fuel = 20_000_000_000
load_fuel = 5_000_000_000
deadline = "10 s"
output = 4194304
[examples]
required = true
[assets]
"weights.gguf" = "{ZERO}"
[digests]
"model.wasm" = "{ZERO}"
LICENSE = "{ZERO}"
"#
    ))
    .unwrap();
    assert_eq!(manifest.id().to_string(), "smollm2@1.0.0");
    assert_eq!(manifest.limits().memory, Some(ByteSize::mib(256)));
    assert_eq!(manifest.limits().fuel, Some(Fuel(20_000_000_000)));
    assert_eq!(
        manifest.limits().deadline,
        Some(DurationText::from_secs(10))
    );
    assert_eq!(manifest.limits().output, Some(ByteSize::mib(4)));
    assert_eq!(manifest.files().count(), 3);
    assert_eq!(manifest.assets().len(), 1);
    assert!(manifest.is_private() && manifest.requires_examples());

    let canonical = manifest.to_canonical();
    assert_eq!(Manifest::parse(&canonical).unwrap(), manifest);
    assert_eq!(
        Manifest::parse(&canonical).unwrap().to_canonical(),
        canonical
    );
    assert!(canonical.contains("output = \"4 MiB\"\n"), "{canonical}");
}

#[test]
fn spelling_does_not_change_the_identity() {
    let one = Manifest::parse(&text("[limits]\nmemory = \"1 MiB\"")).unwrap();
    let two = Manifest::parse(&text("limits = { memory = 1_048_576 } # the same")).unwrap();
    assert_eq!(one.digest(), two.digest());
    let other = Manifest::parse(&text("[limits]\nmemory = \"2 MiB\"")).unwrap();
    assert_ne!(one.digest(), other.digest());
}

/// The identity of every stored bundle hangs on this text: it must never change.
#[test]
fn the_canonical_form_is_fixed() {
    let manifest = Manifest::parse(&text("description = \"x\"\n[limits]\nfuel = 5")).unwrap();
    let expected = format!(
        "schema = 1\nname = \"m\"\nversion = \"1.0.0\"\ncomponent = \"m.wasm\"\n\
         description = \"x\"\n\n[limits]\nfuel = 5\n\n[digests]\n\"m.wasm\" = \"{ZERO}\"\n"
    );
    assert_eq!(manifest.to_canonical(), expected);
}

#[test]
fn unknown_keys_name_the_nearest() {
    for (more, key, nearest) in [
        ("licence = \"MIT\"", "licence", Some("license")),
        ("colour = 1", "colour", None),
        ("[limits]\nmemroy = 1", "limits.memroy", Some("memory")),
        (
            "[limits]\nloadfuel = 1",
            "limits.loadfuel",
            Some("load_fuel"),
        ),
        ("[signature]\nkeyy = \"\"", "signature.keyy", Some("key")),
    ] {
        match Manifest::parse(&text(more)).unwrap_err() {
            BundleError::ManifestUnknownKey {
                key: found,
                nearest: near,
            } => {
                assert_eq!((found.as_str(), near), (key, nearest));
            }
            other => panic!("{more}: {other}"),
        }
    }
}

#[test]
fn each_failure_has_its_code() {
    assert_eq!(code("schema = "), "manifest_syntax");
    assert_eq!(code("schema = 1\nschema = 1"), "manifest_duplicate_key");
    assert_eq!(
        code(&text("[limits]\nfuel = 1\n[limits]\nfuel = 1")),
        "manifest_duplicate_key"
    );
    assert_eq!(
        code(&text("limits = { fuel = 1, fuel = 2 }")),
        "manifest_duplicate_key"
    );
    assert_eq!(code("name = \"m\""), "manifest_missing_key");
    assert_eq!(code("schema = \"1\""), "manifest_type");
    assert_eq!(code("schema = 2\nnew_key = 1"), "schema_unknown");
    assert_eq!(
        code("schema = 1\nname = \"m\"\nversion = \"1.0.0\""),
        "manifest_missing_key"
    );
    assert_eq!(code(&text("assets = 1")), "manifest_type");
    assert_eq!(code(&text("description = 1")), "manifest_type");
    assert_eq!(
        code(&text("description = \"a\\u001b[31m\"")),
        "manifest_value"
    );
    assert_eq!(
        code(&text(&format!("license = \"{}\"", "x".repeat(300)))),
        "manifest_value"
    );
    assert_eq!(code(&text("[limits]\nfuel = -1")), "manifest_value");
    assert_eq!(code(&text("[limits]\nfuel = 0")), "manifest_value");
    assert_eq!(code(&text("[limits]\nfuel = 1.5")), "manifest_type");
    assert_eq!(code(&text("[limits]\nfuel = \"many\"")), "manifest_value");
    assert_eq!(
        code(&text("[limits]\nmemory = \"1 parsec\"")),
        "manifest_value"
    );
    assert_eq!(code(&text("[limits]\ndeadline = \"10\"")), "manifest_value");
    assert_eq!(code(&text("[assets]\nx = \"md5:00\"")), "manifest_value");
    assert_eq!(code(&text("[assets]\nx = \"\"")), "manifest_value");
    assert_eq!(
        code(&text(&format!("[assets]\n\"../x\" = \"{ZERO}\""))),
        "manifest_value"
    );
    assert_eq!(
        code(&text(&format!("[assets]\n\"M.wasm\" = \"{ZERO}\""))),
        "path_collision"
    );
    assert_eq!(
        code(&text(&format!("[assets]\n\"m.wasm\" = \"{ZERO}\""))),
        "path_duplicate"
    );
    assert_eq!(
        code(&text(&format!("[assets]\n\"model.toml\" = \"{ZERO}\""))),
        "path_duplicate"
    );
    let undigested = text("").replace("\"m.wasm\" = \"sha", "\"other.wasm\" = \"sha");
    assert_eq!(code(&undigested), "component_digest_missing");
    assert_eq!(
        Manifest::parse_bytes(b"\xff").unwrap_err().code(),
        "manifest_not_utf8"
    );
}

#[test]
fn messages_name_the_key_and_the_line() {
    let message = |text: &str| Manifest::parse(text).unwrap_err().to_string();
    let deadline = message(&text("[limits]\ndeadline = \"10\""));
    assert!(
        deadline.contains("limits.deadline") && deadline.contains("ms"),
        "{deadline}"
    );
    assert!(message("schema = 1\nname = \n").contains("line 2"));
    assert!(message("schema = 7").contains("knows: 1"));
}

#[test]
fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
    let deep = format!("x = {}", "[".repeat(100_000));
    assert_eq!(code(&deep), "manifest_syntax");
    let dotted = format!("{} = 1", vec!["a"; 50_000].join("."));
    assert!(Manifest::parse(&dotted).is_err());
}

/// A value of the wrong type shows that a key is read, and under which name.
#[test]
fn every_key_of_the_list_is_read() {
    for key in manifest_keys() {
        let name = key.name.replace(ManifestKey::ANY_FILE, "m.wasm");
        let wrong = format!("\"{name}\" = [1]\n");
        let sound = text("");
        let others = sound.lines().take(4).map(|line| format!("{line}\n"));
        let text: String = if key.table.is_empty() {
            let instead = match key.presence {
                Presence::Instead => "component =",
                _ => "no key",
            };
            let others = others.filter(|line| {
                !line.starts_with(&format!("{name} =")) && !line.starts_with(instead)
            });
            others.chain([wrong]).collect()
        } else {
            // Where one key asks for another, that one is there.
            let same = manifest_keys().filter(|other| other.table == key.table);
            let beside = same.filter(|other| other.presence == Presence::Packed);
            let beside = beside.filter(|other| other.name != key.name);
            let beside = beside.map(|other| format!("{} = \"\"\n", other.name));
            let head = format!("[{}]\n", key.table);
            others.chain([head, wrong]).chain(beside).collect()
        };
        let found = match Manifest::parse(&text).unwrap_err() {
            BundleError::ManifestType { key, .. } => key,
            other => panic!("{}: {other}", key.full_name()),
        };
        let full_name = key.full_name();
        assert_eq!(
            found,
            full_name.replace("\"PATH\"", "m.wasm"),
            "{full_name}"
        );
    }
}

#[test]
fn the_example_of_the_reference_has_every_key_that_authors_write() {
    let example = manifest_example();
    let draft = Draft::parse(&example).unwrap();
    assert_eq!(draft.limits.written().len(), RequestedLimits::KEYS.len());
    assert!(draft.description.is_some() && draft.license.is_some() && draft.is_private);
    assert!(draft.requires_examples);
    assert_eq!(draft.assets.unwrap().len(), 1);
    assert_eq!(draft.digests.len(), 1);
    for key in manifest_keys() {
        let is_packed = matches!(key.presence, Presence::Packed | Presence::Instead);
        // Nothing that is private can be a base.
        let is_left_out = is_packed || key.full_name() == "is_base";
        assert_eq!(key.example.is_empty(), is_left_out, "{}", key.full_name());
    }
}

#[test]
fn a_build_is_what_is_compiled_and_nothing_that_only_people_or_requests_see() {
    let with = |more: &str| Manifest::parse(&text(more)).unwrap();
    let plain = with("");
    for same in [
        "description = \"another\"",
        "license = \"MIT\"",
        "[examples]\nrequired = true",
        "[limits]\nfuel = 7\ndeadline = \"9 s\"",
    ] {
        let manifest = with(same);
        assert_ne!(manifest.digest(), plain.digest(), "{same}");
        assert_eq!(manifest.build_digest(), plain.build_digest(), "{same}");
    }
    let zero = Digest::from_bytes([0; 32]);
    let other = Digest::from_bytes([1; 32]);
    let builds = [
        with("").build_digest(),
        with("[limits]\nmemory = \"1 MiB\"").build_digest(),
        with("[limits]\nload_fuel = 7").build_digest(),
        with("[limits]\noutput = \"1 MiB\"").build_digest(),
        with(&format!("[assets]\n\"a\" = \"{zero}\"")).build_digest(),
        with(&format!("[assets]\n\"b\" = \"{zero}\"")).build_digest(),
        with(&format!("[assets]\n\"a\" = \"{other}\"")).build_digest(),
        plain.digest(),
    ];
    let distinct: std::collections::BTreeSet<_> = builds.iter().collect();
    assert_eq!(distinct.len(), builds.len());
}

#[test]
fn a_manifest_that_is_not_private_has_the_identity_that_it_always_had() {
    let not = Manifest::parse(&text("private = false")).unwrap();
    assert!(!not.is_private());
    assert_eq!(not.digest(), Manifest::parse(&text("")).unwrap().digest());
    assert_ne!(
        not.digest(),
        Manifest::parse(&text("private = true")).unwrap().digest()
    );
    assert_eq!(code(&text("private = \"yes\"")), "manifest_type");
}

#[test]
fn examples_that_are_not_required_change_no_identity_and_other_values_are_refused() {
    let plain = Manifest::parse(&text("")).unwrap();
    for same in ["[examples]\n", "[examples]\nrequired = false\n"] {
        let manifest = Manifest::parse(&text(same)).unwrap();
        assert_eq!(manifest.digest(), plain.digest(), "{same}");
        assert!(!manifest.requires_examples());
    }
    for wrong in ["required = 1", "needed = true"] {
        let text = text(&format!("[examples]\n{wrong}"));
        let told = Manifest::parse(&text).unwrap_err().to_string();
        assert!(
            told.contains("examples.required") || told.contains("examples.needed"),
            "{told}"
        );
    }
}

#[test]
fn a_recording_stands_in_place_of_a_component() {
    let of = |main: &str, more: &str| {
        format!(
            "schema = 1\nname = \"m\"\nversion = \"1.0.0\"\n{main}\n{more}\n[digests]\n\"x\" = \
             \"{ZERO}\"\n"
        )
    };
    let recording = Manifest::parse(&of("recording = \"x\"", "")).unwrap();
    assert!(matches!(recording.payload(), Payload::Recording(file) if file.as_str() == "x"));
    let again = Manifest::parse(&recording.to_canonical()).unwrap();
    assert_eq!(again, recording);
    let component = Manifest::parse(&of("component = \"x\"", "")).unwrap();
    assert_ne!(component.digest(), recording.digest());
    assert_ne!(component.build_digest(), recording.build_digest());
    for (main, more, reason) in [
        ("recording = \"x\"\ncomponent = \"x\"", "", "not both"),
        (
            "recording = \"x\"",
            "[limits]\noutput = 1",
            "a recording is not run",
        ),
        (
            "recording = \"x\"",
            &format!("[assets]\n\"y\" = \"{ZERO}\""),
            "a recording is not run",
        ),
        ("recording = 1", "", "recording"),
        ("recording = \"y\"", "", "[digests] does not name \"y\""),
        ("", "", "component"),
    ] {
        let error = Manifest::parse(&of(main, more)).unwrap_err().to_string();
        assert!(error.contains(reason), "{main} {more}: {error}");
    }
}

#[test]
fn a_bundle_is_built_on_a_base_or_is_one() {
    let on_base = Manifest::parse(&text("base = \"python@1.0.0\"")).unwrap();
    assert_eq!(on_base.base().unwrap().to_string(), "python@1.0.0");
    assert_eq!(on_base.base_component(), Some(on_base.payload_digest()));
    let is_base = Manifest::parse(&text("is_base = true")).unwrap();
    assert!(is_base.is_base() && is_base.base().is_none());
    let plain = Manifest::parse(&text("is_base = false")).unwrap();
    assert_eq!(plain.base_component(), None);
    for manifest in [on_base, is_base, plain] {
        let canonical = manifest.to_canonical();
        assert_eq!(Manifest::parse(&canonical).unwrap(), manifest);
    }
    // In a bundle it is a version, and a base has what it offers for itself and for all.
    for more in [
        "base = \"python\"",
        "base = \"Python@1.0.0\"",
        "is_base = true\nprivate = true",
        "is_base = true\nbase = \"python@1.0.0\"",
    ] {
        assert_eq!(code(&text(more)), "manifest_value", "{more}");
    }
    let recording = text("base = \"python@1.0.0\"").replace("component =", "recording =");
    assert_eq!(code(&recording), "manifest_value");
    // Without a component there has to be one.
    let none = text("").replace("component = \"m.wasm\"\n", "");
    assert_eq!(code(&none), "manifest_missing_key");
}
