//! The kinds of credentials, and of those whom they stand for.
//!
//! There is one kind of each today. A signed token, a client's certificate or a signed request
//! would be another [`Credential`] that the gate reads from a request, checked by a module of its
//! own beside the key store, which makes a [`Caller`](super::Caller) with another [`Principal`].

use super::key::PresentedKey;
use crate::ids::KeyId;

/// What was presented to say who is calling.
#[derive(Clone, Copy, Debug)]
pub enum Credential {
    /// A secret that the caller and this server know.
    ApiKey(PresentedKey),
}

impl Credential {
    /// Whether two credentials of one request say the same.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::ApiKey(one), Self::ApiKey(other)) => one.same_as(other),
        }
    }
}

/// Who is calling, as far as that was proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Principal<'a> {
    /// Nobody in particular.
    Anonymous,
    /// Whoever holds the key.
    Key(&'a KeyId),
}
