//! What the key store promises.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use super::*;
use crate::auth::{
    Allowance, AllowanceChange, Change, Config, LIMIT_MAX, Scope, SecretKey, Signing, Tier,
};
use crate::clock::ManualClock;
use crate::net::{NetworkAcl, NetworkList};

mod admin_key;
mod signatures;

struct Fixture {
    dir: tempfile::TempDir,
    config: Config,
    clock: Clock,
    hand: ManualClock,
}

impl Fixture {
    fn new(require_key: bool) -> Self {
        let (clock, hand) = Clock::manual("2026-01-01T00:00:00Z".parse().unwrap());
        Self {
            dir: tempfile::tempdir().unwrap(),
            config: Config {
                require_key,
                ..Config::default()
            },
            clock,
            hand,
        }
    }

    async fn open(&self) -> KeyStore {
        let db = Db::open(self.dir.path()).await.unwrap();
        KeyStore::open(db, &self.config, self.clock.clone())
            .await
            .unwrap()
    }

    /// The store as after a restart: another connection, another table.
    async fn reopen(&self, store: KeyStore) -> KeyStore {
        store.0.db.clone().close().await;
        drop(store);
        self.open().await
    }
}

fn new(scopes: &str) -> NewKey {
    NewKey {
        name: "n".to_owned(),
        scopes: scopes.parse().unwrap(),
        ..NewKey::default()
    }
}

fn presented(secret: &SecretKey) -> PresentedKey<'_> {
    PresentedKey::parse(secret.expose().as_bytes()).unwrap()
}

#[tokio::test]
async fn a_created_key_works_at_once_and_after_a_restart() {
    let fixture = Fixture::new(true);
    let store = fixture.open().await;
    let list = |network: &str| NetworkList::new(vec![network.parse().unwrap()], 1).unwrap();
    let networks = NetworkAcl {
        allow: list("10.0.0.0/8"),
        deny: list("2001:db8::/32"),
    };
    let full = NewKey {
        models: Some(BTreeSet::from(["echo".to_owned()])),
        allowance: Allowance {
            tier: Some(Tier::Tier5),
            rpm: Some(7),
            tpm: Some(u32::MAX),
            max_concurrent: Some(2),
            max_uploads: Some(3),
            max_stored_bundles: Some(4),
            max_stored_bytes: Some(LIMIT_MAX),
            fuel_per_day: Some(5),
            fuel_per_month: Some(6),
            tokens_per_month: Some(7),
            requests_per_month: Some(8),
        },
        networks: networks.clone(),
        expires: Some(fixture.clock.now() + jiff::SignedDuration::from_hours(1)),
        ..new("infer,metrics")
    };
    let created = store.create(full).await.unwrap();
    let check = |store: &KeyStore| {
        let caller = store
            .authenticate(Some(&presented(&created.secret)))
            .unwrap();
        assert_eq!(caller.key_id(), Some(&created.record.id));
        assert!(caller.has(Scope::Metrics) && !caller.has(Scope::Admin));
        assert!(caller.may_use("echo") && !caller.may_use("fake"));
        assert_eq!(caller.allowance(), &created.record.allowance);
        assert_eq!(caller.networks(), &networks);
        assert_eq!(store.list(), std::slice::from_ref(&created.record));
        assert_eq!(store.show(&created.record.id).unwrap(), created.record);
    };
    check(&store);
    check(&fixture.reopen(store).await);
}

