//! Changes of the keys. Each is on disk when it is acknowledged, and in force for the next
//! request; what was let in with a secret that ends is told so at once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::bounds::{KEYS_MAX, OLD_SECRETS_MAX, ROTATION_OVERLAP_MAX};
use super::record::whole_milliseconds;
use super::signing_rows::SignerRow;
use super::table::Table;
use super::{CreatedKey, KeyError, KeyRecord, KeyStore, NewKey, row, usage_rows};
use crate::auth::key::{ConfiguredKey, SecretKey};
use crate::auth::signing::{Signing, SigningSecret};
use crate::auth::usage::KeyUsage;
use crate::ids::KeyId;

impl KeyStore {
    /// Makes a key. On disk when this returns, also if the caller stops waiting.
    ///
    /// # Errors
    ///
    /// When a field of `new` is not acceptable, or the host fails.
    pub async fn create(&self, new: NewKey) -> Result<CreatedKey, KeyError> {
        let new = new.checked(self.now())?;
        self.change(|store| async move {
            let secret = SecretKey::random().map_err(KeyError::Random)?;
            let (record, signing_secret) =
                store.add(new.record(store.now(), false), &secret).await?;
            Ok(CreatedKey {
                record,
                secret,
                signing_secret,
            })
        })
        .await
    }

    /// Gives a key another secret, which works at once. The one before works on for `overlap`,
    /// and those replaced earlier for no longer than that: with an overlap of zero, nothing but
    /// the new secret works. At most [`OLD_SECRETS_MAX`] old ones stay.
    ///
    /// # Errors
    ///
    /// When there is no such key, it does not work any more, it is one of the configuration,
    /// `overlap` is above [`ROTATION_OVERLAP_MAX`], or the host fails.
    pub async fn rotate(&self, id: &KeyId, overlap: Duration) -> Result<CreatedKey, KeyError> {
        if overlap > ROTATION_OVERLAP_MAX {
            return Err(KeyError::OverlapTooLong);
        }
        let id = id.clone();
        self.change(|store| async move {
            let record = store.show(&id)?;
            record.check_is_stored()?;
            if record.revoked.is_some() {
                return Err(KeyError::Revoked { id });
            }
            if !record.works(store.now()) {
                return Err(KeyError::Expired { id });
            }
            let secret = SecretKey::random().map_err(KeyError::Random)?;
            store.keep_admin_file(&id, &secret)?;
            let record = store.replace_secret(&id, &secret, overlap).await?;
            Ok(CreatedKey {
                record,
                secret,
                signing_secret: None,
            })
        })
        .await
    }

    /// Ends a key: from the next request on it is refused, also after a restart, and its open
    /// streams are ended. Revoking twice changes nothing.
    ///
    /// # Errors
    ///
    /// When there is no such key, it is one of the configuration, or the host fails.
    pub async fn revoke(&self, id: &KeyId) -> Result<KeyRecord, KeyError> {
        let id = id.clone();
        self.change(|store| async move {
            let mut record = store.show(&id)?;
            record.check_is_stored()?;
            if record.revoked.is_some() {
                return Ok(record);
            }
            let now = whole_milliseconds(store.now());
            row::revoke(store.pool(), &id, now).await?;
            record.revoked = Some(now);
            let mut table = Table::clone(&store.0.table.load());
            let of_key = |entry: &&mut super::table::Entry| entry.grant.account.id == id;
            table
                .by_digest
                .values_mut()
                .filter(of_key)
                .for_each(|entry| entry.revoked = true);
            table.set_record(record.clone());
            store.publish(table);
            store.end_requests(&id);
            Ok(record)
        })
        .await
    }

    /// Forgets a key and its counts, as if it had never been made; what it has uploaded stays, and
    /// so do its rows of the ledger. Its open streams are ended.
    ///
    /// # Errors
    ///
    /// When there is no such key, it is one of the configuration, or the host fails.
    pub async fn delete(&self, id: &KeyId) -> Result<(), KeyError> {
        let id = id.clone();
        self.change(|store| async move {
            store.show(&id)?.check_is_stored()?;
            row::delete(store.pool(), &id).await?;
            let ended = store.ending(&id);
            let mut table = Table::clone(&store.0.table.load());
            table
                .by_digest
                .retain(|_, entry| entry.grant.account.id != id);
            table.keys.remove(&id);
            table.signers.remove(&id);
            store.publish(table);
            // After the table has been replaced: who was let in before is told, and nobody is
            // let in from now on.
            if let Some(ended) = ended {
                ended.cancel();
            }
            Ok(())
        })
        .await
    }

