//! Days that turn over, lines that are written once, and budgets.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::clock::ManualClock;
use crate::db::Db;
use jiff::Timestamp;

const DAY: Duration = Duration::from_secs(86_400);

struct Fixture {
    store: LedgerStore,
    hand: ManualClock,
    directory: tempfile::TempDir,
}

async fn at(time: &str) -> Fixture {
    with(time, Config::default()).await
}

async fn with(time: &str, config: Config) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let (clock, hand) = Clock::manual(time.parse().unwrap());
    let store = open(directory.path(), clock, config).await;
    Fixture {
        store,
        hand,
        directory,
    }
}

async fn open(path: &std::path::Path, clock: Clock, config: Config) -> LedgerStore {
    let ledger = Ledger::new(config, clock);
    LedgerStore::open(ledger, Db::open(path).await.unwrap())
        .await
        .unwrap()
}

impl Fixture {
    fn ledger(&self) -> &Ledger {
        self.store.ledger()
    }

    fn admit(&self, key: Option<&KeyId>) -> RequestUse {
        let opening = self.ledger().open(key, Budget::default()).unwrap();
        opening.admit().unwrap()
    }

    /// One request of so much fuel.
    fn use_fuel(&self, key: &KeyId, model: &str, fuel: u64) {
        let usage = self.admit(Some(key));
        usage.runs_on(model).add_run(fuel, Duration::from_millis(1));
    }

    /// As after a kill: what was not written is gone.
    async fn killed(self) -> Self {
        let Self {
            store,
            hand,
            directory,
        } = self;
        let clock = store.ledger().0.clock.clone();
        let config = store.ledger().0.config;
        store.db.clone().close().await;
        drop(store);
        let store = open(directory.path(), clock, config).await;
        Self {
            store,
            hand,
            directory,
        }
    }

    /// All rows as `day key model requests fuel`.
    async fn rows(&self) -> Vec<String> {
        let query = Query {
            by: vec![Dimension::Day, Dimension::Key, Dimension::Model],
            from: Day::of(Timestamp::MIN),
            to: Day::of(Timestamp::MAX),
            key: None,
            model: None,
            after: None,
            rows_max: 1_000,
        };
        let report = self.store.report(&query).await.unwrap();
        let row = |row: &Row| {
            let of: Vec<String> = row
                .of
                .iter()
                .map(|value| match value {
                    Value::Key(text) | Value::Model(text) => format!("{text:?}"),
                    Value::Day(day) => day.to_string(),
                    Value::Month(month) => month.to_string(),
                })
                .collect();
            let Amounts { requests, fuel, .. } = row.amounts;
            format!("{} {requests} {fuel}", of.join(" "))
        };
        report.rows.iter().map(row).collect()
    }
}

fn key(number: usize) -> KeyId {
    KeyId::configured(number)
}

#[tokio::test]
async fn a_request_is_of_the_day_on_which_it_was_admitted() {
    let fixture = at("2030-01-31T23:59:59Z").await;
    let usage = fixture.admit(Some(&key(1)));
    let line = usage.runs_on("m").clone();
    line.add_run(5, Duration::ZERO);
    // Written while it is under way, and after its day is over.
    assert_eq!(fixture.rows().await, ["2030-01-31 \"config-1\" \"m\" 0 5"]);
    fixture.hand.advance(DAY);
    fixture.use_fuel(&key(1), "m", 1);
    fixture.store.write().await.unwrap();
    fixture.store.write().await.unwrap();
    line.add_run(2, Duration::ZERO);
    drop(usage);
    line.add_run(3, Duration::ZERO);
    drop(line);
    let rows = [
        "2030-01-31 \"config-1\" \"m\" 1 10",
        "2030-02-01 \"config-1\" \"m\" 1 1",
    ];
    assert_eq!(fixture.rows().await, rows);
    // A day that is over is let go of, and counted no second time.
    fixture.store.write().await.unwrap();
    assert_eq!(fixture.ledger().open_periods().len(), 1);
    assert_eq!(fixture.rows().await, rows);
}

