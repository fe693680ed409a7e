//! The right of one request to go on, made by the limiter alone: who holds an [`Admission`] has
//! been counted. Whatever it holds is given back when it is dropped.

use std::sync::Arc;

use super::{Config, OverQuota, Quotas, RateError, RateLimiter, RatePermit, Reservation, Slot};
use crate::auth::Caller;
use crate::clock::Clock;
use crate::ledger::{self, Ledger, Opening, RequestUse};
use crate::net::ClientAddress;

/// The amount that a request of a route takes from its caller's minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// Nothing: operations must be possible for a caller who is over the limit.
    Nothing,
    /// One request of the minute, and nothing of the day or the month: a caller whose budget is
    /// used up may ask what of it is left.
    Pace,
    /// One request.
    Request,
    /// One request and tokens. How many is known from the body alone, so both are taken when it
    /// has been read: see [`TokenAdmission::reserve`].
    Tokens,
    /// One request for a stream of them, and each request in the stream by itself. The stream takes
    /// no place among its caller's requests at once: those in it do.
    Each,
}

/// The reason why a request is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// The caller's minute is used up.
    #[error(transparent)]
    Rate(#[from] RateError),
    /// The key has as much as it may have at once, or a day.
    #[error(transparent)]
    Quota(#[from] OverQuota),
}

/// Admits requests within the rates and quotas of their callers. Cheap to clone.
#[derive(Clone)]
pub struct Limiter {
    rates: RateLimiter,
    quotas: Quotas,
    ledger: Ledger,
    clock: Clock,
}

/// The limiter's answer to one request.
pub struct Entry {
    /// The permit by which the request is counted, a refused one too; none where nothing is
    /// limited.
    pub permit: Option<RatePermit>,
    /// The caller's place among its requests at once, to be held until the last byte.
    pub slot: Option<Arc<Slot>>,
    /// What counts the use of an admitted request, to be held until it is over.
    pub usage: Option<RequestUse>,
    /// The admission, or why there is none.
    pub outcome: Result<Admitted, LimitError>,
}

/// The admission of a request, by what its route counts.
pub enum Admitted {
    /// The request has been counted.
    Request(Admission),
    /// The request has been looked at, and is counted with its tokens.
    Tokens(TokenAdmission),
    /// A stream of requests may be opened, none of which is admitted by that.
    Opening,
}

impl Limiter {
    /// A limiter over rates and quotas, which opens requests on a ledger.
    #[must_use]
    pub fn new(rates: RateLimiter, quotas: Quotas, ledger: Ledger, clock: Clock) -> Self {
        Self {
            rates,
            quotas,
            ledger,
            clock,
        }
    }

    /// A limiter that admits everything and keeps count for nobody: for requests that nobody sent.
    #[must_use]
    pub fn unbounded(clock: Clock) -> Self {
        let config = Config {
            enabled: false,
            ..Config::default()
        };
        Self {
            quotas: Quotas::new(Config::default().quota),
            rates: RateLimiter::new(config, clock.clone()),
            ledger: Ledger::new(ledger::Config::default(), clock.clone()),
            clock,
        }
    }

    /// Requests and tokens a minute.
    #[must_use]
    pub fn rates(&self) -> &RateLimiter {
        &self.rates
    }

    /// The limits that hold by key alone.
    #[must_use]
    pub fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// Counts one request of a route. `counts` must not be [`Counts::Nothing`], which no caller
    /// of this has: such requests are not shown to the limiter.
    #[must_use]
    pub fn admit(
        &self,
        caller: &Caller,
        address: ClientAddress,
        route: &str,
        counts: Counts,
    ) -> Entry {
        let mut held = Held::default();
        let outcome = self.enter(caller, address, route, counts, &mut held);
        let Held {
            permit,
            slot,
            usage,
        } = held;
        Entry {
            permit,
            slot,
            usage,
            outcome,
        }
    }

    fn enter(
        &self,
        caller: &Caller,
        address: ClientAddress,
        route: &str,
        counts: Counts,
        Held {
            permit,
            slot,
            usage,
        }: &mut Held,
    ) -> Result<Admitted, LimitError> {
        let mut opening = None;
        if counts != Counts::Pace {
            if let Some(usage) = caller.usage() {
                let used = || usage.fuel_today();
                self.quotas.check_fuel(caller, used, || self.clock.now())?;
            }
            let opened = self
                .ledger
                .open(caller.key_id(), self.quotas.budget(caller));
            opening = Some(opened.map_err(OverQuota::from)?);
        }
        if counts == Counts::Each {
            *permit = self.rates.permit(caller, address, route);
            permit.as_ref().map_or(Ok(()), RatePermit::take_request)?;
            return Ok(Admitted::Opening);
        }
        *slot = self.quotas.enter_request(caller)?.map(Arc::new);
        *permit = self.rates.permit(caller, address, route);
        match permit {
            Some(permit) if counts == Counts::Tokens => permit.check()?,
            Some(permit) => permit.take_request()?,
            None => {}
        }
        // Last, so that what is refused above takes nothing from the month.
        *usage = opening
            .map(Opening::admit)
            .transpose()
            .map_err(OverQuota::from)?;
        let slot = slot.clone();
        Ok(if counts == Counts::Tokens {
            let permit = permit.clone();
            Admitted::Tokens(TokenAdmission { permit, slot })
        } else {
            Admitted::Request(Admission {
                reservation: None,
                slot,
            })
        })
    }
}

/// What a request holds from its admission on, and a refused one may hold a part of.
#[derive(Default)]
struct Held {
    permit: Option<RatePermit>,
    slot: Option<Arc<Slot>>,
    usage: Option<RequestUse>,
}

/// The right to run once. Dropping it gives back the tokens that were not used.
#[must_use]
pub struct Admission {
    reservation: Option<Reservation>,
    /// Shared with the request itself, which lasts until the last byte of its answer.
    #[expect(dead_code, reason = "it acts when it is dropped")]
    slot: Option<Arc<Slot>>,
}

impl Admission {
    /// Notes how many of the reserved tokens have really been used; without a call, all of them.
    pub fn set_used(&mut self, tokens: u32) {
        if let Some(reservation) = &mut self.reservation {
            reservation.set_used(tokens);
        }
    }
}

/// The right to reserve tokens once, and then to run.
#[must_use]
pub struct TokenAdmission {
    permit: Option<RatePermit>,
    slot: Option<Arc<Slot>>,
}

impl TokenAdmission {
    /// Tokens that one request can have at most.
    #[must_use]
    pub fn tokens_max(&self) -> u32 {
        self.permit
            .as_ref()
            .map_or(u32::MAX, RatePermit::tokens_max)
    }

    /// Takes the request and the most tokens that it may use, both or neither.
    ///
    /// # Errors
    ///
    /// When one of the two is short, or the request could never be let through.
    pub fn reserve(self, tokens: u32) -> Result<Admission, RateError> {
        let Self { permit, slot } = self;
        let reservation = permit.map(|permit| permit.reserve(tokens)).transpose()?;
        Ok(Admission { reservation, slot })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::limits::RateStatus;
    use jiff::Timestamp;
    use std::net::Ipv4Addr;

    fn limiter(rpm: u32, tpm: u32) -> Limiter {
        let (clock, _) = Clock::manual(Timestamp::UNIX_EPOCH);
        let config = Config {
            enabled: true,
            rpm: Some(rpm),
            tpm: Some(tpm),
            ..Config::default()
        };
        let quotas = Quotas::new(config.quota);
        let ledger = Ledger::new(ledger::Config::default(), clock.clone());
        Limiter::new(
            RateLimiter::new(config, clock.clone()),
            quotas,
            ledger,
            clock,
        )
    }

    fn admit(limiter: &Limiter, counts: Counts) -> Entry {
        let address = ClientAddress::new(Ipv4Addr::LOCALHOST.into(), 64);
        limiter.admit(&Caller::anonymous(), address, "/", counts)
    }

    fn left(entry: &Entry) -> (u32, u32) {
        let RateStatus { requests, tokens } = entry.permit.as_ref().unwrap().status();
        (requests.remaining, tokens.remaining)
    }

    #[test]
    fn a_request_is_counted_when_it_is_admitted_and_its_tokens_when_they_are_reserved() {
        let limiter = limiter(3, 100);
        let entry = admit(&limiter, Counts::Request);
        assert!(matches!(entry.outcome, Ok(Admitted::Request(_))));
        assert_eq!(left(&entry), (2, 100));
        let entry = admit(&limiter, Counts::Tokens);
        assert_eq!(left(&entry), (2, 100), "looked at only");
        let Entry {
            permit, outcome, ..
        } = entry;
        let Ok(Admitted::Tokens(admission)) = outcome else {
            unreachable!("a route of tokens is admitted to reserve them")
        };
        let mut admission = admission.reserve(60).unwrap();
        let status = permit.as_ref().unwrap().status();
        assert_eq!(
            (status.requests.remaining, status.tokens.remaining),
            (1, 40)
        );
        admission.set_used(10);
        drop(admission);
        assert_eq!(permit.unwrap().status().tokens.remaining, 90);
    }

    /// The leak that a forgotten entry in a list once made possible: tokens that were never
    /// taken cannot be given back.
    #[test]
    fn an_admission_without_tokens_gives_none_back() {
        let limiter = limiter(9, 100);
        let held = admit(&limiter, Counts::Tokens);
        let Ok(Admitted::Tokens(admission)) = held.outcome else {
            unreachable!("a route of tokens is admitted to reserve them")
        };
        let _reserved = admission.reserve(80).unwrap();
        let Ok(Admitted::Request(mut admission)) = admit(&limiter, Counts::Request).outcome else {
            unreachable!("a route of requests is counted")
        };
        admission.set_used(0);
        drop(admission);
        assert_eq!(left(&admit(&limiter, Counts::Request)).1, 20);
    }

    #[test]
    fn who_is_over_the_limit_is_refused_before_the_body() {
        let limiter = limiter(1, 100);
        assert!(admit(&limiter, Counts::Request).outcome.is_ok());
        for counts in [Counts::Request, Counts::Tokens] {
            let outcome = admit(&limiter, counts).outcome;
            assert!(matches!(outcome, Err(LimitError::Rate(_))), "{counts:?}");
        }
    }
}