    /// Takes other keys of the configuration in the place of those there are. One that stays keeps
    /// its counts and its open streams, whatever its position is now; the streams of one that is
    /// gone are ended.
    ///
    /// # Errors
    ///
    /// When the database fails; nothing is changed then.
    pub async fn set_configured(&self, keys: &[ConfiguredKey]) -> Result<(), KeyError> {
        // What a key has used that goes now, and may come back, is in the database first.
        self.write_usage().await?;
        let keys = keys.to_vec();
        self.change(|store| async move {
            let mut used = usage_rows::read(store.pool()).await?;
            let mut table = Table::clone(&store.0.table.load());
            let mut before: Vec<_> = table
                .keys
                .extract_if(.., |_, key| key.record.created.is_none())
                .map(|(_, key)| key)
                .collect();
            table.by_digest.retain(|_, entry| {
                let id = &entry.grant.account.id;
                !before.iter().any(|key| key.record.id == *id)
            });
            for (index, key) in keys.iter().enumerate() {
                let record = KeyRecord::configured(index + 1);
                let stored = table.by_digest.get(&key.digest).cloned();
                let same = before
                    .iter()
                    .position(|old| old.digest.matches(&key.digest));
                match same.map(|at| before.swap_remove(at)) {
                    Some(old) => {
                        let (usage, ended) = (&old.account.usage, &old.account.ended);
                        table.insert_with(record, key.digest, Arc::clone(usage), ended.clone());
                    }
                    None => {
                        let subject = usage_rows::subject_of(None, &key.digest);
                        let counts = used.remove(&subject).unwrap_or_default();
                        let usage = KeyUsage::resumed(store.0.clock.clone(), &counts);
                        table.insert(record, key.digest, usage);
                    }
                }
                // Where a stored key has the same secret, its revocation must hold.
                if let Some(stored) = stored {
                    table.by_digest.insert(key.digest, stored);
                }
            }
            store.publish(table);
            before.iter().for_each(|key| key.account.ended.cancel());
            Ok(())
        })
        .await
    }

    /// Ends what is over by now: streams of keys and tokens that have expired, and replaced secrets
    /// whose time has come. Costs two comparisons where nothing is due.
    ///
    /// # Errors
    ///
    /// When the database fails. What is over is refused and ended all the same.
    pub async fn end_what_is_over(&self) -> Result<(), KeyError> {
        if let Some(jwt) = &self.0.jwt {
            jwt.end_what_is_over();
        }
        let next_end_ms = self.0.next_end_ms.load(Ordering::Acquire);
        if self.now().as_millisecond() < next_end_ms {
            return Ok(());
        }
        self.change(|store| async move {
            let now = store.now();
            let mut table = Table::clone(&store.0.table.load());
            let mut touched = Vec::new();
            table.by_digest.retain(|_, entry| {
                if entry.grant.end().is_some_and(|end| end <= now) {
                    entry.grant.ended.cancel();
                }
                let is_over = entry.grant.until.is_some_and(|until| until <= now);
                if is_over {
                    touched.push(entry.grant.account.id.clone());
                }
                !is_over
            });
            table.end_signing_secrets(now);
            for id in &touched {
                list_old_secrets(&mut table, id);
            }
            store.publish(table);
            if touched.is_empty() {
                return Ok(());
            }
            Ok(row::delete_old_secrets(store.pool(), now).await?)
        })
        .await
    }

