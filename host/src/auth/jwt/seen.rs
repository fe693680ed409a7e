//! The tokens that were found to hold, so that each is checked once, and the counts of their
//! callers. Both are bounded.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use jiff::Timestamp;
use parking_lot::RwLock;

use super::bounds::{CALLERS_MAX, TOKENS_MAX};
use super::error::TokenError;
use super::key_set::KeyPrint;
use crate::auth::caller::Grant;
use crate::auth::key::KeyDigest;
use crate::auth::usage::{KeyUsage, UsageCounts};
use crate::ids::KeyId;

/// Tokens that are looked at to find one that can go.
const TRIES_MAX: usize = 64;

/// A token that was found to hold.
#[derive(Debug)]
pub(super) struct SeenToken {
    pub(super) grant: Arc<Grant>,
    /// The grants by rules of before that something open was let in with.
    pub(super) before: Vec<Arc<Grant>>,
    /// The id of the token.
    pub(super) jti: Option<String>,
    /// The key that has signed it.
    pub(super) key: KeyPrint,
    /// The rules that it holds by.
    pub(super) turn: u64,
    /// The time at which it is over.
    pub(super) until: Timestamp,
    /// Whether it was asked for since somebody looked for one that can go.
    pub(super) was_used: AtomicBool,
}

/// A caller by token, as it is known since the start.
#[derive(Clone, Debug, serde::Serialize)]
pub struct TokenCaller {
    /// What limits, usage, bans and records know it by.
    pub id: KeyId,
    /// What its issuer calls it.
    pub caller: String,
    /// What it has used.
    pub usage: UsageCounts,
}

/// Tokens and callers.
#[derive(Debug)]
pub(super) struct Seen {
    tables: RwLock<Tables>,
    /// The time at which a token ends by itself next, in milliseconds since 1970.
    next_end_ms: AtomicI64,
}

#[derive(Debug, Default)]
struct Tables {
    tokens: HashMap<KeyDigest, SeenToken>,
    /// In the order in which they were let in, or given a second chance.
    order: VecDeque<KeyDigest>,
    callers: HashMap<KeyId, (String, Arc<KeyUsage>)>,
}

impl Seen {
    pub(super) fn new() -> Self {
        Self {
            tables: RwLock::default(),
            next_end_ms: AtomicI64::new(i64::MAX),
        }
    }

    /// The grant of a token that was seen before, and holds by the rules that are in force.
    pub(super) fn find(
        &self,
        digest: &KeyDigest,
        turn: u64,
        now: Timestamp,
    ) -> Option<Result<Arc<Grant>, TokenError>> {
        let tables = self.tables.read();
        let token = tables.tokens.get(digest)?;
        if token.turn != turn {
            return None;
        }
        if token.until <= now {
            return Some(Err(TokenError::Expired));
        }
        // Written only where it changes something: all threads read this line.
        if !token.was_used.load(Ordering::Relaxed) {
            token.was_used.store(true, Ordering::Relaxed);
        }
        Some(Ok(Arc::clone(&token.grant)))
    }

    /// Takes in a token, if it still holds. One that is here keeps its signal, also where it has
    /// other rights by now: what was let in with it ends when it does. That it holds is asked while nobody can end tokens: one that
    /// is revoked meanwhile is either refused here, or is here to be ended.
    pub(super) fn insert(
        &self,
        digest: KeyDigest,
        token: SeenToken,
        holds: impl FnOnce() -> Result<(), TokenError>,
    ) -> Result<Arc<Grant>, TokenError> {
        let mut tables = self.tables.write();
        holds()?;
        let end_ms = token.until.as_millisecond();
        if let Some(known) = tables.tokens.get_mut(&digest) {
            if known.turn != token.turn {
                let grant = Arc::new(token.grant.with_signal(&known.grant));
                let old = std::mem::replace(known, SeenToken { grant, ..token });
                known.before = old.before;
                known.before.push(old.grant);
                known.before.retain(|grant| Arc::strong_count(grant) > 1);
                self.next_end_ms.fetch_min(end_ms, Ordering::AcqRel);
            }
            return Ok(Arc::clone(&known.grant));
        }
        tables.make_room(TOKENS_MAX);
        let grant = Arc::clone(&token.grant);
        self.next_end_ms.fetch_min(end_ms, Ordering::AcqRel);
        tables.tokens.insert(digest, token);
        tables.order.push_back(digest);
        Ok(grant)
    }

