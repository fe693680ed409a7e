//! What has become of secrets that were found somewhere: asked by their hashes, so that nobody has
//! to show them to anybody.

use std::io;
use std::path::Path;

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use super::table::Table;
use super::{KeyError, KeyStore, row, signing_rows};
use crate::auth::key::KeyDigest;
use crate::auth::signing::{RootFile, Signing, SigningRoot};
use crate::auth::usage::KeyUsage;
use crate::clock::Clock;
use crate::db::DATABASE_FILE;
use crate::ids::KeyId;

/// What a secret is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretKind {
    /// It is a key.
    Key,
    /// It signs for one.
    SigningSecret,
}

/// Whether a secret works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It does.
    Live,
    /// Its key was revoked, or does not sign any more.
    Revoked,
    /// Its time, or that of its key, is over.
    Expired,
}

/// A secret that this server has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownSecret {
    /// Its key.
    pub key_id: KeyId,
    /// The name of the key.
    pub name: String,
    /// What it is good for.
    pub kind: SecretKind,
    /// Whether it works.
    pub standing: Standing,
}

/// The secrets that a server or a data directory knows, by their hashes.
pub struct KnownSecrets {
    table: std::sync::Arc<Table>,
    now: Timestamp,
}

impl KeyStore {
    /// The secrets as they stand now.
    #[must_use]
    pub fn known_secrets(&self) -> KnownSecrets {
        KnownSecrets {
            table: self.0.table.load_full(),
            now: self.now(),
        }
    }
}

impl KnownSecrets {
    /// Reads the secrets of a data directory whose server does not run. Nothing in it is changed.
    /// Secrets that sign are not among them where they follow from a setting.
    ///
    /// # Errors
    ///
    /// When there is no database, or it or what signing secrets follow from cannot be read.
    pub async fn read(data_dir: &Path) -> Result<Self, KeyError> {
        let options = SqliteConnectOptions::new()
            .filename(data_dir.join(DATABASE_FILE))
            .read_only(true);
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await?;
        let clock = Clock::system();
        let mut table = Table::default();
        for (record, digest) in row::all(&pool).await? {
            table.insert(record, digest, KeyUsage::new(clock.clone()));
        }
        for (id, digest, until) in row::old_secrets(&pool).await? {
            table.add_old_secret(&id, digest, until);
        }
        let signers = signing_rows::all(&pool).await?;
        pool.close().await;
        if !signers.is_empty() {
            let path = data_dir.join(SigningRoot::FILE);
            let found = match RootFile::read(&path) {
                Ok(RootFile::Missing | RootFile::Empty) => Err(io::ErrorKind::NotFound.into()),
                found => found,
            };
            let found = found.map_err(|source| KeyError::SigningRoot { path, source })?;
            if let RootFile::Root(root) = found {
                for signer in &signers {
                    table.put_signer(&root, signer, &Default::default(), clock.now())?;
                }
            }
        }
        Ok(Self {
            table: table.into(),
            now: clock.now(),
        })
    }

    /// What is known of the secret with that SHA-256.
    #[must_use]
    pub fn of(&self, sha256: &[u8; 32]) -> Option<KnownSecret> {
        let digest = KeyDigest(*sha256);
        self.key(&digest).or_else(|| self.signing_secret(&digest))
    }

    fn key(&self, digest: &KeyDigest) -> Option<KnownSecret> {
        let entry = self.table.by_digest.get(digest)?;
        let standing = if entry.revoked {
            Standing::Revoked
        } else {
            self.standing(entry.grant.end())
        };
        self.known(&entry.grant.account.id, SecretKind::Key, standing)
    }

    fn signing_secret(&self, digest: &KeyDigest) -> Option<KnownSecret> {
        // As many as sign: asked by administrators, and never on the path of a request.
        let (id, signer, secret) = self.table.signers.iter().find_map(|(id, signer)| {
            let secret = signer
                .secrets()
                .find(|secret| secret.digest.matches(digest))?;
            Some((id, signer, secret))
        })?;
        let key = self.table.keys.get(id)?;
        let is_void = signer.requirement == Signing::None || key.record.revoked.is_some();
        let standing = if is_void {
            Standing::Revoked
        } else {
            self.standing(secret.grant.end())
        };
        self.known(id, SecretKind::SigningSecret, standing)
    }

    fn standing(&self, end: Option<Timestamp>) -> Standing {
        match end {
            Some(end) if end <= self.now => Standing::Expired,
            _ => Standing::Live,
        }
    }

    fn known(&self, id: &KeyId, kind: SecretKind, standing: Standing) -> Option<KnownSecret> {
        let key = self.table.keys.get(id)?;
        Some(KnownSecret {
            key_id: id.clone(),
            name: key.record.name.clone(),
            kind,
            standing,
        })
    }
}

impl std::fmt::Debug for KnownSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KnownSecrets").finish_non_exhaustive()
    }
}
