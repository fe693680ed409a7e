//! The keys: read from memory on the path of a request, made durable before any change is
//! acknowledged.

mod admin_key;
mod amend;
mod bounds;
mod change;
mod error;
mod examine;
mod record;
mod row;
mod secret_file;
mod signatures;
mod signer;
mod signing_rows;
mod standing;
mod table;
mod token_rows;
mod usage_rows;

use std::path::PathBuf;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use sqlx::SqlitePool;

pub use admin_key::AdminKey;
pub use amend::{AmendedKey, KeyChange};
pub use bounds::{NETWORKS_MAX, OLD_SECRETS_MAX, ROTATION_OVERLAP_MAX};
pub use error::{AuthError, KeyError};
pub use examine::Examined;
pub use record::{CreatedKey, KeyRecord, NewKey};
pub use row::check_key_row;
use signatures::Signatures;
pub use signatures::{ChangedSigning, SigningChange};
pub use signing_rows::forget_clean_stop;
pub use standing::{KnownSecret, KnownSecrets, SecretKind, Standing};
use table::{Entry, Key, Table};

use super::caller::Caller;
use super::jwt::{COUNTS_KEPT, Jwt};
use super::key::PresentedKey;
use super::usage::{KeyUsage, UsageCounts};
use crate::clock::Clock;
use crate::db::Db;
use crate::ids::KeyId;

/// All keys that this server knows. Cheap to clone.
#[derive(Clone)]
pub struct KeyStore(Arc<Inner>);

struct Inner {
    require_key: bool,
    table: ArcSwap<Table>,
    /// The time at which something ends by itself next, in milliseconds since the Unix epoch.
    next_end_ms: AtomicI64,
    /// One change at a time, so that a change sees the table that the one before has left.
    change: tokio::sync::Mutex<()>,
    /// The tokens that are taken beside keys, if any are.
    jwt: Option<Jwt>,
    /// The file of the admin key, once it is known.
    admin_file: OnceLock<PathBuf>,
    /// What signed requests are checked with.
    signatures: Signatures,
    clock: Clock,
    db: Db,
}

impl KeyStore {
    /// Reads all keys into memory.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a key that cannot be understood: leaving one out could
    /// only be noticed when it is too late.
    pub async fn open(db: Db, config: &super::Config, clock: Clock) -> Result<Self, KeyError> {
        let mut table = Table::default();
        let since = clock
            .now()
            .checked_sub(COUNTS_KEPT)
            .unwrap_or(Timestamp::MIN);
        usage_rows::delete_old_callers(db.pool(), since).await?;
        let mut used = usage_rows::read(db.pool()).await?;
        let mut resume = |subject: &str| {
            let counts = used.remove(subject).unwrap_or_default();
            KeyUsage::resumed(clock.clone(), &counts)
        };
        for (index, key) in config.keys.iter().enumerate() {
            let usage = resume(&usage_rows::subject_of(None, &key.digest));
            table.insert(KeyRecord::configured(index + 1), key.digest, usage);
        }
        // Stored keys come second: where both name the same secret, its revocation must hold.
        for (record, digest) in row::all(db.pool()).await? {
            let usage = resume(&usage_rows::subject_of(Some(&record.id), &digest));
            table.insert(record, digest, usage);
        }
        let old_secrets = row::old_secrets(db.pool()).await?;
        for (id, digest, until) in &old_secrets {
            table.add_old_secret(id, *digest, *until);
        }
        for (id, ..) in &old_secrets {
            change::list_old_secrets(&mut table, id);
        }
        let jwt = Jwt::open(&config.jwt, &clock).await?;
        if let Some(jwt) = &jwt {
            jwt.revoke(token_rows::read(db.pool(), clock.now()).await?);
        }
        let signatures =
            Signatures::open(&db, config.signing.clone(), clock.now(), &mut table).await?;
        let store = Self(Arc::new(Inner {
            require_key: config.require_key,
            table: ArcSwap::default(),
            next_end_ms: AtomicI64::new(i64::MAX),
            change: tokio::sync::Mutex::new(()),
            jwt,
            admin_file: OnceLock::new(),
            signatures,
            clock,
            db,
        }));
        store.publish(table);
        Ok(store)
    }

    /// Whether requests without a key are refused.
    #[must_use]
    pub fn key_required(&self) -> bool {
        self.0.require_key
    }

