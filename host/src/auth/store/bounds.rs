//! The numbers that bound what the store keeps. Errors name them.

use std::time::Duration;

/// Stored keys, revoked ones included. Bounds memory: the store reads all of them at the start.
pub(super) const KEYS_MAX: usize = 100_000;

/// Characters of a key's name.
pub(super) const NAME_CHARACTERS_MAX: usize = 100;

/// Models that one key can be limited to.
pub(super) const MODELS_MAX: usize = 1_000;

/// Networks in each of the two lists of a key.
pub const NETWORKS_MAX: usize = 256;

/// The longest time that a replaced secret may go on working.
pub const ROTATION_OVERLAP_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Replaced secrets of one key that work at the same time. A rotation too many ends the oldest.
pub const OLD_SECRETS_MAX: usize = 2;
