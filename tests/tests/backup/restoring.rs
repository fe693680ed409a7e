//! `belljar restore`, and the server that comes of it.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use belljar_tests::{Client, ServerProcess};
use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{
    Ground, backup, done, infer, make_key, refused, restore, restore_command, run, upload,
    upload_private,
};
use crate::signer::{Draft, Signer};

/// What a restored server may take until it serves what the first one did.
const MINUTE: Duration = Duration::from_secs(60);

async fn shown(client: &Client, path: &str) -> Value {
    client.get(path).await.expect_status(200).json()
}

/// A list of models without what belongs to one life of a server.
fn models(list: &Value) -> Vec<(String, String, String, Value)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut all = Vec::new();
    for model in list["data"].as_array().unwrap() {
        for version in model["versions"].as_array().unwrap() {
            let (name, state) = (text(&model["name"]), text(&version["state"]));
            all.push((
                name,
                text(&version["version"]),
                state,
                version["digest"].clone(),
            ));
        }
    }
    all
}

#[tokio::test]
async fn a_restored_server_serves_the_same_within_a_minute() {
    let ground = Ground::new();
    let with = |command: &mut Command| {
        command
            .env("BELLJAR_EMBEDDED_FAKE", "true")
            .env("BELLJAR_TRUSTED_PROXIES", "127.0.0.1");
    };
    let server = ground.server_with("data", with).await;
    let admin = server.admin();
    upload(&admin, "m", "1.0.0", b"one").await;
    upload(&admin, "m", "2.0.0", b"two").await;
    upload_private(&admin, "private", "1.0.0", b"one").await;
    admin
        .post("/models/m/1.0.0/activate", &json!({}))
        .await
        .expect_status(200);
    let (id, key) = make_key(&admin, json!({"requests_per_month": 6})).await;
    let (gone, revoked) = make_key(&admin, json!({})).await;
    admin
        .post(&format!("/admin/keys/{gone}/revoke"), &json!({}))
        .await
        .expect_status(200);
    let caller = server.with_key(&key);
    let answer = infer(&caller, "m").await.expect_status(200);
    let ask = json!({"model": "fake", "input": "hello", "store": true});
    let response = caller
        .post("/v1/responses", &ask)
        .await
        .expect_status(200)
        .json();
    let response = format!("/v1/responses/{}", response["id"].as_str().unwrap());
    let exempt = json!({"network": "192.0.2.0/24"});
    admin
        .post("/admin/exemptions", &exempt)
        .await
        .expect_status(201);
    let banned = async |server: &ServerProcess, key: &str| {
        let client = server.with_key(key);
        let request = client.request(Method::GET, "/v1/models");
        let request = request.header("x-forwarded-for", "198.51.100.7");
        client.send(request).await.unwrap().status == 403
    };
    for _ in 0..5 {
        assert!(!banned(&server, "sk-belljar-wrong-wrong-wrong").await);
    }
    assert!(banned(&server, &key).await);
    let before = (
        models(&shown(&admin, "/models").await),
        shown(&admin, "/admin/exemptions").await,
        shown(&caller, &response).await,
    );
    let file = ground.path("b.tar");
    backup(server.data_dir(), &file);
    // The first goes on, and is gone when the other one begins.
    upload(&admin, "later", "1.0.0", b"later").await;
    server.kill();

    let begun = Instant::now();
    let report = restore(&file, &ground.path("there"));
    assert!(report["audit"]["lines"].as_u64().unwrap() > 5, "{report}");
    let restored = ground.server_with("there", with).await;
    let admin = restored.admin();
    let caller = restored.with_key(&key);
    assert_eq!(
        infer(&caller, "m").await.expect_status(200).json(),
        answer.json()
    );
    let private = shown(&admin, "/models/private/1.0.0").await;
    assert_eq!(private["private"], true, "{private}");
    let spent = begun.elapsed();
    println!("restored and served in {spent:.1?}");
    assert!(spent < MINUTE, "{spent:?}");
    assert!(banned(&restored, &key).await);
    // Whose turn it is to be compiled again is served later, and within the minute as well.
    let models_after = loop {
        let list = models(&shown(&admin, "/models").await);
        if list == before.0 {
            break list;
        }
        assert!(begun.elapsed() < MINUTE, "{list:?}");
    };
    let after = (
        models_after,
        shown(&admin, "/admin/exemptions").await,
        shown(&caller, &response).await,
    );
    assert_eq!(before, after);
    infer(&restored.with_key(&revoked), "m")
        .await
        .expect_status(401);
    // Three before the backup (a run, a response that is stored, a look at it) and two since.
    let usage = shown(&caller, "/usage").await;
    assert_eq!(usage["budget"]["requests"]["used"], 5, "{usage} of {id}");
    infer(&caller, "m").await.expect_status(200);
    infer(&caller, "m").await.expect_status(429);
    let used = shown(&admin, "/admin/usage?by=model").await;
    assert!(used.to_string().contains("\"m\""), "{used}");
    // The chain goes on over the backup, and says so.
    let data = ground.path("there");
    let verify = run([
        &"audit".into(),
        &"verify".into(),
        &"--data-dir".into(),
        &data,
    ]);
    assert!(done(verify).contains("the audit log is whole"));
    let log = fs::read_to_string(data.join("audit.log")).unwrap();
    assert!(
        log.contains("\"restored\"") && log.contains("\"model_uploaded\""),
        "{log}"
    );
}

