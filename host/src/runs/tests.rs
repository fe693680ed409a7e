//! What is kept, for whom and how long, on a database of its own.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use crate::clock::ManualClock;
use belljar_sandbox::{Asked, Given, RunSeed, RunTime};

struct Kit {
    runs: Runs,
    db: Db,
    hand: ManualClock,
    _folder: tempfile::TempDir,
}

async fn kit(config: Config) -> Kit {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(folder.path()).await.unwrap();
    let model = sqlx::query("INSERT INTO models VALUES ('m', NULL, NULL)");
    model.execute(db.pool()).await.unwrap();
    for version in ["1.0.0", "2.0.0"] {
        sqlx::query(
            "INSERT INTO model_versions (name, version, digest, bytes, state, created_us) \
             VALUES ('m', ?, zeroblob(32), 1, 'ready', 1)",
        )
        .bind(version)
        .execute(db.pool())
        .await
        .unwrap();
    }
    let (clock, hand) = Clock::manual("2030-01-01T00:00:00Z".parse().unwrap());
    let runs = Runs::open(db.clone(), clock, config).await.unwrap();
    Kit {
        runs,
        db,
        hand,
        _folder: folder,
    }
}

fn keeping(keep: u32) -> Config {
    Config {
        keep,
        ..Config::default()
    }
}

fn key(number: u64) -> KeyId {
    format!("jwt_{number:032x}").parse().unwrap()
}

impl Kit {
    /// Keeps a run of a text of that many bytes, and gives its id.
    fn keep(&self, owner: Option<&KeyId>, version: &str, bytes: usize) -> String {
        let asked = Asked::Encode {
            text: "x".repeat(bytes),
        };
        let given = Given::Tokens(vec![1, 2]);
        let encode = |what: &dyn Fn(&mut Vec<u8>)| {
            let mut encoded = Vec::new();
            what(&mut encoded);
            encoded
        };
        let mut call = KeptCall::begun(0);
        call.fuel = 7;
        call.outcome = Outcome::DONE;
        call.set_content(
            encode(&|bytes| rmp_serde::encode::write_named(bytes, &asked).unwrap()),
            encode(&|bytes| rmp_serde::encode::write_named(bytes, &given).unwrap()),
        );
        let transcript = Transcript::new(vec![call]);
        let id = RunId::new();
        let run = Run {
            id: id.clone(),
            owner: owner.cloned(),
            request_id: "r".to_owned(),
            created: self.runs.0.clock.now(),
            model: format!("m@{version}").parse().unwrap(),
            digest: Digest::from_bytes([1; 32]),
            seed: RunSeed::from([2; 32]),
            time: RunTime::try_from(3).unwrap(),
            fuel: transcript.fuel(),
            outcome: transcript.outcome(),
            resumed: true,
            input_digest: transcript.input_digest(),
            output_digest: transcript.output_digest(),
            engine: Engine::new("f", &belljar_sandbox::Budget::default()),
        };
        self.runs.keep(run, transcript);
        id.to_string()
    }

    async fn ids(&self, owner: Option<&KeyId>) -> Vec<String> {
        let page = Page {
            after: None,
            limit: 100,
        };
        let (runs, _) = self.runs.list(owner, &page).await.unwrap();
        runs.iter().map(|run| run.id.to_string()).collect()
    }
}

#[tokio::test]
async fn a_run_is_read_as_it_was_kept_and_by_its_key_alone() {
    let kit = kit(keeping(10)).await;
    let (one, other) = (key(1), key(2));
    let id = kit.keep(Some(&one), "1.0.0", 3);
    let (run, transcript) = kit.runs.get(Some(&one), &id).await.unwrap();
    assert_eq!(
        (run.fuel, run.seed.as_bytes(), run.time.unix_ms()),
        (7, &[2; 32], 3)
    );
    assert!(run.resumed && run.owner == Some(one.clone()));
    assert_eq!(run.input_digest, transcript.input_digest());
    let call = &transcript.calls()[0];
    assert_eq!(
        call.asked().unwrap(),
        Some(Asked::Encode { text: "xxx".into() })
    );
    assert_eq!(call.given().unwrap(), [Given::Tokens(vec![1, 2])]);
    for stranger in [Some(&other), None] {
        let got = kit.runs.get(stranger, &id).await;
        assert!(matches!(got, Err(RunsError::NotFound)), "{stranger:?}");
        let deleted = kit.runs.delete(stranger, &id).await;
        assert!(matches!(deleted, Err(RunsError::NotFound)), "{stranger:?}");
        assert_eq!(kit.ids(stranger).await, [""; 0]);
    }
    kit.runs.delete(Some(&one), &id).await.unwrap();
    assert_eq!(kit.ids(Some(&one)).await, [""; 0]);
}

#[tokio::test]
async fn each_key_keeps_its_newest() {
    let kit = kit(keeping(2)).await;
    let (one, other) = (key(1), key(2));
    let first: Vec<_> = (0..4).map(|_| kit.keep(Some(&one), "1.0.0", 1)).collect();
    let of_other = kit.keep(Some(&other), "1.0.0", 1);
    assert_eq!(kit.ids(Some(&one)).await, [&*first[3], &*first[2]]);
    let more = kit.keep(Some(&one), "1.0.0", 1);
    assert_eq!(kit.ids(Some(&one)).await, [&*more, &*first[3]]);
    assert_eq!(kit.ids(Some(&other)).await, [of_other]);
}

