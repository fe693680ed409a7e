//! What the watch for anomalies promises: who is reported, slowed down or banned, and what it
//! keeps.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use crate::clock::ManualClock;
use crate::guard::{AbuseConfig, BanReason};

struct Kit {
    anomalies: Anomalies,
    hand: ManualClock,
    folder: tempfile::TempDir,
}

/// A watch whose time the test moves, which judges after an hour.
fn config(action: AnomalyAction) -> AnomalyConfig {
    AnomalyConfig {
        action,
        warm_up: Duration::from_hours(1),
        ..AnomalyConfig::default()
    }
}

async fn open(folder: &std::path::Path, clock: Clock, action: AnomalyAction) -> Anomalies {
    let db = Db::open(folder).await.unwrap();
    let audit = AuditLog::default();
    let bans = Bans::open(
        db.clone(),
        clock.clone(),
        audit.clone(),
        AbuseConfig::default(),
        64,
    );
    let bans = bans.await.unwrap();
    Anomalies::open(config(action), db, clock, audit, bans)
        .await
        .unwrap()
}

async fn kit(action: AnomalyAction) -> Kit {
    let folder = tempfile::tempdir().unwrap();
    let (clock, hand) = Clock::manual("2030-01-07T00:00:00Z".parse().unwrap());
    Kit {
        anomalies: open(folder.path(), clock, action).await,
        hand,
        folder,
    }
}

fn address() -> ClientAddress {
    ClientAddress::new("192.0.2.7".parse().unwrap(), 64)
}

impl Kit {
    /// A window in which a key makes so many requests.
    async fn window(&self, key: &KeyId, requests: u32) {
        for _ in 0..requests {
            // Who is slowed down has asked all the same.
            let _ = self.anomalies.enter(Some(key), address(), false);
        }
        self.hand.advance(WINDOW);
        self.anomalies.upkeep().await;
    }

    async fn warm_up(&self, key: &KeyId) {
        for _ in 0..13 {
            self.window(key, 10).await;
        }
    }

    async fn state(&self) -> WatchedState {
        self.anomalies.list(1).await.into_iter().next().unwrap()
    }
}

#[tokio::test]
async fn a_burst_is_reported_once_an_hour_and_says_what_it_was() {
    let kit = kit(AnomalyAction::Report).await;
    let key = KeyId::random();
    kit.warm_up(&key).await;
    assert!(kit.state().await.reported.is_none());
    kit.window(&key, 5_000).await;
    let (judged, at) = kit.state().await.reported.unwrap();
    assert!(judged.is_anomaly && judged.score >= 3.0);
    assert_eq!(judged.inputs().first().unwrap().0, Input::Requests);
    assert_eq!(judged.counts.requests, 5_000);
    assert_eq!(at.to_string(), "2030-01-07T01:10:00Z");
    for _ in 0..11 {
        kit.window(&key, 20_000).await;
        assert_eq!(kit.state().await.reported.unwrap().1, at);
    }
    kit.window(&key, 50_000).await;
    assert!(kit.state().await.reported.unwrap().1 > at);
    assert!(kit.anomalies.enter(Some(&key), address(), false).is_ok());
}

#[tokio::test]
async fn other_settings_judge_and_act_from_then_on_and_baselines_stay() {
    let kit = kit(AnomalyAction::Report).await;
    let key = KeyId::random();
    kit.warm_up(&key).await;
    let with = |action, threshold: &str| AnomalyConfig {
        threshold: threshold.parse().unwrap(),
        ..config(action)
    };
    // Nothing reaches that.
    let high = with(AnomalyAction::Report, "40");
    kit.anomalies.set_config(high).await;
    kit.window(&key, 5_000).await;
    assert!(kit.state().await.is_settled);
    assert!(kit.state().await.reported.is_none());
    kit.anomalies
        .set_config(with(AnomalyAction::Slow, "3"))
        .await;
    kit.window(&key, 100_000).await;
    assert!(kit.state().await.slowed_s.is_some());
    // Off, nobody is held up, and on again it is known what is usual.
    kit.anomalies
        .set_config(with(AnomalyAction::Off, "3"))
        .await;
    assert!(!kit.anomalies.is_on());
    for _ in 0..100 {
        assert!(kit.anomalies.enter(Some(&key), address(), false).is_ok());
    }
    assert!(kit.anomalies.list(1).await.is_empty());
    kit.anomalies
        .set_config(with(AnomalyAction::Report, "3"))
        .await;
    assert!(kit.state().await.is_settled);
    assert!(kit.state().await.slowed_s.is_none());
}

