//! Changes of what a key may do and use. Its secrets stay, and so does what was let in with them.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::record::whole_milliseconds;
use super::table::Table;
use super::{KeyError, KeyRecord, KeyStore, NewKey, row};
use crate::auth::allowance::AllowanceChange;
use crate::auth::change::Change;
use crate::auth::scope::Scopes;
use crate::ids::KeyId;
use crate::net::NetworkList;

/// A change of a key. What is not said stays.
#[derive(Clone, Debug, Default)]
pub struct KeyChange {
    /// Another name.
    pub name: Option<String>,
    /// All scopes that the key is to have, at least one.
    pub scopes: Option<Scopes>,
    /// All models that it may use; cleared for every model.
    pub models: Change<BTreeSet<String>>,
    /// The amounts that it may use.
    pub allowance: AllowanceChange,
    /// The networks that it may be used from; cleared for all.
    pub allow_networks: Change<NetworkList>,
    /// The networks that it may not be used from; cleared for none.
    pub deny_networks: Change<NetworkList>,
    /// The time at which it is to stop working, in the future; cleared for never.
    pub expires: Change<Timestamp>,
}

/// A key that was changed.
#[derive(Clone, Debug)]
pub struct AmendedKey {
    /// Its record as it was.
    pub before: KeyRecord,
    /// Its record as it is stored.
    pub record: KeyRecord,
}

impl KeyStore {
    /// Changes what a key may do and use: on disk when this returns, and in force for the next
    /// request. What is under way goes on as it was admitted, until the key ends.
    ///
    /// # Errors
    ///
    /// When there is no such key, it does not work any more, it is one of the configuration, what
    /// it would become is not acceptable, or the host fails; then it is as it was.
    pub async fn amend(&self, id: &KeyId, change: KeyChange) -> Result<AmendedKey, KeyError> {
        let id = id.clone();
        self.change(|store| async move {
            let before = store.show(&id)?;
            before.check_is_stored()?;
            if before.revoked.is_some() {
                return Err(KeyError::Revoked { id });
            }
            // Its streams have been told that it is over.
            if !before.works(store.now()) {
                return Err(KeyError::Expired { id });
            }
            let wanted = change.of(&before).checked(store.now())?;
            let record = KeyRecord {
                name: wanted.name,
                scopes: wanted.scopes,
                models: wanted.models,
                allowance: wanted.allowance,
                networks: wanted.networks,
                expires: wanted.expires.map(whole_milliseconds),
                ..before.clone()
            };
            if record != before {
                row::amend(store.pool(), &record).await?;
                let mut table = Table::clone(&store.0.table.load());
                table.amend(record.clone());
                store.publish(table);
            }
            Ok(AmendedKey { before, record })
        })
        .await
    }
}

impl KeyChange {
    /// The key as it is to be, for the checks that a new one is held to.
    fn of(self, record: &KeyRecord) -> NewKey {
        let mut networks = record.networks.clone();
        self.allow_networks.replace(&mut networks.allow);
        self.deny_networks.replace(&mut networks.deny);
        NewKey {
            name: self.name.unwrap_or_else(|| record.name.clone()),
            scopes: self.scopes.unwrap_or(record.scopes),
            models: self.models.over(record.models.clone()),
            allowance: record.allowance.changed(self.allowance),
            networks,
            expires: self.expires.over(record.expires),
            signing: record.signing,
        }
    }
}