    /// Runs one change to its end, whatever becomes of the request that asked for it: a change
    /// that is in the database and not in memory would be a revoked key that still works.
    pub(super) async fn change<T, W>(&self, work: impl FnOnce(Self) -> W) -> Result<T, KeyError>
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
    pub(super) async fn add(
        &self,
        record: KeyRecord,
        secret: &SecretKey,
    ) -> Result<(KeyRecord, Option<SigningSecret>), KeyError> {
        let table = self.0.table.load_full();
        if table.keys.len() >= KEYS_MAX {
            return Err(KeyError::TooMany);
        }
        let digest = secret.digest();
        // In one transaction: a key that must sign is never there as one that need not.
        let mut transaction = self.pool().begin().await?;
        row::insert(&mut transaction, &record, &digest).await?;
        let signs = match record.signing {
            Signing::None => None,
            requirement => {
                let row = SignerRow::first(&record.id, requirement);
                self.write_signer(&mut transaction, &row).await?;
                Some(row)
            }
        };
        transaction.commit().await?;
        let mut table = Table::clone(&table);
        let usage = KeyUsage::new(self.0.clock.clone());
        table.insert(record.clone(), digest, usage);
        let signing_secret = match signs {
            Some(row) => Some(self.put_signer(&mut table, &row)?),
            None => None,
        };
        self.publish(table);
        Ok((record, signing_secret))
    }

    /// Puts a secret in the place of the one that a key has.
    pub(super) async fn replace_secret(
        &self,
        id: &KeyId,
        secret: &SecretKey,
        overlap: Duration,
    ) -> Result<KeyRecord, KeyError> {
        let now = whole_milliseconds(self.now());
        let mut table = Table::clone(&self.0.table.load());
        let Some(key) = table.keys.get(id).cloned() else {
            return Err(KeyError::NotFound { id: id.clone() });
        };
        let overlap = SignedDuration::try_from(overlap).unwrap_or(SignedDuration::MAX);
        let end = now.saturating_add(overlap).unwrap_or(Timestamp::MAX);
        let end = (end > now).then_some(end);
        // The one that is replaced, and those before it: none outlives the overlap asked for now.
        let mut old: Vec<_> = end.map(|end| (key.digest, end)).into_iter().collect();
        let before = table.old_secrets(id);
        let ends = before.iter().map(|(digest, until)| (*digest, *until));
        old.extend(ends.filter_map(|(digest, until)| Some((digest, until.min(end?)))));
        old.truncate(OLD_SECRETS_MAX);

        let digest = secret.digest();
        row::rotate(self.pool(), id, &digest, &old, now).await?;
        let mut gone = Vec::new();
        for digest in before.iter().map(|(d, _)| *d).chain([key.digest]) {
            match old.iter().find(|(kept, _)| *kept == digest) {
                Some((_, until)) => table.keep_until(&digest, *until),
                None => gone.extend(table.by_digest.remove(&digest)),
            }
        }
        let mut record = key.record.clone();
        record.rotated = Some(now);
        record.old_secrets_until = old.iter().map(|(_, until)| *until).collect();
        table.replace_secret(id, digest, record.clone());
        self.publish(table);
        gone.iter().for_each(|entry| entry.grant.ended.cancel());
        Ok(record)
    }

    /// Puts a table in force.
    pub(super) fn publish(&self, table: Table) {
        let next_end = table.next_end().unwrap_or(Timestamp::MAX);
        self.0.table.store(Arc::new(table));
        let next_end_ms = next_end.as_millisecond();
        self.0.next_end_ms.store(next_end_ms, Ordering::Release);
    }

    /// Tells everything that was let in with a key that the key has ended.
    fn end_requests(&self, id: &KeyId) {
        if let Some(ended) = self.ending(id) {
            ended.cancel();
        }
    }

    fn ending(&self, id: &KeyId) -> Option<tokio_util::sync::CancellationToken> {
        let table = self.0.table.load();
        table.keys.get(id).map(|key| key.account.ended.clone())
    }
}

/// Writes into a key's record which of its old secrets still work.
pub(super) fn list_old_secrets(table: &mut Table, id: &KeyId) {
    let until = table.old_secrets(id).into_iter().map(|(_, until)| until);
    let until = until.collect();
    if let Some(key) = table.keys.get(id) {
        let mut record = key.record.clone();
        record.old_secrets_until = until;
        table.set_record(record);
    }
}
