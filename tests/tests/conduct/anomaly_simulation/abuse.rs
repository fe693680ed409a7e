//! Ten ways to abuse a key, added to what its honest caller does.

use belljar::guard::Counts;

use super::traffic::{Caller, Kind, Random, Seen, WINDOWS_OF_DAY, network};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Abuse {
    LeakedKey,
    ScrapingRamp,
    TokenDrain,
    EndlessFuel,
    ErrorProbing,
    NightUse,
    SlowCreep,
    Burst,
    SmallModels,
    Distributed,
}

impl Abuse {
    pub(super) const ALL: [Self; 10] = [
        Self::LeakedKey,
        Self::ScrapingRamp,
        Self::TokenDrain,
        Self::EndlessFuel,
        Self::ErrorProbing,
        Self::NightUse,
        Self::SlowCreep,
        Self::Burst,
        Self::SmallModels,
        Self::Distributed,
    ];

    /// What it is, for the table.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::LeakedKey => {
                "a leaked key is tried from 20 new networks an hour, 30 requests a window, half of them refused"
            }
            Self::ScrapingRamp => {
                "scraping that begins at 50 requests a window and grows by half each hour, to 20 times the caller's own rate and at least 1 000 a window"
            }
            Self::TokenDrain => "40 requests a window of 32 000 tokens each",
            Self::EndlessFuel => "10 requests a window that each run into the cap on fuel",
            Self::ErrorProbing => "150 requests a window, nearly all refused",
            Self::NightUse => {
                "three times its own rate, and at least 80 requests a window, from midnight to six, from a network that is known"
            }
            Self::SlowCreep => "the caller's own traffic and 15 % more each day",
            Self::Burst => {
                "30 times the caller's own rate, and at least 600 a window, for 15 minutes"
            }
            Self::SmallModels => {
                "20 uploads of small models a window and a run of each: half refused, a quarter endless"
            }
            Self::Distributed => "one request a window from each of 40 networks, others each hour",
        }
    }

    /// How long it goes on, in windows.
    pub(super) fn lasts(self) -> u32 {
        match self {
            Self::Burst => 3,
            Self::SlowCreep => 21 * WINDOWS_OF_DAY,
            _ => 3 * WINDOWS_OF_DAY,
        }
    }

    /// Adds it to a window. `since`: windows since it began.
    pub(super) fn add(
        self,
        seen: &mut Seen,
        caller: &Caller,
        random: &mut Random,
        at: u32,
        since: u32,
    ) {
        let mut extra = Counts::default();
        let mut networks = Vec::new();
        let hour = u64::from(since / 12);
        let size = caller.size(at / WINDOWS_OF_DAY);
        match self {
            Self::LeakedKey => {
                extra.requests = random.count(30.0);
                extra.errors = extra.requests / 2;
                extra.tokens = extra.errors * 200;
                networks.extend((0..5).map(|_| 2_000_000 + hour * 20 + random.bits() % 20));
            }
            Self::ScrapingRamp => {
                let most = (20.0 * size).max(1_000.0);
                let rate = (50.0 * 1.5_f64.powf(f64::from(since) / 12.0)).min(most);
                extra.requests = random.count(rate);
                extra.tokens = extra.requests * 400;
            }
            Self::TokenDrain => {
                extra.requests = random.count((size / 4.0).max(40.0));
                extra.tokens = extra.requests * 32_000;
            }
            Self::EndlessFuel => {
                extra.requests = random.count(10.0);
                extra.refused_fuel = extra.requests;
            }
            Self::ErrorProbing => {
                extra.requests = random.count(150.0);
                extra.errors = extra.requests * 19 / 20;
            }
            Self::NightUse => {
                if at % WINDOWS_OF_DAY < 72 {
                    extra.requests = random.count((3.0 * size).max(80.0));
                    extra.tokens = extra.requests * 500;
                }
            }
            Self::SlowCreep => {
                let more = 1.15_f64.powf(f64::from(since) / f64::from(WINDOWS_OF_DAY)) - 1.0;
                extra.requests = random.count(seen.counts.requests as f64 * more);
                extra.tokens = (seen.counts.tokens as f64 * more) as u64;
            }
            Self::Burst => {
                let most = if caller.kind == Kind::Tinkerer {
                    20.0
                } else {
                    1.0
                };
                extra.requests = random.count((30.0 * size * most).max(600.0));
                extra.tokens = extra.requests * 300;
            }
            Self::SmallModels => {
                extra.requests = random.count(40.0);
                extra.errors = extra.requests / 4;
                extra.refused_fuel = extra.requests / 8;
            }
            Self::Distributed => {
                extra.requests = random.count(40.0);
                extra.tokens = extra.requests * 300;
                networks.extend((0..40).map(|n| 3_000_000 + hour * 40 + n));
            }
        }
        seen.counts.requests += extra.requests;
        seen.counts.tokens += extra.tokens;
        seen.counts.errors += extra.errors;
        seen.counts.refused_fuel += extra.refused_fuel;
        for network in networks.into_iter().map(network) {
            if !seen.networks.contains(&network) {
                seen.networks.push(network);
            }
        }
    }
}