#[tokio::test]
async fn what_is_there_is_never_touched() {
    let ground = Ground::new();
    let server = ground.server("data").await;
    let file = ground.path("b.tar");
    backup(server.data_dir(), &file);
    let place = ground.path("place");
    fs::create_dir(&place).unwrap();
    fs::write(place.join("mine"), "text").unwrap();
    for taken in [&place, server.data_dir()] {
        let told = refused(&restore_command(&file, taken).output().unwrap());
        assert!(told.contains("is not empty"), "{told}");
    }
    assert_eq!(fs::read(place.join("mine")).unwrap(), b"text");
    assert_eq!(fs::read_dir(&place).unwrap().count(), 1);
    fs::remove_file(place.join("mine")).unwrap();
    restore(&file, &place);
    let told = refused(&restore_command(&file, &place).output().unwrap());
    assert!(told.contains("is not empty"), "{told}");
    assert_eq!(ground.names(), ["b.tar", "data", "data.log", "place"]);
}

#[tokio::test]
async fn keys_that_sign_sign_on_after_a_restore() {
    let ground = Ground::new();
    let server = ground.server("data").await;
    let ask = json!({"name": "n", "scopes": ["infer", "models:read"], "signing": "required"});
    let made = server.admin().post("/admin/keys", &ask).await;
    let made = made.expect_status(201).json();
    let text = |name: &str| made[name].as_str().unwrap();
    let id = text("id").to_owned();
    let signer = Signer {
        id: id.clone(),
        key: text("key").to_owned(),
        secret: text("signing_secret").parse().unwrap(),
    };
    // What a client has sent to a name, whichever machine has it.
    let mut draft = Draft::get("/v1/models");
    draft.authority = Some("localhost".to_owned());
    let draft = draft.with("host", "localhost").signed(&signer, "localhost");
    let _ = draft.send(&server.anonymous()).await.expect_status(200);
    let data = server.data_dir().to_owned();
    // While it runs, and just after a signature was used.
    backup(&data, &ground.path("b.tar"));
    server.kill();
    restore(&ground.path("b.tar"), &ground.path("there"));
    let root = |name: &str| fs::read(ground.path(name).join("signing.key")).unwrap();
    assert_eq!(root("data"), root("there"));
    let restored = ground.server("there").await;
    let shown = restored.admin().get(&format!("/admin/keys/{id}")).await;
    assert_eq!(shown.expect_status(200).json()["signing"], "required");
    let again = draft.send(&restored.anonymous()).await.expect_status(401);
    // Of those it has had, and of those it may have had before it was ready.
    let refusals = ["signature_replayed", "signature_before_start"];
    assert!(
        refusals.contains(&again.code().as_str()),
        "{}",
        again.text()
    );
    // Times of signatures are in seconds, and that of the start is over soon.
    let begun = Instant::now();
    loop {
        let fresh = Draft::get("/v1/models");
        let answer = signer.send(&restored.anonymous(), fresh).await;
        if answer.status == 200 {
            break;
        }
        assert_eq!(answer.code(), "signature_before_start");
        assert!(begun.elapsed() < MINUTE);
    }
}

#[tokio::test]
async fn compressed_backups_are_read() {
    let ground = Ground::new();
    let server = ground.server("data").await;
    let file = ground.path("b.tar");
    backup(server.data_dir(), &file);
    let packed = ground.path("b.tar.gz");
    let gzip = Command::new("gzip").arg("-kf").arg(&file).output().unwrap();
    done(gzip);
    restore(&packed, &ground.path("there"));
}
