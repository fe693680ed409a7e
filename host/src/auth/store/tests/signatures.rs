//! What the key store promises of keys that sign.

use super::*;
use crate::auth::{
    ChangedSigning, CreatedKey, PresentedSignature, SignatureError, Signing, SigningChange,
    SigningSecret,
};

fn signing(signing: Signing) -> NewKey {
    NewKey {
        signing,
        ..new("infer")
    }
}

/// A key with its secret that signs.
async fn signer(store: &KeyStore) -> (CreatedKey, SigningSecret) {
    let created = store.create(signing(Signing::Required)).await.unwrap();
    let secret = created.signing_secret.clone().unwrap();
    (created, secret)
}

/// Signs at a time with a nonce, and asks who that is.
pub(super) fn ask(
    store: &KeyStore,
    key: &CreatedKey,
    secret: &SigningSecret,
    created: i64,
    nonce: &str,
) -> Result<Caller, SignatureError> {
    let base = format!("{created} {nonce}");
    store.authenticate_signed(&PresentedSignature {
        key_id: key.record.id.as_str(),
        base: base.as_bytes(),
        signature: &secret.sign(base.as_bytes()),
        created,
        expires: None,
        nonce,
    })
}

fn rotate(overlap: Duration) -> SigningChange {
    SigningChange {
        requirement: None,
        rotate: Some(overlap),
    }
}

fn require(signing: Signing) -> SigningChange {
    SigningChange {
        requirement: Some(signing),
        rotate: None,
    }
}

#[tokio::test]
async fn a_key_signs_as_was_said_also_after_a_restart() {
    let fixture = Fixture::new(true);
    let store = fixture.open().await;
    let (key, secret) = signer(&store).await;
    let now = fixture.clock.now().as_second();
    let check = |store: &KeyStore, nonce: &str, created| {
        let caller = ask(store, &key, &secret, created, nonce).unwrap();
        assert_eq!(caller.key_id(), Some(&key.record.id));
        let refused = store.authenticate(Some(&presented(&key.secret)));
        assert_eq!(refused.unwrap_err(), AuthError::SignatureNeeded);
        let refused = store.authenticate_as(key.record.id.as_str());
        assert_eq!(refused.unwrap_err(), AuthError::SignatureNeeded);
        assert_eq!(store.show(&key.record.id).unwrap(), key.record);
    };
    check(&store, "nonce-1", now);
    // A key's own secret may be another one: it must sign all the same.
    store.close_signatures().await.unwrap();
    let store = fixture.reopen(store).await;
    check(&store, "nonce-2", now + 1);
    let rotated = store.rotate(&key.record.id, Duration::ZERO).await.unwrap();
    let refused = store.authenticate(Some(&presented(&rotated.secret)));
    assert_eq!(refused.unwrap_err(), AuthError::SignatureNeeded);
    ask(&store, &key, &secret, now + 1, "nonce-3").unwrap();
}

#[tokio::test]
async fn secrets_that_sign_follow_one_another_also_over_a_restart() {
    let fixture = Fixture::new(true);
    let store = fixture.open().await;
    let (key, first) = signer(&store).await;
    let id = &key.record.id;
    let mut now = fixture.clock.now().as_second();
    let let_in = ask(&store, &key, &first, now, "a").unwrap();
    let hour = Duration::from_secs(3600);
    let ChangedSigning { record, secret } = store.set_signing(id, rotate(hour)).await.unwrap();
    let second = secret.unwrap();
    assert!(record.old_signing_secret_until.is_some());
    store.close_signatures().await.unwrap();
    let store = fixture.reopen(store).await;
    assert_eq!(store.show(id).unwrap(), record);
    now += 1;
    ask(&store, &key, &first, now, "b").unwrap();
    let later = ask(&store, &key, &second, now, "c").unwrap();
    assert!(!let_in.ended().unwrap().is_cancelled());
    // The time of the old one is over: what it has let in ends, and the other stays.
    let old = ask(&store, &key, &first, now, "d").unwrap();
    fixture.hand.advance(hour);
    now += 3600;
    assert_eq!(
        ask(&store, &key, &first, now, "e").unwrap_err(),
        SignatureError::Invalid
    );
    store.end_what_is_over().await.unwrap();
    assert!(old.ended().unwrap().is_cancelled());
    assert!(!later.ended().unwrap().is_cancelled());
    assert_eq!(store.show(id).unwrap().old_signing_secret_until, None);
    // Without an overlap it ends at once, and when the key stops signing.
    let third = store.set_signing(id, rotate(Duration::ZERO)).await.unwrap();
    let third = third.secret.unwrap();
    assert!(later.ended().unwrap().is_cancelled());
    let let_in = ask(&store, &key, &third, now, "f").unwrap();
    let change = store.set_signing(id, require(Signing::None)).await.unwrap();
    assert!(change.secret.is_none() && let_in.ended().unwrap().is_cancelled());
    store.authenticate(Some(&presented(&key.secret))).unwrap();
    let change = store.set_signing(id, require(Signing::Optional)).await;
    let fourth = change.unwrap().secret.unwrap();
    assert_ne!(fourth.expose(), third.expose());
    ask(&store, &key, &fourth, now, "g").unwrap();
    assert!(ask(&store, &key, &third, now, "h").is_err());
}

