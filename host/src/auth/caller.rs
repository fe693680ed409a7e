//! The caller of a request, as proven by the key store.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::allowance::Allowance;
use super::scope::{Scope, Scopes};
use super::usage::KeyUsage;
use crate::ids::KeyId;
use crate::net::NetworkAcl;

/// The caller of a request. A proof value: outside tests only the key store makes one that
/// stands for a key. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Caller(Identity);

#[derive(Clone, Debug)]
enum Identity {
    /// Nothing was presented.
    Unnamed,
    /// What was presented is no key of this server, and none is needed.
    Unknown,
    Key(Arc<Grant>),
}

/// The right of a caller to come in: one secret of one key. A key has several while it is being
/// rotated.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) account: Arc<Account>,
    /// The time at which the secret stops working, where it has been replaced.
    pub(super) until: Option<Timestamp>,
    /// Cancelled when the secret stops working, for whatever reason.
    pub(super) ended: CancellationToken,
}

/// A key, or a caller by token, and what it may do, without anything of its secrets.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) id: KeyId,
    pub(super) scopes: Scopes,
    /// The models that it may use; none for all.
    pub(super) models: Option<BTreeSet<String>>,
    pub(super) allowance: Allowance,
    pub(super) networks: NetworkAcl,
    pub(super) expires: Option<Timestamp>,
    pub(super) usage: Arc<KeyUsage>,
    /// Cancelled when the key ends, and its secrets with it.
    pub(super) ended: CancellationToken,
}

impl Grant {
    /// The same secret of a key whose rights are others now. What was let in with it keeps its
    /// signal.
    pub(super) fn of(&self, account: &Arc<Account>) -> Self {
        Self {
            account: Arc::clone(account),
            until: self.until,
            ended: self.ended.clone(),
        }
    }

    /// The same with the signal of another grant, of the same secret.
    pub(super) fn with_signal(&self, other: &Self) -> Self {
        Self {
            account: Arc::clone(&self.account),
            until: self.until,
            ended: other.ended.clone(),
        }
    }

    /// The time at which the grant ends by itself.
    pub(super) fn end(&self) -> Option<Timestamp> {
        self.until.into_iter().chain(self.account.expires).min()
    }
}

/// The caller lacks a right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The caller's key does not have the scope.
    #[error("this key does not have the scope `{0}`")]
    Scope(Scope),
    /// The caller has no key, and without one this cannot be done.
    #[error("this needs an API key with the scope `{0}`")]
    KeyNeeded(Scope),
    /// The caller has presented something else than a key of this server, and without one this
    /// cannot be done.
    #[error("the API key is not known here, and this needs one with the scope `{0}`")]
    KeyUnknown(Scope),
}

impl Caller {
    /// A caller without a key. Harmless to make anywhere: it has the fewest rights there are.
    #[must_use]
    pub fn anonymous() -> Self {
        Self(Identity::Unnamed)
    }

    /// A caller whose key is none of this server's, where none is needed. Has the rights of one
    /// without a key, and hears another reason where those do not reach.
    #[must_use]
    pub fn with_unknown_key() -> Self {
        Self(Identity::Unknown)
    }

    pub(super) fn with(grant: Arc<Grant>) -> Self {
        Self(Identity::Key(grant))
    }

    fn grant(&self) -> Option<&Arc<Grant>> {
        match &self.0 {
            Identity::Key(grant) => Some(grant),
            Identity::Unnamed | Identity::Unknown => None,
        }
    }

    /// The key that was presented, unless there was none.
    #[must_use]
    pub fn key_id(&self) -> Option<&KeyId> {
        self.account().map(|account| &account.id)
    }

    /// The counts of the key's usage; none without a key.
    #[must_use]
    pub fn usage(&self) -> Option<&Arc<KeyUsage>> {
        self.account().map(|account| &account.usage)
    }

