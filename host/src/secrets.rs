//! Secrets by reference: the value of a setting may say where it stands instead of being it, in a
//! file, in a variable of the environment, or in HashiCorp Vault.

mod reference;
mod text;
mod vault;

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};

pub use reference::{InvalidReference, SecretRef, VaultRef};
pub use text::SecretText;
pub use vault::{InvalidVaultName, Vault, VaultAuth, VaultConfig, VaultError, VaultName};

/// Bytes of one secret, wherever it stands.
pub const SECRET_BYTES_MAX: usize = 1 << 20;

/// What was read from Vault. Cannot be printed.
#[derive(Clone, Default)]
pub struct VaultSecrets(BTreeMap<VaultRef, SecretString>);

impl VaultSecrets {
    /// The value that stands at a place, if it was read.
    #[must_use]
    pub fn get(&self, reference: &VaultRef) -> Option<&SecretString> {
        self.0.get(reference)
    }
}

impl PartialEq for VaultSecrets {
    fn eq(&self, other: &Self) -> bool {
        let plain = |secrets: &Self| {
            let values = secrets.0.iter();
            values
                .map(|(place, value)| (place.clone(), value.expose_secret().to_owned()))
                .collect::<Vec<_>>()
        };
        plain(self) == plain(other)
    }
}

impl std::fmt::Debug for VaultSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
