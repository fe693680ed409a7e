//! The keys: read from memory on the path of a request, made durable before any change is
//! acknowledged.

mod row;
mod secret_file;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use belljar_bundle::ModelName;
use jiff::Timestamp;

use super::allowance::{Allowance, LIMIT_MAX, Networks};
use super::caller::{Caller, Grant};
use super::key::{KeyDigest, PresentedKey, SecretKey};
use super::scope::{Scope, Scopes};
use row::Row;
use secret_file::{read_private, write_private};

use crate::db::Db;
use crate::ids::KeyId;

/// Stored keys, revoked ones included. Bounds memory: the store reads all of them at the start.
const KEYS_MAX: usize = 100_000;
/// Characters of a key's name.
const NAME_CHARACTERS_MAX: usize = 100;
/// Models that one key can be limited to.
const MODELS_MAX: usize = 1_000;

/// All keys that this server knows. Cheap to clone.
#[derive(Clone)]
pub struct KeyStore(Arc<Inner>);

struct Inner {
    require_key: bool,
    table: ArcSwap<Table>,
    /// One change at a time, so that a change sees the table that the one before has left.
    change: tokio::sync::Mutex<()>,
    db: Db,
}

#[derive(Clone, Default)]
struct Table {
    by_digest: HashMap<KeyDigest, Entry>,
    records: BTreeMap<KeyId, Arc<KeyRecord>>,
}

#[derive(Clone)]
struct Entry {
    digest: KeyDigest,
    grant: Arc<Grant>,
    revoked: bool,
}

/// What is known about a key; nothing of its secret.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct KeyRecord {
    /// Its public name.
    pub id: KeyId,
    /// What its creator called it.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// The models it may use; none for all.
    pub models: Option<BTreeSet<String>>,
    /// How much it may use.
    #[serde(flatten)]
    pub allowance: Allowance,
    /// Where it may be used from.
    #[serde(flatten)]
    pub networks: Networks,
    /// When it was made; none for a key of the configuration.
    pub created: Option<Timestamp>,
    /// When it stops working.
    pub expires: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

/// A key to be made.
#[derive(Clone, Debug, Default)]
pub struct NewKey {
    /// 1 to 100 characters, no control characters.
    pub name: String,
    /// At least one.
    pub scopes: Scopes,
    /// Names of models; none for all.
    pub models: Option<BTreeSet<String>>,
    /// How much it may use.
    pub allowance: Allowance,
    /// Where it may be used from.
    pub networks: Networks,
    /// When it stops working; in the future.
    pub expires: Option<Timestamp>,
}

/// A key that was made, with the only copy of its secret.
#[derive(Clone, Debug)]
pub struct CreatedKey {
    /// What is stored about it.
    pub record: KeyRecord,
    /// The secret. Shown once.
    pub secret: SecretKey,
}

/// Why a caller is not let in. What was presented is never part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// A key is required and none was presented.
    #[error("an API key is required")]
    Missing,
    /// No such key.
    #[error("the API key is not valid")]
    Unknown,
    /// The key was revoked.
    #[error("the API key has been revoked")]
    Revoked,
    /// The key's time is over.
    #[error("the API key has expired")]
    Expired,
}

/// Why a change of the keys was not made, or the keys could not be read.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The name is empty, too long, or has control characters.
    #[error(
        "the name of a key is 1 to {NAME_CHARACTERS_MAX} characters without control characters"
    )]
    Name,
    /// A key that may do nothing.
    #[error("a key needs at least one scope")]
    NoScopes,
    /// The list of models is empty, too long, or holds what cannot be a name.
    #[error("the models of a key are 1 to {MODELS_MAX} names of models")]
    Models,
    /// A limit of zero, or one that cannot be stored.
    #[error("a limit is 1 to {LIMIT_MAX}")]
    Limit {
        /// Which, by its name in the API.
        name: &'static str,
    },
    /// The expiry is not in the future.
    #[error("the expiry {expires} is not in the future")]
    ExpiresInThePast {
        /// What was asked for.
        expires: Timestamp,
    },
    /// The store is full.
    #[error("there are {KEYS_MAX} keys already; that is the most this server keeps")]
    TooMany,
    /// There is no such key.
    #[error("there is no key `{id}`")]
    NotFound {
        /// What was asked for.
        id: KeyId,
    },
    /// The key comes from the configuration.
    #[error("the key `{id}` is set in the configuration; take it out there and restart")]
    Configured {
        /// What was asked for.
        id: KeyId,
    },
    /// The host: the system gave no random bytes.
    #[error("no random bytes: {0}")]
    Random(rand::rngs::SysError),
    /// The host: the database failed.
    #[error("the key database failed: {0}")]
    Db(#[from] sqlx::Error),
    /// The host: what is stored cannot be read, for example because a newer version wrote it.
    #[error("the stored key `{id}` cannot be read: {reason}")]
    Damaged {
        /// The key's row.
        id: String,
        /// What is wrong.
        reason: String,
    },
    /// The host: the file of the admin key cannot be written.
    #[error("the admin key cannot be written to {path}: {source}")]
    AdminFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The host: the task that made the change ended early.
    #[error("the change of the keys was interrupted")]
    Interrupted,
}

