//! Kills the server 200 times at random moments while clients upload, activate, deactivate and
//! remove models and create, rotate, revoke and delete keys, and looks after each restart
//! whether everything that was acknowledged is there and works, and nothing is there by half.
//!
//! Each client owns what it changes and keeps a ledger: before it sends a request it notes what
//! may come of it, and when the answer comes, what has. So after a kill the ledger knows which
//! worlds are possible, and the server has to be in one of them.
//!
//! The seed is printed; `DURABILITY_SEED` in the environment repeats a run, as far as the
//! scheduler lets it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says how to repeat it"
)]

mod keys;
mod models;
mod usage;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use belljar_tests::{Client, ServerProcess, TestBundle, files_in, warm_up};
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use serde_json::Value;

use keys::KeyLedger;
use models::{ModelLedger, echoes, state};

/// How often the server is killed.
const KILLS: u32 = 200;
/// Clients with a model each. One more has keys.
const CLIENTS: usize = 3;
/// The longest life of a server, from ready to SIGKILL. Some lives end at once.
const LIFE_MAX: Duration = Duration::from_millis(100);
/// How long what was acknowledged may take to be served again.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_nothing_is_there_by_half() {
    #[expect(clippy::disallowed_methods, reason = "a test's own variable")]
    let seed = std::env::var("DURABILITY_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    println!("DURABILITY_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut ledgers: Vec<ModelLedger> = (0..CLIENTS).map(ModelLedger::new).collect();
    let mut keys = KeyLedger::default();
    let mut work = Work::default();
    let begun = Instant::now();
    for life in 0..=KILLS {
        let server = ServerProcess::start_with(&data, |command| {
            command.env("BELLJAR_EMBEDDED_FAKE", "false");
            // Revoked keys are presented after each start, which looks like guessing.
            command.env("BELLJAR_ENABLE_ABUSE_DETECTION", "false");
        })
        .await;
        let admin = server.admin();
        assert_eq!(
            files_in(&data.join("bundles/staging")),
            0,
            "staging is empty after a start"
        );
        for ledger in &mut ledgers {
            ledger.verify(&admin).await;
        }
        keys.verify(&admin).await;
        if life == KILLS {
            only_what_is_named_is_stored(&admin, &data).await;
            assert!(server.terminate().await.success());
            break;
        }
        let mut clients = Vec::new();
        for mut ledger in ledgers.drain(..) {
            let (admin, mut random) = (admin.clone(), StdRng::seed_from_u64(random.next_u64()));
            clients.push(tokio::spawn(async move {
                let done = ledger.live(&admin, &mut random).await;
                (ledger, done)
            }));
        }
        let key_client = {
            let (admin, mut random) = (admin.clone(), StdRng::seed_from_u64(random.next_u64()));
            let mut keys = std::mem::take(&mut keys);
            tokio::spawn(async move {
                let done = keys.live(&admin, &mut random).await;
                (keys, done)
            })
        };
        tokio::time::sleep(LIFE_MAX.mul_f64(random.random_range(0.0..1.0))).await;
        server.kill();
        for client in clients {
            let (ledger, done) = client.await.unwrap();
            ledgers.push(ledger);
            work.add(done);
        }
        let (ledger, done) = key_client.await.unwrap();
        keys = ledger;
        work.add(done);
    }
    let spent = begun.elapsed();
    println!("{KILLS} kills in {spent:.1?}: {work:?}");
    assert!(
        work.acknowledged > u64::from(KILLS) && work.broken_off > u64::from(KILLS) / 4,
        "the kills have hit next to nothing: {work:?}"
    );
}

/// A bundle whose compilation takes the server down each time must not do so for ever.
#[tokio::test]
async fn a_version_that_never_gets_compiled_is_given_up() {
    const ATTEMPTS: u32 = 5;
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    warm_up(&data).await;
    let start = async || {
        let settings = |command: &mut Command| {
            command.env("BELLJAR_POLICY_LOAD_TIME_MAX", "20 s");
        };
        ServerProcess::start_with(&data, settings).await
    };
    let bundle = TestBundle::hostile("sleeps_in_load");
    let path = "/models/sleeps_in_load/1.0.0";
    let mut server = start().await;
    let archive = bundle.tar();
    let answer = server
        .admin()
        .post_bytes("/models", "application/x-tar", archive)
        .await;
    let _ = answer.expect_status(202);
    for _ in 0..ATTEMPTS {
        let admin = server.admin();
        while !matches!(
            state(&admin.get(path).await.json()),
            "compiling" | "loading"
        ) {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        server.kill();
        server = start().await;
    }
    let deadline = Instant::now() + SETTLE_TIMEOUT;
    loop {
        let version = server.admin().get(path).await.json();
        if state(&version) == "failed" {
            assert_eq!(version["error"]["code"], "interrupted", "{version}");
            break;
        }
        assert!(Instant::now() < deadline, "{version}");
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    assert!(echoes(&server.admin(), "echo").await);
    // A clean stop, in contrast, is never held against a version; and its reason is kept.
    assert!(server.terminate().await.success());
    let server = start().await;
    assert_eq!(
        server.admin().get(path).await.json()["error"]["code"],
        "interrupted"
    );
}

/// What clients have done, to see that the test tests something.
#[derive(Debug, Default)]
struct Work {
    acknowledged: u64,
    broken_off: u64,
    refused: u64,
}

impl Work {
    fn add(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.broken_off += other.broken_off;
        self.refused += other.refused;
    }
}

/// What a client knows of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// It was acknowledged, so it must be there.
    There,
    /// Its upload or its removal broke off: it is there as a whole, or not at all.
    Either,
}

/// At the end, the disk holds the files of the versions that are listed, and no others.
async fn only_what_is_named_is_stored(admin: &Client, data: &Path) {
    let list = admin.get("/models").await.json();
    let models = list["data"].as_array().unwrap();
    let versions: usize = models
        .iter()
        .map(|model| model["versions"].as_array().unwrap().len())
        .sum();
    let owned = versions - embedded(models);
    // A manifest and an asset each; all components are the same one, which `echo` has too.
    let expected = 2 * owned + 1 + embedded(models);
    let deadline = Instant::now() + SETTLE_TIMEOUT;
    loop {
        let found = files_in(&data.join("bundles/blobs"));
        if found == expected {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{found} files, {expected} are named: {list}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn embedded(models: &[Value]) -> usize {
    models
        .iter()
        .filter(|model| model["name"] == "echo")
        .count()
}
