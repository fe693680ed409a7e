//! The client that has a model, and what it knows of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use belljar_tests::{Client, TestBundle};
use rand::RngExt as _;
use rand::rngs::StdRng;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{Known, SETTLE_TIMEOUT, Work};

/// Versions of one model, beyond which its client removes some.
const VERSIONS_MAX: usize = 3;

/// What one client knows of its model.
#[derive(Debug)]
pub(crate) struct ModelLedger {
    name: String,
    versions: BTreeMap<u32, Known>,
    /// Which version can be the active one, when everything has settled.
    active: BTreeSet<Option<u32>>,
    next: u32,
}

impl ModelLedger {
    pub(crate) fn new(client: usize) -> Self {
        Self {
            name: format!("m{client}"),
            versions: BTreeMap::new(),
            active: BTreeSet::from([None]),
            next: 0,
        }
    }

    pub(crate) fn bundle(&self, version: u32) -> TestBundle {
        // The asset makes each content another one.
        let asset = format!("{} {version}", self.name);
        TestBundle::echo(&self.name, &format!("1.{version}.0")).with_asset("a", asset.as_bytes())
    }

    pub(crate) fn path(&self, version: u32) -> String {
        format!("/models/{}/1.{version}.0", self.name)
    }

    /// Changes the model until the server is gone.
    pub(crate) async fn live(&mut self, admin: &Client, random: &mut StdRng) -> Work {
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

    pub(crate) async fn upload(&mut self, admin: &Client, random: &mut StdRng) -> Option<bool> {
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
        let _ = admin.send(request).await?.expect_success();
        self.versions.insert(version, Known::There);
        if activate {
            self.active = BTreeSet::from([Some(version)]);
        }
        Some(true)
    }

    pub(crate) async fn remove(&mut self, admin: &Client, version: u32) -> Option<bool> {
        // Only what has settled: otherwise its removal may leave an older one active.
        if !self.is_settled(admin, version).await? {
            return Some(false);
        }
        let before = self.active.clone();
        self.versions.insert(version, Known::Either);
        if before.contains(&Some(version)) {
            self.active.insert(None);
        }
        let _ = admin
            .send(admin.request(Method::DELETE, &self.path(version)))
            .await?
            .expect_success();
        self.versions.remove(&version);
        self.active.remove(&Some(version));
        Some(true)
    }

    pub(crate) async fn activate(&mut self, admin: &Client, version: u32) -> Option<bool> {
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

    pub(crate) async fn deactivate(&mut self, admin: &Client) -> Option<bool> {
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

    pub(crate) async fn is_settled(&self, admin: &Client, version: u32) -> Option<bool> {
        let answer = admin.try_get(&self.path(version)).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        Some(matches!(state(&answer.json()), "ready" | "active"))
    }

    /// The server must be in one of the worlds that the ledger allows; which one is known from
    /// then on.
    pub(crate) async fn verify(&mut self, admin: &Client) {
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
    pub(crate) async fn settled(&self, admin: &Client, version: u32) -> Option<String> {
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

pub(crate) fn state(version: &Value) -> &str {
    version["state"]
        .as_str()
        .unwrap_or_else(|| panic!("a version without a state: {version}"))
}

pub(crate) async fn echoes(caller: &Client, reference: &str) -> bool {
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
pub(crate) fn slowly(archive: Vec<u8>, random: &mut StdRng) -> reqwest::Body {
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
