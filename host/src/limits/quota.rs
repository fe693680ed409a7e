//! The limits that hold by key alone: requests and uploads at once, what is stored, fuel a day,
//! and the budgets of a month.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use parking_lot::Mutex;

use crate::auth::{Allowance, Caller};
use crate::ids::KeyId;
use crate::ledger::{Budget, OverBudget};

/// The limits of keys that have none of their own; none is without bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaConfig {
    /// Requests at once, streams included until their last byte.
    pub concurrent_max: Option<u32>,
    /// Uploads at once.
    pub uploads_max: Option<u32>,
    /// Uploads at once where the line above is without bound: a share of the places that there
    /// are for all, so that nobody fills them alone.
    pub uploads_share: Option<u32>,
    /// Versions of models that a key has uploaded and that are still there.
    pub bundles_max: Option<u32>,
    /// Bytes of those versions, unpacked.
    pub stored_bytes_max: Option<u64>,
    /// Units of fuel in one UTC day.
    pub fuel_per_day: Option<u64>,
    /// What may be used in one calendar month, UTC.
    pub month: Budget,
}

/// The reason why a key gets nothing more for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverQuota {
    /// Too many requests at once.
    #[error("this key may have {limit} requests at once, and it has them")]
    Concurrent {
        /// The bound on how many there may be at once.
        limit: u32,
    },
    /// Too many uploads at once.
    #[error(
        "this key may have {limit} uploads at once, and it has them: see `quota.uploads_max`, and \
         `max_uploads` of the key"
    )]
    Uploads {
        /// The bound on how many there may be at once.
        limit: u32,
    },
    /// Too many stored versions.
    #[error("this key may store {limit} versions of models, and it stores {stored}")]
    Bundles {
        /// Stored at most.
        limit: u32,
        /// Stored now.
        stored: usize,
    },
    /// Too many stored bytes.
    #[error("this key may store {limit} bytes of models, and it stores {stored}")]
    StoredBytes {
        /// Stored at most.
        limit: u64,
        /// Stored now.
        stored: u64,
    },
    /// The day's fuel is used up.
    #[error("this key may use {limit} units of fuel a day, and it has used {used}")]
    Fuel {
        /// A day.
        limit: u64,
        /// Since midnight, UTC.
        used: u64,
        /// The time until midnight.
        wait: Duration,
    },
    /// A budget of the month is used up.
    #[error(transparent)]
    Month(#[from] OverBudget),
}

/// The amounts that one key may store; none is without bound.
#[derive(Clone, Copy, Debug, Default)]
pub struct StorageQuota {
    /// Versions of models.
    pub bundles_max: Option<u32>,
    /// Their bytes, unpacked.
    pub bytes_max: Option<u64>,
}

impl StorageQuota {
    /// Whether a key that stores this much may store one more version of `more_bytes`.
    ///
    /// # Errors
    ///
    /// When it may not.
    pub fn check(self, stored: (usize, u64), more_bytes: u64) -> Result<(), OverQuota> {
        let (bundles, bytes) = stored;
        if let Some(limit) = self.bundles_max
            && bundles >= limit as usize
        {
            return Err(OverQuota::Bundles {
                limit,
                stored: bundles,
            });
        }
        if let Some(limit) = self.bytes_max
            && bytes.saturating_add(more_bytes) > limit
        {
            return Err(OverQuota::StoredBytes {
                limit,
                stored: bytes,
            });
        }
        Ok(())
    }
}

/// Keeps count by key. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Quotas(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: ArcSwap<QuotaConfig>,
    /// Bounded by the number of keys that have something under way.
    requests: Mutex<HashMap<KeyId, Arc<AtomicU32>>>,
    uploads: Mutex<HashMap<KeyId, Arc<AtomicU32>>>,
}

/// A place among the requests or uploads that a key may have at once, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Slot {
    quotas: Quotas,
    kind: Kind,
    key: KeyId,
    count: Arc<AtomicU32>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Request,
    Upload,
}

impl Quotas {
    /// The quotas of a server on which nothing is under way yet.
    #[must_use]
    pub fn new(config: QuotaConfig) -> Self {
        Self(Arc::new(Inner {
            config: ArcSwap::from_pointee(config),
            requests: Mutex::default(),
            uploads: Mutex::default(),
        }))
    }

    /// Holds keys to other limits from now on. What is under way goes on.
    pub fn set_config(&self, config: QuotaConfig) {
        self.0.config.store(Arc::new(config));
    }

    fn config(&self) -> QuotaConfig {
        **self.0.config.load()
    }

    /// Takes one of the caller's requests at once; none where their number is not bounded.
    ///
    /// # Errors
    ///
    /// When it has as many as it may.
    pub fn enter_request(&self, caller: &Caller) -> Result<Option<Slot>, OverQuota> {
        let own = caller.allowance().max_concurrent;
        let limit = own.or_else(|| self.config().concurrent_max);
        self.enter(caller, limit, Kind::Request)
            .map_err(|limit| OverQuota::Concurrent { limit })
    }

