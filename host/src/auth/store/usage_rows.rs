//! The counts of what keys have used, in the database. Written every few seconds and at a stop,
//! never on the path of a request: a kill loses the counts since the last time, and no key.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use sqlx::{Sqlite, SqlitePool, Transaction};

use sha2::{Digest as _, Sha256};

use super::{KeyError, KeyStore};
use crate::auth::jwt::Jwt;
use crate::auth::key::KeyDigest;
use crate::auth::usage::UsageCounts;
use crate::ids::KeyId;

/// The name that the counts of a key are stored under. A key of the configuration has no id of
/// its own, only a position, and with it would inherit the counts of another key when the list
/// changes: so it goes by a hash of its hash.
pub(super) fn subject_of(stored: Option<&KeyId>, digest: &KeyDigest) -> String {
    match stored {
        Some(id) => id.as_str().to_owned(),
        None => {
            let mut hash = Sha256::new();
            hash.update(b"belljar usage\0");
            hash.update(digest.0);
            format!("config:{}", hex::encode(hash.finalize()))
        }
    }
}

/// The counts of all keys, by subject. Those of callers by token are read one by one, when they
/// come: there may be many more of them than are ever in memory.
pub(super) async fn read(pool: &SqlitePool) -> Result<HashMap<String, UsageCounts>, KeyError> {
    let rows: Vec<UsageRow> = sqlx::query_as(
        "SELECT subject, last_used_ms, requests, prompt_tokens, completion_tokens, fuel, \
         fuel_day, fuel_of_day FROM key_usage WHERE subject NOT GLOB 'jwt_*'",
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(UsageRow::read).collect()
}

/// The counts of one subject, if there are any.
pub(super) async fn read_one(
    pool: &SqlitePool,
    subject: &str,
) -> Result<Option<UsageCounts>, KeyError> {
    let row: Option<UsageRow> = sqlx::query_as(
        "SELECT subject, last_used_ms, requests, prompt_tokens, completion_tokens, fuel, \
         fuel_day, fuel_of_day FROM key_usage WHERE subject = ?",
    )
    .bind(subject)
    .fetch_optional(pool)
    .await?;
    row.map(|row| Ok(row.read()?.1)).transpose()
}

/// Forgets the counts of callers by token who have not come since then.
pub(super) async fn delete_old_callers(
    pool: &SqlitePool,
    since: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM key_usage WHERE subject GLOB 'jwt_*' AND last_used_ms < ?")
        .bind(since.as_millisecond())
        .execute(pool)
        .await
        .map(drop)
}

impl KeyStore {
    /// Writes what has been used since the last time.
    ///
    /// # Errors
    ///
    /// When the database fails; the next time writes what this one could not.
    pub async fn write_usage(&self) -> Result<(), KeyError> {
        // As a change: a key that is deleted at the same time must not come back as a count.
        self.change(|store| async move {
            let table = store.0.table.load_full();
            let mut taken = Vec::new();
            for key in table.keys.values() {
                if let Some(counts) = key.account.usage.take_changed() {
                    let id = key.record.created.map(|_| &key.record.id);
                    let subject = subject_of(id, &key.digest);
                    taken.push((subject, Arc::clone(&key.account.usage), counts));
                }
            }
            for (id, usage) in store.0.jwt.iter().flat_map(Jwt::usages) {
                if let Some(counts) = usage.take_changed() {
                    taken.push((id.to_string(), usage, counts));
                }
            }
            if taken.is_empty() {
                store.0.jwt.iter().for_each(Jwt::forget_idle_callers);
                return Ok(());
            }
            let written = async {
                let mut transaction = store.pool().begin().await?;
                for (subject, _, counts) in &taken {
                    write(&mut transaction, subject, counts).await?;
                }
                transaction.commit().await
            };
            if let Err(error) = written.await {
                taken.iter().for_each(|(_, usage, _)| usage.keep_changed());
                return Err(error.into());
            }
            drop(taken);
            store.0.jwt.iter().for_each(Jwt::forget_idle_callers);
            Ok(())
        })
        .await
    }
}

async fn write(
    transaction: &mut Transaction<'_, Sqlite>,
    subject: &str,
    counts: &UsageCounts,
) -> Result<(), sqlx::Error> {
    let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    sqlx::query(
        "INSERT OR REPLACE INTO key_usage (subject, last_used_ms, requests, prompt_tokens, \
         completion_tokens, fuel, fuel_day, fuel_of_day) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(subject)
    .bind(counts.last_used.map(Timestamp::as_millisecond))
    .bind(whole(counts.requests))
    .bind(whole(counts.prompt_tokens))
    .bind(whole(counts.completion_tokens))
    .bind(whole(counts.fuel))
    .bind(counts.day)
    .bind(whole(counts.fuel_today))
    .execute(&mut **transaction)
    .await
    .map(drop)
}

/// One row of the table `key_usage`.
#[derive(sqlx::FromRow)]
struct UsageRow {
    subject: String,
    last_used_ms: Option<i64>,
    requests: i64,
    prompt_tokens: i64,
    completion_tokens: i64,
    fuel: i64,
    fuel_day: i64,
    fuel_of_day: i64,
}

impl UsageRow {
    fn read(self) -> Result<(String, UsageCounts), KeyError> {
        let count = |number: i64| {
            u64::try_from(number).map_err(|error| KeyError::Damaged {
                id: self.subject.clone(),
                reason: error.to_string(),
            })
        };
        let last_used = self.last_used_ms.map(Timestamp::from_millisecond);
        let counts = UsageCounts {
            last_used: last_used.transpose().map_err(|error| KeyError::Damaged {
                id: self.subject.clone(),
                reason: error.to_string(),
            })?,
            requests: count(self.requests)?,
            prompt_tokens: count(self.prompt_tokens)?,
            completion_tokens: count(self.completion_tokens)?,
            fuel: count(self.fuel)?,
            fuel_today: count(self.fuel_of_day)?,
            day: self.fuel_day,
        };
        Ok((self.subject, counts))
    }
}
