//! A key as the database has it.

use jiff::Timestamp;

use super::{KeyError, KeyRecord};
use crate::auth::key::KeyDigest;
use crate::auth::scope::{InvalidScope, InvalidTier};
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
            tier: self
                .tier
                .map(|name| {
                    name.parse()
                        .map_err(|e: InvalidTier| damaged(e.to_string()))
                })
                .transpose()?,
            rpm: self.rpm,
            tpm: self.tpm,
            created: Some(time(self.created_ms)?),
            expires: self.expires_ms.map(time).transpose()?,
            revoked: self.revoked_ms.map(time).transpose()?,
        };
        Ok((record, KeyDigest(digest)))
    }
}