impl KeyStore {
    /// Reads all keys into memory.
    ///
    /// # Errors
    ///
    /// When the database fails or holds a key that cannot be understood: leaving one out could
    /// only be noticed when it is too late.
    pub async fn open(db: Db, config: &super::Config) -> Result<Self, KeyError> {
        let mut table = Table::default();
        for (index, key) in config.keys.iter().enumerate() {
            let record = KeyRecord {
                id: KeyId::configured(index + 1),
                name: "from the configuration".to_owned(),
                scopes: Scopes::USE,
                models: None,
                allowance: Allowance::default(),
                networks: Networks::default(),
                created: None,
                expires: None,
                revoked: None,
            };
            table.insert(record, key.digest);
        }
        // Stored keys come second: where both name the same secret, its revocation must hold.
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, name, digest, scopes, models, tier, rpm, tpm, max_concurrent, max_uploads, \
             max_stored_bundles, max_stored_bytes, fuel_per_day, allow_networks, deny_networks, \
             created_ms, expires_ms, revoked_ms FROM keys ORDER BY created_ms",
        )
        .fetch_all(db.pool())
        .await?;
        for row in rows {
            let (record, digest) = row.read()?;
            table.insert(record, digest);
        }
        Ok(Self(Arc::new(Inner {
            require_key: config.require_key,
            table: ArcSwap::from_pointee(table),
            change: tokio::sync::Mutex::new(()),
            db,
        })))
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
    /// When a key is required and missing, or the one presented is not valid.
    pub fn authenticate(&self, presented: Option<&PresentedKey>) -> Result<Caller, AuthError> {
        self.authenticate_at(presented, Timestamp::now)
    }

    fn authenticate_at(
        &self,
        presented: Option<&PresentedKey>,
        now: impl FnOnce() -> Timestamp,
    ) -> Result<Caller, AuthError> {
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
        // The map is keyed by a hash whose input an attacker cannot steer towards a stored one,
        // so the look-up leaks nothing; the constant-time comparison keeps it so whatever the
        // map does.
        let entry = table
            .by_digest
            .get(&key.digest)
            .filter(|e| e.digest.matches(&key.digest));
        match entry {
            Some(entry) if entry.revoked => Err(AuthError::Revoked),
            Some(entry) if entry.grant.expires.is_some_and(|end| end <= now()) => {
                Err(AuthError::Expired)
            }
            Some(entry) => Ok(Caller::with(Arc::clone(&entry.grant))),
            None if key.ours || self.0.require_key => Err(AuthError::Unknown),
            None => Ok(Caller::anonymous()),
        }
    }

    /// Makes a key. On disk when this returns, also if the caller stops waiting.
    ///
    /// # Errors
    ///
    /// When a field of `new` is not acceptable, or the host fails.
    pub async fn create(&self, new: NewKey) -> Result<CreatedKey, KeyError> {
        let new = new.checked(Timestamp::now())?;
        self.change(|store| async move {
            let secret = SecretKey::random().map_err(KeyError::Random)?;
            let record = store.add(new, &secret).await?;
            Ok(CreatedKey { record, secret })
        })
        .await
    }

    /// All keys: those of the configuration first, then by age.
    #[must_use]
    pub fn list(&self) -> Vec<KeyRecord> {
        let table = self.0.table.load();
        let mut records: Vec<KeyRecord> = table
            .records
            .values()
            .map(|record| KeyRecord::clone(record))
            .collect();
        records.sort_by(|a, b| a.created.cmp(&b.created).then_with(|| a.id.cmp(&b.id)));
        records
    }

    /// One key.
    ///
    /// # Errors
    ///
    /// When there is none of that name.
    pub fn show(&self, id: &KeyId) -> Result<KeyRecord, KeyError> {
        let table = self.0.table.load();
        table
            .records
            .get(id)
            .map(|record| KeyRecord::clone(record))
            .ok_or_else(|| KeyError::NotFound { id: id.clone() })
    }

