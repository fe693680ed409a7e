//! Weights that several versions have: once on the disk, once in memory, and never where a bundle is
//! private.

use std::fs;
use std::path::Path;

use belljar::models::VersionState;
use belljar_tests::{TestBundle, noise};
use tempfile::TempDir;

use crate::kit::{Host, artefacts, config, id, wait_for};

/// Bytes of the file that the versions have in common. Larger than all else that they have.
const WEIGHTS_BYTES: usize = 6 << 20;
/// How many versions the promise is about.
const VERSIONS: usize = 20;

/// Bytes that do not compress, and of which no page is another's.
pub(crate) fn weights(seed: u64) -> Vec<u8> {
    noise(seed, WEIGHTS_BYTES)
}

pub(crate) fn bundle(name: &str, version: &str, weights: &[u8]) -> TestBundle {
    let component = belljar_tests::guests::bytes("loads_assets");
    TestBundle::new(name, version, &component).with_asset("weights.bin", weights)
}

/// Bytes of the files below a folder whose names end so.
fn bytes_in(folder: &Path, end: &str) -> u64 {
    let mut bytes = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            bytes += bytes_in(&path, end);
        } else if path.to_string_lossy().ends_with(end) {
            bytes += path.metadata().unwrap().len();
        }
    }
    bytes
}

/// Reads every byte of the version's weights, so that all of them are resident.
async fn sum_is_right(host: &Host, reference: &str) {
    assert_eq!(host.kept_bytes(reference).await, WEIGHTS_BYTES as u64);
}

#[tokio::test]
async fn twenty_versions_with_the_same_weights_cost_about_as_much_as_one() {
    let directory = TempDir::new().unwrap();
    let host = Host::open(directory.path(), config()).await;
    let weights = weights(1);
    host.push(&bundle("m", "1.0.0", &weights)).await;
    let disk = bytes_in(directory.path(), "");
    let mapped = host.registry.sandbox().stats().mapped_bytes;
    assert!(disk > 2 * WEIGHTS_BYTES as u64 && mapped > WEIGHTS_BYTES as u64);
    // Under the same name and under that of another tenant, at the same time.
    let more: Vec<_> = (1..VERSIONS)
        .map(|number| bundle(["m", "n"][number % 2], &format!("{number}.0.1"), &weights))
        .collect();
    for bundle in &more {
        host.upload(bundle, true).await.unwrap();
    }
    for bundle in &more {
        let settled = host.registry.settled(&id(bundle.id())).await.unwrap();
        assert!(settled.error.is_none(), "{:?}", settled.error);
        sum_is_right(&host, bundle.id()).await;
    }
    let now = bytes_in(directory.path(), "");
    assert!(
        now * 5 <= disk * 6,
        "{now} bytes for {VERSIONS}, {disk} for one"
    );
    assert_eq!(host.registry.sandbox().stats().mapped_bytes, mapped);
    assert_eq!(artefacts(directory.path()), 1);

    // What one of them leaves behind is needed by the others, and that of the last by nobody.
    host.registry
        .remove_model(&"m".parse().unwrap(), &host.admin)
        .await
        .unwrap();
    host.close().await;
    let host = Host::open(directory.path(), config()).await;
    host.registry.settled(&id(more[0].id())).await.unwrap();
    sum_is_right(&host, more[0].id()).await;
    assert_eq!(artefacts(directory.path()), 1);
    host.registry
        .remove_model(&"n".parse().unwrap(), &host.admin)
        .await
        .unwrap();
    wait_for("the artefact is deleted", || {
        artefacts(directory.path()) == 0
    })
    .await;
    host.close().await;
}

#[tokio::test]
async fn versions_that_come_at_the_same_time_are_compiled_once() {
    let directory = TempDir::new().unwrap();
    let host = Host::open(directory.path(), config()).await;
    let weights = weights(2);
    let both = [
        bundle("m", "1.0.0", &weights),
        bundle("n", "1.0.0", &weights),
    ];
    for bundle in &both {
        host.upload(bundle, true).await.unwrap();
    }
    let mut compiled = Vec::new();
    for bundle in &both {
        host.registry.settled(&id(bundle.id())).await.unwrap();
        assert_eq!(host.state(bundle.id()), VersionState::Active);
        compiled.push(host.ready(bundle.id()).unwrap());
    }
    assert_eq!(artefacts(directory.path()), 1);
    let bytes = bytes_in(directory.path(), ".cwasm");
    assert_eq!(host.registry.sandbox().stats().mapped_bytes, bytes);
    // What was compiled twice would have two seals, of which one fits: the next start would say so.
    drop(compiled);
    host.close().await;
    let host = Host::open(directory.path(), config()).await;
    for bundle in &both {
        sum_is_right(&host, bundle.id()).await;
    }
    host.close().await;
}

/// Whoever sends a file learns nothing about a private bundle that has the same: nothing of it is
/// found, not on the disk, not among what is compiled, not in memory, and so no time is saved.
#[tokio::test]
async fn nothing_of_a_private_bundle_is_found_by_another_with_the_same_files() {
    let directory = TempDir::new().unwrap();
    let host = Host::open(directory.path(), config()).await;
    let weights = weights(3);
    let stats = || host.registry.sandbox().stats().mapped_bytes;
    let private = bundle("m", "1.0.0", &weights).with_line("private = true");
    let status = host.push(&private).await;
    assert_eq!(status.is_private, Some(true));
    let (disk, mapped) = (bytes_in(directory.path(), ""), stats());
    for (number, line) in ["", "private = true"].iter().enumerate() {
        let other = bundle("n", &format!("{number}.0.0"), &weights).with_line(line);
        let status = host.push(&other).await;
        assert_eq!(status.is_private, Some(!line.is_empty()));
        let count = number as u64 + 2;
        assert_eq!(artefacts(directory.path()) as u64, count, "compiled anew");
        assert_eq!(stats(), mapped * count);
        // But for the files of the database, which do not grow by so much.
        let now = bytes_in(directory.path(), "");
        assert!(now > disk * count - WEIGHTS_BYTES as u64, "{now}, {disk}");
    }
    sum_is_right(&host, private.id()).await;
    host.registry
        .remove_version(&id(private.id()), &host.admin)
        .await
        .unwrap();
    wait_for("its artefact is deleted", || {
        artefacts(directory.path()) == 2
    })
    .await;
    sum_is_right(&host, "n").await;
    host.close().await;
    // And all of it is found again.
    let host = Host::open(directory.path(), config()).await;
    sum_is_right(&host, "n").await;
    host.close().await;
}

#[tokio::test]
async fn a_server_that_shares_no_weights_keeps_every_bundle_apart() {
    let directory = TempDir::new().unwrap();
    let weights = weights(4);
    let mut alone = config();
    alone.share_weights = false;
    let host = Host::open(directory.path(), alone).await;
    for version in ["1.0.0", "2.0.0"] {
        let status = host.push(&bundle("m", version, &weights)).await;
        assert_eq!(status.is_private, Some(true));
    }
    assert_eq!(artefacts(directory.path()), 2);
    host.close().await;
    // What was kept apart stays so where sharing is allowed again, and nothing is compiled anew.
    let host = Host::open(directory.path(), config()).await;
    host.push(&bundle("m", "3.0.0", &weights)).await;
    for version in ["1.0.0", "2.0.0", "3.0.0"] {
        sum_is_right(&host, &format!("m@{version}")).await;
    }
    assert_eq!(artefacts(directory.path()), 3);
    host.close().await;
}
