//! Kills the server 200 times at random moments while clients upload, activate, deactivate and
//! remove models and create, rotate, revoke and delete keys, and looks after each restart whether everything that
//! was acknowledged is there and works, and nothing is there by half.
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

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use belljar_tests::{Answer, Client, ServerProcess, TestBundle, warm_up};
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use reqwest::Method;
use serde_json::{Value, json};

/// How often the server is killed.
const KILLS: u32 = 200;
/// Clients with a model each. One more has keys.
const CLIENTS: usize = 3;
/// Versions of one model, beyond which its client removes some.
const VERSIONS_MAX: usize = 3;
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

/// What one client knows of its model.
#[derive(Debug)]
struct ModelLedger {
    name: String,
    versions: BTreeMap<u32, Known>,
    /// Which version can be the active one, when everything has settled.
    active: BTreeSet<Option<u32>>,
    next: u32,
}

impl ModelLedger {
    fn new(client: usize) -> Self {
        Self {
            name: format!("m{client}"),
            versions: BTreeMap::new(),
            active: BTreeSet::from([None]),
            next: 0,
        }
    }

    fn bundle(&self, version: u32) -> TestBundle {
        // The asset makes each content another one.
        let asset = format!("{} {version}", self.name);
        TestBundle::echo(&self.name, &format!("1.{version}.0")).with_asset("a", asset.as_bytes())
    }

    fn path(&self, version: u32) -> String {
        format!("/models/{}/1.{version}.0", self.name)
    }

    /// Changes the model until the server is gone.
    async fn live(&mut self, admin: &Client, random: &mut StdRng) -> Work {
        let mut work = Work::default();
        loop {
            let there: Vec<u32> = self.versions.keys().copied().collect();
            let any = there
                .get(random.random_range(0..there.len().max(1)))
                .copied();
            let ended = match (random.random_range(0..10), any) {
                (0..=3, _) if there.len() < VERSIONS_MAX => self.upload(admin, random).await,
                (0..=5, Some(version)) => self.remove(admin, version).await,
                (6..=8, Some(version)) => self.activate(admin, version).await,
                _ => self.deactivate(admin).await,
            };
            match ended {
                Some(true) => work.acknowledged += 1,
                Some(false) => work.refused += 1,
                None => {
                    work.broken_off += 1;
                    return work;
                }
            }
        }
    }

    async fn upload(&mut self, admin: &Client, random: &mut StdRng) -> Option<bool> {
        let version = self.next;
        self.next += 1;
        let activate = random.random_bool(0.5);
        let wait = random.random_bool(0.3);
        self.versions.insert(version, Known::Either);
        if activate {
            self.active.insert(Some(version));
        }
        let path = format!("/models?activate={activate}&wait={wait}");
        let request = admin
            .request(Method::POST, &path)
            .header("content-type", "application/x-tar");
        let archive = self.bundle(version).tar();
        let request = if random.random_bool(0.5) {
            request.body(archive)
        } else {
            request.body(slowly(archive, random))
        };
        let answer = admin.send(request).await?;
        assert!(
            (200..300).contains(&answer.status),
            "{}: {}",
            answer.status,
            answer.text()
        );
        self.versions.insert(version, Known::There);
        if activate {
            self.active = BTreeSet::from([Some(version)]);
        }
        Some(true)
    }

    async fn remove(&mut self, admin: &Client, version: u32) -> Option<bool> {
        // Only what has settled: otherwise its removal may leave an older one active.
        if !self.is_settled(admin, version).await? {
            return Some(false);
        }
        let before = self.active.clone();
        self.versions.insert(version, Known::Either);
        if before.contains(&Some(version)) {
            self.active.insert(None);
        }
        let answer = admin
            .send(admin.request(Method::DELETE, &self.path(version)))
            .await?;
        assert!(
            (200..300).contains(&answer.status),
            "{}: {}",
            answer.status,
            answer.text()
        );
        self.versions.remove(&version);
        self.active.remove(&Some(version));
        Some(true)
    }

    async fn activate(&mut self, admin: &Client, version: u32) -> Option<bool> {
        if !self.is_settled(admin, version).await? {
            return Some(false);
        }
        self.active.insert(Some(version));
        let path = format!("{}/activate", self.path(version));
        let answer = admin.send(admin.request(Method::POST, &path)).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.active = BTreeSet::from([Some(version)]);
        Some(true)
    }

