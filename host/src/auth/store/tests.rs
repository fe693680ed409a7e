//! What the key store promises.
#![allow(clippy::unwrap_used)]

use std::fs;

use super::*;
use crate::auth::{Config, Tier};

struct Fixture {
    dir: tempfile::TempDir,
    config: Config,
}

impl Fixture {
    fn new(require_key: bool) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            config: Config {
                require_key,
                keys: vec![],
            },
        }
    }

    async fn open(&self) -> KeyStore {
        KeyStore::open(Db::open(self.dir.path()).await.unwrap(), &self.config)
            .await
            .unwrap()
    }

    /// As after a restart: another connection, another table.
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

fn presented(secret: &SecretKey) -> PresentedKey {
    PresentedKey::parse(secret.expose().as_bytes()).unwrap()
}

#[tokio::test]
async fn a_created_key_works_at_once_and_after_a_restart() {
    let fixture = Fixture::new(true);
    let store = fixture.open().await;
    let networks = Networks::new(
        vec!["10.0.0.0/8".parse().unwrap()],
        vec!["2001:db8::/32".parse().unwrap()],
    )
    .unwrap();
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
        },
        networks: networks.clone(),
        expires: Some(Timestamp::now() + jiff::SignedDuration::from_hours(1)),
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
        assert_eq!(
            (caller.tier(), caller.requests_per_minute()),
            (Some(Tier::Tier5), Some(7))
        );
        assert_eq!(caller.allowance(), &created.record.allowance);
        assert_eq!(caller.networks(), &networks);
        assert_eq!(store.list(), std::slice::from_ref(&created.record));
        assert_eq!(store.show(&created.record.id).unwrap(), created.record);
    };
    check(&store);
    check(&fixture.reopen(store).await);
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
    let end = whole_milliseconds(Timestamp::now()) + jiff::SignedDuration::from_hours(1);
    let created = store
        .create(NewKey {
            expires: Some(end),
            ..new("infer")
        })
        .await
        .unwrap();
    let key = presented(&created.secret);
    let just_before = end - jiff::SignedDuration::from_millis(1);
    assert!(store.authenticate_at(Some(&key), || just_before).is_ok());
    assert_eq!(
        store.authenticate_at(Some(&key), || end).unwrap_err(),
        AuthError::Expired
    );
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
    let ours = presented(&SecretKey::random().unwrap());
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
    let store = Fixture::new(true).open().await;
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
    let expires = Some(Timestamp::now());
    let late = make(NewKey {
        expires,
        ..new("infer")
    })
    .await;
    assert!(matches!(late, KeyError::ExpiresInThePast { .. }));
    assert!(store.list().is_empty());
}

#[tokio::test]
async fn the_admin_key_is_written_once_and_privately() {
    let fixture = Fixture::new(true);
    let path = fixture.dir.path().join("admin.key");
    let store = fixture.open().await;
    store.ensure_admin_key(&path).await.unwrap();
    let secret = read_private(&path).expect("a private file with a key");
    assert!(
        store
            .authenticate(Some(&presented(&secret)))
            .unwrap()
            .has(Scope::Admin)
    );
    let store = fixture.reopen(store).await;
    store.ensure_admin_key(&path).await.unwrap();
    assert_eq!(store.list().len(), 1);
    // Nobody left who could manage keys: a restart gives a new one.
    let id = store.list().first().unwrap().id.clone();
    store.revoke(&id).await.unwrap();
    let store = fixture.reopen(store).await;
    store.ensure_admin_key(&path).await.unwrap();
    let fresh = read_private(&path).unwrap();
    assert_ne!(fresh.expose(), secret.expose());
    assert!(store.authenticate(Some(&presented(&fresh))).is_ok());
    assert!(store.authenticate(Some(&presented(&secret))).is_err());
}

#[tokio::test]
async fn a_kill_between_file_and_row_loses_no_admin_key() {
    let fixture = Fixture::new(true);
    let path = fixture.dir.path().join("admin.key");
    let secret = SecretKey::random().unwrap();
    write_private(&path, secret.expose()).unwrap();
    let store = fixture.open().await;
    store.ensure_admin_key(&path).await.unwrap();
    assert!(
        store
            .authenticate(Some(&presented(&secret)))
            .unwrap()
            .has(Scope::Admin)
    );
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