/// Its secret, the one before, and the one that signs are those of the same key, and of what it may
/// do now.
#[tokio::test]
async fn a_changed_key_is_changed_for_all_of_its_secrets() {
    let fixture = Fixture::new(true);
    let store = fixture.open().await;
    let created = store.create(new("infer,admin")).await.unwrap();
    let id = &created.record.id;
    let overlap = Duration::from_secs(60);
    let rotated = store.rotate(id, overlap).await.unwrap();
    let signing = SigningChange {
        requirement: Some(Signing::Optional),
        rotate: None,
    };
    let signs = store.set_signing(id, signing).await.unwrap();
    let signing_secret = signs.secret.unwrap();
    let held = store
        .authenticate(Some(&presented(&rotated.secret)))
        .unwrap();
    let change = KeyChange {
        scopes: Some("infer".parse().unwrap()),
        allowance: AllowanceChange {
            rpm: Change::Set(9),
            ..AllowanceChange::default()
        },
        ..KeyChange::default()
    };
    let amended = store.amend(id, change).await.unwrap();
    assert_eq!(amended.before, signs.record);
    let now = fixture.clock.now().as_second();
    let signed = signatures::ask(&store, &created, &signing_secret, now, "n");
    let with = |secret| store.authenticate(Some(&presented(secret))).unwrap();
    for caller in [
        with(&created.secret),
        with(&rotated.secret),
        signed.unwrap(),
    ] {
        assert!(caller.has(Scope::Infer) && !caller.has(Scope::Admin));
        assert_eq!(caller.allowance().rpm, Some(9));
    }
    assert_eq!(store.show(id).unwrap(), amended.record);
    // What was let in before goes on as it was, and ends with the key.
    assert!(held.has(Scope::Admin) && !held.ended().unwrap().is_cancelled());
    store.revoke(id).await.unwrap();
    assert!(held.ended().unwrap().is_cancelled());
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once_and_after_a_restart() {
    for require_key in [true, false] {
        let fixture = Fixture::new(require_key);
        let store = fixture.open().await;
        let created = store.create(new("infer")).await.unwrap();
        let key = presented(&created.secret);
        let revoked = store.revoke(&created.record.id).await.unwrap();
        assert!(revoked.revoked.is_some());
        assert_eq!(store.revoke(&created.record.id).await.unwrap(), revoked);
        let check = |store: &KeyStore| {
            assert_eq!(
                store.authenticate(Some(&key)).unwrap_err(),
                AuthError::Revoked
            );
            assert_eq!(store.list(), std::slice::from_ref(&revoked));
        };
        check(&store);
        check(&fixture.reopen(store).await);
    }
}

#[tokio::test]
async fn a_key_ends_at_its_expiry() {
    let fixture = Fixture::new(true);
    let store = fixture.open().await;
    let end = fixture.clock.now() + jiff::SignedDuration::from_hours(1);
    let created = store
        .create(NewKey {
            expires: Some(end),
            ..new("infer")
        })
        .await
        .unwrap();
    let key = presented(&created.secret);
    fixture.hand.advance(Duration::from_millis(3_599_999));
    let caller = store.authenticate(Some(&key)).unwrap();
    store.end_what_is_over().await.unwrap();
    assert!(!caller.ended().unwrap().is_cancelled());
    fixture.hand.advance(Duration::from_millis(1));
    assert_eq!(
        store.authenticate(Some(&key)).unwrap_err(),
        AuthError::Expired
    );
    // What was let in before is told with the next look.
    store.end_what_is_over().await.unwrap();
    assert!(caller.ended().unwrap().is_cancelled());
}

#[tokio::test]
async fn unknown_keys_are_refused_where_keys_are_required() {
    let store = Fixture::new(true).open().await;
    let foreign = PresentedKey::parse(b"sk-something-else").unwrap();
    assert_eq!(store.authenticate(None).unwrap_err(), AuthError::Missing);
    assert_eq!(
        store.authenticate(Some(&foreign)).unwrap_err(),
        AuthError::Unknown
    );
}

#[tokio::test]
async fn without_required_keys_only_a_wrong_key_of_ours_is_refused() {
    let store = Fixture::new(false).open().await;
    let foreign = PresentedKey::parse(b"not-needed").unwrap();
    let secret = SecretKey::random().unwrap();
    let ours = presented(&secret);
    assert_eq!(store.authenticate(None).unwrap().key_id(), None);
    assert_eq!(store.authenticate(Some(&foreign)).unwrap().key_id(), None);
    assert_eq!(
        store.authenticate(Some(&ours)).unwrap_err(),
        AuthError::Unknown
    );
}

#[tokio::test]
async fn keys_of_the_configuration_run_models_and_cannot_be_revoked() {
    let mut fixture = Fixture::new(true);
    fixture.config.keys = vec!["a-key-of-sixteen".parse().unwrap()];
    let store = fixture.open().await;
    let key = PresentedKey::parse(b"a-key-of-sixteen").unwrap();
    let caller = store.authenticate(Some(&key)).unwrap();
    assert!(caller.has(Scope::Infer) && !caller.has(Scope::ModelsWrite));
    let id = caller.key_id().unwrap();
    assert!(matches!(
        store.revoke(id).await,
        Err(KeyError::Configured { .. })
    ));
}

#[tokio::test]
async fn unacceptable_keys_are_not_made() {
    let fixture = Fixture::new(true);
    let store = fixture.open().await;
    let make = async |key: NewKey| store.create(key).await.map(drop).unwrap_err();
    assert!(matches!(
        make(NewKey {
            name: " ".into(),
            ..new("infer")
        })
        .await,
        KeyError::Name
    ));
    assert!(matches!(
        make(NewKey {
            name: "a\nb".into(),
            ..new("infer")
        })
        .await,
        KeyError::Name
    ));
    assert!(matches!(
        make(NewKey {
            name: "x".repeat(101),
            ..new("infer")
        })
        .await,
        KeyError::Name
    ));
    assert!(matches!(make(new("")).await, KeyError::NoScopes));
    assert!(matches!(
        make(NewKey {
            allowance: Allowance {
                rpm: Some(0),
                ..Allowance::default()
            },
            ..new("infer")
        })
        .await,
        KeyError::Limit { name: "rpm" }
    ));
    let models = Some(BTreeSet::from(["No Name".to_owned()]));
    assert!(matches!(
        make(NewKey {
            models,
            ..new("infer")
        })
        .await,
        KeyError::Models
    ));
    let expires = Some(fixture.clock.now());
    let late = make(NewKey {
        expires,
        ..new("infer")
    })
    .await;
    assert!(matches!(late, KeyError::ExpiresInThePast { .. }));
    assert!(store.list().is_empty());
}

#[tokio::test]
async fn no_secret_is_printed_or_stored() {
    let fixture = Fixture::new(true);
    let store = fixture.open().await;
    let created = store.create(new("infer")).await.unwrap();
    let digits = created.secret.expose().strip_prefix("sk-belljar-").unwrap();
    let json = serde_json::to_string(&created.record).unwrap();
    let caller = store
        .authenticate(Some(&presented(&created.secret)))
        .unwrap();
    for text in [
        format!("{store:?}"),
        format!("{created:?}"),
        format!("{caller:?}"),
        json,
    ] {
        assert!(!text.contains(digits), "{text}");
    }
    store.0.db.clone().close().await;
    for file in fs::read_dir(fixture.dir.path()).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        assert!(
            !bytes
                .windows(digits.len())
                .any(|window| window == digits.as_bytes())
        );
    }
}

