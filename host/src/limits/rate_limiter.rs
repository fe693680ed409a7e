//! Finds the buckets of a caller, in tables that are bounded.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hashlink::LruCache;
use parking_lot::Mutex;

use super::bucket::{Bucket, Requests};
use super::permit::{RatePermit, SharedBucket};
use super::{Config, Rate, ResetFormat};
use crate::auth::{Caller, Tier};
use crate::clock::Clock;
use crate::ids::KeyId;
use crate::net::ClientAddress;

/// Tables of addresses: one lock for all would make every request wait for every other.
const SHARDS: usize = 16;

/// Keys, callers by token and their rates that are remembered at once: more than there can be keys.
const KEYS_MAX: usize = 200_000;

/// Limits requests and tokens a minute. Cheap to clone.
#[derive(Clone)]
pub struct RateLimiter(Arc<Inner>);

struct Inner {
    rates: ArcSwap<Rates>,
    clock: Clock,
    /// The buckets by verified key. Those not seen for longest go first: there can be any number
    /// of callers by token. By the rate, too, which the token of a caller may name: with two
    /// tokens in turns nobody begins anew each time.
    keys: Mutex<LruCache<(KeyId, RouteIndex, Rate), SharedBucket>>,
    /// The buckets by address, each shard bounded; those not seen for longest go first.
    addresses: Vec<Mutex<LruCache<(IpAddr, RouteIndex), SharedBucket>>>,
}

/// The rates in force.
struct Rates {
    config: Config,
    /// The algorithms of the rates that most callers have.
    common: Vec<Arc<Requests>>,
}

/// The place of a route in the list of those counted apart, from 1; 0 for all others.
type RouteIndex = u16;

impl RateLimiter {
    /// A limiter with empty tables.
    #[must_use]
    pub fn new(config: Config, clock: Clock) -> Self {
        let shard = (config.addresses_max / SHARDS).max(1);
        Self(Arc::new(Inner {
            rates: ArcSwap::from_pointee(Rates::new(config, &clock)),
            keys: Mutex::new(LruCache::new(KEYS_MAX)),
            addresses: (0..SHARDS)
                .map(|_| Mutex::new(LruCache::new(shard)))
                .collect(),
            clock,
        }))
    }

    /// Holds callers to other rates from now on. Those whose own rate is another begin a minute
    /// anew. The tables keep their sizes.
    pub fn set_config(&self, config: Config) {
        let inner = &*self.0;
        // An algorithm that is kept counts on.
        if inner.rates.load().config != config {
            let rates = Rates::new(config, &inner.clock);
            inner.rates.store(Arc::new(rates));
        }
    }

    /// Whether anything is limited.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.0.rates.load().config.enabled
    }

    /// The form in which answers say when.
    #[must_use]
    pub fn reset_format(&self) -> ResetFormat {
        self.0.rates.load().config.reset
    }

    /// The rate of callers without a tier or limits of their own.
    #[must_use]
    pub fn server_rate(&self) -> Rate {
        Rate::of_caller(&Caller::anonymous(), None, &self.0.rates.load().config)
    }

    /// Addresses and keys that are remembered.
    #[must_use]
    pub fn table_sizes(&self) -> (usize, usize) {
        let addresses = self
            .0
            .addresses
            .iter()
            .map(|shard| shard.lock().len())
            .sum();
        (addresses, self.0.keys.lock().len())
    }

    /// The permit of one request: kept by the verified key, and by the address where there is
    /// none. None where nothing is limited.
    #[must_use]
    pub fn permit(
        &self,
        caller: &Caller,
        address: ClientAddress,
        route: &str,
    ) -> Option<RatePermit> {
        let inner = &*self.0;
        let rates = inner.rates.load();
        let config = &rates.config;
        if !config.enabled {
            return None;
        }
        let apart = config.routes.iter().position(|r| r.route == route);
        let index = apart.map_or(0, |at| {
            RouteIndex::try_from(at + 1).unwrap_or(RouteIndex::MAX)
        });
        let route_rate = apart.and_then(|at| config.routes.get(at)).map(|r| r.rate);
        let rate = Rate::of_caller(caller, route_rate, config);
        let fresh = || rates.bucket(rate, &inner.clock);
        let bucket = match caller.key_id() {
            Some(key) => inner.by_key((key.clone(), index, rate), fresh),
            None => inner.by_address((address.network(), index), rate, fresh),
        };
        Some(RatePermit::new(bucket, inner.clock.clone()))
    }
}

impl Inner {
    fn by_key(
        &self,
        key: (KeyId, RouteIndex, Rate),
        fresh: impl FnOnce() -> SharedBucket,
    ) -> SharedBucket {
        let mut keys = self.keys.lock();
        Arc::clone(keys.entry(key).or_insert_with(fresh))
    }

    fn by_address(
        &self,
        key: (IpAddr, RouteIndex),
        rate: Rate,
        fresh: impl FnOnce() -> SharedBucket,
    ) -> SharedBucket {
        let Some(shard) = self.addresses.get(shard_of(key.0)) else {
            return fresh();
        };
        let mut shard = shard.lock();
        if let Some(bucket) = shard.get(&key)
            && bucket.lock().rate() == rate
        {
            return Arc::clone(bucket);
        }
        let bucket = fresh();
        shard.insert(key, Arc::clone(&bucket));
        bucket
    }
}

