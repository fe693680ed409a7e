//! Signed requests: who signs, and how that changes.

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sqlx::SqliteConnection;

use super::bounds::ROTATION_OVERLAP_MAX;
use super::record::whole_milliseconds;
use super::signer::Signer;
use super::signing_rows::{self, SignerRow};
use super::table::Table;
use super::{AuthError, KeyError, KeyRecord, KeyStore};
use crate::auth::caller::Caller;
use crate::auth::key::PresentedKey;
use crate::auth::signing::{
    Horizon, Mark, NonceBounds, Nonces, NoncesInAll, PresentedSignature, RootFile, SignatureError,
    Signing, SigningConfig, SigningRoot, SigningSecret, Unremembered, ahead,
};
use crate::db::Db;
use crate::ids::KeyId;

/// What signed requests are checked with.
pub(super) struct Signatures {
    config: SigningConfig,
    age_max: SignedDuration,
    skew_max: SignedDuration,
    /// Whether any key has ever signed.
    are_used: AtomicBool,
    root_file: PathBuf,
    root: OnceLock<SigningRoot>,
    horizon: Horizon,
    nonces: NoncesInAll,
    /// Hashes nonces, with a seed of this process.
    hasher: RandomState,
}

/// A change of how a key signs. What is none stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct SigningChange {
    /// Whether its requests are to be signed.
    pub requirement: Option<Signing>,
    /// Whether it is to have another secret that signs, and how long the one before works on; at
    /// most [`ROTATION_OVERLAP_MAX`].
    pub rotate: Option<Duration>,
}

/// A key whose signing was changed.
#[derive(Clone, Debug)]
pub struct ChangedSigning {
    /// Its record, as it is stored.
    pub record: KeyRecord,
    /// The secret that signs, where it is another one now. Shown once.
    pub secret: Option<SigningSecret>,
}

impl Signatures {
    /// Reads who signs into a table of all keys.
    ///
    /// # Errors
    ///
    /// When the database fails, or what the secrets follow from is gone or cannot be read.
    pub(super) async fn open(
        db: &Db,
        config: SigningConfig,
        now: Timestamp,
        table: &mut Table,
    ) -> Result<Self, KeyError> {
        let rows = signing_rows::all(db.pool()).await?;
        let mark = signing_rows::mark(db.pool()).await?;
        let span = |span| SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
        let (age_max, skew_max) = (span(config.age_max), span(config.skew_max));
        let signatures = Self {
            config,
            age_max,
            skew_max,
            are_used: AtomicBool::new(mark.is_some()),
            root_file: db.data_dir().join(SigningRoot::FILE),
            root: OnceLock::new(),
            horizon: Horizon::after(mark, now, skew_max),
            nonces: NoncesInAll::default(),
            hasher: RandomState::new(),
        };
        if !rows.is_empty() {
            signatures.look_at_the_root(rows.len())?;
        }
        for row in &rows {
            signatures.put(table, row, now)?;
        }
        if let Some(mark) = mark.filter(|mark| mark.is_exact) {
            // From here on a kill leaves a mark that is not exact.
            let mark = Mark {
                is_exact: false,
                ..mark
            };
            signing_rows::put_mark(db.pool(), mark).await?;
        }
        Ok(signatures)
    }

