//! The keys in memory: what a request is looked up in. A change makes a new table, so that
//! requests never wait for one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::KeyRecord;
use crate::auth::caller::{Account, Grant};
use crate::auth::key::KeyDigest;
use crate::auth::usage::KeyUsage;
use crate::ids::KeyId;

#[derive(Clone, Default)]
pub(super) struct Table {
    pub(super) by_digest: HashMap<KeyDigest, Entry>,
    pub(super) keys: BTreeMap<KeyId, Arc<Key>>,
}

/// A key with its current secret.
pub(super) struct Key {
    pub(super) record: KeyRecord,
    pub(super) digest: KeyDigest,
    pub(super) account: Arc<Account>,
}

/// One secret.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) digest: KeyDigest,
    pub(super) grant: Arc<Grant>,
    pub(super) revoked: bool,
}

impl Table {
    /// Takes in a key.
    pub(super) fn insert(&mut self, record: KeyRecord, digest: KeyDigest, usage: KeyUsage) {
        self.insert_with(record, digest, Arc::new(usage), CancellationToken::new());
    }

    /// Takes in a key that goes on counting, and whose end others wait for already.
    pub(super) fn insert_with(
        &mut self,
        record: KeyRecord,
        digest: KeyDigest,
        usage: Arc<KeyUsage>,
        ended: CancellationToken,
    ) {
        let account = Arc::new(Account {
            id: record.id.clone(),
            scopes: record.scopes,
            models: record.models.clone(),
            allowance: record.allowance,
            networks: record.networks.clone(),
            expires: record.expires,
            usage,
            ended,
        });
        self.add_secret(&account, digest, record.revoked.is_some());
        let key = Key {
            record,
            digest,
            account,
        };
        self.keys.insert(key.record.id.clone(), Arc::new(key));
    }

    fn add_secret(&mut self, account: &Arc<Account>, digest: KeyDigest, revoked: bool) {
        let grant = Grant {
            account: Arc::clone(account),
            until: None,
            ended: account.ended.child_token(),
        };
        let entry = Entry {
            digest,
            grant: Arc::new(grant),
            revoked,
        };
        self.by_digest.insert(digest, entry);
    }

    /// Gives a key another secret. The one before stays as it is.
    pub(super) fn replace_secret(&mut self, id: &KeyId, digest: KeyDigest, record: KeyRecord) {
        let Some(key) = self.keys.get(id) else { return };
        let account = Arc::clone(&key.account);
        self.add_secret(&account, digest, false);
        let key = Key {
            record,
            digest,
            account,
        };
        self.keys.insert(id.clone(), Arc::new(key));
    }

    /// Adds a secret that was replaced and works until then.
    pub(super) fn add_old_secret(&mut self, id: &KeyId, digest: KeyDigest, until: Timestamp) {
        let Some(key) = self.keys.get(id) else { return };
        let (account, revoked) = (Arc::clone(&key.account), key.record.revoked.is_some());
        self.add_secret(&account, digest, revoked);
        self.keep_until(&digest, until);
    }

    /// Lets a secret work until then only. What was let in with it keeps its signal.
    pub(super) fn keep_until(&mut self, digest: &KeyDigest, until: Timestamp) {
        if let Some(entry) = self.by_digest.get_mut(digest) {
            entry.grant = Arc::new(Grant {
                account: Arc::clone(&entry.grant.account),
                until: Some(until),
                ended: entry.grant.ended.clone(),
            });
        }
    }

    /// Sets what is known about a key.
    pub(super) fn set_record(&mut self, record: KeyRecord) {
        let Some(key) = self.keys.get(&record.id) else {
            return;
        };
        let key = Key {
            digest: key.digest,
            account: Arc::clone(&key.account),
            record,
        };
        self.keys.insert(key.record.id.clone(), Arc::new(key));
    }

    /// The secrets of a key that were replaced and still work, with their ends; the latest first.
    pub(super) fn old_secrets(&self, id: &KeyId) -> Vec<(KeyDigest, Timestamp)> {
        let mut found: Vec<_> = self
            .by_digest
            .values()
            .filter(|entry| entry.grant.account.id == *id)
            .filter_map(|entry| Some((entry.digest, entry.grant.until?)))
            .collect();
        found.sort_by_key(|(_, until)| std::cmp::Reverse(*until));
        found
    }

    /// The next moment at which something ends by itself that has not been told so.
    pub(super) fn next_end(&self) -> Option<Timestamp> {
        let ends = self.by_digest.values().filter_map(|entry| {
            let end = entry.grant.end()?;
            (!entry.grant.ended.is_cancelled()).then_some(end)
        });
        ends.min()
    }
}
