//! JSON Web Tokens (RFC 7519) as a second kind of credential: made by an issuer, signed by keys
//! that it publishes, and checked here once each.
//!
//! A token that holds becomes a caller like one with a key: the same type, with an id that is
//! made of the issuer and of what the issuer calls the caller. So whatever keeps state by key
//! keeps it for callers by token as well. Knows no HTTP and no database: what has to be on disk
//! is written by the store.

mod bounds;
mod claims;
mod config;
mod error;
mod key_set;
mod keys;
mod revoked;
mod seen;
mod source;
mod text;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

pub(super) use bounds::COUNTS_KEPT;
use claims::Claims;
pub use config::{
    InvalidJwtAlgorithm, InvalidJwtText, InvalidKeySource, InvalidScopeRule, JwtAlgorithm,
    JwtConfig, JwtText, KeySource, ScopeRule,
};
pub use error::{JwtError, TokenError};
use key_set::{KeyPrint, KeySet};
use keys::Keys;
pub use revoked::RevokedToken;
use revoked::RevokedTokens;
pub(super) use revoked::checked_id;
pub use seen::TokenCaller;
use seen::{Seen, SeenToken};
use text::Parts;
pub(super) use text::TokenText;

use super::allowance::Allowance;
use super::caller::{Account, Caller, Grant};
use super::key::KeyDigest;
use super::usage::KeyUsage;
use crate::clock::Clock;
use crate::ids::KeyId;
use crate::net::NetworkAcl;
use crate::telemetry::metrics;

/// The tokens of one issuer. Cheap to clone.
#[derive(Clone)]
pub(super) struct Jwt(Arc<Inner>);

struct Inner {
    rules: ArcSwap<Rules>,
    keys: Keys,
    revoked: RevokedTokens,
    seen: Seen,
    clock: Clock,
}

/// What tokens are held to, which may change.
struct Rules {
    config: JwtConfig,
    /// Which rules these are, counted since the start: a token that was found to hold by others is
    /// looked into again.
    turn: u64,
}

/// A token whose signature and claims hold.
#[derive(Debug)]
pub(super) struct Verified {
    /// The id of its caller.
    pub(super) id: KeyId,
    claims: Claims,
    key: KeyPrint,
    /// The rules that it holds by.
    turn: u64,
}

impl Verified {
    /// What the issuer calls its caller.
    pub(super) fn caller(&self) -> &str {
        &self.claims.caller
    }
}

/// What the files of the settings hold, read anew and not taken up yet.
pub struct JwtFiles {
    rules: JwtConfig,
    keys: Option<KeySet>,
    revoked: Option<HashSet<String>>,
}

impl Jwt {
    /// Gets ready to take tokens; none where the settings take none. Keys of a URL are read once
    /// somebody [keeps](Self::keep) them.
    pub(super) async fn open(config: &JwtConfig, clock: &Clock) -> Result<Option<Self>, JwtError> {
        let (true, Some(source)) = (config.is_on(), &config.jwks) else {
            return Ok(None);
        };
        let revoked = RevokedTokens::default();
        if let Some(path) = &config.revoked {
            revoked.set_file(source::revoked_ids(path).await?);
        }
        Ok(Some(Self(Arc::new(Inner {
            keys: Keys::open(source, config, clock.clone()).await?,
            rules: ArcSwap::from_pointee(Rules {
                config: config.clone(),
                turn: 0,
            }),
            revoked,
            seen: Seen::new(),
            clock: clock.clone(),
        }))))
    }

    /// The caller of a token that was seen before; none for one that has to be looked into.
    pub(super) fn find(&self, digest: &KeyDigest) -> Option<Result<Caller, TokenError>> {
        let inner = &*self.0;
        // Not even a token that was good before is, once nobody knows whether its key is.
        if !inner.keys.are_good() {
            return None;
        }
        let turn = inner.rules.load().turn;
        let found = inner.seen.find(digest, turn, inner.clock.now())?;
        Some(found.map(Caller::with))
    }

