//! The record of security events: who did what to keys, models, bans, and what was refused.
//!
//! Whoever makes something happen records an [`Event`] on the [`AuditLog`]; no event ever holds
//! a secret, a prompt or a body.

use std::net::IpAddr;

use crate::ids::{KeyId, RequestId};

/// On whose behalf something happened.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Actor {
    /// The verified key, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<KeyId>,
    /// The caller's address, as far as it can be trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
}

/// One security event: a name and what it is about.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Event {
    /// What happened, for example `key_created`, `ban`, `authentication_failed`.
    pub event: &'static str,
    /// On whose behalf.
    #[serde(flatten)]
    pub actor: Actor,
    /// What it is about, such as the id of a key, the name of a model, a reason. Values are
    /// names and numbers made by this program.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub about: serde_json::Map<String, serde_json::Value>,
}

/// Where events go. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct AuditLog(());

impl AuditLog {
    /// Records one event. Never blocks on a disk: a thread of its own writes.
    pub fn record(&self, event: &Event) {
        tracing::info!(target: "belljar::audit", event = event.event, "a security event");
    }
}
