//! Decides who is calling and what the key may do.
//!
//! The first check of every request but those for health: [`KeyStore::authenticate`] turns what
//! was presented into a [`Caller`], a proof value that nothing else can make, and what needs a
//! right asks the caller for it. Knows no HTTP.

mod allowance;
mod caller;
mod key;
mod scope;
mod store;

pub use allowance::{Allowance, InvalidNetwork, LIMIT_MAX, Network, Networks, TooManyNetworks};
pub use caller::{Caller, Denied};
pub use key::{ConfiguredKey, InvalidConfiguredKey, MalformedKey, PresentedKey, SecretKey};
pub use scope::{InvalidScope, InvalidTier, Scope, Scopes, Tier};
pub use store::{AuthError, CreatedKey, KeyError, KeyRecord, KeyStore, NewKey};

/// How callers are told apart.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Whether every request needs a key. When not, callers without one may run models and
    /// list them, and nothing else.
    pub require_key: bool,
    /// Keys that work beside the stored ones. They may run models and list them.
    pub keys: Vec<ConfiguredKey>,
}