#[tokio::test]
async fn the_end_of_a_key_is_that_of_what_its_signature_let_in() {
    let fixture = Fixture::new(true);
    let store = fixture.open().await;
    let now = fixture.clock.now().as_second();
    let (key, secret) = signer(&store).await;
    let let_in = ask(&store, &key, &secret, now, "a").unwrap();
    store.revoke(&key.record.id).await.unwrap();
    assert!(let_in.ended().unwrap().is_cancelled());
    assert_eq!(
        ask(&store, &key, &secret, now, "b").unwrap_err(),
        SignatureError::Revoked
    );
    let refused = store
        .set_signing(&key.record.id, rotate(Duration::ZERO))
        .await;
    assert!(matches!(refused, Err(KeyError::Revoked { .. })));

    let expires = fixture.clock.now() + jiff::SignedDuration::from_secs(10);
    let new = NewKey {
        expires: Some(expires),
        ..signing(Signing::Optional)
    };
    let key = store.create(new).await.unwrap();
    let secret = key.signing_secret.clone().unwrap();
    let let_in = ask(&store, &key, &secret, now, "a").unwrap();
    // The key's own secret is another one by now, and has nothing to do with it.
    store.rotate(&key.record.id, Duration::ZERO).await.unwrap();
    assert!(!let_in.ended().unwrap().is_cancelled());
    fixture.hand.advance(Duration::from_secs(10));
    assert_eq!(
        ask(&store, &key, &secret, now + 10, "b").unwrap_err(),
        SignatureError::Expired
    );
    store.end_what_is_over().await.unwrap();
    assert!(let_in.ended().unwrap().is_cancelled());
    // The row goes with its key.
    store.delete(&key.record.id).await.unwrap();
    let (rows,): (i64,) = sqlx::query_as("SELECT count(*) FROM key_signing")
        .fetch_one(store.pool())
        .await
        .unwrap();
    assert_eq!(rows, 1);
}

#[tokio::test]
async fn a_kill_at_any_time_leaves_nothing_that_could_be_accepted_twice() {
    let fixture = Fixture::new(true);
    let store = fixture.open().await;
    let (key, secret) = signer(&store).await;
    let now = || fixture.clock.now().as_second();
    ask(&store, &key, &secret, now() + 5, "ahead-of-us").unwrap();
    ask(&store, &key, &secret, now(), "right-now").unwrap();
    // Killed before anything of it was written.
    let store = fixture.reopen(store).await;
    for (created, nonce) in [(now() + 5, "ahead-of-us"), (now(), "right-now")] {
        let refused = ask(&store, &key, &secret, created, nonce).unwrap_err();
        assert!(
            matches!(refused, SignatureError::BeforeStart { .. }),
            "{refused}"
        );
    }
    let SignatureError::BeforeStart { retry_after_s } =
        ask(&store, &key, &secret, now(), "fresh").unwrap_err()
    else {
        panic!("accepted");
    };
    assert_eq!(retry_after_s, 6);
    fixture.hand.advance(Duration::from_secs(retry_after_s));
    ask(&store, &key, &secret, now(), "fresh").unwrap();
    // The mark is on disk after the next look: also a clock that was set back brings nothing in.
    store.keep_signatures().await.unwrap();
    let accepted = now();
    fixture.hand.set_by(-30);
    let store = fixture.reopen(store).await;
    fixture.hand.set_by(30);
    let refused = ask(&store, &key, &secret, accepted, "fresh").unwrap_err();
    assert!(
        matches!(refused, SignatureError::BeforeStart { .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn a_store_that_is_closed_accepts_nothing_that_its_mark_does_not_have() {
    let fixture = Fixture::new(true);
    let store = fixture.open().await;
    let (key, secret) = signer(&store).await;
    let now = fixture.clock.now().as_second();
    ask(&store, &key, &secret, now, "a").unwrap();
    store.close_signatures().await.unwrap();
    let refused = ask(&store, &key, &secret, now + 1, "b").unwrap_err();
    assert!(matches!(refused, SignatureError::BeforeStart { .. }));
    let store = fixture.reopen(store).await;
    let refused = ask(&store, &key, &secret, now, "a").unwrap_err();
    assert_eq!(refused, SignatureError::BeforeStart { retry_after_s: 1 });
    ask(&store, &key, &secret, now + 1, "b").unwrap();
    // The mark was exact for one start only: now it is killed.
    let store = fixture.reopen(store).await;
    assert!(ask(&store, &key, &secret, now + 1, "b").is_err());
}

#[tokio::test]
async fn keys_that_never_sign_leave_no_root_and_no_row() {
    let fixture = Fixture::new(true);
    let store = fixture.open().await;
    store.create(new("infer")).await.unwrap();
    store.keep_signatures().await.unwrap();
    store.close_signatures().await.unwrap();
    assert!(!store.has_signers());
    assert!(!fixture.dir.path().join("signing.key").exists());
    let id = store.list()[0].id.clone();
    let change = store
        .set_signing(&id, require(Signing::None))
        .await
        .unwrap();
    assert!(change.secret.is_none() && !store.has_signers());
}
