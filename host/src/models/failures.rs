//! The versions that failed and never ran. Their authors can look at them for a while; they take
//! no place from versions that work, and no key's failures push out those of others first.

use std::collections::BTreeMap;
use std::sync::Arc;

use belljar_bundle::ModelId;
use jiff::Timestamp;

use super::ModelError;
use super::catalog::Catalog;
use super::records::{Record, StoredState};
use super::registry::Registry;
use super::state::Inner;
use crate::ids::KeyId;

impl Record {
    /// Whether the version has failed for good, and was never of use to anybody.
    pub(super) fn is_broken(&self) -> bool {
        matches!(self.state, StoredState::Failed(_)) && !self.was_ready && self.embedded.is_none()
    }
}

impl Registry {
    /// Removes the broken versions whose time is over.
    ///
    /// # Errors
    ///
    /// When the database fails; they are tried again at the next call.
    pub async fn remove_old_failures(&self) -> Result<(), ModelError> {
        let inner = self.inner();
        let Ok(since) = inner.now().checked_sub(inner.config.failed_time) else {
            return Ok(());
        };
        if old(&inner.catalog.lock(), since).is_empty() {
            return Ok(());
        }
        inner
            .detached(async move |inner| {
                let _turn = inner.writes.lock().await;
                let old = old(&inner.catalog.lock(), since);
                forget(&inner, old).await
            })
            .await
    }
}

fn old(catalog: &Catalog, since: Timestamp) -> Vec<ModelId> {
    catalog
        .records()
        .filter(|record| record.is_broken() && record.created < since)
        .map(|record| record.id.clone())
        .collect()
}

/// Removes broken versions until there is room for one more of them, and for the bytes of
/// `coming`. The caller holds `writes`.
pub(super) async fn make_room(
    inner: &Arc<Inner>,
    coming: &ModelId,
    coming_bytes: u64,
) -> Result<(), ModelError> {
    let surplus = {
        let catalog = inner.catalog.lock();
        let (_, working) = catalog.size();
        let room = inner
            .config
            .stored_bytes_max
            .saturating_sub(working)
            .saturating_sub(coming_bytes);
        let broken = catalog
            .records()
            .filter(|record| record.is_broken() && record.id != *coming);
        surplus(broken, inner.config.failed_max.saturating_sub(1), room)
    };
    forget(inner, surplus).await
}

/// The versions that must go so that at most `count_max` of them with at most `bytes_max` are
/// left: one by one the oldest of the key that has most.
fn surplus<'a>(
    broken: impl Iterator<Item = &'a Record>,
    count_max: usize,
    bytes_max: u64,
) -> Vec<ModelId> {
    let mut by_key: BTreeMap<Option<&KeyId>, Vec<&Record>> = BTreeMap::new();
    let (mut count, mut bytes) = (0_usize, 0_u64);
    for record in broken {
        by_key
            .entry(record.uploaded_by.as_ref())
            .or_default()
            .push(record);
        count += 1;
        bytes = bytes.saturating_add(record.bytes);
    }
    for records in by_key.values_mut() {
        records.sort_by_key(|record| std::cmp::Reverse(record.created));
    }
    let mut surplus = Vec::new();
    while count > count_max || bytes > bytes_max {
        let most = by_key.values_mut().max_by_key(|records| records.len());
        let Some(oldest) = most.and_then(Vec::pop) else {
            break;
        };
        count -= 1;
        bytes = bytes.saturating_sub(oldest.bytes);
        surplus.push(oldest.id.clone());
    }
    surplus
}

async fn forget(inner: &Arc<Inner>, versions: Vec<ModelId>) -> Result<(), ModelError> {
    for ModelId { name, version } in versions {
        tracing::info!(model.id = %format_args!("{name}@{version}"), "removing a version that failed");
        inner.forget(&name, &[version]).await?;
    }
    Ok(())
}
