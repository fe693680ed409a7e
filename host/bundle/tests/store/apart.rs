//! Bundles that are kept apart from equal files of all others.

use std::collections::HashSet;
use std::fs;

use belljar_bundle::{Placement, Store, StoredBundle};

use super::{COMPONENT, count_files, open, packed, parts};

#[test]
fn a_private_bundle_shares_no_file_and_goes_with_all_of_them() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    let mut private = parts(&[("a", b"weights")]);
    private.is_private = true;
    let (manifest, bytes) = packed(&private);
    assert!(manifest.is_private());
    let private = open(&store, &bytes).commit().unwrap();
    assert_eq!(private.placement(), Placement::Apart);
    assert_eq!(private.build_digest(), private.digest());
    private.verify().unwrap();
    assert_eq!(fs::read(private.payload_path()).unwrap(), COMPONENT);

    let mut open_one = parts(&[("a", b"weights")]);
    open_one.version = "2.0.0".parse().unwrap();
    let (_, bytes) = packed(&open_one);
    let open_one = open(&store, &bytes).commit().unwrap();
    assert_eq!(open_one.placement(), Placement::Shared);
    assert_eq!(open_one.build_digest(), open_one.manifest().build_digest());
    let paths = |bundle: &StoredBundle| -> Vec<_> {
        bundle
            .files()
            .iter()
            .map(|file| file.path.clone())
            .collect()
    };
    assert!(
        paths(&private)
            .iter()
            .all(|path| !paths(&open_one).contains(path))
    );
    // Two manifests, and each file twice.
    assert_eq!(count_files(root.path()), 6);

    // As it is after a start.
    let (private, open_one) = {
        let digests = (private.digest(), open_one.digest());
        drop((private, open_one, store));
        digests
    };
    let store = Store::open(root.path()).unwrap();
    assert_eq!(
        store.open_bundle(&private).unwrap().placement(),
        Placement::Apart
    );
    let builds = store.compiled_of([&private, &open_one]).unwrap().builds;
    assert_eq!(builds.len(), 2);
    assert!(builds.contains(&private));
    store
        .remove_unreferenced(&HashSet::from([private]))
        .unwrap();
    store.open_bundle(&private).unwrap().verify().unwrap();
    assert_eq!(count_files(root.path()), 3);
    assert!(store.remove_unreferenced(&HashSet::new()).unwrap() > 0);
    assert_eq!(count_files(root.path()), 0);
    assert_eq!(
        fs::read_dir(root.path().join("blobs/apart"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn a_bundle_that_was_committed_apart_stays_so() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    let (_, bytes) = packed(&parts(&[("a", b"weights")]));
    let apart = open(&store, &bytes).commit_apart().unwrap();
    assert_eq!(apart.placement(), Placement::Apart);
    // One of its files is lost, and comes again with an upload that would share it.
    let lost = apart.files().first().unwrap().path.clone();
    fs::remove_file(&lost).unwrap();
    let again = open(&store, &bytes).commit().unwrap();
    assert_eq!(again.placement(), Placement::Apart);
    assert!(lost.exists());
    again.verify().unwrap();
}