    /// Takes one of the caller's uploads at once; none where their number is not bounded.
    ///
    /// # Errors
    ///
    /// When it has as many as it may.
    pub fn enter_upload(&self, caller: &Caller) -> Result<Option<Slot>, OverQuota> {
        let own = caller.allowance().max_uploads;
        let config = self.config();
        let limit = own.or(config.uploads_max).or(config.uploads_share);
        self.enter(caller, limit, Kind::Upload)
            .map_err(|limit| OverQuota::Uploads { limit })
    }

    /// The amounts that the caller may store.
    #[must_use]
    pub fn storage(&self, caller: &Caller) -> StorageQuota {
        let (own, config) = (caller.allowance(), self.config());
        StorageQuota {
            bundles_max: own.max_stored_bundles.or(config.bundles_max),
            bytes_max: own.max_stored_bytes.or(config.stored_bytes_max),
        }
    }

    /// Units of fuel that the caller may use a day; none for without bound.
    #[must_use]
    pub fn fuel_per_day(&self, caller: &Caller) -> Option<u64> {
        caller.key_id()?;
        let own = caller.allowance().fuel_per_day;
        own.or_else(|| self.config().fuel_per_day)
    }

    /// The amounts that the caller may use in a calendar month, each the key's own or the server's.
    #[must_use]
    pub fn budget(&self, caller: &Caller) -> Budget {
        self.budget_of(caller.allowance())
    }

    /// The same for a key that allows so much.
    #[must_use]
    pub fn budget_of(&self, own: &Allowance) -> Budget {
        let config = self.config().month;
        Budget {
            fuel: own.fuel_per_month.or(config.fuel),
            tokens: own.tokens_per_month.or(config.tokens),
            requests: own.requests_per_month.or(config.requests),
        }
    }

    /// Whether a key that has used this much fuel today may use more. A run that has begun goes
    /// on: what it uses beyond the limit is at most what one request may use.
    ///
    /// # Errors
    ///
    /// When it may not.
    pub fn check_fuel(
        &self,
        caller: &Caller,
        used_today: impl FnOnce() -> u64,
        now: impl FnOnce() -> Timestamp,
    ) -> Result<(), OverQuota> {
        let Some(limit) = self.fuel_per_day(caller) else {
            return Ok(());
        };
        match used_today() {
            used if used >= limit => Err(OverQuota::Fuel {
                limit,
                used,
                wait: until_midnight(now()),
            }),
            _ => Ok(()),
        }
    }

    fn enter(&self, caller: &Caller, limit: Option<u32>, kind: Kind) -> Result<Option<Slot>, u32> {
        let (Some(key), Some(limit)) = (caller.key_id(), limit) else {
            return Ok(None);
        };
        let mut table = self.table(kind).lock();
        let count = Arc::clone(table.entry(key.clone()).or_default());
        // Counted under the lock of the table, as is the way down: no entry that counts goes.
        if count.load(Ordering::Acquire) >= limit {
            return Err(limit);
        }
        count.fetch_add(1, Ordering::AcqRel);
        Ok(Some(Slot {
            quotas: self.clone(),
            kind,
            key: key.clone(),
            count,
        }))
    }

    fn table(&self, kind: Kind) -> &Mutex<HashMap<KeyId, Arc<AtomicU32>>> {
        match kind {
            Kind::Request => &self.0.requests,
            Kind::Upload => &self.0.uploads,
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut table = self.quotas.table(self.kind).lock();
        if self.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            table.remove(&self.key);
        }
    }
}

const SECONDS_PER_DAY: i64 = 86_400;

/// The time until the next UTC day begins; at least a millisecond.
fn until_midnight(now: Timestamp) -> Duration {
    let passed_ms = now.as_millisecond().rem_euclid(SECONDS_PER_DAY * 1_000);
    let left_ms = SECONDS_PER_DAY * 1_000 - passed_ms;
    Duration::from_millis(left_ms.unsigned_abs())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_day_ends_at_midnight_utc() {
        let at = |text: &str| until_midnight(text.parse().unwrap());
        assert_eq!(at("2026-01-01T00:00:00Z"), Duration::from_secs(86_400));
        assert_eq!(at("2026-01-01T23:59:59.500Z"), Duration::from_millis(500));
    }

    #[test]
    fn callers_without_a_key_have_no_quota_of_their_own() {
        let quotas = Quotas::new(QuotaConfig {
            concurrent_max: Some(0),
            fuel_per_day: Some(0),
            ..QuotaConfig::default()
        });
        let anonymous = Caller::anonymous();
        assert!(quotas.enter_request(&anonymous).unwrap().is_none());
        assert!(
            quotas
                .check_fuel(&anonymous, || 1, || Timestamp::UNIX_EPOCH)
                .is_ok()
        );
    }
}
