//! Kills a process that receives and commits bundles, at random moments, and looks at what is
//! left: whole bundles, every one that was acknowledged, and no litter after the next start.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "a test tells its child process, or is told, by the environment"
)]

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use belljar_bundle::hostile::good;
use belljar_bundle::{ArchiveLimits, BundleError, Manifest, SignaturePolicy, Store, hostile};

const WASM: &[u8] = b"\0asm\x0d\0\x01\0 a component";
const KILLS: u32 = 60;

/// Where the child finds its store; a plain test run does not set it.
const ROOT: &str = "BELLJAR_BUNDLE_KILL_TEST_ROOT";

fn assets(number: u32) -> [(String, Vec<u8>); 3] {
    [
        ("shared.bin".to_owned(), vec![1; 3000]),
        ("own.bin".to_owned(), number.to_le_bytes().repeat(500)),
        (
            "dir/own.bin".to_owned(),
            number.to_be_bytes().repeat(20_000),
        ),
    ]
}

fn bundle(number: u32) -> (Manifest, Vec<u8>) {
    let assets = assets(number);
    let assets: Vec<(&str, &[u8])> = assets
        .iter()
        .map(|(name, content)| (name.as_str(), content.as_slice()))
        .collect();
    let manifest = Manifest::parse(&hostile::manifest(WASM, &assets, "")).unwrap();
    (manifest, good(WASM, &assets))
}

/// The child: commits one bundle after the other, and says so when each is acknowledged.
#[test]
fn child_commits_until_killed() {
    let Ok(root) = std::env::var(ROOT) else {
        return;
    };
    let (root, first) = root.rsplit_once(':').unwrap();
    let store = Store::open(Path::new(root)).unwrap();
    let limits = ArchiveLimits::default();
    for number in first.parse().unwrap().. {
        let (_, bytes) = bundle(number);
        let checked = store
            .unpack(&bytes[..], &limits, &SignaturePolicy::default())
            .unwrap();
        checked.commit().unwrap();
        // Past the harness, which holds captured output back.
        writeln!(
            fs::OpenOptions::new()
                .append(true)
                .open("/dev/stderr")
                .unwrap(),
            "{number}"
        )
        .unwrap();
    }
}

#[test]
fn a_kill_at_any_moment_leaves_whole_bundles_only() {
    let root = tempfile::tempdir().unwrap();
    let mut next = 0_u32;
    let mut cut_short = 0;
    let mut jitter = Instant::now().elapsed().subsec_nanos();
    for _ in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "child_commits_until_killed",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(ROOT, format!("{}:{next}", root.path().display()))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        // It is up and has committed at least once; from here on any moment is as good.
        let up = lines.next().unwrap().unwrap().parse::<u32>().unwrap();
        jitter = jitter.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        std::thread::sleep(Duration::from_micros(u64::from(jitter >> 16) % 9_000));
        child.kill().unwrap();
        child.wait().unwrap();
        let acknowledged = lines
            .map_while(Result::ok)
            .filter_map(|line| line.parse().ok())
            .last()
            .unwrap_or(up);

        let littered = fs::read_dir(root.path().join("staging")).unwrap().count() > 0;
        cut_short += u32::from(littered);
        let store = Store::open(root.path()).unwrap();
        assert_eq!(
            fs::read_dir(root.path().join("staging")).unwrap().count(),
            0
        );
        for number in next..=acknowledged {
            store
                .open_bundle(&bundle(number).0.digest())
                .unwrap()
                .verify()
                .unwrap();
        }
        // The one it was at: whole or not there.
        let unfinished = bundle(acknowledged + 1).0.digest();
        match store.open_bundle(&unfinished) {
            Ok(stored) => stored.verify().unwrap(),
            Err(BundleError::BundleUnknown { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        let kept = HashSet::from([bundle(acknowledged).0.digest()]);
        store.remove_unreferenced(&kept).unwrap();
        next = acknowledged + 1;
    }
    // Else the kills all fell between two receives, and nothing was tested.
    assert!(
        cut_short > KILLS / 10,
        "only {cut_short} kills fell into a receive"
    );
}
