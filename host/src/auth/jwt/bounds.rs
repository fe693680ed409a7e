//! The numbers that bound what is read and kept of tokens. Errors name them.

use std::time::Duration;

/// Bytes of the id of a key (`kid`), of a token (`jti`) and of a caller.
pub(super) const ID_BYTES_MAX: usize = 256;

/// Bytes of a key set.
pub(super) const KEY_SET_BYTES_MAX: usize = 256 << 10;

/// Keys of a set; those after them are not looked at.
pub(super) const KEYS_MAX: usize = 100;

/// Bits of an RSA modulus: fewer can be broken, more take their checker's time.
pub(super) const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Ids of revoked tokens, those of the file and those of administrators each.
pub(super) const REVOKED_MAX: usize = 100_000;

/// Bytes of the file with revoked ids.
pub(super) const REVOKED_BYTES_MAX: usize = REVOKED_MAX * (ID_BYTES_MAX + 1);

/// Tokens that were found to hold and are known again, about 1 KiB each. Beyond them one that
/// was not used lately goes, and is checked anew when it comes back; those that something open
/// was let in with stay besides, to end it.
pub(super) const TOKENS_MAX: usize = 10_000;

/// Callers whose counts are in memory. Beyond them those without a token in memory go; their
/// counts are in the database. Twice [`TOKENS_MAX`], so that each such clearing makes room for
/// many.
pub(super) const CALLERS_MAX: usize = 20_000;

/// How long the counts of a caller by token stay in the database after its last request.
pub(in crate::auth) const COUNTS_KEPT: Duration = Duration::from_secs(400 * 24 * 3600);

/// Models that one token can list.
pub(super) const MODELS_MAX: usize = 1_000;