/// The secrets that work, of some.
fn working(store: &KeyStore, secrets: &[&SecretKey]) -> Vec<bool> {
    let works = |secret: &&SecretKey| store.authenticate(Some(&presented(secret))).is_ok();
    secrets.iter().map(works).collect()
}

const OVERLAP: Duration = Duration::from_secs(600);

#[tokio::test]
async fn a_rotated_key_keeps_its_id_and_for_a_while_its_old_secret() {
    let fixture = Fixture::new(true);
    let store = fixture.open().await;
    let first = store.create(new("infer")).await.unwrap();
    let id = first.record.id.clone();
    let (old, new) = (
        first.secret,
        store.rotate(&id, OVERLAP).await.unwrap().secret,
    );
    let caller = store.authenticate(Some(&presented(&old))).unwrap();
    assert_eq!(caller.key_id(), Some(&id));
    let record = store.show(&id).unwrap();
    assert_eq!(
        (record.name, record.scopes, record.created),
        (first.record.name, first.record.scopes, first.record.created)
    );
    assert_eq!(record.rotated, Some(fixture.clock.now()));
    assert_eq!(
        record.old_secrets_until,
        ["2026-01-01T00:10:00Z".parse().unwrap()]
    );
    // Also after a restart, and no longer than was said.
    let before = store.show(&id).unwrap();
    let store = fixture.reopen(store).await;
    assert_eq!(store.show(&id).unwrap(), before);
    fixture.hand.advance(OVERLAP - Duration::from_millis(1));
    assert_eq!(working(&store, &[&old, &new]), [true, true]);
    let with_old = store.authenticate(Some(&presented(&old))).unwrap();
    let with_new = store.authenticate(Some(&presented(&new))).unwrap();
    fixture.hand.advance(Duration::from_millis(1));
    assert_eq!(working(&store, &[&old, &new]), [false, true]);
    store.end_what_is_over().await.unwrap();
    assert!(with_old.ended().unwrap().is_cancelled());
    assert!(!with_new.ended().unwrap().is_cancelled());
    assert!(store.show(&id).unwrap().old_secrets_until.is_empty());
    let store = fixture.reopen(store).await;
    assert_eq!(working(&store, &[&old, &new]), [false, true]);
}

