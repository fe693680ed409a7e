//! Made-up honest traffic: what callers do in five minutes, from seeds that never change.

use belljar::guard::{Counts, NetworkKey};

/// Windows of five minutes in a day.
pub(super) const WINDOWS_OF_DAY: u32 = 288;

/// Random numbers that are the same for ever (SplitMix64).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to below 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn between(&mut self, least: f64, most: f64) -> f64 {
        least + (most - least) * self.unit()
    }

    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// Of the normal distribution.
    pub(super) fn normal(&mut self) -> f64 {
        let (a, b) = (self.unit().max(1e-300), self.unit());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    /// A factor around 1 whose logarithm spreads so much.
    pub(super) fn factor(&mut self, spread: f64) -> f64 {
        (spread * self.normal()).exp()
    }

    /// How often something happens that happens `mean` times on average.
    pub(super) fn count(&mut self, mean: f64) -> u64 {
        if mean > 50.0 {
            return (mean + mean.sqrt() * self.normal()).max(0.0).round() as u64;
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.unit(), 0);
        while product > limit {
            product *= self.unit();
            count += 1;
        }
        count
    }
}

/// What a caller does for a living.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// People at work, on weekdays.
    Office,
    /// A product that people use at all hours, most in the evening and at weekends.
    Consumer,
    /// A service with an even load.
    Service,
    /// Jobs of half an hour to four hours at any hour, every other day or so.
    Batch,
    /// A job each night, and little else.
    Nightly,
    /// Somebody who tries things now and then.
    Tinkerer,
}

impl Kind {
    pub(super) const ALL: [Self; 6] = [
        Self::Office,
        Self::Consumer,
        Self::Service,
        Self::Batch,
        Self::Nightly,
        Self::Tinkerer,
    ];
}

/// One honest caller.
pub(super) struct Caller {
    pub(super) kind: Kind,
    random: Random,
    /// Requests in a window at an ordinary time.
    rate: f64,
    tokens_each: f64,
    error_share: f64,
    refused_fuel_share: f64,
    growth_a_day: f64,
    /// The day on which it doubles for good, if it does.
    doubles_on: Option<u32>,
    /// The first day of a week in which next to nothing is done.
    quiet_from: Option<u32>,
    /// The window in which a release of its own begins to be refused, and how many it lasts.
    broken_release: Option<(u32, u32)>,
    /// Windows that are left of a job, and its size.
    job: (u32, f64),
    /// The noise that outlives a window.
    drift: f64,
    networks: Vec<u64>,
    next_network: u64,
}

/// A window of a caller.
pub(super) struct Seen {
    pub(super) counts: Counts,
    pub(super) networks: Vec<NetworkKey>,
}

/// Network number `n`, as documentation has none so many: of 10.0.0.0/8 and 11.0.0.0/8.
pub(super) fn network(n: u64) -> NetworkKey {
    let [.., a, b] = (n % 65_536).to_be_bytes();
    NetworkKey::of(std::net::IpAddr::from([
        10 + (n / 65_536 % 90) as u8,
        a,
        b,
        7,
    ]))
}

impl Caller {
    pub(super) fn new(seed: u64, days: u32) -> Self {
        let mut random = Random::new(seed);
        let kind = Kind::ALL[(seed % 6) as usize];
        let rate = match kind {
            Kind::Tinkerer => random.between(0.2, 2.0),
            Kind::Nightly | Kind::Batch => random.between(20.0, 400.0),
            _ => (random.between(0.5, 7.0)).exp(),
        };
        let maybe = |random: &mut Random, share: f64, first: f64, last: f64| {
            random
                .chance(share)
                .then(|| random.between(first, last) as u32)
        };
        let days = f64::from(days);
        let quiet_from = maybe(&mut random, 0.2, 8.0, days - 8.0);
        let doubles_on = maybe(&mut random, 0.35, 3.0, days - 1.0);
        let broken = maybe(&mut random, 0.3, 0.0, days * 288.0);
        let broken_release = broken.map(|start| (start, random.between(6.0, 48.0) as u32));
        let networks = match kind {
            Kind::Office => random.between(1.0, 6.0) as u64,
            Kind::Consumer => random.between(1.0, 4.0) as u64,
            _ => 1,
        };
        Self {
            kind,
            rate,
            tokens_each: random.between(4.5, 8.0).exp(),
            error_share: random.between(0.001, 0.03),
            refused_fuel_share: if random.chance(0.2) { 0.004 } else { 0.0 },
            growth_a_day: if random.chance(0.3) {
                0.03
            } else {
                random.between(-0.005, 0.01)
            },
            doubles_on,
            quiet_from,
            broken_release,
            job: (0, 0.0),
            drift: 0.0,
            networks: (0..networks).map(|n| seed * 1_000 + n).collect(),
            next_network: seed * 1_000 + 500,
            random,
        }
    }

