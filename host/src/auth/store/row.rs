//! Keys and their secrets as the database has them. Each function is one transaction.

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow as _, SqliteConnection, SqlitePool};

use super::bounds::NETWORKS_MAX;
use super::{KeyError, KeyRecord};
use crate::auth::allowance::Allowance;
use crate::auth::key::KeyDigest;
use crate::auth::scope::{InvalidScope, InvalidTier, Tier};
use crate::auth::signing::Signing;
use crate::ids::{InvalidKeyId, KeyId};
use crate::net::{InvalidNetwork, Network, NetworkAcl, NetworkList};

/// One row of the table `keys`.
#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    name: String,
    digest: Vec<u8>,
    scopes: String,
    models: Option<String>,
    tier: Option<String>,
    rpm: Option<u32>,
    tpm: Option<u32>,
    max_concurrent: Option<u32>,
    max_uploads: Option<u32>,
    max_stored_bundles: Option<u32>,
    max_stored_bytes: Option<i64>,
    fuel_per_day: Option<i64>,
    fuel_per_month: Option<i64>,
    tokens_per_month: Option<i64>,
    requests_per_month: Option<i64>,
    allow_networks: Option<String>,
    deny_networks: Option<String>,
    created_ms: i64,
    rotated_ms: Option<i64>,
    expires_ms: Option<i64>,
    revoked_ms: Option<i64>,
    from_server: bool,
}

impl Row {
    fn read(self) -> Result<(KeyRecord, KeyDigest), KeyError> {
        let row = self.id.clone();
        let damaged = |reason: String| KeyError::Damaged {
            id: row.clone(),
            reason,
        };
        let time = |ms: i64| Timestamp::from_millisecond(ms).map_err(|e| damaged(e.to_string()));
        let digest = digest(&row, &self.digest)?;
        let networks = |json: Option<String>| -> Result<NetworkList, KeyError> {
            let Some(json) = json else {
                return Ok(NetworkList::EMPTY);
            };
            let list: Vec<String> =
                serde_json::from_str(&json).map_err(|e| damaged(e.to_string()))?;
            let list: Result<Vec<Network>, InvalidNetwork> =
                list.iter().map(|text| text.parse()).collect();
            NetworkList::new(list.map_err(|e| damaged(e.to_string()))?, NETWORKS_MAX)
                .map_err(|e| damaged(e.to_string()))
        };
        let large = |limit: i64| u64::try_from(limit).map_err(|e| damaged(e.to_string()));
        let allowance = Allowance {
            tier: self
                .tier
                .map(|name| {
                    name.parse()
                        .map_err(|e: InvalidTier| damaged(e.to_string()))
                })
                .transpose()?,
            rpm: self.rpm,
            tpm: self.tpm,
            max_concurrent: self.max_concurrent,
            max_uploads: self.max_uploads,
            max_stored_bundles: self.max_stored_bundles,
            max_stored_bytes: self.max_stored_bytes.map(large).transpose()?,
            fuel_per_day: self.fuel_per_day.map(large).transpose()?,
            fuel_per_month: self.fuel_per_month.map(large).transpose()?,
            tokens_per_month: self.tokens_per_month.map(large).transpose()?,
            requests_per_month: self.requests_per_month.map(large).transpose()?,
        };
        let networks = NetworkAcl {
            allow: networks(self.allow_networks)?,
            deny: networks(self.deny_networks)?,
        };
        let record = KeyRecord {
            id: self
                .id
                .parse()
                .map_err(|e: InvalidKeyId| damaged(e.to_string()))?,
            name: self.name,
            scopes: self
                .scopes
                .parse()
                .map_err(|e: InvalidScope| damaged(e.to_string()))?,
            models: self
                .models
                .map(|json| serde_json::from_str(&json).map_err(|e| damaged(e.to_string())))
                .transpose()?,
            allowance,
            networks,
            created: Some(time(self.created_ms)?),
            rotated: self.rotated_ms.map(time).transpose()?,
            old_secrets_until: Vec::new(),
            expires: self.expires_ms.map(time).transpose()?,
            revoked: self.revoked_ms.map(time).transpose()?,
            // Beside it, in rows of their own.
            signing: Signing::None,
            old_signing_secret_until: None,
            from_server: self.from_server,
        };
        Ok((record, digest))
    }
}

