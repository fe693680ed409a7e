//! Projects that are built on a base: which of their files are packed, and what they are told where
//! they cannot be.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use belljar_bundle::pack::{Packing, pack_folder_with, project_base};
use belljar_bundle::{Base, BundleError, Digest, Manifest};
use tempfile::TempDir;

const MANIFEST: &str = "schema = 1\nname = \"mine\"\nversion = \"0.1.0\"\nbase = \"python\"\n";

fn project(manifest: &str, files: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("model.toml"), manifest).unwrap();
    for file in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    folder
}

fn base() -> Base {
    Base {
        id: "python@1.2.3".parse().unwrap(),
        component: Digest::of(b"the component"),
    }
}

fn packed(folder: &Path, base: Option<&Base>) -> Result<(Manifest, Vec<u8>), BundleError> {
    let mut tar = Vec::new();
    let packing = Packing {
        base,
        ..Packing::default()
    };
    pack_folder_with(folder, &packing, &mut tar).map(|manifest| (manifest, tar))
}

#[test]
fn the_sources_are_assets_and_the_component_is_that_of_the_base() {
    let folder = project(
        MANIFEST,
        &[
            "model.py",
            "words/__init__.py",
            "words/model.ts",
            "assets/words.txt",
            "assets/data.py",
            "tests/one.toml",
            // No sources of the model.
            "README.md",
            "test_model.py",
            "model.test.js",
            "words/test_words.py",
            "types.d.ts",
            "tests/helper.py",
            "sdk/belljar_guest/text.py",
            "wit/deps.js",
            "node_modules/left-pad/index.js",
            "__pycache__/model.py",
            ".venv/lib/site.py",
            ".hidden.py",
        ],
    );
    let (manifest, tar) = packed(folder.path(), Some(&base())).unwrap();
    let assets: Vec<&str> = manifest.assets().keys().map(|name| name.as_str()).collect();
    assert_eq!(
        assets,
        [
            "data.py",
            "source/model.py",
            "source/words/__init__.py",
            "source/words/model.ts",
            "words.txt",
        ]
    );
    assert_eq!(manifest.base(), Some(&base().id));
    assert_eq!(manifest.payload_digest(), base().component);
    let mut archive = tar::Archive::new(&tar[..]);
    let names: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert!(names.contains(&"tests/one.toml".to_owned()), "{names:?}");
    assert!(
        !names.iter().any(|name| name.ends_with(".wasm")),
        "{names:?}"
    );
}

#[test]
fn who_packs_without_a_server_says_the_version_and_the_digest() {
    let folder = project(MANIFEST, &["model.py"]);
    let told = packed(folder.path(), None).unwrap_err().to_string();
    assert!(
        told.contains("`python`") && told.contains("belljar push"),
        "{told}"
    );
    let named = project_base(folder.path()).unwrap().unwrap();
    assert_eq!((named.name.as_str(), named.version), ("python", None));

    let whole = format!(
        "{}[digests]\n\"base.wasm\" = \"{}\"\n",
        MANIFEST.replace("python", "python@1.2.3"),
        base().component
    );
    let folder = project(&whole, &["model.py"]);
    let (alone, _) = packed(folder.path(), None).unwrap();
    let folder = project(MANIFEST, &["model.py"]);
    let (for_server, _) = packed(folder.path(), Some(&base())).unwrap();
    assert_eq!(alone, for_server);
}

#[test]
fn a_project_has_a_component_or_a_base_and_a_source() {
    let both = format!("{MANIFEST}component = \"model.wasm\"\n");
    let folder = project(&both, &["model.py", "model.wasm"]);
    let error = packed(folder.path(), Some(&base())).unwrap_err();
    assert_eq!(error.code(), "manifest_value");
    let folder = project(MANIFEST, &["README.md"]);
    let told = packed(folder.path(), Some(&base()))
        .unwrap_err()
        .to_string();
    assert!(told.contains("no source"), "{told}");
}

#[test]
fn a_source_behind_a_link_out_of_the_project_is_not_packed() {
    let outside = project("", &["secret.py"]);
    let folder = project(MANIFEST, &["model.py"]);
    let to = |name: &str| folder.path().join(name);
    std::os::unix::fs::symlink(outside.path().join("secret.py"), to("linked.py")).unwrap();
    assert!(packed(folder.path(), Some(&base())).is_err());
    fs::remove_file(to("linked.py")).unwrap();
    std::os::unix::fs::symlink(outside.path(), to("linked")).unwrap();
    assert!(packed(folder.path(), Some(&base())).is_err());
}