    /// Is cancelled when the secret that was presented stops working: the key was revoked,
    /// deleted or has expired, or the secret was replaced and its time is over. None without a
    /// key.
    #[must_use]
    pub fn ended(&self) -> Option<&CancellationToken> {
        self.grant().map(|grant| &grant.ended)
    }

    fn account(&self) -> Option<&Account> {
        self.grant().map(|grant| &*grant.account)
    }

    /// Whether the caller has a right.
    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        self.account()
            .map_or(Scopes::USE, |account| account.scopes)
            .contains(scope)
    }

    /// Insists on a right.
    ///
    /// # Errors
    ///
    /// When the caller does not have it.
    pub fn require(&self, scope: Scope) -> Result<(), Denied> {
        if self.has(scope) {
            return Ok(());
        }
        Err(match &self.0 {
            Identity::Key(_) => Denied::Scope(scope),
            Identity::Unnamed => Denied::KeyNeeded(scope),
            Identity::Unknown => Denied::KeyUnknown(scope),
        })
    }

    /// Insists on a right that one of two scopes gives, where there are two. Who has neither is told
    /// of the first.
    ///
    /// # Errors
    ///
    /// When the caller has neither.
    pub fn require_either(&self, scope: Scope, or: Option<Scope>) -> Result<(), Denied> {
        if or.is_some_and(|or| self.has(or)) {
            return Ok(());
        }
        self.require(scope)
    }

    /// Whether the caller may know of the model of that name. For others it does not exist.
    #[must_use]
    pub fn may_use(&self, model_name: &str) -> bool {
        self.account()
            .and_then(|account| account.models.as_ref())
            .is_none_or(|allowed| allowed.contains(model_name))
    }

    /// The amounts that the caller may use. Nothing is said for a caller without a key, nor for a
    /// key of the configuration: the server's settings hold.
    #[must_use]
    pub fn allowance(&self) -> &Allowance {
        const UNSAID: &Allowance = &Allowance::UNSAID;
        self.account().map_or(UNSAID, |account| &account.allowance)
    }

    /// The networks that the key may be used from; all of them without a key.
    #[must_use]
    pub fn networks(&self) -> &NetworkAcl {
        const EVERYWHERE: &NetworkAcl = &NetworkAcl::EVERYWHERE;
        self.account()
            .map_or(EVERYWHERE, |account| &account.networks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn without_a_key_models_can_be_used_and_nothing_managed() {
        let caller = Caller::anonymous();
        assert_eq!(caller.require(Scope::Infer), Ok(()));
        assert_eq!(caller.require(Scope::ModelsRead), Ok(()));
        assert!(caller.may_use("any"));
        for scope in [Scope::ModelsWrite, Scope::Admin, Scope::Metrics] {
            assert_eq!(caller.require(scope), Err(Denied::KeyNeeded(scope)));
            let unknown = Caller::with_unknown_key();
            assert_eq!(unknown.require(scope), Err(Denied::KeyUnknown(scope)));
        }
        assert_eq!(Caller::with_unknown_key().require(Scope::Infer), Ok(()));
    }

    #[test]
    fn a_key_for_some_models_knows_no_others() {
        let account = Account {
            id: KeyId::random(),
            scopes: "infer".parse().unwrap_or_default(),
            models: Some(BTreeSet::from(["a".to_owned()])),
            allowance: Allowance::default(),
            networks: NetworkAcl::EVERYWHERE,
            expires: None,
            usage: Arc::new(KeyUsage::new(Clock::system())),
            ended: CancellationToken::new(),
        };
        let caller = Caller::with(Arc::new(Grant {
            account: Arc::new(account),
            until: None,
            ended: CancellationToken::new(),
        }));
        assert!(caller.may_use("a"));
        assert!(!caller.may_use("b"));
        assert_eq!(
            caller.require(Scope::ModelsRead),
            Err(Denied::Scope(Scope::ModelsRead))
        );
    }
}