/// All stored keys with their current secrets, the oldest first.
pub(super) async fn all(pool: &SqlitePool) -> Result<Vec<(KeyRecord, KeyDigest)>, KeyError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, name, digest, scopes, models, tier, rpm, tpm, max_concurrent, max_uploads, \
         max_stored_bundles, max_stored_bytes, fuel_per_day, fuel_per_month, tokens_per_month, \
         requests_per_month, allow_networks, deny_networks, created_ms, rotated_ms, expires_ms, \
         revoked_ms, from_server FROM keys ORDER BY created_ms",
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(Row::read).collect()
}

/// Reads a row of the table `keys`, with all of its columns, and says whether it makes sense.
///
/// # Errors
///
/// When it does not.
pub fn check_key_row(row: &SqliteRow) -> Result<(), KeyError> {
    Row::from_row(row)?.read().map(drop)
}

/// Secrets that were replaced, with the keys that they are of and when they stop working.
pub(super) async fn old_secrets(
    pool: &SqlitePool,
) -> Result<Vec<(KeyId, KeyDigest, Timestamp)>, KeyError> {
    let rows: Vec<(String, Vec<u8>, i64)> =
        sqlx::query_as("SELECT key_id, digest, until_ms FROM key_old_secrets")
            .fetch_all(pool)
            .await?;
    let read = |(key_id, bytes, until_ms): (String, Vec<u8>, i64)| {
        let damaged = |reason: String| KeyError::Damaged {
            id: key_id.clone(),
            reason,
        };
        let id = key_id
            .parse()
            .map_err(|e: InvalidKeyId| damaged(e.to_string()))?;
        let until = Timestamp::from_millisecond(until_ms).map_err(|e| damaged(e.to_string()))?;
        Ok((id, digest(&key_id, &bytes)?, until))
    };
    rows.into_iter().map(read).collect()
}

fn digest(id: &str, bytes: &[u8]) -> Result<KeyDigest, KeyError> {
    let digest = bytes.try_into().map_err(|_| KeyError::Damaged {
        id: id.to_owned(),
        reason: "its hash has a wrong length".to_owned(),
    })?;
    Ok(KeyDigest(digest))
}