#[tokio::test]
async fn a_rotation_without_overlap_ends_every_older_secret() {
    let fixture = Fixture::new(true);
    let store = fixture.open().await;
    let first = store.create(new("infer")).await.unwrap();
    let id = first.record.id.clone();
    let second = store.rotate(&id, OVERLAP).await.unwrap();
    let callers =
        [&first, &second].map(|made| store.authenticate(Some(&presented(&made.secret))).unwrap());
    let third = store.rotate(&id, Duration::ZERO).await.unwrap();
    let secrets = [&first.secret, &second.secret, &third.secret];
    assert_eq!(working(&store, &secrets), [false, false, true]);
    for caller in callers {
        assert!(caller.ended().unwrap().is_cancelled());
    }
    let store = fixture.reopen(store).await;
    assert_eq!(working(&store, &secrets), [false, false, true]);
}

#[tokio::test]
async fn old_secrets_are_bounded_in_number_and_in_time() {
    let fixture = Fixture::new(true);
    let store = fixture.open().await;
    let created = store.create(new("infer")).await.unwrap();
    let id = created.record.id.clone();
    let mut secrets = vec![created.secret];
    for _ in 0..OLD_SECRETS_MAX + 1 {
        fixture.hand.advance(Duration::from_secs(1));
        secrets.push(store.rotate(&id, OVERLAP).await.unwrap().secret);
    }
    let secrets: Vec<&SecretKey> = secrets.iter().collect();
    let expect: Vec<bool> = (0..secrets.len()).map(|index| index > 0).collect();
    assert_eq!(working(&store, &secrets), expect);
    let store = fixture.reopen(store).await;
    assert_eq!(working(&store, &secrets), expect);
    let too_long = ROTATION_OVERLAP_MAX + Duration::from_millis(1);
    let refused = store.rotate(&id, too_long).await.unwrap_err();
    assert!(matches!(refused, KeyError::OverlapTooLong), "{refused}");
    assert!(refused.to_string().contains("7 d"), "{refused}");
    assert!(store.rotate(&id, ROTATION_OVERLAP_MAX).await.is_ok());
}

#[tokio::test]
async fn a_key_that_has_ended_has_no_new_secret() {
    let mut fixture = Fixture::new(true);
    fixture.config.keys = vec!["a-key-of-sixteen".parse().unwrap()];
    let store = fixture.open().await;
    let revoked = store.create(new("infer")).await.unwrap().record.id;
    store.revoke(&revoked).await.unwrap();
    let expires = Some(fixture.clock.now() + jiff::SignedDuration::from_secs(1));
    let short = NewKey {
        expires,
        ..new("infer")
    };
    let expired = store.create(short).await.unwrap().record.id;
    fixture.hand.advance(Duration::from_secs(1));
    let rotate = async |id: &KeyId| store.rotate(id, OVERLAP).await.unwrap_err();
    assert!(matches!(rotate(&revoked).await, KeyError::Revoked { .. }));
    assert!(matches!(rotate(&expired).await, KeyError::Expired { .. }));
    let configured = KeyId::configured(1);
    assert!(matches!(
        rotate(&configured).await,
        KeyError::Configured { .. }
    ));
    assert!(matches!(
        store.delete(&configured).await,
        Err(KeyError::Configured { .. })
    ));
    assert!(matches!(
        rotate(&KeyId::random()).await,
        KeyError::NotFound { .. }
    ));
}

#[tokio::test]
async fn a_deleted_key_is_gone_with_its_old_secrets_and_its_counts() {
    let fixture = Fixture::new(true);
    let store = fixture.open().await;
    let first = store.create(new("infer")).await.unwrap();
    let id = first.record.id.clone();
    let second = store.rotate(&id, OVERLAP).await.unwrap();
    let caller = store.authenticate(Some(&presented(&first.secret))).unwrap();
    caller.usage().unwrap().note_request(fixture.clock.now());
    store.write_usage().await.unwrap();
    store.delete(&id).await.unwrap();
    assert!(caller.ended().unwrap().is_cancelled());
    // A request that is still on its way out does not bring the counts back.
    caller.usage().unwrap().add_fuel(1);
    store.write_usage().await.unwrap();
    let gone = |store: &KeyStore| {
        for secret in [&first.secret, &second.secret] {
            let refused = store.authenticate(Some(&presented(secret)));
            assert_eq!(refused.unwrap_err(), AuthError::Unknown);
        }
        assert!(matches!(store.show(&id), Err(KeyError::NotFound { .. })));
        assert!(store.list().is_empty());
    };
    gone(&store);
    assert!(matches!(
        store.delete(&id).await,
        Err(KeyError::NotFound { .. })
    ));
    let store = fixture.reopen(store).await;
    gone(&store);
    for table in ["keys", "key_old_secrets", "key_usage"] {
        let count = sqlx::query_as::<_, (i64,)>(sqlx::AssertSqlSafe(format!(
            "SELECT count(*) FROM {table}"
        )));
        assert_eq!(count.fetch_one(store.pool()).await.unwrap().0, 0, "{table}");
    }
}

