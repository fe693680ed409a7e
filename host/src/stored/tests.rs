#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use crate::clock::ManualClock;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn owner(name: &str) -> Owner {
    Owner(name.to_owned())
}

fn record_of(id: &str, bytes: usize) -> Record {
    Record {
        id: id.to_owned(),
        body: "x".repeat(bytes.saturating_sub(id.len() + 2)),
        input: "[]".to_owned(),
        previous: None,
    }
}

async fn open(folder: &std::path::Path, config: Config) -> (StoredObjects, ManualClock) {
    let db = Db::open(folder).await.unwrap();
    let (clock, time) = Clock::manual("2026-11-01T00:00:00Z".parse().unwrap());
    let stored = StoredObjects::open(db, clock, config).await.unwrap();
    (stored, time)
}

fn ids(list: &(Vec<Record>, bool)) -> Vec<&str> {
    list.0.iter().map(|record| record.id.as_str()).collect()
}

#[tokio::test]
async fn what_is_stored_belongs_to_its_owner_and_outlives_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (ann, bob) = (owner("ann"), owner("bob"));
    {
        let (stored, _) = open(&data, Config::default()).await;
        stored
            .put(&ann, Kind::Response, &record_of("r1", 50))
            .await
            .unwrap();
    }
    let (stored, _) = open(&data, Config::default()).await;
    let found = stored.get(&ann, Kind::Response, "r1").await.unwrap();
    assert_eq!(found, record_of("r1", 50));
    assert!(stored.get(&bob, Kind::Response, "r1").await.is_err());
    assert!(stored.get(&ann, Kind::Conversation, "r1").await.is_err());
    assert!(stored.delete(&bob, Kind::Response, "r1").await.is_err());
    let taken = stored.put(&bob, Kind::Response, &record_of("r1", 60)).await;
    assert!(matches!(taken, Err(StoredError::NotFound)));
    stored.delete(&ann, Kind::Response, "r1").await.unwrap();
    assert!(stored.get(&ann, Kind::Response, "r1").await.is_err());
}

#[tokio::test]
async fn it_goes_when_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let (stored, time) = open(&folder.path().join("data"), Config::default()).await;
    let ann = owner("ann");
    stored
        .put(&ann, Kind::Response, &record_of("r1", 50))
        .await
        .unwrap();
    time.advance(29 * DAY);
    assert!(stored.get(&ann, Kind::Response, "r1").await.is_ok());
    time.advance(DAY);
    assert!(stored.get(&ann, Kind::Response, "r1").await.is_err());
    stored.remove_expired().await.unwrap();
    assert!(stored.0.bytes.lock().is_empty());
}

#[tokio::test]
async fn who_stores_too_much_loses_the_oldest_and_nobody_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        key_bytes_max: 10_000,
        bytes_max: 12_000,
        ..Config::default()
    };
    let (stored, time) = open(&folder.path().join("data"), config).await;
    let (ann, bob) = (owner("ann"), owner("bob"));
    stored
        .put(&bob, Kind::Response, &record_of("b", 1_000))
        .await
        .unwrap();
    for number in 0..100 {
        time.advance(Duration::from_secs(1));
        let record = record_of(&format!("a{number:03}"), 500);
        stored.put(&ann, Kind::Response, &record).await.unwrap();
        let all: u64 = stored.0.bytes.lock().values().sum();
        assert!(all <= 12_000, "{all}");
    }
    assert!(stored.get(&ann, Kind::Response, "a099").await.is_ok());
    assert!(stored.get(&ann, Kind::Response, "a000").await.is_err());
    assert!(stored.get(&bob, Kind::Response, "b").await.is_ok());
    let large = stored
        .put(&bob, Kind::Response, &record_of("c", 20_000))
        .await;
    assert!(matches!(large, Err(StoredError::TooLarge { .. })));
}

#[tokio::test]
async fn lists_come_page_by_page_in_either_order() {
    let folder = tempfile::tempdir().unwrap();
    let (stored, _) = open(&folder.path().join("data"), Config::default()).await;
    let ann = owner("ann");
    for id in ["a", "b", "c", "d", "e"] {
        let record = record_of(id, 10);
        stored
            .put(&ann, Kind::ChatCompletion, &record)
            .await
            .unwrap();
    }
    let page = |after: Option<&str>, newest_first| Page {
        after: after.map(str::to_owned),
        limit: 2,
        newest_first,
    };
    let list = async |page: Page| {
        let kind = Kind::ChatCompletion;
        stored.list(&ann, kind, &page).await.unwrap()
    };
    let first = list(page(None, false)).await;
    assert_eq!((ids(&first), first.1), (vec!["a", "b"], true));
    let last = list(page(Some("d"), false)).await;
    assert_eq!((ids(&last), last.1), (vec!["e"], false));
    assert_eq!(ids(&list(page(Some("d"), true)).await), ["c", "b"]);
}
