//! The caller of a request, as proven by the key store.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::allowance::{Allowance, Networks};
use super::scope::{Scope, Scopes, Tier};
use crate::ids::KeyId;

/// Who is calling. A proof value: outside tests only the key store makes one that stands for a
/// key. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Caller(Option<Arc<Grant>>);

/// What a key may do, without anything of its secret.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) id: KeyId,
    pub(super) scopes: Scopes,
    /// None: all models.
    pub(super) models: Option<BTreeSet<String>>,
    pub(super) allowance: Allowance,
    pub(super) networks: Networks,
    pub(super) expires: Option<jiff::Timestamp>,
}

/// The caller lacks a right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// There is a key, and it does not have the scope.
    #[error("this key does not have the scope `{0}`")]
    Scope(Scope),
    /// There is no key, and without one this cannot be done.
    #[error("this needs an API key with the scope `{0}`")]
    KeyNeeded(Scope),
}

impl Caller {
    /// A caller without a key. Harmless to make anywhere: it has the fewest rights there are.
    #[must_use]
    pub fn anonymous() -> Self {
        Self(None)
    }

    pub(super) fn with(grant: Arc<Grant>) -> Self {
        Self(Some(grant))
    }

    /// The key that was presented, unless there was none.
    #[must_use]
    pub fn key_id(&self) -> Option<&KeyId> {
        self.0.as_ref().map(|grant| &grant.id)
    }

    /// Whether the caller has a right.
    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        self.0
            .as_ref()
            .map_or(Scopes::USE, |grant| grant.scopes)
            .contains(scope)
    }

    /// Insists on a right.
    ///
    /// # Errors
    ///
    /// When the caller does not have it.
    pub fn require(&self, scope: Scope) -> Result<(), Denied> {
        match (self.has(scope), &self.0) {
            (true, _) => Ok(()),
            (false, Some(_)) => Err(Denied::Scope(scope)),
            (false, None) => Err(Denied::KeyNeeded(scope)),
        }
    }

    /// Whether the caller may know of the model of that name. For others it does not exist.
    #[must_use]
    pub fn may_use(&self, model_name: &str) -> bool {
        self.0
            .as_ref()
            .and_then(|grant| grant.models.as_ref())
            .is_none_or(|allowed| allowed.contains(model_name))
    }

    /// The tier of the key, where one was given.
    #[must_use]
    pub fn tier(&self) -> Option<Tier> {
        self.allowance().tier
    }

    /// The key's own limit of requests a minute, where one was given.
    #[must_use]
    pub fn requests_per_minute(&self) -> Option<u32> {
        self.allowance().rpm
    }

    /// The key's own limit of tokens a minute, where one was given.
    #[must_use]
    pub fn tokens_per_minute(&self) -> Option<u32> {
        self.allowance().tpm
    }

    /// How much the caller may use. Nothing is said for a caller without a key, nor for a key of
    /// the configuration: the server's settings hold.
    #[must_use]
    pub fn allowance(&self) -> &Allowance {
        const UNSAID: &Allowance = &Allowance::UNSAID;
        self.0.as_ref().map_or(UNSAID, |grant| &grant.allowance)
    }

    /// Where the key may be used from; everywhere without a key.
    #[must_use]
    pub fn networks(&self) -> &Networks {
        const EVERYWHERE: &Networks = &Networks::EVERYWHERE;
        self.0.as_ref().map_or(EVERYWHERE, |grant| &grant.networks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_key_models_can_be_used_and_nothing_managed() {
        let caller = Caller::anonymous();
        assert_eq!(caller.require(Scope::Infer), Ok(()));
        assert_eq!(caller.require(Scope::ModelsRead), Ok(()));
        assert!(caller.may_use("any"));
        for scope in [Scope::ModelsWrite, Scope::Admin, Scope::Metrics] {
            assert_eq!(caller.require(scope), Err(Denied::KeyNeeded(scope)));
        }
    }

    #[test]
    fn a_key_for_some_models_knows_no_others() {
        let caller = Caller::with(Arc::new(Grant {
            id: KeyId::random(),
            scopes: "infer".parse().unwrap_or_default(),
            models: Some(BTreeSet::from(["a".to_owned()])),
            allowance: Allowance::default(),
            networks: Networks::default(),
            expires: None,
        }));
        assert!(caller.may_use("a"));
        assert!(!caller.may_use("b"));
        assert_eq!(
            caller.require(Scope::ModelsRead),
            Err(Denied::Scope(Scope::ModelsRead))
        );
    }
}