    /// Whether the root of now is the one from which the secrets of so many keys follow.
    fn look_at_the_root(&self, keys: usize) -> Result<(), KeyError> {
        let path = self.root_file.clone();
        let other = |from: &'static str| KeyError::SigningRootOther {
            path: path.clone(),
            from,
            keys,
        };
        let found = RootFile::read(&path).map_err(|source| self.unusable(source))?;
        let mark = self.config.root.as_ref();
        let mark = mark.map(|text| SigningRoot::derived(text).mark());
        match (found, mark) {
            (RootFile::Missing, _) => Err(KeyError::SigningRootLost { path, keys }),
            (RootFile::Empty, _) => {
                tracing::warn!(
                    keys,
                    "{} is empty and is made anew: the signing secrets of before are void",
                    path.display()
                );
                Ok(())
            }
            (RootFile::Root(_), None) => Ok(()),
            (RootFile::Root(_), Some(_)) => Err(other("that file")),
            (RootFile::Mark(found), Some(mark)) if found == mark => Ok(()),
            (RootFile::Mark(_), Some(_)) => Err(other("another value of it")),
            (RootFile::Mark(_), None) => Err(other("that setting, which is not set")),
        }
    }

    /// The root of the secrets, made when it is first needed.
    fn root(&self) -> Result<&SigningRoot, KeyError> {
        if let Some(root) = self.root.get() {
            return Ok(root);
        }
        let root = match &self.config.root {
            Some(text) => {
                let root = SigningRoot::derived(text);
                root.leave_mark(&self.root_file).map(|()| root)
            }
            None => SigningRoot::make(&self.root_file),
        };
        let root = root.map_err(|source| self.unusable(source))?;
        Ok(self.root.get_or_init(|| root))
    }

    fn unusable(&self, source: io::Error) -> KeyError {
        let path = self.root_file.clone();
        KeyError::SigningRoot { path, source }
    }

    /// Has a key of a table sign as its row says, and gives its current secret.
    fn put(
        &self,
        table: &mut Table,
        row: &SignerRow,
        now: Timestamp,
    ) -> Result<SigningSecret, KeyError> {
        table.put_signer(self.root()?, row, &self.nonces, now)
    }

    /// The oldest second in which a signature may have been made, for one that is accepted now.
    fn oldest(&self, now: Timestamp) -> i64 {
        let oldest = now.saturating_sub(self.age_max).unwrap_or(Timestamp::MIN);
        oldest.as_millisecond().div_euclid(1_000)
    }

    /// Whether a signature that is real may be used now, which it then has been.
    fn admit(
        &self,
        presented: &PresentedSignature<'_>,
        nonces: &Nonces,
        now: Timestamp,
    ) -> Result<(), SignatureError> {
        let (created, oldest) = (presented.created, self.oldest(now));
        let SigningConfig {
            age_max, skew_max, ..
        } = self.config;
        if created > ahead(now, self.skew_max) {
            return Err(SignatureError::TooEarly { skew_max });
        }
        if created < oldest {
            return Err(SignatureError::TooOld { age_max });
        }
        if presented.expires.is_some_and(|end| end < now.as_second()) {
            return Err(SignatureError::Over);
        }
        self.horizon.pass(created).map_err(|refused_through| {
            let wait = refused_through.saturating_sub(now.as_second());
            let retry_after_s = u64::try_from(wait).unwrap_or(0).saturating_add(1);
            SignatureError::BeforeStart { retry_after_s }
        })?;
        let bounds = NonceBounds {
            in_all: self.config.nonces_max,
            per_key: self.config.nonces_per_key_max,
        };
        let nonce = self.hasher.hash_one(presented.nonce);
        nonces
            .take(nonce, created, oldest, bounds)
            .map_err(|refused| match refused {
                Unremembered::Used => SignatureError::Replayed,
                Unremembered::Forgotten => SignatureError::TooOld { age_max },
                Unremembered::KeyFull => SignatureError::Full {
                    setting: "signed_requests.nonces_per_key_max",
                    limit: bounds.per_key,
                },
                Unremembered::Full => SignatureError::Full {
                    setting: "signed_requests.nonces_max",
                    limit: bounds.in_all,
                },
            })
    }
}

impl KeyStore {
    /// Whether any key signs, or has: where none has, signatures are other people's.
    #[must_use]
    pub fn has_signers(&self) -> bool {
        self.0.signatures.are_used.load(Ordering::Relaxed)
    }

    /// Decides who has signed a request. A signature lets somebody in once.
    ///
    /// Whether it is real comes first, so that strangers learn nothing else, and fill no table.
    ///
    /// # Errors
    ///
    /// When it is not that of a key that signs and works, or is not to be used now.
    pub fn authenticate_signed(
        &self,
        presented: &PresentedSignature<'_>,
    ) -> Result<Caller, SignatureError> {
        let now = self.now();
        let table = self.0.table.load();
        let signer = table.signers.get(presented.key_id);
        let signer = signer.ok_or(SignatureError::Invalid)?;
        let grant = signer
            .grant_of(presented.base, presented.signature, now)
            .ok_or(SignatureError::Invalid)?;
        let key = table.keys.get(presented.key_id);
        if key.is_none_or(|key| key.record.revoked.is_some()) {
            return Err(SignatureError::Revoked);
        }
        if grant.end().is_some_and(|end| end <= now) {
            return Err(SignatureError::Expired);
        }
        self.0.signatures.admit(presented, &signer.nonces, now)?;
        Ok(Caller::with(Arc::clone(grant)))
    }

    /// The key that was presented beside a signature, which may be one that lets nobody in alone.
    /// None for what this server cannot have made: it is another layer's.
    ///
    /// # Errors
    ///
    /// When it looks like a key of ours and is none that works.
    pub fn presented_beside(&self, key: &PresentedKey) -> Result<Option<KeyId>, AuthError> {
        let table = self.0.table.load();
        match table.entry(key) {
            Some(entry) if entry.revoked => Err(AuthError::Revoked),
            Some(entry) if entry.grant.end().is_some_and(|end| end <= self.now()) => {
                Err(AuthError::Expired)
            }
            Some(entry) => Ok(Some(entry.grant.account.id.clone())),
            None if key.ours => Err(AuthError::Unknown),
            None => Ok(None),
        }
    }

