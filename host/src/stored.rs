//! What callers store here: responses that others go on from, conversations, chat completions.
//!
//! Each belongs to the key that made it (callers without a key share theirs), is on disk before
//! it is acknowledged, and goes when its time is over or when its key has stored too much: then
//! the oldest goes first.

mod background;
mod error;

use crate::auth::Caller;
use crate::clock::Clock;
use crate::db::Db;
use crate::ids::KeyId;
pub use background::{BackgroundRun, BackgroundRuns, BackgroundTurn, TooManyRuns};
pub use error::StoredError;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Rows that are deleted at once when there is too much.
const EVICTED_AT_ONCE: i64 = 32;

/// How long, and how much, is kept.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How long something is kept; zero stores nothing.
    pub retention: Duration,
    /// Bytes that one key may have stored.
    pub key_bytes_max: u64,
    /// Bytes that all keys together may have stored.
    pub bytes_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            retention: Duration::from_secs(30 * 24 * 60 * 60),
            key_bytes_max: 64 << 20,
            bytes_max: 1 << 30,
        }
    }
}

/// The kind of what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A response.
    Response,
    /// A conversation: a list of items that responses add to.
    Conversation,
    /// A chat completion.
    ChatCompletion,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Conversation => "conversation",
            Self::ChatCompletion => "chat_completion",
        }
    }
}

/// Something stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its id, which also sorts by time.
    pub id: String,
    /// What is shown of it, as JSON.
    pub body: String,
    /// What the caller sent, as a list in JSON.
    pub input: String,
    /// The response that it goes on from.
    pub previous: Option<String>,
}

impl Record {
    fn bytes(&self) -> u64 {
        let previous = self.previous.as_ref().map_or(0, String::len);
        let bytes = [self.id.len(), self.body.len(), self.input.len(), previous];
        u64::try_from(bytes.iter().sum::<usize>()).unwrap_or(u64::MAX)
    }
}

/// The key that something belongs to; empty for callers without one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner(String);

impl Owner {
    /// The owner of what a caller stores.
    #[must_use]
    pub fn of(caller: &Caller) -> Self {
        Self(caller.key_id().map_or("", KeyId::as_str).to_owned())
    }
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Page {
    /// Ids after this one.
    pub after: Option<String>,
    /// How many there are at most.
    pub limit: u32,
    /// Whether the newest come first.
    pub newest_first: bool,
}

/// Everything that callers have stored. Cheap to clone.
#[derive(Clone)]
pub struct StoredObjects(Arc<Inner>);

struct Inner {
    db: Db,
    clock: Clock,
    config: Config,
    background: BackgroundRuns,
    /// Bytes of each owner.
    bytes: Mutex<HashMap<Owner, u64>>,
    /// Changes are made one after the other: each reads what it changes.
    turn: tokio::sync::Mutex<()>,
}

type Row = (String, String, String, Option<String>);

fn record((id, body, input, previous): Row) -> Record {
    Record {
        id,
        body,
        input,
        previous,
    }
}

impl StoredObjects {
    /// What is in the database and not over.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn open(db: Db, clock: Clock, config: Config) -> Result<Self, StoredError> {
        let stored = Self(Arc::new(Inner {
            db,
            clock,
            config,
            background: BackgroundRuns::default(),
            bytes: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }));
        stored.remove_expired().await?;
        stored.count().await?;
        Ok(stored)
    }

    /// The work that goes on without the request that began it.
    #[must_use]
    pub fn background(&self) -> &BackgroundRuns {
        &self.0.background
    }

