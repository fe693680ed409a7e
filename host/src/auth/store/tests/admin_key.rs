//! What becomes of the key that the server makes for itself.

use super::*;
use crate::auth::store::secret_file::{read_private, write_private};

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
    write_private(&path, &secret).unwrap();
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
async fn an_admin_key_whose_file_is_gone_is_renewed() {
    let fixture = Fixture::new(true);
    let path = fixture.dir.path().join("admin.key");
    let store = fixture.open().await;
    let AdminKey::Made(id) = store.ensure_admin_key(&path).await.unwrap() else {
        unreachable!("a fresh store has no admin key")
    };
    let first = read_private(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let store = fixture.reopen(store).await;
    let renewed = store.ensure_admin_key(&path).await.unwrap();
    assert_eq!(renewed, AdminKey::Renewed(id.clone()));
    let second = read_private(&path).unwrap();
    assert_eq!(working(&store, &[&first, &second]), [false, true]);
    // A file without a key in it is as good as none.
    fs::write(&path, "no key").unwrap();
    let store = fixture.reopen(store).await;
    let renewed = store.ensure_admin_key(&path).await.unwrap();
    assert_eq!(renewed, AdminKey::Renewed(id));
    let third = read_private(&path).unwrap();
    assert_eq!(working(&store, &[&second, &third]), [false, true]);
    assert_eq!(store.list().len(), 1);
}

#[tokio::test]
async fn an_admin_key_whose_file_is_gone_stays_where_another_can_manage_keys() {
    let fixture = Fixture::new(true);
    let path = fixture.dir.path().join("admin.key");
    let store = fixture.open().await;
    store.ensure_admin_key(&path).await.unwrap();
    let first = read_private(&path).unwrap();
    store.create(new("admin")).await.unwrap();
    fs::remove_file(&path).unwrap();
    let store = fixture.reopen(store).await;
    let found = store.ensure_admin_key(&path).await.unwrap();
    assert_eq!(found, AdminKey::Elsewhere);
    assert!(!path.exists());
    assert_eq!(working(&store, &[&first]), [true]);
}

#[tokio::test]
async fn a_rotated_admin_key_is_in_its_file() {
    let fixture = Fixture::new(true);
    let path = fixture.dir.path().join("admin.key");
    let store = fixture.open().await;
    let AdminKey::Made(id) = store.ensure_admin_key(&path).await.unwrap() else {
        unreachable!("a fresh store has no admin key")
    };
    let other = store.create(new("infer")).await.unwrap();
    let rotated = store.rotate(&id, Duration::ZERO).await.unwrap();
    store
        .rotate(&other.record.id, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(
        read_private(&path).unwrap().expose(),
        rotated.secret.expose()
    );
    let store = fixture.reopen(store).await;
    assert_eq!(store.ensure_admin_key(&path).await.unwrap(), AdminKey::Kept);
}