impl Rates {
    fn new(config: Config, clock: &Clock) -> Self {
        let server = Rate::of_caller(&Caller::anonymous(), None, &config);
        let tiers = Tier::ALL.into_iter().map(Rate::of_tier);
        let routes = config.routes.iter().map(|route| route.rate);
        let mut rates: Vec<_> = tiers
            .chain(routes)
            .chain([server])
            .map(|rate| rate.requests)
            .collect();
        rates.sort_unstable();
        rates.dedup();
        let common = rates
            .into_iter()
            .map(|rate| Arc::new(Requests::new(rate, clock)))
            .collect();
        Self { config, common }
    }

    fn bucket(&self, rate: Rate, clock: &Clock) -> SharedBucket {
        let common = self
            .common
            .iter()
            .find(|requests| requests.per_minute() == rate.requests);
        let requests =
            common.map_or_else(|| Arc::new(Requests::new(rate.requests, clock)), Arc::clone);
        let bucket = Bucket::new(requests, rate.tokens, clock.elapsed());
        Arc::new(Mutex::new(bucket))
    }
}

/// Spreads neighbours over the tables.
fn shard_of(address: IpAddr) -> usize {
    let octets = match address {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64,
    };
    (octets.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60) as usize % SHARDS
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::limits::RateError;
    use jiff::Timestamp;
    use std::time::Duration;

    fn limiter(config: Config) -> (RateLimiter, crate::clock::ManualClock) {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        (RateLimiter::new(config, clock), hand)
    }

    fn address(n: u32) -> ClientAddress {
        ClientAddress::new(IpAddr::V4(n.into()), 64)
    }

    fn permit(limiter: &RateLimiter, n: u32, route: &str) -> RatePermit {
        limiter
            .permit(&Caller::anonymous(), address(n), route)
            .unwrap()
    }

    fn of(rpm: u32, tpm: u32) -> Config {
        Config {
            enabled: true,
            rpm: Some(rpm),
            tpm: Some(tpm),
            ..Config::default()
        }
    }

    #[test]
    fn each_address_has_its_own_and_each_request_is_counted_once() {
        let (limiter, _) = limiter(of(1, 100));
        let first = permit(&limiter, 1, "/infer");
        first.take_request().unwrap();
        first.take_request().unwrap();
        assert!(permit(&limiter, 1, "/infer").check().is_err());
        assert!(permit(&limiter, 1, "/v2/x").take_request().is_err());
        assert!(permit(&limiter, 2, "/infer").take_request().is_ok());
    }

    #[test]
    fn a_route_counted_apart_has_buckets_of_its_own() {
        let mut config = of(1, 100);
        config.routes = vec!["/v1/embeddings=2:50".parse().unwrap()];
        let (limiter, _) = limiter(config);
        permit(&limiter, 1, "/infer").take_request().unwrap();
        for _ in 0..2 {
            permit(&limiter, 1, "/v1/embeddings")
                .take_request()
                .unwrap();
        }
        assert_eq!(
            permit(&limiter, 1, "/v1/embeddings").take_request(),
            Err(RateError::Requests {
                limit: 2,
                wait: Duration::from_secs(30)
            })
        );
    }

    #[test]
    fn requests_and_tokens_are_taken_together_or_not_at_all() {
        let (limiter, _) = limiter(of(2, 100));
        let refused = permit(&limiter, 1, "/v1/chat").reserve(101);
        assert!(matches!(
            refused,
            Err(RateError::NeverFits {
                limit: 100,
                asked: 101
            })
        ));
        let kept = permit(&limiter, 1, "/v1/chat").reserve(60).unwrap();
        let short = permit(&limiter, 1, "/v1/chat").reserve(60);
        assert!(matches!(short, Err(RateError::Tokens { .. })));
        assert_eq!(permit(&limiter, 1, "/").status().requests.remaining, 1);
        drop(kept);
        assert_eq!(permit(&limiter, 1, "/").status().tokens.remaining, 40);
    }

    #[test]
    fn a_reservation_gives_back_what_was_not_used() {
        let (limiter, _) = limiter(of(9, 100));
        let mut reservation = permit(&limiter, 1, "/").reserve(90).unwrap();
        reservation.set_used(12);
        drop(reservation);
        assert_eq!(permit(&limiter, 1, "/").status().tokens.remaining, 88);
    }

    #[test]
    fn a_request_that_is_counted_cannot_reserve_tokens_and_give_them_back() {
        let (limiter, _) = limiter(of(9, 100));
        let _held = permit(&limiter, 1, "/").reserve(80).unwrap();
        let counted = permit(&limiter, 1, "/");
        counted.take_request().unwrap();
        let mut reserved = counted.reserve(20);
        if let Ok(reservation) = &mut reserved {
            reservation.set_used(0);
        }
        assert!(matches!(reserved, Err(RateError::AlreadyCounted)));
        drop(reserved);
        assert_eq!(permit(&limiter, 1, "/").status().tokens.remaining, 20);
    }

    /// A full bucket is as good as a new one, so those that were quiet for longest go first.
    #[test]
    fn the_table_is_bounded_and_stale_entries_go_first() {
        let (limiter, _) = limiter(Config {
            addresses_max: 64,
            ..of(1, 100)
        });
        for n in 0..10_000 {
            // One address that keeps coming stays, and stays limited.
            let outcome = permit(&limiter, u32::MAX, "/").take_request();
            assert_eq!(outcome.is_ok(), n == 0);
            permit(&limiter, n, "/").take_request().unwrap();
        }
        assert!(limiter.table_sizes().0 <= 64);
        assert!(permit(&limiter, 0, "/").take_request().is_ok());
    }

    #[test]
    fn turned_off_it_gives_no_tickets() {
        let limiter = RateLimiter::new(Config::default(), Clock::system());
        let none = limiter.permit(&Caller::anonymous(), address(1), "/");
        assert!(none.is_none());
    }
}
