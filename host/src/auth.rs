//! Decides who is calling and what the key may do.
//!
//! The first check of every request but those for health: [`KeyStore::authenticate`] turns what
//! was presented into a [`Caller`], a proof value that nothing else can make, and what needs a
//! right asks the caller for it. Knows no HTTP.

mod allowance;
mod authorized;
mod caller;
mod change;
mod jwt;
mod key;
mod private_file;
pub(crate) use private_file::write as write_private_file;
mod scope;
mod signing;
mod store;
mod usage;

pub use allowance::{Allowance, AllowanceChange, LIMIT_MAX};
pub use authorized::{
    Administer, Authorized, Infer, ListModels, ReadLogs, ReadModels, Right, WriteModels,
};
pub use caller::{Caller, Denied};
pub use change::Change;
pub use jwt::{
    InvalidJwtAlgorithm, InvalidJwtText, InvalidKeySource, InvalidScopeRule, JwtAlgorithm,
    JwtConfig, JwtError, JwtFiles, JwtText, KeySource, RevokedToken, ScopeRule, TokenCaller,
    TokenError,
};
pub use key::{
    ConfiguredKey, InvalidConfiguredKey, KEY_PREFIX, MalformedAuthorization, MalformedKey,
    PresentedKey, SecretKey,
};
pub use scope::{InvalidScope, InvalidTier, Scope, Scopes, Tier};
pub use signing::{
    InvalidSigning, NONCE_BYTES, PresentedSignature, SIGNING_ROOT_SIZES, SIGNING_SECRET_PREFIX,
    ShortSigningRoot, SignatureError, Signing, SigningConfig, SigningRootText, SigningSecret,
};
pub use store::{
    AdminKey, AmendedKey, AuthError, ChangedSigning, CreatedKey, Examined, KeyChange, KeyError,
    KeyRecord, KeyStore, KnownSecret, KnownSecrets, NETWORKS_MAX, NewKey, OLD_SECRETS_MAX,
    ROTATION_OVERLAP_MAX, SecretKind, SigningChange, Standing, check_key_row, forget_clean_stop,
};
pub use usage::{KeyUsage, UsageCounts};

/// The file in the data directory that holds the admin key.
pub const ADMIN_KEY_FILE: &str = "admin.key";

/// The file in the data directory that the secrets of signed requests follow from, or that has the
/// mark of the setting from which they do.
pub const SIGNING_ROOT_FILE: &str = signing::SigningRoot::FILE;

/// The settings by which callers are told apart.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whether every request needs a key. When not, callers without one may run models and
    /// list them, and nothing else.
    pub require_key: bool,
    /// Keys that work beside the stored ones. They may run models and list them.
    pub keys: Vec<ConfiguredKey>,
    /// Whether only the SHA-256 of keys is kept. There is no other way here, and a setting that
    /// asks for one is refused.
    pub hash_keys: bool,
    /// Tokens that are taken beside keys.
    pub jwt: JwtConfig,
    /// What holds for signed requests.
    pub signing: SigningConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            require_key: false,
            keys: Vec::new(),
            hash_keys: true,
            jwt: JwtConfig::default(),
            signing: SigningConfig::default(),
        }
    }
}