#[tokio::test]
async fn who_is_slowed_down_is_let_go_in_time_and_when_forgotten() {
    let kit = kit(AnomalyAction::Slow).await;
    let key = KeyId::random();
    kit.warm_up(&key).await;
    kit.window(&key, 5_000).await;
    let passed = || kit.anomalies.enter(Some(&key), address(), false).is_ok();
    assert_eq!((0..100).filter(|_| passed()).count(), 5);
    assert_eq!(kit.state().await.slowed_s, Some(1_800));
    let refused = kit.anomalies.enter(Some(&key), address(), false);
    let wait = Duration::from_secs(2);
    assert_eq!(
        refused.err(),
        Some(SlowedDown {
            wait,
            per_minute: 30
        })
    );
    let caller = WatchedCaller::Key(key.clone());
    assert!(kit.anomalies.forget(&caller).await.unwrap());
    assert!(!kit.anomalies.forget(&caller).await.unwrap());
    assert_eq!((0..100).filter(|_| passed()).count(), 100);
    assert!(!kit.state().await.is_settled);
}

#[tokio::test]
async fn a_banned_key_is_banned_wherever_it_is_used_and_can_be_let_in_again() {
    let kit = kit(AnomalyAction::Ban).await;
    let key = KeyId::random();
    kit.warm_up(&key).await;
    kit.window(&key, 5_000).await;
    let bans = &kit.anomalies.0.bans;
    for ip in ["192.0.2.7", "2001:db8::1"] {
        let from = ClientAddress::new(ip.parse().unwrap(), 64);
        let ban = bans.in_force(from, Some(&key)).unwrap();
        assert_eq!(
            (ban.reason, bans.seconds_left(&ban)),
            (BanReason::Anomaly, 3_600)
        );
        assert!(bans.in_force(from, Some(&KeyId::random())).is_none());
        assert!(bans.in_force(from, None).is_none());
    }
    assert_eq!(
        bans.lift_key(&key, Actor::default()).await.unwrap().len(),
        1
    );
    assert!(bans.in_force(address(), Some(&key)).is_none());
    assert!(bans.lift_key(&key, Actor::default()).await.is_err());
}

/// Otherwise nobody could end what an alarm that was false has done.
#[tokio::test]
async fn an_administrators_key_is_reported_and_neither_slowed_nor_banned() {
    for action in [AnomalyAction::Slow, AnomalyAction::Ban] {
        let kit = kit(action).await;
        let key = KeyId::random();
        kit.warm_up(&key).await;
        drop(kit.anomalies.enter(Some(&key), address(), true));
        kit.window(&key, 5_000).await;
        let state = kit.state().await;
        assert!(state.reported.is_some() && state.slowed_s.is_none());
        let bans = &kit.anomalies.0.bans;
        assert!(bans.in_force(address(), Some(&key)).is_none());
    }
}

#[tokio::test]
async fn baselines_outlive_a_stop_and_what_cannot_be_read_is_learnt_again() {
    let kit = kit(AnomalyAction::Report).await;
    let (key, other) = (KeyId::random(), KeyId::random());
    for _ in 0..13 {
        let _ = kit.anomalies.enter(Some(&other), address(), false);
        kit.window(&key, 10).await;
    }
    let before = kit.anomalies.list(10).await;
    kit.anomalies.close().await;
    let inner = &kit.anomalies.0;
    sqlx::query("UPDATE anomaly_baselines SET profile = x'c0ffee' WHERE caller = ?")
        .bind(other.to_string())
        .execute(inner.db.pool())
        .await
        .unwrap();
    let (clock, folder) = (inner.clock.clone(), kit.folder);
    drop(kit.anomalies);
    let again = open(folder.path(), clock, AnomalyAction::Report).await;
    let after = again.list(10).await;
    assert_eq!((before.len(), after.len()), (2, 1));
    assert!(after.iter().all(|state| state.is_settled));
    assert_eq!(after.first().unwrap().caller, WatchedCaller::Key(key));
}