    /// Ends a key: from the next request on it is refused, also after a restart. Revoking twice
    /// changes nothing.
    ///
    /// # Errors
    ///
    /// When there is no such key, it is one of the configuration, or the host fails.
    pub async fn revoke(&self, id: &KeyId) -> Result<KeyRecord, KeyError> {
        let id = id.clone();
        self.change(|store| async move {
            let mut record = store.show(&id)?;
            if record.created.is_none() {
                return Err(KeyError::Configured { id });
            }
            if record.revoked.is_some() {
                return Ok(record);
            }
            let now = whole_milliseconds(Timestamp::now());
            sqlx::query("UPDATE keys SET revoked_ms = ? WHERE id = ?")
                .bind(now.as_millisecond())
                .bind(id.as_str())
                .execute(store.0.db.pool())
                .await?;
            record.revoked = Some(now);
            let mut table = Table::clone(&store.0.table.load());
            for entry in table
                .by_digest
                .values_mut()
                .filter(|entry| entry.grant.id == id)
            {
                entry.revoked = true;
            }
            table.records.insert(id, Arc::new(record.clone()));
            store.0.table.store(Arc::new(table));
            Ok(record)
        })
        .await
    }

    /// Sees to it that somebody can manage the keys: if no stored key with the scope `admin`
    /// works, makes one with all scopes and writes it to `path` (mode 0600).
    ///
    /// # Errors
    ///
    /// When the file or the database cannot be written.
    pub async fn ensure_admin_key(&self, path: &Path) -> Result<(), KeyError> {
        let path = path.to_owned();
        self.change(|store| async move {
            let now = Timestamp::now();
            let usable = |record: &KeyRecord| {
                record.created.is_some()
                    && record.scopes.contains(Scope::Admin)
                    && record.revoked.is_none()
                    && record.expires.is_none_or(|end| end > now)
            };
            if store
                .0
                .table
                .load()
                .records
                .values()
                .any(|record| usable(record))
            {
                return Ok(());
            }
            // The file comes first and the row second. Killed in between, the next start finds
            // a file without a row and goes on with it; the other way round would leave an
            // admin key that nobody has ever seen.
            let failed = |source| KeyError::AdminFile {
                path: path.clone(),
                source,
            };
            let left_over = read_private(&path).filter(|secret| {
                !store
                    .0
                    .table
                    .load()
                    .by_digest
                    .contains_key(&secret.digest())
            });
            let secret = match left_over {
                Some(secret) => secret,
                None => {
                    let secret = SecretKey::random().map_err(KeyError::Random)?;
                    write_private(&path, secret.expose()).map_err(failed)?;
                    secret
                }
            };
            let new = NewKey {
                name: "admin".to_owned(),
                scopes: Scopes::all(),
                ..NewKey::default()
            };
            store.add(new, &secret).await.map(drop)
        })
        .await
    }

    /// Runs one change to its end, whatever becomes of the request that asked for it: a change
    /// that is in the database and not in memory would be a revoked key that still works.
    async fn change<T, W>(&self, work: impl FnOnce(Self) -> W) -> Result<T, KeyError>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, KeyError>> + Send + 'static,
    {
        let work = work(self.clone());
        let inner = Arc::clone(&self.0);
        let task = tokio::spawn(async move {
            let _turn = inner.change.lock().await;
            work.await
        });
        task.await.map_err(|_| KeyError::Interrupted)?
    }

    /// Writes a checked key to the database, then to memory.
    async fn add(&self, new: NewKey, secret: &SecretKey) -> Result<KeyRecord, KeyError> {
        let table = self.0.table.load_full();
        if table.records.len() >= KEYS_MAX {
            return Err(KeyError::TooMany);
        }
        let record = KeyRecord {
            id: KeyId::random(),
            name: new.name,
            scopes: new.scopes,
            models: new.models,
            allowance: new.allowance,
            networks: new.networks,
            created: Some(whole_milliseconds(Timestamp::now())),
            expires: new.expires.map(whole_milliseconds),
            revoked: None,
        };
        let digest = secret.digest();
        row::insert(self.0.db.pool(), &record, &digest).await?;
        let mut table = Table::clone(&table);
        table.insert(record.clone(), digest);
        self.0.table.store(Arc::new(table));
        Ok(record)
    }
}

impl std::fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys = self.0.table.load().records.len();
        f.debug_struct("KeyStore")
            .field("keys", &keys)
            .finish_non_exhaustive()
    }
}

impl Table {
    fn insert(&mut self, record: KeyRecord, digest: KeyDigest) {
        let grant = Grant {
            id: record.id.clone(),
            scopes: record.scopes,
            models: record.models.clone(),
            allowance: record.allowance,
            networks: record.networks.clone(),
            expires: record.expires,
        };
        let revoked = record.revoked.is_some();
        self.by_digest.insert(
            digest,
            Entry {
                digest,
                grant: Arc::new(grant),
                revoked,
            },
        );
        self.records.insert(record.id.clone(), Arc::new(record));
    }
}

impl NewKey {
    fn checked(self, now: Timestamp) -> Result<Self, KeyError> {
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
}

/// What the database can hold, so that a record reads the same before and after a restart.
fn whole_milliseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

#[cfg(test)]
mod tests;
