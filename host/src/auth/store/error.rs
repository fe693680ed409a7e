//! Why a caller is not let in, and why a change of the keys is not made.

use std::io;
use std::path::PathBuf;

use belljar_bundle::DurationText;
use jiff::Timestamp;

use super::bounds::{KEYS_MAX, MODELS_MAX, NAME_CHARACTERS_MAX, ROTATION_OVERLAP_MAX};
use crate::auth::allowance::LIMIT_MAX;
use crate::auth::jwt::{JwtError, TokenError};
use crate::db::is_out_of_space;
use crate::ids::KeyId;

/// The reason why a caller is not let in. Nothing that was presented is part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// A key is required and none was presented.
    #[error("an API key is required")]
    Missing,
    /// No such key.
    #[error("the API key is not valid")]
    Unknown,
    /// The key was revoked.
    #[error("the API key has been revoked")]
    Revoked,
    /// The key's time is over.
    #[error("the API key has expired")]
    Expired,
    /// The token does not hold, or nobody can tell.
    #[error("the token is not valid: {0}")]
    Token(TokenError),
    /// The token was not seen before: it has to be [examined](super::KeyStore::examine).
    #[error("the token has to be looked into")]
    Unseen,
    /// The key lets nobody in whose request is not signed.
    #[error("requests with this API key must be signed")]
    SignatureNeeded,
}

/// Why a change of the keys was not made, or the keys could not be read.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The name is empty, too long, or has control characters.
    #[error(
        "the name of a key is 1 to {NAME_CHARACTERS_MAX} characters without control characters"
    )]
    Name,
    /// A key that may do nothing.
    #[error("a key needs at least one scope")]
    NoScopes,
    /// The list of models is empty, too long, or holds what cannot be a name.
    #[error("the models of a key are 1 to {MODELS_MAX} names of models")]
    Models,
    /// A limit of zero, or one that cannot be stored.
    #[error("a limit is 1 to {LIMIT_MAX}")]
    Limit {
        /// The limit, by its name in the API.
        name: &'static str,
    },
    /// The expiry is not in the future.
    #[error("the expiry {expires} is not in the future")]
    ExpiresInThePast {
        /// The time that was asked for.
        expires: Timestamp,
    },
    /// The store is full.
    #[error("there are {KEYS_MAX} keys already; that is the most this server keeps")]
    TooMany,
    /// No key has that id.
    #[error("there is no key `{id}`")]
    NotFound {
        /// The key that was asked for.
        id: KeyId,
    },
    /// The key comes from the configuration.
    #[error("the key `{id}` is set in the configuration; take it out there and restart")]
    Configured {
        /// The key that was asked for.
        id: KeyId,
    },
    /// The key was revoked.
    #[error("the key `{id}` is revoked: make a new one")]
    Revoked {
        /// The key that was asked for.
        id: KeyId,
    },
    /// The key's time is over.
    #[error("the key `{id}` has expired: make a new one")]
    Expired {
        /// The key that was asked for.
        id: KeyId,
    },
    /// The old secret would work for too long.
    #[error(
        "a replaced secret works for at most {} more",
        DurationText::from(ROTATION_OVERLAP_MAX)
    )]
    OverlapTooLong,
    /// What has to do with tokens.
    #[error(transparent)]
    Jwt(#[from] JwtError),
    /// The key has no secret that signs.
    #[error("the key `{id}` does not sign: set its `signing` to optional or required")]
    DoesNotSign {
        /// The key that was asked for.
        id: KeyId,
    },
    /// The host: the root of the secrets that sign cannot be read or made.
    #[error("the secrets of signed requests cannot be made from {path}: {source}")]
    SigningRoot {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The host: the root of the secrets that sign is gone, and there are keys that sign.
    #[error(
        "{path} is gone, from which the signing secrets of {keys} keys follow. Bring it back from \
         the backup of the data directory. To begin with a new one, make an empty file of that \
         name: the secrets are void then, and each of these keys needs another one \
         (`belljar keys signing KEY --rotate`)"
    )]
    SigningRootLost {
        /// The file.
        path: PathBuf,
        /// How many keys sign, or have.
        keys: usize,
    },
    /// The host: the secrets of keys that sign follow from another root than the settings give.
    #[error(
        "the signing secrets of {keys} keys follow from {from}, and `signed_requests.root` says \
         other ({path}): leave that setting as it was. To begin with another root, make {path} an \
         empty file: the secrets are void then, and each of these keys needs another one \
         (`belljar keys signing KEY --rotate`)"
    )]
    SigningRootOther {
        /// The file of the root.
        path: PathBuf,
        /// What they follow from.
        from: &'static str,
        /// How many keys sign, or have.
        keys: usize,
    },
    /// The host: the system gave no random bytes.
    #[error("no random bytes: {0}")]
    Random(rand::rngs::SysError),
    /// The host: the database failed.
    #[error("the key database failed: {0}")]
    Db(#[from] sqlx::Error),
    /// The host: what is stored cannot be read, for example because a newer version wrote it.
    #[error("the stored key `{id}` cannot be read: {reason}")]
    Damaged {
        /// The key's row.
        id: String,
        /// The reason why it cannot be read.
        reason: String,
    },
    /// The host: the file of the admin key cannot be written.
    #[error("the admin key cannot be written to {path}: {source}")]
    AdminFile {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The host: the task that made the change ended early.
    #[error("the change of the keys was interrupted")]
    Interrupted,
}

impl KeyError {
    /// Whether the host had no room to write.
    #[must_use]
    pub fn is_out_of_space(&self) -> bool {
        is_out_of_space(self)
    }
}
