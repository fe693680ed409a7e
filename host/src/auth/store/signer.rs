//! Keys that sign, in memory.

use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::auth::caller::{Account, Grant};
use crate::auth::key::KeyDigest;
use crate::auth::signing::{Nonces, SecretMac, Signing, SigningSecret};

/// A key that signs, or has.
#[derive(Clone)]
pub(super) struct Signer {
    pub(super) requirement: Signing,
    pub(super) generation: u32,
    pub(super) current: Arc<SigningGrant>,
    /// The secret before, for as long as it works.
    pub(super) old: Option<Arc<SigningGrant>>,
    pub(super) nonces: Arc<Nonces>,
}

/// One secret that signs.
pub(super) struct SigningGrant {
    pub(super) digest: KeyDigest,
    mac: SecretMac,
    pub(super) grant: Arc<Grant>,
}

impl SigningGrant {
    pub(super) fn new(secret: &SigningSecret, account: &Arc<Account>) -> Self {
        Self {
            digest: secret.digest(),
            mac: secret.mac(),
            grant: Arc::new(Grant {
                account: Arc::clone(account),
                until: None,
                ended: account.ended.child_token(),
            }),
        }
    }

    /// The same secret of a key whose rights are others now.
    fn of(&self, account: &Arc<Account>) -> Self {
        Self {
            digest: self.digest,
            mac: self.mac.clone(),
            grant: Arc::new(self.grant.of(account)),
        }
    }

    /// The same until then only. What was let in with it keeps its signal.
    pub(super) fn until(&self, until: Timestamp) -> Self {
        Self {
            digest: self.digest,
            mac: self.mac.clone(),
            grant: Arc::new(Grant {
                account: Arc::clone(&self.grant.account),
                until: Some(until),
                ended: self.grant.ended.clone(),
            }),
        }
    }
}

impl Signer {
    /// The same with its secrets, of a key whose rights are others now.
    pub(super) fn of(&self, account: &Arc<Account>) -> Self {
        let of = |secret: &Arc<SigningGrant>| Arc::new(secret.of(account));
        Self {
            current: of(&self.current),
            old: self.old.as_ref().map(of),
            ..self.clone()
        }
    }

    /// The secrets that sign, the current one first.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &Arc<SigningGrant>> {
        std::iter::once(&self.current).chain(&self.old)
    }

    pub(super) fn grants(&self) -> impl Iterator<Item = &Arc<Grant>> {
        self.secrets().map(|secret| &secret.grant)
    }

    /// The grant of the secret that has signed a message; none where no secret of the key that
    /// works has.
    pub(super) fn grant_of(
        &self,
        message: &[u8],
        signature: &[u8],
        now: Timestamp,
    ) -> Option<&Arc<Grant>> {
        if self.requirement == Signing::None {
            return None;
        }
        let is_over = |grant: &Grant| grant.until.is_some_and(|until| until <= now);
        self.secrets()
            .filter(|secret| !is_over(&secret.grant))
            .find(|secret| secret.mac.verifies(message, signature))
            .map(|secret| &secret.grant)
    }

    /// The signals of the secrets that work here and do not in what comes after it.
    pub(super) fn ending_in(&self, next: &Self) -> Vec<CancellationToken> {
        let stays = |secret: &SigningGrant| {
            next.requirement != Signing::None
                && next.secrets().any(|kept| kept.digest == secret.digest)
        };
        let ending = self.secrets().filter(|secret| !stays(secret));
        ending.map(|secret| secret.grant.ended.clone()).collect()
    }
}
