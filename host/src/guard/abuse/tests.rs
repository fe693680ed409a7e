#![allow(clippy::unwrap_used)]
use std::net::IpAddr;

use super::*;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// The bans of somebody who earns none.
const NONE: [Duration; 0] = [];

fn ip(number: u32) -> IpAddr {
    IpAddr::V4(number.into())
}

/// Notes `count` violations at one moment; the durations of the bans that come of them.
fn bans(abuse: &mut Abuse<IpAddr>, kind: Violation, count: u32, now: Duration) -> Vec<Duration> {
    (0..count)
        .filter_map(|_| abuse.note(ip(7), kind, now))
        .map(|verdict| verdict.duration)
        .collect()
}

#[test]
fn each_kind_has_its_own_threshold() {
    for (kind, threshold) in [
        (Violation::FailedAuthentication, 5),
        (Violation::Injection, 3),
        (Violation::OversizedBody, 10),
        (Violation::RateLimit, 20),
    ] {
        let mut abuse = Abuse::new(AbuseConfig::default());
        assert_eq!(bans(&mut abuse, kind, threshold - 1, MINUTE), NONE);
        let verdict = abuse.note(ip(7), kind, MINUTE).unwrap();
        assert_eq!(verdict.reason, kind);
        assert_eq!(verdict.duration, 5 * MINUTE);
        assert_eq!(verdict.violations, threshold);
    }
}

#[test]
fn violations_decay() {
    let mut abuse = Abuse::new(AbuseConfig::default());
    let kind = Violation::FailedAuthentication;
    assert_eq!(bans(&mut abuse, kind, 4, MINUTE), NONE);
    assert_eq!(bans(&mut abuse, kind, 4, MINUTE + HOUR), NONE);
    assert_eq!(bans(&mut abuse, kind, 1, HOUR + 2 * MINUTE), [5 * MINUTE]);
}

#[test]
fn the_window_slides() {
    let mut abuse = Abuse::new(AbuseConfig::default());
    let kind = Violation::FailedAuthentication;
    // One every 15 minutes: never five within an hour.
    for quarter in 0..40 {
        assert_eq!(bans(&mut abuse, kind, 1, 15 * MINUTE * quarter), NONE);
    }
}

#[test]
fn addresses_do_not_share() {
    let mut abuse = Abuse::new(AbuseConfig::default());
    for number in 0..100 {
        for _ in 0..4 {
            let verdict = abuse.note(ip(number), Violation::FailedAuthentication, MINUTE);
            assert_eq!(verdict, None);
        }
    }
}

#[test]
fn after_a_ban_its_kind_counts_from_nothing() {
    let mut abuse = Abuse::new(AbuseConfig::default());
    let kind = Violation::FailedAuthentication;
    assert_eq!(bans(&mut abuse, kind, 5, MINUTE), [5 * MINUTE]);
    assert_eq!(bans(&mut abuse, kind, 4, 7 * MINUTE), NONE);
    assert_eq!(bans(&mut abuse, kind, 1, 7 * MINUTE), [5 * MINUTE]);
}

#[test]
fn totals_make_bans_longer() {
    let mut abuse = Abuse::new(AbuseConfig::default());
    let kind = Violation::FailedAuthentication;
    // Bans 1 to 5 are short, from 30 violations in all they take an hour, from 50 a day.
    let found = bans(&mut abuse, kind, 55, MINUTE);
    let mut expect = vec![5 * MINUTE; 5];
    expect.extend([HOUR; 4]);
    expect.extend([DAY; 2]);
    assert_eq!(found, expect);
}

#[test]
fn totals_ban_also_where_no_kind_does() {
    let mut abuse = Abuse::new(AbuseConfig::default());
    assert_eq!(bans(&mut abuse, Violation::RateLimit, 19, MINUTE), NONE);
    assert_eq!(bans(&mut abuse, Violation::OversizedBody, 9, MINUTE), NONE);
    let kind = Violation::FailedAuthentication;
    assert_eq!(bans(&mut abuse, kind, 2, MINUTE), [HOUR]);
}

#[test]
fn forgiven_is_forgotten() {
    let mut abuse = Abuse::new(AbuseConfig::default());
    let kind = Violation::FailedAuthentication;
    assert_eq!(bans(&mut abuse, kind, 4, MINUTE), NONE);
    abuse.forgive(&ip(7));
    assert_eq!(bans(&mut abuse, kind, 4, MINUTE), NONE);
}

#[test]
fn switched_off_it_counts_nothing() {
    let config = AbuseConfig {
        enabled: false,
        ..AbuseConfig::default()
    };
    let mut abuse = Abuse::new(config);
    assert_eq!(bans(&mut abuse, Violation::Injection, 100, MINUTE), NONE);
    assert!(abuse.is_empty());
}

#[test]
fn stale_addresses_go_first_and_the_table_is_bounded() {
    let config = AbuseConfig {
        addresses_max: 3,
        ..AbuseConfig::default()
    };
    let mut abuse = Abuse::new(config);
    let kind = Violation::Injection;
    abuse.note(ip(1), kind, MINUTE);
    abuse.note(ip(2), kind, 2 * MINUTE);
    abuse.note(ip(3), kind, 3 * MINUTE);
    // 1 is heard of again, so 2 is the one to go.
    abuse.note(ip(1), kind, 4 * MINUTE);
    abuse.note(ip(4), kind, 5 * MINUTE);
    assert_eq!(abuse.len(), 3);
    assert!(abuse.note(ip(1), kind, 6 * MINUTE).is_some(), "the third");
    assert_eq!(abuse.note(ip(2), kind, 6 * MINUTE), None, "forgotten");
    abuse.clean(6 * MINUTE + HOUR);
    assert!(abuse.is_empty());
}

#[test]
fn what_is_kept_is_what_a_simple_count_would_keep() {
    use rand::{RngExt as _, SeedableRng as _};
    // Against a plain list of everything: the same verdicts.
    let mut random = rand::rngs::StdRng::seed_from_u64(7);
    let mut abuse = Abuse::new(AbuseConfig::default());
    let mut all: Vec<(u32, u64, bool)> = Vec::new();
    let mut now_s = 0_u64;
    for _ in 0..20_000 {
        now_s += random.random_range(0..200);
        let who: u32 = random.random_range(0..5);
        all.retain(|(_, at, _)| now_s - at < 3600);
        let before = all.iter().filter(|(other, ..)| *other == who).count();
        all.push((who, now_s, false));
        let mine = |entry: &&mut (u32, u64, bool)| entry.0 == who;
        let unspent = all.iter_mut().filter(mine).filter(|e| !e.2).count();
        let due = unspent >= 5 || before == 29 || before == 49;
        if due {
            all.iter_mut().filter(mine).for_each(|entry| entry.2 = true);
        }
        let kind = Violation::FailedAuthentication;
        let verdict = abuse.note(ip(who), kind, Duration::from_secs(now_s));
        assert_eq!(verdict.is_some(), due, "at {now_s}");
    }
}