    /// Checks all that a token says. Waits, in bounded time, where its key is not known.
    pub(super) async fn verify(&self, token: &TokenText) -> Result<Verified, TokenError> {
        let parts = token.parts()?;
        let rules = self.0.rules.load_full();
        if !rules.config.algorithms.contains(&parts.algorithm) {
            return Err(TokenError::Algorithm);
        }
        match self.verify_now(&parts, &rules) {
            Err(TokenError::UnknownKey | TokenError::Unavailable) => {
                self.0.keys.read_again().await;
                self.verify_now(&parts, &rules)
            }
            outcome => outcome,
        }
    }

    fn verify_now(&self, parts: &Parts<'_>, rules: &Rules) -> Result<Verified, TokenError> {
        let (inner, config) = (&*self.0, &rules.config);
        let keys = inner.keys.current().ok_or(TokenError::Unavailable)?;
        let key = keys.find(parts.kid.as_deref(), parts.algorithm)?;
        let claims = parts.signed_by(key)?;
        let claims = Claims::read(&claims, config, inner.clock.now())?;
        let issuer = config.issuer.as_ref().map_or("", JwtText::as_str);
        Ok(Verified {
            id: KeyId::of_caller(issuer, &claims.caller),
            claims,
            key: key.print(),
            turn: rules.turn,
        })
    }

    /// Lets in the caller of a token, unless it was revoked or its key is gone.
    pub(super) fn admit(
        &self,
        digest: KeyDigest,
        verified: Verified,
        usage: Arc<KeyUsage>,
    ) -> Result<Caller, TokenError> {
        let Verified {
            id,
            claims,
            key,
            turn,
        } = verified;
        let ended = CancellationToken::new();
        let account = Account {
            id,
            scopes: claims.scopes,
            models: claims.models,
            allowance: Allowance {
                tier: claims.tier,
                ..Allowance::default()
            },
            networks: NetworkAcl::EVERYWHERE,
            expires: Some(claims.until),
            usage,
            ended: ended.clone(),
        };
        let grant = Grant {
            account: Arc::new(account),
            until: None,
            ended,
        };
        let (jti, until) = (claims.jti, claims.until);
        let token = SeenToken {
            grant: Arc::new(grant),
            before: Vec::new(),
            jti: jti.clone(),
            key,
            turn,
            until,
            was_used: AtomicBool::new(false),
        };
        let inner = &*self.0;
        let grant = inner.seen.insert(digest, token, || {
            if jti.is_some_and(|jti| inner.revoked.has(&jti)) {
                return Err(TokenError::Revoked);
            }
            let keys = inner.keys.current().ok_or(TokenError::Unavailable)?;
            keys.has(&key).then_some(()).ok_or(TokenError::UnknownKey)
        });
        grant.map(Caller::with)
    }

    /// The counts of a caller, if they are in memory.
    pub(super) fn usage(&self, id: &KeyId) -> Option<Arc<KeyUsage>> {
        self.0.seen.usage(id)
    }

    /// Takes in the counts of a caller.
    pub(super) fn add_caller(&self, id: KeyId, caller: &str, usage: KeyUsage) -> Arc<KeyUsage> {
        self.0.seen.add_caller(id, caller.to_owned(), usage)
    }

    /// The counts of all callers in memory.
    pub(super) fn usages(&self) -> Vec<(KeyId, Arc<KeyUsage>)> {
        self.0.seen.usages()
    }

    /// The callers in memory.
    pub(super) fn callers(&self) -> Vec<TokenCaller> {
        self.0.seen.callers()
    }

    /// Whether callers have to be forgotten before there are more.
    pub(super) fn is_full_of_callers(&self) -> bool {
        self.0.seen.is_full_of_callers()
    }

    /// Forgets callers whose counts are in the database, where there are too many.
    pub(super) fn forget_idle_callers(&self) {
        self.0.seen.forget_idle_callers();
    }

    /// The tokens that administrators have revoked.
    pub(super) fn revoked(&self) -> Vec<RevokedToken> {
        self.0.revoked.list()
    }