    /// Decides who is calling. Costs a look-up in memory; the hash was taken when the key was
    /// parsed.
    ///
    /// Where no key is required, one that this server cannot have made is ignored, because
    /// clients of such APIs insist on sending some key; one in our form that is unknown,
    /// revoked or expired is refused all the same, so that a mistake shows.
    ///
    /// # Errors
    ///
    /// When a key is required and missing, the one presented is not valid, or it is a token that
    /// does not hold or was not seen before.
    pub fn authenticate(&self, presented: Option<&PresentedKey<'_>>) -> Result<Caller, AuthError> {
        let anonymous = || {
            if self.0.require_key {
                Err(AuthError::Missing)
            } else {
                Ok(Caller::anonymous())
            }
        };
        let Some(key) = presented else {
            return anonymous();
        };
        let table = self.0.table.load();
        match table.entry(key) {
            Some(entry) => self.enter(entry),
            None if let (true, Some(jwt)) = (key.is_token(), &self.0.jwt) => {
                let found = jwt.find(&key.digest).ok_or(AuthError::Unseen)?;
                found.map_err(AuthError::Token)
            }
            None if key.ours || self.0.require_key => Err(AuthError::Unknown),
            None => Ok(Caller::anonymous()),
        }
    }

    /// The caller who has the key of that id or name, as if its secret had been presented. For those
    /// who have shown otherwise who they are. Of several keys with the name those that work count,
    /// and there must be one.
    ///
    /// # Errors
    ///
    /// When there is no such key, or it does not work any more.
    pub fn authenticate_as(&self, key: &str) -> Result<Caller, AuthError> {
        let table = self.0.table.load();
        let by_id = key.parse().ok().and_then(|id: KeyId| table.keys.get(&id));
        let found = by_id.map_or_else(|| by_name(&table, key), Ok)?;
        let entry = table.by_digest.get(&found.digest);
        self.enter(entry.ok_or(AuthError::Unknown)?)
    }

    /// Lets in whoever has a secret that is known, if it works.
    fn enter(&self, entry: &Entry) -> Result<Caller, AuthError> {
        if entry.revoked {
            Err(AuthError::Revoked)
        } else if entry.grant.end().is_some_and(|end| end <= self.now()) {
            Err(AuthError::Expired)
        } else if entry.must_sign {
            Err(AuthError::SignatureNeeded)
        } else {
            Ok(Caller::with(Arc::clone(&entry.grant)))
        }
    }

    /// All keys: those of the configuration first, then by age.
    #[must_use]
    pub fn list(&self) -> Vec<KeyRecord> {
        let table = self.0.table.load();
        let mut records: Vec<KeyRecord> =
            table.keys.values().map(|key| key.record.clone()).collect();
        records.sort_by(|a, b| a.created.cmp(&b.created).then_with(|| a.id.cmp(&b.id)));
        records
    }

    /// The key of that id.
    ///
    /// # Errors
    ///
    /// When there is none of that name.
    pub fn show(&self, id: &KeyId) -> Result<KeyRecord, KeyError> {
        let table = self.0.table.load();
        let key = table.keys.get(id);
        key.map(|key| key.record.clone())
            .ok_or_else(|| KeyError::NotFound { id: id.clone() })
    }

    /// The usage of a key; no usage for one that does not exist.
    #[must_use]
    pub fn usage(&self, id: &KeyId) -> UsageCounts {
        let table = self.0.table.load();
        let key = table.keys.get(id);
        key.map(|key| key.account.usage.counts())
            .unwrap_or_default()
    }

    /// The time by which keys live.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn pool(&self) -> &SqlitePool {
        self.0.db.pool()
    }
}

/// The key of a name. One that was revoked makes room for another of its name.
fn by_name<'a>(table: &'a Table, name: &str) -> Result<&'a Arc<Key>, AuthError> {
    let named = || table.keys.values().filter(|key| key.record.name == name);
    let mut working = named().filter(|key| key.record.revoked.is_none());
    match (working.next(), working.next()) {
        (Some(key), None) => Ok(key),
        (None, _) => named().next().ok_or(AuthError::Unknown),
        (Some(_), Some(_)) => Err(AuthError::Unknown),
    }
}

impl std::fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys = self.0.table.load().keys.len();
        f.debug_struct("KeyStore")
            .field("keys", &keys)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
