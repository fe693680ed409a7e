//! The environment of the process, and the one place that reads it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;

use crate::secrets::{VaultRef, VaultSecrets};

/// A source of variables, so that tests set none of the process.
pub trait Environment {
    /// All variables whose names could concern this program. A value that is not UTF-8 is an
    /// error for its name.
    fn variables(&self) -> Vec<(String, Result<String, NotUnicode>)>;

    /// One variable by name, for the places that others define, such as `HOME`.
    fn variable(&self, name: &str) -> Option<String>;

    /// What was read from Vault; nothing where nobody has.
    fn in_vault(&self, _place: &VaultRef) -> Option<SecretString> {
        None
    }
}

/// An environment with what was read from Vault.
#[derive(Debug)]
pub struct WithVault<'a, E> {
    /// The environment.
    pub environment: E,
    /// What was read.
    pub secrets: &'a VaultSecrets,
}

impl<E: Environment> Environment for WithVault<'_, E> {
    fn variables(&self) -> Vec<(String, Result<String, NotUnicode>)> {
        self.environment.variables()
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.environment.variable(name)
    }

    fn in_vault(&self, place: &VaultRef) -> Option<SecretString> {
        self.secrets.get(place).cloned()
    }
}

/// A variable whose value is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUnicode;

/// The folder of a user for what can be had again: `$XDG_CACHE_HOME`, or `.cache` at home; none
/// where there is neither.
#[must_use]
pub fn cache_folder(environment: &impl Environment) -> Option<PathBuf> {
    let named = environment.variable("XDG_CACHE_HOME").map(PathBuf::from);
    let named = named.filter(|path| path.is_absolute());
    let home = || Some(PathBuf::from(environment.variable("HOME")?).join(".cache"));
    named.or_else(home)
}

/// The environment of the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEnvironment;

impl Environment for SystemEnvironment {
    fn variables(&self) -> Vec<(String, Result<String, NotUnicode>)> {
        std::env::vars_os()
            .filter_map(|(name, value)| {
                let name = name.into_string().ok()?;
                Some((name, value.into_string().map_err(|_| NotUnicode)))
            })
            .collect()
    }

    fn variable(&self, name: &str) -> Option<String> {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the trait that it is banned for"
        )]
        let value = std::env::var(name);
        value.ok().filter(|value| !value.is_empty())
    }
}

impl Environment for BTreeMap<String, String> {
    fn variables(&self) -> Vec<(String, Result<String, NotUnicode>)> {
        self.iter()
            .map(|(name, value)| (name.clone(), Ok(value.clone())))
            .collect()
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.get(name).cloned()
    }
}

/// The name of the configuration file.
pub(super) const FILE_VARIABLE: &str = "BELLJAR_CONFIG";

/// Names that are read elsewhere: the file itself, and what the client commands need.
pub(super) const OTHER_VARIABLES: [(&str, &str); 4] = [
    (FILE_VARIABLE, "The configuration file, as with `--config`."),
    (
        "BELLJAR_SERVER",
        "The server that client commands talk to, as with `--server`.",
    ),
    (
        "BELLJAR_ADMIN_KEY_FILE",
        "The key of client commands, as with `--admin-key-file`.",
    ),
    (
        "BELLJAR_SIGNING_FILE",
        "The key that signs for client commands, as with `--signing-file`.",
    ),
];