    /// Changes how a key signs: in force for the next request. A key that begins to sign has a
    /// fresh secret; what was let in with one that does not work any more is ended.
    ///
    /// # Errors
    ///
    /// When there is no such key, it does not work any more, it is one of the configuration, it is
    /// to have another secret and does not sign, the overlap is above [`ROTATION_OVERLAP_MAX`],
    /// or the host fails.
    pub async fn set_signing(
        &self,
        id: &KeyId,
        change: SigningChange,
    ) -> Result<ChangedSigning, KeyError> {
        if change
            .rotate
            .is_some_and(|span| span > ROTATION_OVERLAP_MAX)
        {
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
            let mut table = Table::clone(&store.0.table.load());
            let before = table.signers.get(&id).cloned();
            let requirement = change.requirement.unwrap_or(record.signing);
            if requirement == Signing::None && change.rotate.is_some() {
                return Err(KeyError::DoesNotSign { id });
            }
            let row = match &before {
                None if requirement == Signing::None => {
                    return Ok(ChangedSigning {
                        record,
                        secret: None,
                    });
                }
                None => SignerRow::first(&id, requirement),
                Some(before) => after(before, &record, requirement, change.rotate, store.now()),
            };
            let mut transaction = store.pool().begin().await?;
            store.write_signer(&mut transaction, &row).await?;
            transaction.commit().await?;
            let secret = store.put_signer(&mut table, &row)?;
            let is_another = before
                .as_ref()
                .is_none_or(|before| before.generation != row.generation);
            let ending = match (&before, table.signers.get(&id)) {
                (Some(before), Some(next)) => before.ending_in(next),
                _ => Vec::new(),
            };
            store.publish(table);
            ending.iter().for_each(|ended| ended.cancel());
            Ok(ChangedSigning {
                record: store.show(&id)?,
                secret: is_another.then_some(secret),
            })
        })
        .await
    }

    /// Stores how a key signs. What its secrets follow from is on disk before that.
    pub(super) async fn write_signer(
        &self,
        connection: &mut SqliteConnection,
        row: &SignerRow,
    ) -> Result<(), KeyError> {
        self.0.signatures.root()?;
        Ok(signing_rows::put(connection, row).await?)
    }

    /// Has a key of a table sign as its row says, which is stored, and gives its current secret.
    pub(super) fn put_signer(
        &self,
        table: &mut Table,
        row: &SignerRow,
    ) -> Result<SigningSecret, KeyError> {
        let signatures = &self.0.signatures;
        signatures.are_used.store(true, Ordering::Relaxed);
        signatures.put(table, row, self.now())
    }

    /// Moves the mark on disk ahead of the signed requests, where some have come close to it, and
    /// forgets nonces that nobody can use again. Costs a load where no key signs.
    ///
    /// # Errors
    ///
    /// When the database fails; the next time writes what this one could not.
    pub async fn keep_signatures(&self) -> Result<(), KeyError> {
        if !self.has_signers() {
            return Ok(());
        }
        let signatures = &self.0.signatures;
        let now = self.now();
        let oldest = signatures.oldest(now);
        for signer in self.0.table.load().signers.values() {
            signer.nonces.forget_before(oldest);
        }
        if let Some(mark) = signatures.horizon.due(now, signatures.skew_max) {
            signing_rows::put_mark(self.pool(), mark).await?;
            signatures.horizon.written(mark);
        }
        Ok(())
    }

    /// Accepts no signed request any more, and writes down what was accepted last, so that the next
    /// start need not refuse more than that.
    ///
    /// # Errors
    ///
    /// When the database fails. The next start takes it for a kill then.
    pub async fn close_signatures(&self) -> Result<(), KeyError> {
        if !self.has_signers() {
            return Ok(());
        }
        let mark = self.0.signatures.horizon.close();
        Ok(signing_rows::put_mark(self.pool(), mark).await?)
    }
}

/// The row of a key that signs or has, after a change.
fn after(
    before: &Signer,
    record: &KeyRecord,
    requirement: Signing,
    rotate: Option<Duration>,
    now: Timestamp,
) -> SignerRow {
    let now = whole_milliseconds(now);
    let begins = record.signing == Signing::None && requirement != Signing::None;
    let old_until = before.old.as_ref().and_then(|old| old.grant.until);
    let (generation, old_until) = match rotate {
        // A secret that was void for a while stays void.
        _ if begins => (before.generation.saturating_add(1), None),
        Some(overlap) => {
            let overlap = SignedDuration::try_from(overlap).unwrap_or(SignedDuration::MAX);
            let until = now.saturating_add(overlap).unwrap_or(Timestamp::MAX);
            let until = (until > now).then_some(until);
            (before.generation.saturating_add(1), until)
        }
        None => (before.generation, old_until),
    };
    SignerRow {
        id: record.id.clone(),
        requirement,
        generation,
        old_until,
    }
}