    async fn deactivate(&mut self, admin: &Client) -> Option<bool> {
        if self.versions.is_empty() {
            return admin.try_get("/health/ready").await.map(|_| false);
        }
        self.active.insert(None);
        let path = format!("/models/{}/deactivate", self.name);
        let answer = admin.send(admin.request(Method::POST, &path)).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.active = BTreeSet::from([None]);
        Some(true)
    }

    async fn is_settled(&self, admin: &Client, version: u32) -> Option<bool> {
        let answer = admin.try_get(&self.path(version)).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        Some(matches!(state(&answer.json()), "ready" | "active"))
    }

    /// The server must be in one of the worlds that the ledger allows; which one is known from
    /// then on.
    async fn verify(&mut self, admin: &Client) {
        let mut active = None;
        for version in self.versions.clone().into_keys() {
            match self.settled(admin, version).await {
                Some(state) => {
                    assert!(
                        state == "ready" || state == "active",
                        "{}: {state}",
                        self.path(version)
                    );
                    if state == "active" {
                        active = Some(version);
                    }
                    self.versions.insert(version, Known::There);
                    let reference = format!("{}@1.{version}.0", self.name);
                    assert!(echoes(admin, &reference).await, "{reference} serves");
                }
                None => {
                    let known = self.versions.remove(&version);
                    assert_eq!(
                        known,
                        Some(Known::Either),
                        "{} is gone: {self:?}",
                        self.path(version)
                    );
                }
            }
        }
        assert!(
            self.active.contains(&active),
            "{active:?} is active: {self:?}"
        );
        self.active = BTreeSet::from([active]);
        assert_eq!(
            echoes(admin, &self.name).await,
            active.is_some(),
            "{self:?}"
        );
        let answer = admin.get(&format!("/models/{}", self.name)).await;
        let listed = answer.json()["versions"].as_array().map_or(0, Vec::len);
        assert_eq!(listed, self.versions.len(), "{}", answer.text());
    }

