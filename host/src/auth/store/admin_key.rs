//! The key that the server makes for itself, so that whoever owns the data directory can manage
//! all others.

use std::path::Path;

use super::secret_file::{read_private, read_secret, write_private};
use super::{KeyError, KeyRecord, KeyStore, NewKey};
use crate::auth::key::SecretKey;
use crate::auth::scope::{Scope, Scopes};
use crate::ids::KeyId;

/// The state in which the start has found the admin key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminKey {
    /// The file holds a key with the scope `admin` that works.
    Kept,
    /// No such key worked: there is a fresh one in the file.
    Made(KeyId),
    /// The file held a secret that no key had, and a key was made of it.
    Taken(KeyId),
    /// The file was gone, or held nothing that works, and nobody else could manage the keys: the
    /// server's own key has a fresh secret, and the one before is void.
    Renewed(KeyId),
    /// The file was gone, or holds nothing that works, and another key can manage the keys.
    Elsewhere,
}

impl KeyStore {
    /// Sees to it that whoever can read `path` (mode 0600) can manage the keys, unless somebody
    /// else can.
    ///
    /// A key of the server's own whose file is gone is renewed when it is the only one that
    /// could manage keys: its secret may be lost, and without one the server would be out of
    /// everybody's hands. Who keeps the secret elsewhere makes a key of their own first.
    ///
    /// # Errors
    ///
    /// When the file or the database cannot be written.
    pub async fn ensure_admin_key(&self, path: &Path) -> Result<AdminKey, KeyError> {
        let path = path.to_owned();
        self.change(|store| async move {
            // Set once: this is called once, at the start.
            let _ = store.0.admin_file.set(path.clone());
            let now = store.now();
            let table = store.0.table.load_full();
            let can_manage = |record: &KeyRecord| {
                record.created.is_some()
                    && record.scopes.contains(Scope::Admin)
                    && record.works(now)
            };
            let managing: Vec<&KeyRecord> = table
                .keys
                .values()
                .map(|key| &key.record)
                .filter(|record| can_manage(record))
                .collect();
            let in_file = read_secret(&path).and_then(|secret| {
                let entry = table.by_digest.get(&secret.digest())?;
                Some(entry.grant.account.id.clone())
            });
            if in_file.is_some_and(|id| managing.iter().any(|record| record.id == id)) {
                return Ok(AdminKey::Kept);
            }
            match managing.as_slice() {
                [] => {
                    let left_over = store.left_over(&path);
                    let is_new = left_over.is_none();
                    let secret = match left_over {
                        Some(secret) => secret,
                        None => store.write_admin_file(&path)?,
                    };
                    let new = NewKey {
                        name: "admin".to_owned(),
                        scopes: Scopes::all(),
                        ..NewKey::default()
                    };
                    let (record, _) = store.add(new.record(now, true), &secret).await?;
                    Ok(if is_new {
                        AdminKey::Made(record.id)
                    } else {
                        AdminKey::Taken(record.id)
                    })
                }
                [own] if own.from_server => {
                    let secret = store.write_admin_file(&path)?;
                    store
                        .replace_secret(&own.id, &secret, std::time::Duration::ZERO)
                        .await?;
                    Ok(AdminKey::Renewed(own.id.clone()))
                }
                _ => Ok(AdminKey::Elsewhere),
            }
        })
        .await
    }

    /// Puts a fresh secret into the file.
    ///
    /// The file comes first and the row second. Killed in between, the next start finds a file
    /// without a row and goes on with it; the other way round would leave an admin key that
    /// nobody has ever seen.
    fn write_admin_file(&self, path: &Path) -> Result<SecretKey, KeyError> {
        if let Some(secret) = self.left_over(path) {
            return Ok(secret);
        }
        let secret = SecretKey::random().map_err(KeyError::Random)?;
        self.write_secret(path, &secret)?;
        Ok(secret)
    }

    /// The secret in the file, if no key has it.
    fn left_over(&self, path: &Path) -> Option<SecretKey> {
        let table = self.0.table.load();
        read_private(path).filter(|secret| !table.by_digest.contains_key(&secret.digest()))
    }

    /// Puts the next secret of a key into the file of the admin key, if that holds the one before.
    pub(super) fn keep_admin_file(&self, id: &KeyId, secret: &SecretKey) -> Result<(), KeyError> {
        let Some(path) = self.0.admin_file.get() else {
            return Ok(());
        };
        let table = self.0.table.load();
        let is_of_key = |held: SecretKey| {
            let entry = table.by_digest.get(&held.digest());
            entry.is_some_and(|entry| entry.grant.account.id == *id)
        };
        if read_secret(path).is_some_and(is_of_key) {
            self.write_secret(path, secret)?;
        }
        Ok(())
    }

    fn write_secret(&self, path: &Path, secret: &SecretKey) -> Result<(), KeyError> {
        write_private(path, secret).map_err(|source| KeyError::AdminFile {
            path: path.to_owned(),
            source,
        })
    }
}
