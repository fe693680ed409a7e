//! Why a token does not hold, and why keys cannot be read.

use std::path::PathBuf;

use super::bounds::{ID_BYTES_MAX, REVOKED_MAX};

/// The reason why a token does not hold. Its caller hears none of this: it is for the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It cannot be read.
    #[error("it cannot be read")]
    Malformed,
    /// Its type is one that speaks for no caller.
    #[error("its `typ` is not that of a token for access")]
    Type,
    /// It has what must be understood and is not.
    #[error("its header wants something to be understood that is not")]
    Critical,
    /// Its algorithm is not listed, or its key is of another kind.
    #[error("its algorithm is not taken, or not that of its key")]
    Algorithm,
    /// It names no key, and there are several.
    #[error("it names no key (`kid`), and there are several")]
    NoKeyId,
    /// It names a key that is not there.
    #[error("its key is not known")]
    UnknownKey,
    /// It is not signed by its key.
    #[error("its signature is not that of its key")]
    Signature,
    /// A claim is missing or of another type.
    #[error("a claim is missing, or is not of its type")]
    Claims,
    /// It is somebody else's.
    #[error("its issuer is another one")]
    Issuer,
    /// It is for somebody else.
    #[error("it is made for another audience")]
    Audience,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// Its time has not come.
    #[error("it is not valid yet")]
    NotYetValid,
    /// It was made in the future.
    #[error("it was issued in the future")]
    IssuedInTheFuture,
    /// It is valid for longer than any token may be.
    #[error("its end is too far away")]
    Lifetime,
    /// It was revoked.
    #[error("it has been revoked")]
    Revoked,
    /// The host: what vouches for tokens cannot be read, so nobody knows whether it holds.
    #[error("the keys that vouch for tokens cannot be read")]
    Unavailable,
}

impl TokenError {
    /// The name in metrics and in the audit log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "token_malformed",
            Self::Type => "token_type",
            Self::Critical => "token_critical",
            Self::Algorithm => "token_algorithm",
            Self::NoKeyId => "token_no_kid",
            Self::UnknownKey => "token_unknown_kid",
            Self::Signature => "token_signature",
            Self::Claims => "token_claims",
            Self::Issuer => "token_issuer",
            Self::Audience => "token_audience",
            Self::Expired => "token_expired",
            Self::NotYetValid => "token_not_yet_valid",
            Self::IssuedInTheFuture => "token_issued_in_future",
            Self::Lifetime => "token_lifetime",
            Self::Revoked => "token_revoked",
            Self::Unavailable => "token_keys_unavailable",
        }
    }
}

/// Why what vouches for tokens, or what takes that back, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JwtError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The server of the keys does not give them.
    #[error("{url} does not give the keys: {reason}")]
    Url {
        /// The address.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// There is more than is ever meant.
    #[error("{place} has more than {bytes_max} bytes")]
    TooLarge {
        /// The file or URL.
        place: String,
        /// The most that is read.
        bytes_max: usize,
    },
    /// It is no key set.
    #[error("{place} is no set of keys (RFC 7517): {reason}")]
    NotKeys {
        /// The file or URL.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// None of its keys can be used.
    #[error("{place} has no key that can be used: {reason}")]
    NoKeys {
        /// The file or URL.
        place: String,
        /// Why the first one cannot.
        reason: String,
    },
    /// A line of the revoked ids is none.
    #[error("{path}, line {line}: an id (`jti`) is 1 to {ID_BYTES_MAX} visible ASCII characters")]
    RevokedLine {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// There are more revoked ids than are kept.
    #[error("there are more than {REVOKED_MAX} revoked ids; that is the most this server keeps")]
    TooManyRevoked,
    /// The id is none.
    #[error("an id (`jti`) is 1 to {ID_BYTES_MAX} visible ASCII characters")]
    TokenId,
    /// No tokens are taken.
    #[error("this server takes no tokens: `jwt.issuer` is not set")]
    Off,
    /// The client for the keys cannot be set up.
    #[error("the keys of `jwt.jwks` cannot be asked for: {0}")]
    Client(String),
}