#[tokio::test]
async fn revoking_a_key_tells_what_it_let_in() {
    let fixture = Fixture::new(true);
    let store = fixture.open().await;
    let revoked = store.create(new("infer")).await.unwrap();
    let other = store.create(new("infer")).await.unwrap();
    let caller = store
        .authenticate(Some(&presented(&revoked.secret)))
        .unwrap();
    let bystander = store.authenticate(Some(&presented(&other.secret))).unwrap();
    let new = store.rotate(&revoked.record.id, OVERLAP).await.unwrap();
    store.revoke(&revoked.record.id).await.unwrap();
    assert!(caller.ended().unwrap().is_cancelled());
    assert!(!bystander.ended().unwrap().is_cancelled());
    let refused = [&revoked.secret, &new.secret]
        .map(|secret| store.authenticate(Some(&presented(secret))).unwrap_err());
    assert_eq!(refused, [AuthError::Revoked; 2]);
    let store = fixture.reopen(store).await;
    assert_eq!(
        working(&store, &[&revoked.secret, &new.secret]),
        [false, false]
    );
}

#[tokio::test]
async fn counts_survive_a_restart_and_a_configured_key_keeps_its_own() {
    let mut fixture = Fixture::new(true);
    let [one, two] = ["a-key-of-sixteen", "another-key-of-mine"];
    fixture.config.keys = vec![one.parse().unwrap(), two.parse().unwrap()];
    let store = fixture.open().await;
    let stored = store.create(new("infer")).await.unwrap();
    let key = |text: &str| PresentedKey::parse(text.as_bytes()).unwrap();
    let use_it = |key: &PresentedKey, fuel: u64| {
        let caller = store.authenticate(Some(key)).unwrap();
        let usage = caller.usage().unwrap();
        usage.note_request(fixture.clock.now());
        usage.add_tokens(3, 4);
        usage.add_fuel(fuel);
    };
    use_it(&presented(&stored.secret), 5);
    use_it(&key(two), 6);
    let before = store.usage(&stored.record.id);
    assert_eq!((before.requests, before.fuel, before.fuel_today), (1, 5, 5));
    assert_eq!(before.last_used, Some(fixture.clock.now()));
    store.write_usage().await.unwrap();
    // The list of the configuration is another one now: the counts go by the key.
    fixture.config.keys = vec![two.parse().unwrap()];
    let store = fixture.reopen(store).await;
    assert_eq!(store.usage(&stored.record.id), before);
    assert_eq!(store.usage(&KeyId::configured(1)).fuel, 6);
    fixture.hand.advance(Duration::from_secs(24 * 3600));
    assert_eq!(store.usage(&stored.record.id).fuel_today, 0);
}

#[tokio::test]
async fn a_store_with_a_key_that_cannot_be_read_does_not_open() {
    for damage in [
        "UPDATE keys SET scopes = 'infer,fly'",
        "UPDATE keys SET allow_networks = '[\"nowhere\"]'",
        "UPDATE keys SET fuel_per_day = -1",
        "UPDATE key_usage SET requests = -1",
        "DROP TABLE key_old_secrets",
    ] {
        let fixture = Fixture::new(true);
        let store = fixture.open().await;
        let created = store.create(new("infer")).await.unwrap();
        let caller = store.authenticate(Some(&presented(&created.secret)));
        let now = fixture.clock.now();
        caller.unwrap().usage().unwrap().note_request(now);
        store.write_usage().await.unwrap();
        sqlx::query(damage).execute(store.pool()).await.unwrap();
        store.0.db.clone().close().await;
        drop(store);
        let db = Db::open(fixture.dir.path()).await.unwrap();
        let opened = KeyStore::open(db, &fixture.config, fixture.clock.clone()).await;
        assert!(opened.is_err(), "{damage}");
    }
}
