//! A month of made-up honest traffic, and ten kinds of abuse, judged as the server judges them:
//! how often an honest caller is reported, and how long abuse goes on before it is.
//!
//! Seeds are fixed, so the figures are the same each time; `docs/anomaly.md` has them. To see the
//! table: `cargo test -p belljar-tests --test conduct anomaly_simulation -- --nocapture`.

#![allow(
    clippy::print_stdout,
    reason = "the table is for whoever changes the numbers"
)]

mod abuse;
mod traffic;

use std::collections::BTreeMap;

use belljar::guard::{AnomalyConfig, Profile, Rule};

use abuse::Abuse;
use traffic::{Caller, Kind, Random, WINDOWS_OF_DAY};

/// A Monday, midnight UTC, in seconds since the Unix epoch.
const START_S: i64 = 1_893_974_400;
const WINDOW_S: i64 = 300;
/// Windows for which an anomaly that goes on is one report.
const REPORTED_AGAIN: u32 = 12;
/// Days of the warm-up, and days in which the honest are judged.
const WARM_UP: u32 = 7;
const JUDGED: u32 = 30;
/// The day on which abuse begins.
const ABUSE_FROM: u32 = 20;

fn rule() -> Rule {
    AnomalyConfig::default().rule()
}

fn start_of(at: u32) -> i64 {
    START_S + WINDOW_S * i64::from(at)
}

/// Whether the server itself fails then: callers get errors that are not theirs, and try again.
fn is_outage(at: u32) -> bool {
    let outages = [(5, 120, 4), (14, 30, 3), (23, 200, 6), (31, 150, 8)];
    outages.iter().any(|(day, window, long)| {
        let from = day * WINDOWS_OF_DAY + window;
        (from..from + long).contains(&at)
    })
}

/// The reports of one honest caller in a month.
fn false_alarms(seed: u64, rule: &Rule) -> (Kind, u32) {
    let days = WARM_UP + JUDGED;
    let mut caller = Caller::new(seed, days);
    let mut profile = Profile::default();
    let (mut reports, mut last) = (0, None::<u32>);
    for at in 0..days * WINDOWS_OF_DAY {
        let seen = caller.window(at, is_outage(at));
        let judged = profile.observe(start_of(at), seen.counts, &seen.networks, rule);
        if judged.is_anomaly && last.is_none_or(|last| at - last >= REPORTED_AGAIN) {
            reports += 1;
            last = Some(at);
        }
    }
    (caller.kind, reports)
}

/// The windows of an abuse that pass until it is reported; none where it is not.
fn delay(abuse: Abuse, seed: u64, rule: &Rule) -> Option<u32> {
    let mut caller = Caller::new(10_000 + seed, 60);
    let mut random = Random::new(777 + seed);
    let mut profile = Profile::default();
    let hour = (random.bits() % 288) as u32;
    // A night begins at midnight, everything else at any time.
    let into = if abuse == Abuse::NightUse { 0 } else { hour };
    let from = ABUSE_FROM * WINDOWS_OF_DAY + into;
    for at in 0..from + abuse.lasts() {
        let mut seen = caller.window(at, is_outage(at));
        if at >= from {
            abuse.add(&mut seen, &caller, &mut random, at, at - from);
        }
        let judged = profile.observe(start_of(at), seen.counts, &seen.networks, rule);
        if judged.is_anomaly && at >= from {
            return Some(at - from + 1);
        }
    }
    None
}

#[test]
fn honest_callers_are_reported_less_than_once_a_month_on_average() {
    const CALLERS: u64 = 120;
    let rule = rule();
    let mut kinds = BTreeMap::<String, (u32, u32)>::new();
    let (mut all, mut none, mut most) = (0, 0, 0);
    for seed in 0..CALLERS {
        let (kind, reports) = false_alarms(seed, &rule);
        let entry = kinds.entry(format!("{kind:?}")).or_default();
        *entry = (entry.0 + 1, entry.1 + reports);
        all += reports;
        none += u32::from(reports == 0);
        most = most.max(reports);
    }
    println!("| kind of caller | callers | reports a caller in 30 days |");
    for (kind, (callers, reports)) in &kinds {
        let each = f64::from(*reports) / f64::from(*callers);
        println!("| {kind} | {callers} | {each:.2} |");
        assert!(each < 1.0, "{kind}: {each:.2} reports a caller");
    }
    let each = f64::from(all) / CALLERS as f64;
    println!("| all | {CALLERS} | {each:.2}; none for {none}, {most} at most |");
    assert!(each < 0.3, "{each:.2} false reports a caller and month");
    assert!(
        f64::from(none) > 0.85 * CALLERS as f64,
        "{none} without any"
    );
    // The mean of a kind is below one; a single caller with jobs at any hour is above it.
    assert!(most < 12, "{most} reports of one caller");
}

/// How large a share of callers abuse is found at, at least, and in how many minutes at half of
/// them. A little above what the table of the document says: whoever makes it worse sees it here.
fn expected(abuse: Abuse) -> (f64, u32) {
    match abuse {
        Abuse::LeakedKey => (0.95, 90),
        Abuse::ScrapingRamp => (0.95, 360),
        Abuse::TokenDrain => (0.92, 15),
        Abuse::EndlessFuel => (0.95, 90),
        Abuse::ErrorProbing => (0.95, 30),
        Abuse::NightUse => (0.70, 30),
        Abuse::SlowCreep => (0.75, 16 * 1_440),
        Abuse::Burst => (0.88, 10),
        Abuse::SmallModels => (0.92, 90),
        Abuse::Distributed => (0.97, 10),
    }
}

#[test]
fn ten_kinds_of_abuse_are_reported() {
    const CALLERS: u64 = 60;
    let rule = rule();
    println!("| abuse | found at | half within | nine in ten of those within |");
    for abuse in Abuse::ALL {
        let mut delays: Vec<u32> = (0..CALLERS)
            .filter_map(|seed| delay(abuse, seed, &rule))
            .map(|windows| windows * 5)
            .collect();
        delays.sort_unstable();
        let within = |share: f64| {
            let at = (share * delays.len() as f64) as usize;
            delays.get(at.min(delays.len() - 1)).copied().unwrap_or(0)
        };
        let share = delays.len() as f64 / CALLERS as f64;
        println!(
            "| {} | {:.0} % | {} min | {} min |",
            abuse.describe(),
            100.0 * share,
            within(0.5),
            within(0.9)
        );
        let (share_min, half_max) = expected(abuse);
        assert!(share >= share_min, "{abuse:?} is found at {share:.2}");
        assert!(within(0.5) <= half_max, "{abuse:?}: {} min", within(0.5));
    }
}
