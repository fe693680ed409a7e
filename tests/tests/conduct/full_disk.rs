//! Where there is no room to write, every change says so, nothing is half done, and serving goes
//! on.

use belljar_tests::{ServerProcess, TestBundle};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::json;

use crate::kit::{expect_banned, guess};

/// Lets the server write files of so many bytes and no more: the nearest thing to a full disk
/// that needs no privilege.
pub(crate) fn cap_files(server: &ServerProcess, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(server.pid()).unwrap());
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(pid, Resource::Fsize, limit).unwrap();
}

#[tokio::test]
async fn every_write_without_room_is_507_and_serving_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let server = ServerProcess::start_with(&data, |command| {
        command.env("BELLJAR_EMBEDDED_FAKE", "false");
        // Its log is a file as well, and this is not about that.
        command.stderr(std::process::Stdio::null());
    })
    .await;
    let (admin, caller) = (server.admin(), server.anonymous());
    let key = json!({"name": "n", "scopes": ["infer"]});
    let made = admin.post("/admin/keys", &key).await.expect_status(201);
    let key_path = format!("/admin/keys/{}", made.json()["id"].as_str().unwrap());
    let upload = async |bundle: TestBundle| {
        let sent = admin.post_bytes("/models?wait=true", "application/x-tar", bundle.tar());
        sent.await
    };
    let _ = upload(TestBundle::echo("m", "1.0.0"))
        .await
        .expect_status(201);

    cap_files(&server, Some(1));
    let exempt = json!({"network": "192.0.2.0/24"});
    for answer in [
        admin.post("/admin/keys", &key).await,
        admin.post(&format!("{key_path}/rotate"), &json!({})).await,
        admin.post(&format!("{key_path}/revoke"), &json!({})).await,
        admin.delete(&key_path).await,
        admin.post("/models/m/deactivate", &json!({})).await,
        admin.delete("/models/m").await,
        admin.post("/admin/exemptions", &exempt).await,
        upload(TestBundle::echo("m", "2.0.0")).await,
    ] {
        let answer = answer.expect_status(507);
        assert_eq!(answer.code(), "disk_full", "{}", answer.text());
        assert!(answer.text().contains("disk is full"), "{}", answer.text());
    }
    let ask = json!({"model": "m", "inputs": {"x": [1]}});
    let _ = caller.post("/infer", &ask).await.expect_status(200);
    let _ = caller.get("/health/ready").await.expect_status(200);

    cap_files(&server, None);
    let _ = admin.get(&key_path).await.expect_status(200);
    let _ = admin.delete(&key_path).await.expect_status(200);
    let _ = admin.post("/admin/keys", &key).await.expect_status(201);
    let _ = upload(TestBundle::echo("m", "2.0.0"))
        .await
        .expect_status(201);
    guess(&caller, 5).await;
    expect_banned(&caller.get("/v1/models").await);
    cap_files(&server, Some(1));
    let lifted = admin.delete("/admin/bans/127.0.0.1").await;
    assert_eq!(lifted.expect_status(507).code(), "disk_full");
}