    /// Ends tokens, and what was let in with them.
    pub(super) fn end(&self, is_over: impl Fn(&SeenToken) -> bool) {
        let mut over = Vec::new();
        {
            let mut tables = self.tables.write();
            let Tables { tokens, order, .. } = &mut *tables;
            let gone = tokens.extract_if(|_, token| is_over(token));
            over.extend(gone.map(|(_, token)| token));
            if !over.is_empty() {
                order.retain(|digest| tokens.contains_key(digest));
            }
        }
        // Nobody is let in with them any more; who was hears of it.
        over.iter().for_each(|token| token.grant.ended.cancel());
    }

    /// Ends the tokens whose time is over. Costs one comparison where there are none.
    pub(super) fn end_what_is_over(&self, now: Timestamp) {
        if now.as_millisecond() < self.next_end_ms.load(Ordering::Acquire) {
            return;
        }
        // First, so that one that comes now is not overlooked.
        self.next_end_ms.store(i64::MAX, Ordering::Release);
        self.end(|token| token.until <= now);
        let tables = self.tables.read();
        let ends = tables
            .tokens
            .values()
            .map(|token| token.until.as_millisecond());
        let next = ends.min().unwrap_or(i64::MAX);
        self.next_end_ms.fetch_min(next, Ordering::AcqRel);
    }

    /// The number of tokens.
    pub(super) fn len(&self) -> usize {
        self.tables.read().tokens.len()
    }

    /// The counts of a caller, if they are here.
    pub(super) fn usage(&self, id: &KeyId) -> Option<Arc<KeyUsage>> {
        let tables = self.tables.read();
        tables.callers.get(id).map(|(_, usage)| Arc::clone(usage))
    }

    /// Takes in a caller with its counts.
    pub(super) fn add_caller(&self, id: KeyId, caller: String, usage: KeyUsage) -> Arc<KeyUsage> {
        let mut tables = self.tables.write();
        let (_, usage) = tables
            .callers
            .entry(id)
            .or_insert_with(|| (caller, Arc::new(usage)));
        Arc::clone(usage)
    }

    /// All callers whose counts are here.
    pub(super) fn callers(&self) -> Vec<TokenCaller> {
        let tables = self.tables.read();
        let callers = tables
            .callers
            .iter()
            .map(|(id, (caller, usage))| TokenCaller {
                id: id.clone(),
                caller: caller.clone(),
                usage: usage.counts(),
            });
        callers.collect()
    }

    /// The counts of all callers.
    pub(super) fn usages(&self) -> Vec<(KeyId, Arc<KeyUsage>)> {
        let tables = self.tables.read();
        let usages = tables
            .callers
            .iter()
            .map(|(id, (_, usage))| (id.clone(), Arc::clone(usage)));
        usages.collect()
    }

    /// Whether some callers have to go before there are more.
    pub(super) fn is_full_of_callers(&self) -> bool {
        self.tables.read().callers.len() >= CALLERS_MAX
    }

    /// Forgets the callers that nothing is under way for and no token is here of, where there are
    /// too many. Their counts are in the database: those with counts that are not stay.
    pub(super) fn forget_idle_callers(&self) {
        let mut tables = self.tables.write();
        if tables.callers.len() >= CALLERS_MAX {
            tables
                .callers
                .retain(|_, (_, usage)| Arc::strong_count(usage) > 1 || usage.has_changed());
        }
    }
}