    /// The revocation of an id, if an administrator has made it.
    pub(super) fn revocation(&self, jti: &str) -> Option<RevokedToken> {
        self.0.revoked.of(jti)
    }

    /// A revocation that holds until no token with that id can hold any more; none where there
    /// is no room for one.
    pub(super) fn new_revocation(&self, jti: String, now: Timestamp) -> Option<RevokedToken> {
        if !self.0.revoked.has_room(now) {
            return None;
        }
        let rules = self.0.rules.load();
        let config = &rules.config;
        // The leeway counts before the end and after it.
        let spans = [config.lifetime_max, config.leeway, config.leeway];
        let until = spans.into_iter().fold(now, |time, span| {
            let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
            time.saturating_add(span).unwrap_or(Timestamp::MAX)
        });
        Some(RevokedToken {
            jti,
            revoked: now,
            until,
        })
    }

    /// Takes up revocations that are on disk, and ends what they are about.
    pub(super) fn revoke(&self, tokens: Vec<RevokedToken>) {
        self.0.revoked.add(tokens);
        self.end_revoked();
    }

    fn end_revoked(&self) {
        let inner = &*self.0;
        inner.seen.end(|token| {
            let jti = token.jti.as_deref();
            jti.is_some_and(|jti| inner.revoked.has(jti))
        });
    }

    fn end_of_gone_keys(&self) {
        if let Some(keys) = self.0.keys.last_read() {
            self.0.seen.end(|token| !keys.has(&token.key));
        }
    }

    /// Ends the tokens whose time is over. Costs one comparison where there are none.
    pub(super) fn end_what_is_over(&self) {
        self.0.seen.end_what_is_over(self.0.clock.now());
    }

    /// Reads the files that the settings name, and takes up nothing. Keys of a URL are read soon
    /// after. The issuer, the place of its keys and how often these are read stay.
    pub(super) async fn look(&self, config: &JwtConfig) -> Result<JwtFiles, JwtError> {
        let inner = &*self.0;
        Ok(JwtFiles {
            rules: config.clone(),
            keys: match inner.keys.are_of_file() {
                true => Some(inner.keys.look().await?),
                false => None,
            },
            revoked: match &config.revoked {
                Some(path) => Some(source::revoked_ids(path).await?),
                None => None,
            },
        })
    }

    /// Goes by what was read, from now on.
    pub(super) fn take_up(&self, files: JwtFiles) {
        let before = self.0.rules.load();
        if before.config != files.rules {
            self.0.rules.store(Arc::new(Rules {
                config: files.rules,
                turn: before.turn.wrapping_add(1),
            }));
        }
        match files.keys {
            Some(keys) => self.0.keys.take_up(keys),
            None => self.0.keys.make_due(),
        }
        self.end_of_gone_keys();
        self.0.revoked.set_file(files.revoked.unwrap_or_default());
        self.end_revoked();
    }

    /// Reads the keys and the file of revoked ids where it is time, or somebody waits for them.
    pub(super) async fn keep(&self) {
        let inner = &*self.0;
        let wanted = tokio::select! {
            () = inner.keys.wanted() => true,
            () = tokio::time::sleep(LOOK_PERIOD) => false,
        };
        if inner.keys.is_due() || (wanted && inner.keys.may_begin()) {
            inner.keys.read().await;
            self.end_of_gone_keys();
            self.read_revoked().await;
        }
        inner.keys.tell_age();
        metrics::JWT_TOKENS.handle().set(count(inner.seen.len()));
    }

    async fn read_revoked(&self) {
        let rules = self.0.rules.load_full();
        let Some(path) = &rules.config.revoked else {
            return;
        };
        match source::revoked_ids(path).await {
            // Where another file counts meanwhile, it has been read.
            Ok(_) if self.0.rules.load().turn != rules.turn => {}
            Ok(ids) => {
                self.0.revoked.set_file(ids);
                self.end_revoked();
            }
            Err(error) => tracing::error!("the revoked ids stay as they are: {error}"),
        }
    }
}

/// The time between two looks whether the keys have to be read.
const LOOK_PERIOD: std::time::Duration = std::time::Duration::from_millis(250);

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
