//! Bundles without a component, which are built on a base.

use std::fs;
use std::io::Cursor;

use belljar::models::{ModelError, UploadRequest, VersionState, VersionStatus};
use belljar_bundle::pack::{Packing, pack_folder_with};
use belljar_bundle::{Base, BundleError, Digest};
use tempfile::TempDir;

use crate::kit::{Host, artefacts, config, id, wait_for};

/// A project folder, packed.
fn packed(manifest: &str, files: &[(&str, &[u8])], base: Option<&Base>) -> Vec<u8> {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("model.toml"), manifest).unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let mut tar = Vec::new();
    let packing = Packing {
        base,
        ..Packing::default()
    };
    pack_folder_with(folder.path(), &packing, &mut tar).unwrap();
    tar
}

fn component() -> Vec<u8> {
    belljar_tests::guests::bytes("loads_assets")
}

/// The bundle that others are built on, or that is like it and does not offer itself.
fn base(version: &str, is_base: bool) -> Vec<u8> {
    let manifest = format!(
        "schema = 1\nname = \"keeper\"\nversion = \"{version}\"\ncomponent = \"model.wasm\"\nis_base = {is_base}\n"
    );
    packed(&manifest, &[("model.wasm", &component())], None)
}

/// What a project is packed for: the component of the base, or another digest.
fn keeper(version: &str, component: Digest) -> Base {
    Base {
        id: id(&format!("keeper@{version}")),
        component,
    }
}

fn digest() -> Digest {
    Digest::of(&component())
}

/// A model that is a source and what its manifest says beside that.
fn on_base(name: &str, source: &str, more: &str, base: &Base) -> Vec<u8> {
    let manifest =
        format!("schema = 1\nname = \"{name}\"\nversion = \"1.0.0\"\nbase = \"keeper\"\n{more}");
    packed(&manifest, &[("model.py", source.as_bytes())], Some(base))
}

async fn upload(host: &Host, tar: Vec<u8>) -> Result<VersionStatus, ModelError> {
    let request = UploadRequest {
        caller: host.admin.clone(),
        quota: Default::default(),
        activate: true,
    };
    let received = host.registry.upload(Cursor::new(tar), request).await?;
    host.registry.settled(&received.id).await
}

/// The code of a refusal.
async fn refusal(host: &Host, tar: Vec<u8>) -> &'static str {
    match upload(host, tar).await.unwrap_err() {
        ModelError::Bundle(error @ BundleError::Base(_)) => error.code(),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_source_runs_on_the_component_of_its_base() {
    let directory = TempDir::new().unwrap();
    let host = Host::open(directory.path(), config()).await;
    let status = upload(&host, base("1.0.0", true)).await.unwrap();
    assert_eq!(status.state, VersionState::Active, "{:?}", status.error);
    assert_eq!(status.offers, Some(digest()));
    assert_eq!(status.base, None);

    let tar = on_base("mine", "hello", "", &keeper("1.0.0", digest()));
    assert!(tar.len() < 8 << 10, "{} bytes are sent", tar.len());
    let status = upload(&host, tar.clone()).await.unwrap();
    assert_eq!(status.state, VersionState::Active, "{:?}", status.error);
    assert_eq!(status.base, Some(id("keeper@1.0.0")));
    assert_eq!(status.offers, None);
    assert_eq!(host.kept_bytes("mine").await, 5);
    // Two of the base, and one of each version.
    assert_eq!(artefacts(directory.path()), 4);

    // It has the component for itself, and needs the base no more.
    host.registry
        .remove_model(&"keeper".parse().unwrap(), &host.admin)
        .await
        .unwrap();
    wait_for("what was compiled for the base alone is deleted", || {
        artefacts(directory.path()) == 3
    })
    .await;
    host.close().await;
    let host = Host::open(directory.path(), config()).await;
    assert_eq!(host.kept_bytes("mine").await, 5);
    let mut again = keeper("1.0.0", digest());
    assert_eq!(
        refusal(&host, on_base("other", "x", "", &again)).await,
        "base_unknown"
    );
    again.id = id("keeper@2.0.0");
    assert_eq!(
        refusal(&host, on_base("mine", "x", "", &again)).await,
        "base_unknown"
    );
    // With it all that was compiled goes.
    host.registry
        .remove_model(&"mine".parse().unwrap(), &host.admin)
        .await
        .unwrap();
    wait_for("all is deleted", || artefacts(directory.path()) == 0).await;
    host.close().await;
}

#[tokio::test]
async fn a_base_is_what_says_so_and_has_that_component() {
    let directory = TempDir::new().unwrap();
    let host = Host::open(directory.path(), config()).await;
    upload(&host, base("1.0.0", false)).await.unwrap();
    let source = on_base("mine", "x", "", &keeper("1.0.0", digest()));
    assert_eq!(refusal(&host, source).await, "base_not_offered");
    upload(&host, base("2.0.0", true)).await.unwrap();
    let other = Digest::of(b"another component");
    let source = on_base("mine", "x", "", &keeper("2.0.0", other));
    assert_eq!(refusal(&host, source).await, "base_differs");
    host.close().await;
}

#[tokio::test]
async fn a_private_source_has_its_files_apart_and_the_base_of_all() {
    let directory = TempDir::new().unwrap();
    let host = Host::open(directory.path(), config()).await;
    upload(&host, base("1.0.0", true)).await.unwrap();
    let before = artefacts(directory.path());
    let source = on_base(
        "mine",
        "secret",
        "private = true\n",
        &keeper("1.0.0", digest()),
    );
    let status = upload(&host, source).await.unwrap();
    assert_eq!(status.state, VersionState::Active, "{:?}", status.error);
    assert_eq!(status.is_private, Some(true));
    assert_eq!(host.kept_bytes("mine").await, 6);
    assert_eq!(artefacts(directory.path()), before + 1);
    host.close().await;
}