    /// The state of a version when its lifecycle is over; none if there is no such version.
    async fn settled(&self, admin: &Client, version: u32) -> Option<String> {
        let deadline = Instant::now() + SETTLE_TIMEOUT;
        loop {
            let answer = admin.get(&self.path(version)).await;
            if answer.status == 404 {
                return None;
            }
            let body = answer.expect_status(200).json();
            let state = state(&body);
            if matches!(state, "ready" | "active" | "failed") {
                assert_ne!(state, "failed", "{body}");
                return Some(state.to_owned());
            }
            assert!(Instant::now() < deadline, "{body}");
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
}

fn state(version: &Value) -> &str {
    version["state"]
        .as_str()
        .unwrap_or_else(|| panic!("a version without a state: {version}"))
}

async fn echoes(caller: &Client, reference: &str) -> bool {
    let request = json!({"model": reference, "inputs": {"x": [1, 2, 3]}});
    let answer = caller.post("/infer", &request).await;
    match answer.status {
        200 => {
            assert!(answer.text().contains("[1,2,3]"), "{}", answer.text());
            true
        }
        // With the version that is asked for, it must serve; a bare name may have none active.
        404 | 409 | 503 if !reference.contains('@') => false,
        status => panic!("{reference}: {status} {}", answer.text()),
    }
}

/// A body that arrives in pieces, so that a kill finds it half sent.
fn slowly(archive: Vec<u8>, random: &mut StdRng) -> reqwest::Body {
    let pieces: Vec<Vec<u8>> = archive
        .chunks(archive.len() / 4 + 1)
        .map(<[u8]>::to_vec)
        .collect();
    let pause = Duration::from_millis(random.random_range(1..15));
    reqwest::Body::wrap_stream(futures_util::stream::unfold(
        pieces.into_iter(),
        move |mut pieces| async move {
            let piece = pieces.next()?;
            tokio::time::sleep(pause).await;
            Some((Ok::<_, std::io::Error>(piece), pieces))
        },
    ))
}

/// What the client that has keys knows of them.
#[derive(Debug, Default)]
struct KeyLedger {
    /// Keys that were acknowledged, by id: the secret, and whether it can have been revoked.
    keys: BTreeMap<String, (String, Known)>,
    /// Secrets whose end was acknowledged: of a key that was revoked or deleted, or replaced
    /// without an overlap.
    revoked: Vec<String>,
    /// Secrets that were replaced with an overlap that outlasts this test, by the key's id.
    overlapping: BTreeMap<String, String>,
    /// Keys whose last rotation was broken off: the server may know a secret more than we do.
    in_rotation: BTreeSet<String>,
}

impl KeyLedger {
    async fn live(&mut self, admin: &Client, random: &mut StdRng) -> Work {
        let mut work = Work::default();
        loop {
            let ids: Vec<String> = self.keys.keys().cloned().collect();
            let any = ids.get(random.random_range(0..ids.len().max(1))).cloned();
            let ended = match any {
                Some(id) if ids.len() > 5 || random.random_bool(0.3) => {
                    self.end(admin, id, random.random_bool(0.5)).await
                }
                Some(id) if random.random_bool(0.5) => {
                    self.rotate(admin, id, random.random_bool(0.5)).await
                }
                _ => self.create(admin).await,
            };
            match ended {
                Some(()) => work.acknowledged += 1,
                None => {
                    work.broken_off += 1;
                    return work;
                }
            }
        }
    }

    async fn create(&mut self, admin: &Client) -> Option<()> {
        let request = json!({"name": "durable", "scopes": ["infer", "models:read"]});
        let answer = admin
            .send(admin.request(Method::POST, "/admin/keys").json(&request))
            .await?;
        assert!(
            (200..300).contains(&answer.status),
            "{}: {}",
            answer.status,
            answer.text()
        );
        let body = answer.json();
        let text = |field: &str| body[field].as_str().unwrap().to_owned();
        self.keys.insert(text("id"), (text("key"), Known::There));
        Some(())
    }

    /// Revokes or deletes a key.
    async fn end(&mut self, admin: &Client, id: String, forever: bool) -> Option<()> {
        self.doubt(&id);
        self.overlapping.remove(&id);
        let request = if forever {
            admin.request(Method::DELETE, &format!("/admin/keys/{id}"))
        } else {
            admin.request(Method::POST, &format!("/admin/keys/{id}/revoke"))
        };
        let answer = admin.send(request).await?.expect_status(200);
        assert_eq!(answer.json()["deleted"] == true, forever);
        self.revoked
            .extend(self.keys.remove(&id).map(|(secret, _)| secret));
        Some(())
    }

    /// Gives a key another secret. Killed before the answer, the server may have made one that
    /// nobody knows: then the one before works on only if there is an overlap.
    async fn rotate(&mut self, admin: &Client, id: String, overlap: bool) -> Option<()> {
        // Ends with the rotation, or stays for as long as it was said before.
        self.overlapping.remove(&id);
        let body = if overlap {
            json!({"overlap": "1 d"})
        } else {
            json!({})
        };
        // The number of old secrets is bounded: one that nobody knows can push out the one that
        // we know.
        if !self.in_rotation.insert(id.clone()) || !overlap {
            self.doubt(&id);
        }
        let path = format!("/admin/keys/{id}/rotate");
        let request = admin.request(Method::POST, &path).json(&body);
        let rotated = admin.send(request).await?.expect_status(200).json();
        self.in_rotation.remove(&id);
        let secret = rotated["key"].as_str().unwrap().to_owned();
        let before = self.keys.insert(id.clone(), (secret, Known::There));
        let before = before.map(|(secret, _)| secret);
        if overlap {
            self.overlapping.extend(before.map(|secret| (id, secret)));
        } else {
            self.revoked.extend(before);
        }
        Some(())
    }

    fn doubt(&mut self, id: &str) {
        if let Some((_, known)) = self.keys.get_mut(id) {
            *known = Known::Either;
        }
    }

    async fn verify(&mut self, admin: &Client) {
        let mut gone = Vec::new();
        for (id, (secret, known)) in &mut self.keys {
            match (accepted(admin, secret).await, &known) {
                (true, _) => *known = Known::There,
                (false, Known::Either) => gone.push(id.clone()),
                (false, Known::There) => panic!("the key {id} is lost"),
            }
        }
        for id in gone {
            self.revoked
                .extend(self.keys.remove(&id).map(|(secret, _)| secret));
        }
        for (id, secret) in &self.overlapping {
            assert!(
                accepted(admin, secret).await,
                "an old secret of {id} is lost"
            );
        }
        // The latest, because their revocations are the ones that a kill could have undone.
        for secret in self.revoked.iter().rev().take(5) {
            assert!(!accepted(admin, secret).await, "a revoked key came back");
        }
    }
}

async fn accepted(admin: &Client, secret: &str) -> bool {
    let answer: Answer = admin.with_key(secret).get("/models").await;
    assert!(
        answer.status == 200 || answer.status == 401,
        "{}: {}",
        answer.status,
        answer.text()
    );
    answer.status == 200
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

fn files_in(directory: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return 0;
    };
    entries
        .map(|entry| entry.unwrap().path())
        .map(|path| if path.is_dir() { files_in(&path) } else { 1 })
        .sum()
}