    /// Whether anything is stored at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.0.config.retention.is_zero()
    }

    /// Stores something, in place of what has its id and owner. It is on disk when this returns.
    ///
    /// # Errors
    ///
    /// When it alone is more than its key may store, and when it cannot be written.
    pub async fn put(&self, owner: &Owner, kind: Kind, record: &Record) -> Result<(), StoredError> {
        let _turn = self.0.turn.lock().await;
        self.write(owner, kind, record).await
    }

    /// Changes something of an owner's, which nobody else changes meanwhile. It is on disk when
    /// this returns.
    ///
    /// # Errors
    ///
    /// When there is no such thing of this owner's, when `change` refuses, when there is more of
    /// it than its key may store, and when it cannot be written.
    pub async fn update<T, E: From<StoredError>>(
        &self,
        owner: &Owner,
        kind: Kind,
        id: &str,
        change: impl FnOnce(&mut Record) -> Result<T, E>,
    ) -> Result<T, E> {
        let _turn = self.0.turn.lock().await;
        let mut record = self.get(owner, kind, id).await?;
        let done = change(&mut record)?;
        self.write(owner, kind, &record).await?;
        Ok(done)
    }

    async fn write(&self, owner: &Owner, kind: Kind, record: &Record) -> Result<(), StoredError> {
        let bytes = record.bytes();
        let max = self.0.config.key_bytes_max.min(self.0.config.bytes_max);
        if bytes > max {
            return Err(StoredError::TooLarge { bytes, max });
        }
        let now = self.0.clock.now();
        let retention = jiff::SignedDuration::try_from(self.0.config.retention);
        let expires = now.saturating_add(retention.unwrap_or(jiff::SignedDuration::MAX));
        let mut transaction = self.0.db.pool().begin().await?;
        let taken: Option<(String,)> = sqlx::query_as("SELECT owner FROM stored WHERE id = ?")
            .bind(&record.id)
            .fetch_optional(&mut *transaction)
            .await?;
        if taken.is_some_and(|(other,)| other != owner.0) {
            return Err(StoredError::NotFound);
        }
        sqlx::query(
            "INSERT OR REPLACE INTO stored \
             (id, kind, owner, created_ms, expires_ms, body, input, previous, bytes) \
             VALUES (?1, ?2, ?3, COALESCE((SELECT created_ms FROM stored WHERE id = ?1), ?4), ?5, ?6, \
             ?7, ?8, ?9)",
        )
        .bind(&record.id)
        .bind(kind.name())
        .bind(&owner.0)
        .bind(now.as_millisecond())
        .bind(expires.unwrap_or(jiff::Timestamp::MAX).as_millisecond())
        .bind(&record.body)
        .bind(&record.input)
        .bind(&record.previous)
        .bind(i64::try_from(bytes).unwrap_or(i64::MAX))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        self.count_owner(owner).await?;
        self.make_room(owner, &record.id).await
    }

    /// Something of an owner's.
    ///
    /// # Errors
    ///
    /// When there is no such thing of this owner's, and when the database cannot be read.
    pub async fn get(&self, owner: &Owner, kind: Kind, id: &str) -> Result<Record, StoredError> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT id, body, input, previous FROM stored \
             WHERE id = ? AND kind = ? AND owner = ? AND expires_ms > ?",
        )
        .bind(id)
        .bind(kind.name())
        .bind(&owner.0)
        .bind(self.0.clock.now().as_millisecond())
        .fetch_optional(self.0.db.pool())
        .await?;
        row.map(record).ok_or(StoredError::NotFound)
    }

    /// Deletes something of an owner's. It is gone from the disk when this returns.
    ///
    /// # Errors
    ///
    /// When there is no such thing of this owner's, and when it cannot be written.
    pub async fn delete(&self, owner: &Owner, kind: Kind, id: &str) -> Result<(), StoredError> {
        let _turn = self.0.turn.lock().await;
        let done = sqlx::query("DELETE FROM stored WHERE id = ? AND kind = ? AND owner = ?")
            .bind(id)
            .bind(kind.name())
            .bind(&owner.0)
            .execute(self.0.db.pool())
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoredError::NotFound);
        }
        self.count_owner(owner).await
    }

    /// What an owner has of a kind, a page of it and whether there is more.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub async fn list(
        &self,
        owner: &Owner,
        kind: Kind,
        page: &Page,
    ) -> Result<(Vec<Record>, bool), StoredError> {
        let query = if page.newest_first {
            "SELECT id, body, input, previous FROM stored WHERE owner = ?1 AND kind = ?2 \
             AND expires_ms > ?3 AND (?4 IS NULL OR id < ?4) ORDER BY id DESC LIMIT ?5"
        } else {
            "SELECT id, body, input, previous FROM stored WHERE owner = ?1 AND kind = ?2 \
             AND expires_ms > ?3 AND (?4 IS NULL OR id > ?4) ORDER BY id LIMIT ?5"
        };
        let rows: Vec<Row> = sqlx::query_as(query)
            .bind(&owner.0)
            .bind(kind.name())
            .bind(self.0.clock.now().as_millisecond())
            .bind(&page.after)
            .bind(i64::from(page.limit) + 1)
            .fetch_all(self.0.db.pool())
            .await?;
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        Ok((rows.into_iter().take(limit).map(record).collect(), has_more))
    }

    /// Deletes what is over.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn remove_expired(&self) -> Result<(), StoredError> {
        let _turn = self.0.turn.lock().await;
        let done = sqlx::query("DELETE FROM stored WHERE expires_ms <= ?")
            .bind(self.0.clock.now().as_millisecond())
            .execute(self.0.db.pool())
            .await?;
        if done.rows_affected() > 0 {
            self.count().await?;
        }
        Ok(())
    }

    /// Counts the bytes of all owners anew.
    async fn count(&self) -> Result<(), StoredError> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT owner, SUM(bytes) FROM stored GROUP BY owner")
                .fetch_all(self.0.db.pool())
                .await?;
        let rows = rows.into_iter();
        *self.0.bytes.lock() = rows
            .map(|(owner, bytes)| (Owner(owner), bytes.try_into().unwrap_or(0)))
            .collect();
        Ok(())
    }

    async fn count_owner(&self, owner: &Owner) -> Result<(), StoredError> {
        let (bytes,): (i64,) =
            sqlx::query_as("SELECT COALESCE(SUM(bytes), 0) FROM stored WHERE owner = ?")
                .bind(&owner.0)
                .fetch_one(self.0.db.pool())
                .await?;
        let bytes = u64::try_from(bytes).unwrap_or(0);
        let mut counts = self.0.bytes.lock();
        if bytes == 0 {
            counts.remove(owner);
        } else {
            counts.insert(owner.clone(), bytes);
        }
        Ok(())
    }

    /// Deletes the oldest things of whoever has too much, but never what was stored just now.
    async fn make_room(&self, owner: &Owner, newest: &str) -> Result<(), StoredError> {
        loop {
            let from = {
                let counts = self.0.bytes.lock();
                let own = counts.get(owner).copied().unwrap_or(0);
                let all: u64 = counts.values().sum();
                if own > self.0.config.key_bytes_max {
                    owner.clone()
                } else if all > self.0.config.bytes_max {
                    // Whoever has the most makes room for everybody.
                    let most = counts.iter().max_by_key(|(_, bytes)| **bytes);
                    most.map_or_else(|| owner.clone(), |(owner, _)| owner.clone())
                } else {
                    return Ok(());
                }
            };
            let done = sqlx::query(
                "DELETE FROM stored WHERE id IN (SELECT id FROM stored \
                 WHERE owner = ? AND id <> ? ORDER BY created_ms LIMIT ?)",
            )
            .bind(&from.0)
            .bind(newest)
            .bind(EVICTED_AT_ONCE)
            .execute(self.0.db.pool())
            .await?;
            self.count_owner(&from).await?;
            if done.rows_affected() == 0 {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests;
