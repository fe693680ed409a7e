#![allow(clippy::unwrap_used)]
use super::*;

const LOCAL: &str = "192.0.2.7";

struct Kit {
    bans: Bans,
    hand: crate::clock::ManualClock,
    _folder: tempfile::TempDir,
}

async fn kit(config: AbuseConfig) -> Kit {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(folder.path()).await.unwrap();
    let (clock, hand) = Clock::manual("2030-01-01T00:00:00Z".parse().unwrap());
    let bans = Bans::open(db, clock, AuditLog::default(), config, 64)
        .await
        .unwrap();
    Kit {
        bans,
        hand,
        _folder: folder,
    }
}

fn address(text: &str) -> ClientAddress {
    ClientAddress::new(text.parse().unwrap(), 64)
}

fn fail(bans: &Bans, from: &str, times: u32) {
    for _ in 0..times {
        let kind = Violation::FailedAuthentication;
        bans.note(address(from), None, kind, Actor::default);
    }
}

#[tokio::test]
async fn a_refusal_waits_for_the_disk() {
    let Kit { bans, .. } = kit(AbuseConfig::default()).await;
    fail(&bans, LOCAL, 5);
    let ban = bans.in_force(address(LOCAL), None).unwrap();
    assert!(!ban.is_written());
    let stop = CancellationToken::new();
    let (writer, token) = (bans.clone(), stop.clone());
    let writing = tokio::spawn(async move { writer.write_until(token).await });
    bans.written(&ban).await;
    assert!(ban.is_written());
    stop.cancel();
    writing.await.unwrap();
    let rows = rows::load_bans(&bans.0.db, &bans.0.clock, 64).await;
    assert_eq!(rows.unwrap().len(), 1);
}

#[tokio::test]
async fn a_ban_that_was_lifted_before_it_was_written_stays_lifted() {
    let Kit { bans, .. } = kit(AbuseConfig::default()).await;
    fail(&bans, LOCAL, 5);
    bans.lift(LOCAL.parse().unwrap(), Actor::default())
        .await
        .unwrap();
    bans.write().await;
    let rows = rows::load_bans(&bans.0.db, &bans.0.clock, 64).await;
    assert_eq!(rows.unwrap().len(), 0);
    assert!(bans.in_force(address(LOCAL), None).is_none());
}

#[tokio::test]
async fn a_network_of_ipv6_is_one() {
    let Kit { bans, .. } = kit(AbuseConfig::default()).await;
    for host in 1..=5 {
        fail(&bans, &format!("2001:db8:1:2::{host}"), 1);
    }
    assert!(bans.in_force(address("2001:db8:1:2::99"), None).is_some());
    assert!(bans.in_force(address("2001:db8:1:3::1"), None).is_none());
    let shown = bans.place(&bans.list().first().unwrap().subject);
    assert_eq!(shown, "2001:db8:1:2::/64");
}

#[tokio::test]
async fn what_is_over_goes_from_memory_and_disk() {
    let Kit { bans, hand, .. } = kit(AbuseConfig::default()).await;
    fail(&bans, LOCAL, 5);
    bans.write().await;
    hand.advance(Duration::from_secs(299));
    let ban = bans.in_force(address(LOCAL), None).unwrap();
    assert_eq!(bans.seconds_left(&ban), 1);
    hand.advance(Duration::from_secs(1));
    assert!(bans.in_force(address(LOCAL), None).is_none());
    bans.upkeep().await;
    assert_eq!(bans.sizes(), (0, 1));
    hand.advance(Duration::from_hours(1));
    bans.upkeep().await;
    assert_eq!(bans.sizes(), (0, 0));
    let (rows,): (i64,) = sqlx::query_as("SELECT count(*) FROM bans")
        .fetch_one(bans.0.db.pool())
        .await
        .unwrap();
    assert_eq!(rows, 0);
}

#[tokio::test]
async fn the_shorter_ban_does_not_replace_the_longer() {
    let Kit { bans, hand, .. } = kit(AbuseConfig::default()).await;
    fail(&bans, LOCAL, 30);
    let long = bans.in_force(address(LOCAL), None).unwrap();
    assert_eq!(long.until.as_second() - long.started.as_second(), 3600);
    hand.advance(Duration::from_mins(59));
    fail(&bans, LOCAL, 1);
    let still = bans.in_force(address(LOCAL), None).unwrap();
    assert_eq!(still.until, long.until);
}

/// Somebody corrects the clock, or a virtual machine wakes up with another one.
#[tokio::test]
async fn setting_the_time_of_day_makes_no_ban_longer_or_shorter() {
    const HOUR_S: i64 = 3600;
    for set_by in [-HOUR_S, HOUR_S, -100_000 * HOUR_S] {
        let Kit { bans, hand, .. } = kit(AbuseConfig::default()).await;
        fail(&bans, LOCAL, 5);
        bans.write().await;
        hand.advance(Duration::from_secs(100));
        hand.set_by(set_by);
        bans.upkeep().await;
        let ban = bans.in_force(address(LOCAL), None).unwrap();
        assert_eq!(bans.seconds_left(&ban), 200, "{set_by}");
        assert_eq!(bans.list().len(), 1);
        // After a restart only the time of day can say what is left.
        let stored = rows::load_bans(&bans.0.db, &bans.0.clock, 64)
            .await
            .unwrap();
        if set_by < 0 {
            assert_eq!(bans.seconds_left(stored.first().unwrap()), 300);
        } else {
            assert!(stored.is_empty());
        }
        hand.advance(Duration::from_secs(200));
        assert!(bans.in_force(address(LOCAL), None).is_none(), "{set_by}");
    }
}
