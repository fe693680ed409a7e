//! A key as the database has it.

use jiff::Timestamp;
use sqlx::SqlitePool;

use super::{KeyError, KeyRecord};
use crate::auth::allowance::{Allowance, InvalidNetwork, Network, Networks};
use crate::auth::key::KeyDigest;
use crate::auth::scope::{InvalidScope, InvalidTier, Tier};
use crate::ids::InvalidKeyId;

/// One row of the table `keys`.
#[derive(sqlx::FromRow)]
pub(super) struct Row {
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
    allow_networks: Option<String>,
    deny_networks: Option<String>,
    created_ms: i64,
    expires_ms: Option<i64>,
    revoked_ms: Option<i64>,
}

impl Row {
    pub(super) fn read(self) -> Result<(KeyRecord, KeyDigest), KeyError> {
        let row = self.id.clone();
        let damaged = |reason: String| KeyError::Damaged {
            id: row.clone(),
            reason,
        };
        let time = |ms: i64| Timestamp::from_millisecond(ms).map_err(|e| damaged(e.to_string()));
        let digest: [u8; 32] = self
            .digest
            .try_into()
            .map_err(|_| damaged("its hash has a wrong length".to_owned()))?;
        let networks = |json: Option<String>| -> Result<Vec<Network>, KeyError> {
            let Some(json) = json else {
                return Ok(Vec::new());
            };
            let list: Vec<String> =
                serde_json::from_str(&json).map_err(|e| damaged(e.to_string()))?;
            list.iter()
                .map(|text| text.parse())
                .collect::<Result<_, InvalidNetwork>>()
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
        };
        let networks = Networks::new(
            networks(self.allow_networks)?,
            networks(self.deny_networks)?,
        )
        .map_err(|e| damaged(e.to_string()))?;
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
            expires: self.expires_ms.map(time).transpose()?,
            revoked: self.revoked_ms.map(time).transpose()?,
        };
        Ok((record, KeyDigest(digest)))
    }
}

/// Stores a key.
pub(super) async fn insert(
    pool: &SqlitePool,
    record: &KeyRecord,
    digest: &KeyDigest,
) -> Result<(), sqlx::Error> {
    let models = record.models.as_ref();
    let large = |limit: u64| i64::try_from(limit).unwrap_or(i64::MAX);
    let allowance = &record.allowance;
    sqlx::query(
        "INSERT INTO keys (id, name, digest, scopes, models, tier, rpm, tpm, max_concurrent, \
         max_uploads, max_stored_bundles, max_stored_bytes, fuel_per_day, allow_networks, \
         deny_networks, created_ms, expires_ms) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
    .bind(list(record.networks.allow()))
    .bind(list(record.networks.deny()))
    .bind(record.created.map(Timestamp::as_millisecond))
    .bind(record.expires.map(Timestamp::as_millisecond))
    .execute(pool)
    .await
    .map(drop)
}

fn list(networks: &[Network]) -> Option<String> {
    (!networks.is_empty()).then(|| serde_json::json!(networks).to_string())
}