#[tokio::test]
async fn whoever_has_most_makes_room() {
    let kit = kit(Config {
        bytes_max: 20_000,
        ..keeping(1_000)
    })
    .await;
    let (one, other) = (key(1), key(2));
    let small = kit.keep(Some(&other), "1.0.0", 1_000);
    for _ in 0..40 {
        kit.keep(Some(&one), "1.0.0", 1_000);
        kit.runs.write().await.unwrap();
    }
    let left = kit.ids(Some(&one)).await.len();
    assert!((1..20).contains(&left), "{left}");
    assert_eq!(kit.ids(Some(&other)).await, [small]);
    // One that alone is too much is not kept.
    kit.keep(Some(&other), "1.0.0", 30_000);
    assert_eq!(kit.ids(Some(&other)).await.len(), 1);
}

#[tokio::test]
async fn it_goes_when_its_time_is_over_and_all_of_it_when_nothing_is_kept_any_more() {
    let kit = kit(Config {
        retention: Duration::from_secs(60),
        ..keeping(10)
    })
    .await;
    let id = kit.keep(None, "1.0.0", 1);
    kit.hand.advance(Duration::from_secs(59));
    assert_eq!(kit.ids(None).await, [&*id]);
    kit.hand.advance(Duration::from_secs(1));
    assert_eq!(kit.ids(None).await, [""; 0]);
    let count = async || -> i64 {
        let count = sqlx::query_scalar("SELECT COUNT(*) FROM runs");
        count.fetch_one(kit.db.pool()).await.unwrap()
    };
    assert_eq!(count().await, 1);
    kit.runs.remove_expired().await.unwrap();
    assert_eq!(count().await, 0);
    kit.keep(None, "1.0.0", 1);
    kit.runs.write().await.unwrap();
    let clock = kit.runs.0.clock.clone();
    Runs::open(kit.db.clone(), clock, keeping(0)).await.unwrap();
    assert_eq!(count().await, 0);
}

#[tokio::test]
async fn it_goes_with_its_version_and_with_its_key() {
    let kit = kit(keeping(10)).await;
    let gone: KeyId = "key_0000000000000001".parse().unwrap();
    let execute = async |sql: &'static str| {
        sqlx::query(sql).execute(kit.db.pool()).await.unwrap();
    };
    execute(
        "INSERT INTO keys (id, name, digest, scopes, created_ms) \
         VALUES ('key_0000000000000001', 'k', zeroblob(32), 'infer', 1)",
    )
    .await;
    let stays = kit.keep(None, "1.0.0", 1);
    kit.keep(None, "2.0.0", 1);
    kit.keep(Some(&gone), "1.0.0", 1);
    assert_eq!(kit.ids(Some(&gone)).await.len(), 1);
    execute("DELETE FROM keys").await;
    execute("DELETE FROM model_versions WHERE version = '2.0.0'").await;
    assert_eq!(kit.ids(Some(&gone)).await, [""; 0]);
    assert_eq!(kit.ids(None).await, [&*stays]);
    // Those that are still to be written go as well.
    kit.keep(Some(&gone), "1.0.0", 1);
    kit.keep(None, "2.0.0", 1);
    assert_eq!(kit.ids(Some(&gone)).await, [""; 0]);
    assert_eq!(kit.ids(None).await, [stays]);
}

#[tokio::test]
async fn a_list_comes_in_pages() {
    let kit = kit(keeping(10)).await;
    let ids: Vec<_> = (0..5).map(|_| kit.keep(None, "1.0.0", 1)).collect();
    let mut page = Page {
        after: None,
        limit: 2,
    };
    let mut found = Vec::new();
    loop {
        let (runs, has_more) = kit.runs.list(None, &page).await.unwrap();
        found.extend(runs.iter().map(|run| run.id.to_string()));
        page.after = found.last().cloned();
        if !has_more {
            break;
        }
    }
    let newest_first: Vec<_> = ids.into_iter().rev().collect();
    assert_eq!(found, newest_first);
}

#[test]
fn a_verdict_says_what_can_be_said() {
    let transcript = |fuel: u64, given: u8, outcome: &str| {
        let mut call = KeptCall::begun(0);
        call.fuel = fuel;
        call.outcome = Outcome::named(outcome);
        call.set_content(vec![1], vec![given]);
        Transcript::new(vec![call])
    };
    let before = transcript(7, 1, "done");
    let verdict = |after: Transcript, resumed: bool, same_version: bool| {
        Verdict::of(&before, resumed, &after, same_version)
    };
    assert_eq!(
        verdict(transcript(7, 1, "done"), false, true),
        Verdict::Match
    );
    assert_eq!(
        verdict(transcript(7, 1, "done"), true, true),
        Verdict::Match
    );
    assert_eq!(
        verdict(transcript(8, 1, "done"), false, false),
        Verdict::Match
    );
    assert_eq!(
        verdict(transcript(8, 1, "done"), false, true),
        Verdict::Mismatch
    );
    assert_eq!(
        verdict(transcript(7, 2, "done"), false, true),
        Verdict::Mismatch
    );
    assert_eq!(
        verdict(transcript(7, 1, "model_trapped"), false, true),
        Verdict::Mismatch
    );
    assert_eq!(
        verdict(transcript(8, 2, "done"), true, true),
        Verdict::CannotTell
    );
    for outcome in ["left", "deadline_exceeded", "overloaded"] {
        assert_eq!(
            verdict(transcript(7, 1, outcome), false, true),
            Verdict::CannotTell
        );
    }
}