#[tokio::test]
async fn a_window_of_unknown_length_is_judged_by_nobody() {
    let kit = kit(AnomalyAction::Report).await;
    let key = KeyId::random();
    kit.warm_up(&key).await;
    for _ in 0..5_000 {
        drop(kit.anomalies.enter(Some(&key), address(), false));
    }
    kit.hand.advance(WINDOW * 20);
    kit.anomalies.upkeep().await;
    assert!(kit.state().await.reported.is_none());
    // Nor does a time of day that is set back stop the watch for longer than a window.
    kit.hand.set_by(-86_400);
    kit.window(&key, 10).await;
    kit.window(&key, 5_000).await;
    assert!(kit.state().await.reported.is_some());
}

#[tokio::test]
async fn switched_off_nobody_is_watched() {
    let kit = kit(AnomalyAction::Off).await;
    let entered = kit.anomalies.enter(None, address(), false);
    assert!(!kit.anomalies.is_on() && entered.unwrap().is_none());
    assert!(kit.anomalies.list(10).await.is_empty());
}

/// Each input alone can lead to an anomaly, and is named for it.
#[test]
fn every_input_counts() {
    let rule = config(AnomalyAction::Report).rule();
    let usual = Counts {
        requests: 50,
        tokens: 50_000,
        ..Counts::default()
    };
    let home = [NetworkKey::of("192.0.2.7".parse().unwrap())];
    let abroad: Vec<_> = (0..60)
        .map(|n| NetworkKey::of([198, 51, n, 1].into()))
        .collect();
    let requests = usual.requests;
    let cases = [
        (
            Input::Requests,
            Counts {
                requests: 20_000,
                ..usual
            },
            &home[..],
        ),
        (
            Input::Tokens,
            Counts {
                tokens: 50_000_000,
                ..usual
            },
            &home[..],
        ),
        (
            Input::Errors,
            Counts {
                errors: 2_000,
                ..usual
            },
            &home[..],
        ),
        (
            Input::RefusedFuel,
            Counts {
                refused_fuel: requests,
                ..usual
            },
            &home[..],
        ),
        (Input::NewNetworks, usual, &abroad[..]),
    ];
    for (input, counts, networks) in cases {
        let mut profile = Profile::default();
        let mut at = 1_893_974_400;
        for _ in 0..3 * 288 {
            let judged = profile.observe(at, usual, &home, &rule);
            assert!(!judged.is_anomaly);
            at += 300;
        }
        let judged = profile.observe(at, counts, networks, &rule);
        assert!(judged.is_anomaly, "{input:?}: {judged:?}");
        assert_eq!(judged.inputs().first().unwrap().0, input);
        let sum: f32 = judged.points.iter().sum();
        assert!((sum - judged.score).abs() < 1e-4);
    }
}

#[test]
fn what_is_far_below_the_usual_takes_away_and_activity_at_night_adds() {
    let rule = config(AnomalyAction::Report).rule();
    let home = [NetworkKey::of("192.0.2.7".parse().unwrap())];
    let busy = Counts {
        requests: 500,
        tokens: 500_000,
        ..Counts::default()
    };
    let mut profile = Profile::default();
    let start = 1_893_974_400;
    for window in 0..10 * 288 {
        let by_day = (window % 288) / 12 >= 8;
        let counts = if by_day { busy } else { Counts::default() };
        profile.observe(start + 300 * window, counts, &home, &rule);
    }
    let points = |profile: &Profile, at: i64, counts| {
        let judged = profile.clone().observe(at, counts, &home, &rule);
        judged
            .inputs()
            .into_iter()
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    let night = start + 10 * 86_400 + 3 * 3_600;
    let day = start + 10 * 86_400 + 12 * 3_600;
    assert!(points(&profile, night, busy)[&Input::Hours] > 1.0);
    assert!(points(&profile, day, busy)[&Input::Hours].abs() < 1e-6);
    assert!(points(&profile, day, Counts::default())[&Input::Requests] < -0.5);
}
