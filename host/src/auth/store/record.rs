//! The record of a key, and the request for a new one.

use std::collections::BTreeSet;

use belljar_bundle::ModelName;
use jiff::Timestamp;

use super::KeyError;
use super::bounds::{MODELS_MAX, NAME_CHARACTERS_MAX};
use crate::auth::allowance::Allowance;
use crate::auth::key::SecretKey;
use crate::auth::scope::Scopes;
use crate::auth::signing::{Signing, SigningSecret};
use crate::ids::KeyId;
use crate::net::NetworkAcl;

/// The record of a key; nothing of its secret.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct KeyRecord {
    /// The public name of the key.
    pub id: KeyId,
    /// The name that its creator gave it.
    pub name: String,
    /// Its rights.
    pub scopes: Scopes,
    /// The models it may use; none for all.
    pub models: Option<BTreeSet<String>>,
    /// The amounts that the key may use.
    #[serde(flatten)]
    pub allowance: Allowance,
    /// The networks that it may be used from.
    #[serde(flatten)]
    pub networks: NetworkAcl,
    /// The time at which the key was made; none for a key of the configuration.
    pub created: Option<Timestamp>,
    /// The time at which the secret was last replaced.
    pub rotated: Option<Timestamp>,
    /// The times at which replaced secrets that still work will stop to; the latest first.
    pub old_secrets_until: Vec<Timestamp>,
    /// The time at which the key stops working.
    pub expires: Option<Timestamp>,
    /// The time at which the key was revoked.
    pub revoked: Option<Timestamp>,
    /// Whether its requests are signed.
    pub signing: Signing,
    /// The time at which the secret that signed before will stop to, where it still works.
    pub old_signing_secret_until: Option<Timestamp>,
    /// Whether the server made it for itself, with its secret in the file of the admin key.
    #[serde(skip)]
    pub(super) from_server: bool,
}

impl KeyRecord {
    /// The record of a key of the configuration.
    pub(super) fn configured(position: usize) -> Self {
        Self {
            id: KeyId::configured(position),
            name: "from the configuration".to_owned(),
            scopes: Scopes::USE,
            models: None,
            allowance: Allowance::default(),
            networks: NetworkAcl::EVERYWHERE,
            created: None,
            rotated: None,
            old_secrets_until: Vec::new(),
            expires: None,
            revoked: None,
            signing: Signing::None,
            old_signing_secret_until: None,
            from_server: false,
        }
    }

    /// Whether the key works.
    pub(super) fn works(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|end| end > now)
    }

    /// Whether it can be changed here and now.
    pub(super) fn check_is_stored(&self) -> Result<(), KeyError> {
        match self.created {
            Some(_) => Ok(()),
            None => Err(KeyError::Configured {
                id: self.id.clone(),
            }),
        }
    }
}

/// A key to be made.
#[derive(Clone, Debug, Default)]
pub struct NewKey {
    /// 1 to 100 characters, no control characters.
    pub name: String,
    /// The scopes that the key is to have, at least one.
    pub scopes: Scopes,
    /// Names of models; none for all.
    pub models: Option<BTreeSet<String>>,
    /// The amounts that the key may use.
    pub allowance: Allowance,
    /// The networks that it may be used from.
    pub networks: NetworkAcl,
    /// The time at which the key is to stop working; in the future.
    pub expires: Option<Timestamp>,
    /// Whether its requests are to be signed.
    pub signing: Signing,
}

/// A key that was made, with the only copy of its secret.
#[derive(Clone, Debug)]
pub struct CreatedKey {
    /// Its record, as it is stored.
    pub record: KeyRecord,
    /// The secret. Shown once.
    pub secret: SecretKey,
    /// The secret that signs, of a key that does. Shown once.
    pub signing_secret: Option<SigningSecret>,
}

impl NewKey {
    pub(super) fn checked(self, now: Timestamp) -> Result<Self, KeyError> {
        let characters = self.name.chars().count();
        if self.name.trim().is_empty()
            || characters > NAME_CHARACTERS_MAX
            || self.name.chars().any(char::is_control)
        {
            return Err(KeyError::Name);
        }
        if self.scopes.is_empty() {
            return Err(KeyError::NoScopes);
        }
        let named = |models: &BTreeSet<String>| {
            (1..=MODELS_MAX).contains(&models.len())
                && models.iter().all(|name| name.parse::<ModelName>().is_ok())
        };
        if !self.models.as_ref().is_none_or(named) {
            return Err(KeyError::Models);
        }
        if let Some(name) = self.allowance.out_of_range() {
            return Err(KeyError::Limit { name });
        }
        match self.expires {
            Some(expires) if expires <= now => Err(KeyError::ExpiresInThePast { expires }),
            _ => Ok(self),
        }
    }

    /// The record of the new key. Times are cut to what the database can hold, so that a record
    /// reads the same before and after a restart.
    pub(super) fn record(self, now: Timestamp, from_server: bool) -> KeyRecord {
        KeyRecord {
            id: KeyId::random(),
            name: self.name,
            scopes: self.scopes,
            models: self.models,
            allowance: self.allowance,
            networks: self.networks,
            created: Some(whole_milliseconds(now)),
            rotated: None,
            old_secrets_until: Vec::new(),
            expires: self.expires.map(whole_milliseconds),
            revoked: None,
            signing: self.signing,
            old_signing_secret_until: None,
            from_server,
        }
    }
}

/// The time as the database can hold it.
pub(super) fn whole_milliseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}
