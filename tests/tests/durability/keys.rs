//! The client that has keys, and what it knows of them.

use std::collections::{BTreeMap, BTreeSet};

use belljar_tests::{Answer, Client};
use rand::RngExt as _;
use rand::rngs::StdRng;
use reqwest::Method;
use serde_json::json;

use crate::{Known, Work};

/// What the client that has keys knows of them.
#[derive(Debug, Default)]
pub(crate) struct KeyLedger {
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
    pub(crate) async fn live(&mut self, admin: &Client, random: &mut StdRng) -> Work {
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

    pub(crate) async fn create(&mut self, admin: &Client) -> Option<()> {
        let request = json!({"name": "durable", "scopes": ["infer", "models:read"]});
        let answer = admin
            .send(admin.request(Method::POST, "/admin/keys").json(&request))
            .await?
            .expect_success();
        let body = answer.json();
        let text = |field: &str| body[field].as_str().unwrap().to_owned();
        self.keys.insert(text("id"), (text("key"), Known::There));
        Some(())
    }

    /// Revokes or deletes a key.
    pub(crate) async fn end(&mut self, admin: &Client, id: String, forever: bool) -> Option<()> {
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
    pub(crate) async fn rotate(&mut self, admin: &Client, id: String, overlap: bool) -> Option<()> {
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
        match before {
            // One that was in doubt may have been pushed out before.
            Some((secret, Known::There)) if overlap => drop(self.overlapping.insert(id, secret)),
            Some(_) if overlap => {}
            before => self.revoked.extend(before.map(|(secret, _)| secret)),
        }
        Some(())
    }

    pub(crate) fn doubt(&mut self, id: &str) {
        if let Some((_, known)) = self.keys.get_mut(id) {
            *known = Known::Either;
        }
    }

    pub(crate) async fn verify(&mut self, admin: &Client) {
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

pub(crate) async fn accepted(admin: &Client, secret: &str) -> bool {
    let answer: Answer = admin.with_key(secret).get("/models").await;
    assert!(
        answer.status == 200 || answer.status == 401,
        "{}: {}",
        answer.status,
        answer.text()
    );
    answer.status == 200
}