impl Tables {
    /// Lets one token go where there are too many: the oldest that was not used lately, and that
    /// nothing open was let in with, which would not hear of its end.
    fn make_room(&mut self, tokens_max: usize) {
        if self.tokens.len() < tokens_max {
            return;
        }
        for turn in 0..TRIES_MAX {
            let Some(digest) = self.order.pop_front() else {
                return;
            };
            let Some(token) = self.tokens.get(&digest) else {
                continue;
            };
            let mut grants = std::iter::once(&token.grant).chain(&token.before);
            let is_open = grants.any(|grant| Arc::strong_count(grant) > 1);
            let was_used = token.was_used.swap(false, Ordering::Relaxed);
            if is_open || (was_used && turn < TRIES_MAX / 2) {
                self.order.push_back(digest);
                continue;
            }
            self.tokens.remove(&digest);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::auth::allowance::Allowance;
    use crate::auth::caller::Account;
    use crate::auth::key::PresentedKey;
    use crate::auth::scope::Scopes;
    use crate::clock::Clock;
    use crate::net::NetworkAcl;
    use tokio_util::sync::CancellationToken;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn digest(n: usize) -> KeyDigest {
        PresentedKey::parse(n.to_string().as_bytes())
            .unwrap()
            .digest
    }

    fn token(until: i64, jti: &str) -> SeenToken {
        let account = Account {
            id: KeyId::random(),
            scopes: Scopes::USE,
            models: None,
            allowance: Allowance::default(),
            networks: NetworkAcl::EVERYWHERE,
            expires: Some(at(until)),
            usage: Arc::new(KeyUsage::new(Clock::system())),
            ended: CancellationToken::new(),
        };
        SeenToken {
            grant: Arc::new(Grant {
                ended: account.ended.clone(),
                account: Arc::new(account),
                until: None,
            }),
            before: Vec::new(),
            jti: Some(jti.to_owned()),
            key: KeyPrint::for_testing(),
            turn: 0,
            until: at(until),
            was_used: AtomicBool::new(false),
        }
    }

    #[test]
    fn a_token_is_known_until_it_ends() {
        let seen = Seen::new();
        let one = seen.insert(digest(1), token(10, "a"), || Ok(())).unwrap();
        let other = seen.insert(digest(2), token(20, "b"), || Ok(())).unwrap();
        let again = seen.insert(digest(1), token(99, "z"), || Ok(())).unwrap();
        assert!(Arc::ptr_eq(&one, &again));
        let refused = seen.insert(digest(3), token(9, "c"), || Err(TokenError::Revoked));
        assert_eq!(refused.err(), Some(TokenError::Revoked));
        assert!(seen.find(&digest(3), 0, at(0)).is_none());
        let late = seen.find(&digest(1), 0, at(10)).unwrap();
        assert_eq!(late.err(), Some(TokenError::Expired));
        seen.end_what_is_over(at(9));
        assert!(!one.ended.is_cancelled());
        seen.end_what_is_over(at(10));
        assert!(one.ended.is_cancelled() && !other.ended.is_cancelled());
        assert!(seen.find(&digest(1), 0, at(10)).is_none());
        seen.end_what_is_over(at(20));
        assert!(other.ended.is_cancelled());
        assert_eq!(seen.len(), 0);
    }

    #[test]
    fn by_other_rules_a_token_is_looked_into_again_and_keeps_its_signal() {
        let seen = Seen::new();
        let by = |turn| SeenToken {
            turn,
            ..token(10, "a")
        };
        let before = seen.insert(digest(1), by(0), || Ok(())).unwrap();
        assert!(seen.find(&digest(1), 1, at(0)).is_none());
        let after = seen.insert(digest(1), by(1), || Ok(())).unwrap();
        assert!(!Arc::ptr_eq(&before, &after));
        let found = seen.find(&digest(1), 1, at(0)).unwrap().unwrap();
        assert!(Arc::ptr_eq(&found, &after));
        assert_eq!(seen.len(), 1);
        seen.end_what_is_over(at(10));
        assert!(before.ended.is_cancelled() && after.ended.is_cancelled());
    }

    #[test]
    fn the_least_used_go_and_those_that_something_is_open_for_stay() {
        let mut tables = Tables::default();
        for n in 0..100 {
            tables.tokens.insert(digest(n), token(10, "a"));
            tables.order.push_back(digest(n));
        }
        let open = Arc::clone(&tables.tokens[&digest(0)].grant);
        tables.tokens[&digest(1)]
            .was_used
            .store(true, Ordering::Relaxed);
        tables.make_room(100);
        for (n, is_there) in [(0, true), (1, true), (2, false), (3, true)] {
            assert_eq!(tables.tokens.contains_key(&digest(n)), is_there, "{n}");
        }
        drop(open);
        // Where all were used, one goes all the same.
        for token in tables.tokens.values() {
            token.was_used.store(true, Ordering::Relaxed);
        }
        for left in (50..99).rev() {
            tables.make_room(left + 1);
            assert_eq!(tables.tokens.len(), left);
        }
        tables.make_room(100);
        assert_eq!(tables.tokens.len(), 50);
    }

    #[test]
    fn callers_that_are_idle_go_and_their_counts_do_not() {
        let (seen, clock) = (Seen::new(), Clock::system());
        let id = |n: usize| KeyId::of_caller("i", &n.to_string());
        for n in 0..CALLERS_MAX {
            seen.add_caller(id(n), n.to_string(), KeyUsage::new(clock.clone()));
        }
        let held = seen.usage(&id(1)).unwrap();
        seen.usage(&id(2)).unwrap().add_tokens(1, 1);
        assert!(seen.is_full_of_callers());
        seen.forget_idle_callers();
        assert!(seen.usage(&id(0)).is_none());
        assert!(Arc::ptr_eq(&seen.usage(&id(1)).unwrap(), &held));
        assert!(
            seen.usage(&id(2)).is_some(),
            "it is not in the database yet"
        );
        seen.forget_idle_callers();
        assert_eq!(seen.usages().len(), 2, "there is room");
    }
}