    /// What it does in a window, counted from a Monday. `outage`: the server itself fails, and
    /// callers try again.
    pub(super) fn window(&mut self, at: u32, outage: bool) -> Seen {
        let (day, of_day) = (at / WINDOWS_OF_DAY, at % WINDOWS_OF_DAY);
        self.drift = 0.95 * self.drift + 0.1 * self.random.normal();
        let mut mean = self.ordinary(day, of_day) * self.drift.exp() * self.grown(day);
        if self
            .quiet_from
            .is_some_and(|from| (from..from + 7).contains(&day))
        {
            mean *= 0.03;
        }
        mean *= self.random.factor(0.3);
        if outage {
            mean *= self.random.between(1.5, 4.0);
        }
        let requests = self.random.count(mean);
        let served = if outage { requests / 5 } else { requests };
        let broken = self
            .broken_release
            .is_some_and(|(from, long)| (from..from + long).contains(&at));
        let error_share = self.error_share + if broken { 0.15 } else { 0.0 };
        let of_requests = |random: &mut Random, share: f64| random.count(requests as f64 * share);
        let errors = of_requests(&mut self.random, error_share);
        let refused_fuel = of_requests(&mut self.random, self.refused_fuel_share);
        let noise = self.random.factor(0.8 / (served as f64).sqrt().max(1.0));
        let tokens = (served as f64 * self.tokens_each * noise) as u64;
        Seen {
            counts: Counts {
                requests,
                tokens,
                errors: errors.min(requests),
                refused_fuel: refused_fuel.min(requests),
                new_networks: 0,
            },
            networks: self.places(requests),
        }
    }

    /// How much it has grown by a day.
    fn grown(&self, day: u32) -> f64 {
        let doubled = self.doubles_on.is_some_and(|on| day >= on);
        (1.0 + self.growth_a_day).powi(day as i32) * if doubled { 2.0 } else { 1.0 }
    }

    /// Requests in a window at an ordinary time of a day.
    pub(super) fn size(&self, day: u32) -> f64 {
        self.rate * self.grown(day)
    }

    /// Requests in a window as the kind of caller has them by hour and weekday.
    fn ordinary(&mut self, day: u32, of_day: u32) -> f64 {
        let hour = f64::from(of_day) / 12.0;
        let is_weekend = day % 7 >= 5;
        match self.kind {
            Kind::Office => {
                let at_work = 1.0 / (1.0 + ((hour - 12.5).abs() - 4.5).exp().powi(3));
                self.rate * at_work * if is_weekend { 0.08 } else { 1.0 }
            }
            Kind::Consumer => {
                let evening = (std::f64::consts::TAU * (hour - 20.0) / 24.0).cos();
                self.rate * (1.0 + 0.85 * evening) * if is_weekend { 1.3 } else { 1.0 }
            }
            Kind::Service => self.rate,
            Kind::Batch => {
                if self.job.0 == 0 && self.random.chance(0.6 / f64::from(WINDOWS_OF_DAY)) {
                    let size = self.rate * self.random.factor(0.4);
                    self.job = (self.random.between(6.0, 48.0) as u32, size);
                    // Its machines are rented anew.
                    if self.random.chance(0.3) {
                        self.next_network += 1;
                        self.networks = vec![self.next_network];
                    }
                }
                let (left, size) = self.job;
                self.job.0 = left.saturating_sub(1);
                if left > 0 { size } else { 0.02 * self.rate }
            }
            Kind::Nightly => {
                let (from, to) = (2.0, 3.5);
                let late = self.random.between(-0.1, 0.1);
                if (from..to).contains(&(hour + late)) {
                    self.rate
                } else {
                    0.01 * self.rate
                }
            }
            Kind::Tinkerer => {
                let awake = (9.0..23.0).contains(&hour);
                let at_it = awake && self.random.chance(0.04);
                if at_it {
                    self.rate * self.random.between(2.0, 20.0)
                } else {
                    0.0
                }
            }
        }
    }

    /// Where the requests of a window come from.
    fn places(&mut self, requests: u64) -> Vec<NetworkKey> {
        // A laptop on a journey, a renewed address, another exit of a cloud.
        let moves = match self.kind {
            Kind::Tinkerer => 0.25,
            Kind::Office => 0.3,
            Kind::Consumer | Kind::Service => 0.05,
            Kind::Batch | Kind::Nightly => 0.02,
        };
        if requests > 0 && self.random.chance(moves / f64::from(WINDOWS_OF_DAY)) {
            self.next_network += 1;
            self.networks.push(self.next_network);
            if self.networks.len() > 5 {
                self.networks.remove(0);
            }
        }
        let many = self.networks.len().min(requests as usize);
        self.networks
            .iter()
            .rev()
            .take(many)
            .map(|n| network(*n))
            .collect()
    }
}
