//! Whoever owns the data directory can manage keys, also after the file of the admin key is lost.

use belljar_tests::ServerProcess;
use serde_json::{Value, json};

#[tokio::test]
async fn a_lost_admin_key_is_renewed_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    belljar_tests::warm_up(&data).await;
    let file = data.join("admin.key");
    let server = ServerProcess::start(&data).await;
    let lost = server.admin();
    let before = lost.get("/admin/keys").await.expect_status(200).json();
    assert!(server.terminate().await.success());
    std::fs::remove_file(&file).unwrap();

    let server = ServerProcess::start(&data).await;
    let found = server.admin();
    let after = found.get("/admin/keys").await.expect_status(200).json();
    assert_eq!(after["data"][0]["id"], before["data"][0]["id"]);
    let lost = server.anonymous().with_key(lost.key().unwrap());
    let _ = lost.get("/admin/keys").await.expect_status(401);
    // Where somebody else can manage keys, the file may stay away.
    let other = json!({"name":"other","scopes":["admin"]});
    let _ = found.post("/admin/keys", &other).await.expect_status(201);
    assert!(server.terminate().await.success());
    std::fs::remove_file(&file).unwrap();
    let server = ServerProcess::start(&data).await;
    assert!(!file.exists());
    let kept = server.anonymous().with_key(found.key().unwrap());
    let _ = kept.get("/admin/keys").await.expect_status(200);
    assert!(server.terminate().await.success());

    let log = std::fs::read_to_string(data.join("audit.log")).unwrap();
    let renewed: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|event: &Value| event["event"] == "key_rotated")
        .collect();
    assert_eq!(renewed.len(), 1, "{log}");
    assert_eq!(renewed[0]["about"]["by"], "the start");
}