/// Stores a key.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    record: &KeyRecord,
    digest: &KeyDigest,
) -> Result<(), sqlx::Error> {
    let models = record.models.as_ref();
    let allowance = &record.allowance;
    sqlx::query(
        "INSERT INTO keys (id, name, digest, scopes, models, tier, rpm, tpm, max_concurrent, \
         max_uploads, max_stored_bundles, max_stored_bytes, fuel_per_day, fuel_per_month, \
         tokens_per_month, requests_per_month, allow_networks, deny_networks, created_ms, \
         expires_ms, from_server) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(record.id.as_str())
    .bind(&record.name)
    .bind(&digest.0[..])
    .bind(record.scopes.to_string())
    .bind(models.map(|names| serde_json::json!(names).to_string()))
    .bind(allowance.tier.map(Tier::name))
    .bind(allowance.rpm)
    .bind(allowance.tpm)
    .bind(allowance.max_concurrent)
    .bind(allowance.max_uploads)
    .bind(allowance.max_stored_bundles)
    .bind(allowance.max_stored_bytes.map(large))
    .bind(allowance.fuel_per_day.map(large))
    .bind(allowance.fuel_per_month.map(large))
    .bind(allowance.tokens_per_month.map(large))
    .bind(allowance.requests_per_month.map(large))
    .bind(list(&record.networks.allow))
    .bind(list(&record.networks.deny))
    .bind(record.created.map(Timestamp::as_millisecond))
    .bind(record.expires.map(Timestamp::as_millisecond))
    .bind(record.from_server)
    .execute(connection)
    .await
    .map(drop)
}

/// Stores what a key may do and use from now on.
pub(super) async fn amend(pool: &SqlitePool, record: &KeyRecord) -> Result<(), sqlx::Error> {
    let models = record.models.as_ref();
    let allowance = &record.allowance;
    sqlx::query(
        "UPDATE keys SET name = ?, scopes = ?, models = ?, tier = ?, rpm = ?, tpm = ?, \
         max_concurrent = ?, max_uploads = ?, max_stored_bundles = ?, max_stored_bytes = ?, \
         fuel_per_day = ?, fuel_per_month = ?, tokens_per_month = ?, requests_per_month = ?, \
         allow_networks = ?, deny_networks = ?, expires_ms = ? WHERE id = ?",
    )
    .bind(&record.name)
    .bind(record.scopes.to_string())
    .bind(models.map(|names| serde_json::json!(names).to_string()))
    .bind(allowance.tier.map(Tier::name))
    .bind(allowance.rpm)
    .bind(allowance.tpm)
    .bind(allowance.max_concurrent)
    .bind(allowance.max_uploads)
    .bind(allowance.max_stored_bundles)
    .bind(allowance.max_stored_bytes.map(large))
    .bind(allowance.fuel_per_day.map(large))
    .bind(allowance.fuel_per_month.map(large))
    .bind(allowance.tokens_per_month.map(large))
    .bind(allowance.requests_per_month.map(large))
    .bind(list(&record.networks.allow))
    .bind(list(&record.networks.deny))
    .bind(record.expires.map(Timestamp::as_millisecond))
    .bind(record.id.as_str())
    .execute(pool)
    .await
    .map(drop)
}

/// A limit as the database has it; what is acceptable fits.
fn large(limit: u64) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn list(networks: &NetworkList) -> Option<String> {
    (!networks.is_empty()).then(|| serde_json::json!(networks).to_string())
}

/// Gives a key another secret; `old` are those before it that go on working.
pub(super) async fn rotate(
    pool: &SqlitePool,
    id: &KeyId,
    digest: &KeyDigest,
    old: &[(KeyDigest, Timestamp)],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    sqlx::query("UPDATE keys SET digest = ?, rotated_ms = ? WHERE id = ?")
        .bind(&digest.0[..])
        .bind(now.as_millisecond())
        .bind(id.as_str())
        .execute(&mut *transaction)
        .await?;
    sqlx::query("DELETE FROM key_old_secrets WHERE key_id = ?")
        .bind(id.as_str())
        .execute(&mut *transaction)
        .await?;
    for (digest, until) in old {
        sqlx::query("INSERT INTO key_old_secrets (digest, key_id, until_ms) VALUES (?, ?, ?)")
            .bind(&digest.0[..])
            .bind(id.as_str())
            .bind(until.as_millisecond())
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await
}

/// Ends a key.
pub(super) async fn revoke(
    pool: &SqlitePool,
    id: &KeyId,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE keys SET revoked_ms = ? WHERE id = ?")
        .bind(now.as_millisecond())
        .bind(id.as_str())
        .execute(pool)
        .await
        .map(drop)
}

/// Forgets a key, its old secrets and its counts.
pub(super) async fn delete(pool: &SqlitePool, id: &KeyId) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    for statement in [
        "DELETE FROM key_old_secrets WHERE key_id = ?",
        "DELETE FROM key_usage WHERE subject = ?",
        "DELETE FROM keys WHERE id = ?",
    ] {
        sqlx::query(statement)
            .bind(id.as_str())
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await
}

/// Forgets the old secrets that have stopped working.
pub(super) async fn delete_old_secrets(
    pool: &SqlitePool,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM key_old_secrets WHERE until_ms <= ?")
        .bind(now.as_millisecond())
        .execute(pool)
        .await
        .map(drop)
}
