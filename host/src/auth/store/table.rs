//! The keys in memory: what a request is looked up in. A change makes a new table, so that
//! requests never wait for one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::signer::{Signer, SigningGrant};
use super::signing_rows::SignerRow;
use super::{KeyError, KeyRecord};
use crate::auth::caller::{Account, Grant};
use crate::auth::key::{KeyDigest, PresentedKey};
use crate::auth::signing::{Nonces, NoncesInAll, Signing, SigningRoot, SigningSecret};
use crate::auth::usage::KeyUsage;
use crate::ids::KeyId;

#[derive(Clone, Default)]
pub(super) struct Table {
    pub(super) by_digest: HashMap<KeyDigest, Entry>,
    pub(super) keys: BTreeMap<KeyId, Arc<Key>>,
    /// The keys that sign, and those that have.
    pub(super) signers: BTreeMap<KeyId, Signer>,
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
    /// Whether it lets nobody in without a signature.
    pub(super) must_sign: bool,
}

impl Table {
    /// The entry of a key that was presented.
    ///
    /// The map is keyed by a hash whose input an attacker cannot steer towards a stored one, so the
    /// look-up leaks nothing; the constant-time comparison keeps it so whatever the map does.
    pub(super) fn entry(&self, key: &PresentedKey) -> Option<&Entry> {
        let entry = self.by_digest.get(&key.digest);
        entry.filter(|entry| entry.digest.matches(&key.digest))
    }

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
        let account = Arc::new(account_of(&record, usage, ended));
        self.add_secret(&account, digest, record.revoked.is_some());
        let key = Key {
            record,
            digest,
            account,
        };
        self.keys.insert(key.record.id.clone(), Arc::new(key));
    }

    /// Gives a key other rights and limits. Its secrets stay, and what was let in with them keeps
    /// its signals.
    pub(super) fn amend(&mut self, record: KeyRecord) {
        let Some(key) = self.keys.get(&record.id) else {
            return;
        };
        let (usage, ended) = (&key.account.usage, &key.account.ended);
        let account = Arc::new(account_of(&record, Arc::clone(usage), ended.clone()));
        let id = &record.id;
        let secrets = self.by_digest.values_mut();
        for entry in secrets.filter(|entry| entry.grant.account.id == *id) {
            entry.grant = Arc::new(entry.grant.of(&account));
        }
        if let Some(signer) = self.signers.get_mut(id) {
            *signer = signer.of(&account);
        }
        let key = Key {
            digest: key.digest,
            account,
            record,
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
            must_sign: self.must_sign(&account.id),
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
        let of_keys = self.by_digest.values().map(|entry| &entry.grant);
        let of_signers = self.signers.values().flat_map(Signer::grants);
        let ends = of_keys.chain(of_signers).filter_map(|grant| {
            let end = grant.end()?;
            (!grant.ended.is_cancelled()).then_some(end)
        });
        ends.min()
    }

    /// Whether a key lets nobody in without a signature.
    pub(super) fn must_sign(&self, id: &KeyId) -> bool {
        let signer = self.signers.get(id);
        signer.is_some_and(|signer| signer.requirement == Signing::Required)
    }

    /// Has a key sign as its row says, and gives its current secret.
    pub(super) fn put_signer(
        &mut self,
        root: &SigningRoot,
        row: &SignerRow,
        in_all: &NoncesInAll,
        now: Timestamp,
    ) -> Result<SigningSecret, KeyError> {
        let secret = root.secret(&row.id, row.generation);
        let Some(key) = self.keys.get(&row.id) else {
            return Err(KeyError::NotFound { id: row.id.clone() });
        };
        let before = self.signers.get(&row.id);
        // A secret that stays keeps what was let in with it.
        let same = |secret: &SigningSecret| {
            let before = before.filter(|before| before.requirement != Signing::None)?;
            let digest = secret.digest();
            before.secrets().find(|kept| kept.digest == digest)
        };
        let current = match same(&secret) {
            Some(same) => Arc::clone(same),
            None => Arc::new(SigningGrant::new(&secret, &key.account)),
        };
        let old = row.old_until.filter(|until| *until > now).map(|until| {
            let secret = root.secret(&row.id, row.generation.saturating_sub(1));
            Arc::new(match same(&secret) {
                Some(same) => same.until(until),
                None => SigningGrant::new(&secret, &key.account).until(until),
            })
        });
        let nonces = match before {
            Some(before) => Arc::clone(&before.nonces),
            None => Arc::new(Nonces::new(in_all.clone())),
        };
        let signer = Signer {
            requirement: row.requirement,
            generation: row.generation,
            current,
            old,
            nonces,
        };
        self.set_signer(&row.id, signer);
        Ok(secret)
    }

    /// Sets how a key signs, in its record and for all of its secrets as well.
    pub(super) fn set_signer(&mut self, id: &KeyId, signer: Signer) {
        let must_sign = signer.requirement == Signing::Required;
        for entry in self.by_digest.values_mut() {
            if entry.grant.account.id == *id {
                entry.must_sign = must_sign;
            }
        }
        if let Some(key) = self.keys.get(id) {
            let mut record = key.record.clone();
            record.signing = signer.requirement;
            record.old_signing_secret_until = signer.old.as_ref().and_then(|old| old.grant.until);
            self.set_record(record);
        }
        self.signers.insert(id.clone(), signer);
    }

    /// Ends what was let in with secrets that sign whose time is over, and forgets those.
    pub(super) fn end_signing_secrets(&mut self, now: Timestamp) {
        let mut over = Vec::new();
        for (id, signer) in &self.signers {
            for grant in signer.grants() {
                if grant.end().is_some_and(|end| end <= now) {
                    grant.ended.cancel();
                }
            }
            let until = signer.old.as_ref().and_then(|old| old.grant.until);
            if until.is_some_and(|until| until <= now) {
                over.push((
                    id.clone(),
                    Signer {
                        old: None,
                        ..signer.clone()
                    },
                ));
            }
        }
        for (id, signer) in over {
            self.set_signer(&id, signer);
        }
    }
}

/// The account of a key as it stands in its record.
fn account_of(record: &KeyRecord, usage: Arc<KeyUsage>, ended: CancellationToken) -> Account {
    Account {
        id: record.id.clone(),
        scopes: record.scopes,
        models: record.models.clone(),
        allowance: record.allowance,
        networks: record.networks.clone(),
        expires: record.expires,
        usage,
        ended,
    }
}