#[tokio::test]
async fn a_clock_that_is_set_moves_the_day_and_the_month_both_ways() {
    let fixture = at("1970-01-01T00:00:00Z").await;
    fixture.use_fuel(&key(1), "m", 1);
    let used = || fixture.ledger().month_of(&key(1)).used.fuel;
    let far = i64::try_from(DAY.as_secs()).unwrap() * 31;
    for _ in 0..3 {
        fixture.hand.set_by(far);
        fixture.use_fuel(&key(1), "m", 10);
        fixture.hand.set_by(-far);
        fixture.use_fuel(&key(1), "m", 1);
        fixture.store.write().await.unwrap();
    }
    assert_eq!(used(), 4);
    fixture.hand.set_by(far);
    // The day had been let go of; what the database has of its month is taken up again.
    fixture.use_fuel(&key(1), "m", 10);
    fixture.store.write().await.unwrap();
    assert_eq!(used(), 40);
    assert_eq!(
        fixture.rows().await,
        [
            "1970-01-01 \"config-1\" \"m\" 4 4",
            "1970-02-01 \"config-1\" \"m\" 4 40",
        ]
    );
}

#[tokio::test]
async fn what_was_written_is_resumed_and_what_was_not_is_lost_whole() {
    let fixture = at("2030-01-15T00:00:00Z").await;
    fixture.use_fuel(&key(1), "m", 7);
    drop(fixture.admit(None));
    fixture.store.write().await.unwrap();
    fixture.use_fuel(&key(1), "m", 100);
    let fixture = fixture.killed().await;
    let used = fixture.ledger().month_of(&key(1)).used;
    assert_eq!((used.requests, used.fuel), (1, 7));
    let rows = [
        "2030-01-15 \"\" \"\" 1 0",
        "2030-01-15 \"config-1\" \"m\" 1 7",
    ];
    assert_eq!(fixture.rows().await, rows);
    // And no more of it in the next month.
    fixture.hand.advance(17 * DAY);
    assert_eq!(fixture.ledger().month_of(&key(1)).used, Spent::default());
}

#[tokio::test]
async fn the_rows_of_a_day_are_bounded_also_across_a_restart() {
    let config = Config {
        rows_per_day_max: 2,
        ..Config::default()
    };
    let fixture = with("2030-01-01T00:00:00Z", config).await;
    let use_three = |fixture: &Fixture| {
        for number in 1..=3 {
            fixture.use_fuel(&key(number), "m", 1);
        }
    };
    use_three(&fixture);
    assert_eq!(fixture.rows().await.len(), 3);
    let fixture = fixture.killed().await;
    use_three(&fixture);
    fixture.use_fuel(&key(1), "another", 1);
    assert_eq!(
        fixture.rows().await,
        [
            "2030-01-01 \"(other)\" \"(other)\" 3 3",
            "2030-01-01 \"config-1\" \"m\" 2 2",
            "2030-01-01 \"config-2\" \"m\" 2 2",
        ]
    );
    // Budgets are kept by key all the same.
    assert_eq!(fixture.ledger().month_of(&key(1)).used.fuel, 3);
}

#[tokio::test]
async fn rows_go_when_their_time_is_over() {
    let config = Config {
        retention: RETENTION_MIN,
        ..Config::default()
    };
    let fixture = with("2030-01-01T00:00:00Z", config).await;
    fixture.use_fuel(&key(1), "m", 1);
    fixture.store.write().await.unwrap();
    fixture.hand.advance(31 * DAY);
    fixture.store.write().await.unwrap();
    assert_eq!(fixture.rows().await.len(), 1);
    fixture.hand.advance(DAY);
    fixture.store.write().await.unwrap();
    assert!(fixture.rows().await.is_empty());
}

#[tokio::test]
async fn what_could_not_be_written_is_written_the_next_time_once() {
    let fixture = at("2030-01-01T00:00:00Z").await;
    fixture.use_fuel(&key(1), "m", 1);
    let pool = fixture.store.db.pool();
    let forbid = "CREATE TRIGGER full BEFORE INSERT ON usage_ledger WHEN new.model = 'n' \
                  BEGIN SELECT raise(ABORT, 'full'); END";
    sqlx::query(forbid).execute(pool).await.unwrap();
    fixture.use_fuel(&key(1), "n", 1);
    for _ in 0..3 {
        assert!(fixture.store.write().await.is_err());
    }
    sqlx::query("DROP TRIGGER full")
        .execute(pool)
        .await
        .unwrap();
    assert_eq!(
        fixture.rows().await,
        [
            "2030-01-01 \"config-1\" \"m\" 1 1",
            "2030-01-01 \"config-1\" \"n\" 1 1",
        ]
    );
}

/// Requests are exact, however many ask at once; and what is written meanwhile is no more and no
/// less than what was used.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_take_no_more_than_there_is_and_are_counted_once() {
    let fixture = at("2030-01-01T00:00:00Z").await;
    let budget = Budget {
        requests: Some(1_000),
        ..Budget::default()
    };
    let ledger = fixture.ledger().clone();
    let writing = {
        let store = fixture.store.clone();
        tokio::spawn(async move {
            for _ in 0..50 {
                store.write().await.unwrap();
            }
        })
    };
    let admitted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut admitted = 0;
                    for round in 0..400 {
                        let opening = ledger.open(Some(&key(1)), budget);
                        if let Ok(usage) = opening.and_then(Opening::admit) {
                            let model = if round % 2 == 0 { "m" } else { "n" };
                            usage.runs_on(model).add_run(3, Duration::ZERO);
                            admitted += 1;
                        }
                    }
                    admitted
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    writing.await.unwrap();
    assert_eq!(admitted, 1_000);
    let used = ledger.month_of(&key(1)).used;
    assert_eq!((used.requests, used.fuel), (1_000, 3_000));
    let over = ledger.open(Some(&key(1)), budget).err().unwrap();
    assert_eq!((over.limit, over.used), (1_000, 1_000));
    assert_eq!(over.wait, 31 * DAY);
    let fixture = {
        fixture.store.write().await.unwrap();
        fixture.killed().await
    };
    let used = fixture.ledger().month_of(&key(1)).used;
    assert_eq!((used.requests, used.fuel), (1_000, 3_000));
}

#[tokio::test]
async fn a_cursor_goes_on_where_a_page_ended_and_nowhere_else() {
    let fixture = at("2030-01-01T00:00:00Z").await;
    for (number, model) in [(1, "a"), (1, "b"), (2, "a"), (3, "c")] {
        fixture.use_fuel(&key(number), model, 1);
    }
    fixture.hand.advance(31 * DAY);
    fixture.use_fuel(&key(1), "a", 1);
    for by in [
        &[Dimension::Key, Dimension::Model][..],
        &[Dimension::Month, Dimension::Key],
        &[Dimension::Model, Dimension::Day, Dimension::Key],
        &[],
    ] {
        let mut query = Query {
            by: by.to_vec(),
            from: Day::of(Timestamp::MIN),
            to: Day::of(Timestamp::MAX),
            key: None,
            model: None,
            after: None,
            rows_max: 1_000,
        };
        let whole = fixture.store.report(&query).await.unwrap();
        assert!(whole.next.is_none());
        query.rows_max = 1;
        let mut pages = Vec::new();
        loop {
            let page = fixture.store.report(&query).await.unwrap();
            pages.extend(page.rows);
            let Some(next) = page.next else { break };
            query.after = Some(next.to_string().parse().unwrap());
            assert!(next.fits(by));
        }
        let shown = |rows: &[Row]| format!("{rows:?}");
        assert_eq!(shown(&pages), shown(&whole.rows));
    }
    let cursor: Cursor = hex::encode(r#"[1,"x"]"#).parse().unwrap();
    assert!(cursor.fits(&[Dimension::Day, Dimension::Key]));
    assert!(!cursor.fits(&[Dimension::Key, Dimension::Day]));
    assert!(!cursor.fits(&[Dimension::Day]));
    for bad in ["zz", "7b7d", &hex::encode("[1.5]"), &"00".repeat(3_000)] {
        assert!(bad.parse::<Cursor>().is_err(), "{bad}");
    }
}
